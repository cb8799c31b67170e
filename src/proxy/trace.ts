// W3C trace context: the caller's trace is continued with a span of ours, or a trace begins here.

import type { Trace } from "../facts/exchange.ts";
import { chance, newSpanId, newTraceId } from "../kernel/ids.ts";

const HYPHEN = 45;
/** Where the trace's id, the parent's and the flags begin, and where they end: `VV-…32…-…16…-FF` (W3C trace-context §3.2.2). */
const TRACE_AT = 3;
const PARENT_AT = 36;
const FLAGS_AT = 53;
const LENGTH = 55;
const ZERO_TRACE = "0".repeat(32);
const ZERO_SPAN = "0".repeat(16);
/** Four of them, as bytes. */
const ZEROS = 0x3030_3030;
const HIGH_BITS = 0x8080_8080 | 0;

/** By character code: one more than the (lower-case) hex digit that it is; 0: it is none. */
const HEX = new Uint8Array(256);
for (let digit = 0; digit < 16; digit++) HEX[digit.toString(16).charCodeAt(0)] = digit + 1;

export interface Tracing {
  readonly trace: Trace;
  /** The `traceparent` for the upstream: version 00, our span as the parent. */
  readonly traceparent: string;
}

/** Continues a valid `traceparent` (W3C trace-context §3.2.2), or null. */
export function continueTrace(traceparent: string): Tracing | null {
  if (!isTraceparent(traceparent)) return null;
  if (traceparent.startsWith("00")) return continueCurrent(traceparent);
  // Of a later version only the sampled bit is known to mean what it means in 00.
  const flags = isSampled(traceparent) ? "-01" : "-00";
  return continueCurrent(`00${traceparent.slice(TRACE_AT - 1, FLAGS_AT - 1)}${flags}`);
}

/** The same for one of version 00 that is known to be valid. */
export function continueCurrent(traceparent: string): Tracing {
  const spanId = newSpanId();
  const traceId = traceparent.slice(TRACE_AT, PARENT_AT - 1);
  const parentSpanId = traceparent.slice(PARENT_AT, FLAGS_AT - 1);
  return {
    trace: { traceId, spanId, parentSpanId, sampled: isSampled(traceparent) },
    traceparent: traceparent.slice(0, PARENT_AT) + spanId + traceparent.slice(FLAGS_AT - 1),
  };
}

function isSampled(traceparent: string): boolean {
  return ((HEX[traceparent.charCodeAt(LENGTH - 1)] ?? 0) & 1) === 0;
}

/** Digit by digit: a pattern that also cuts it up takes four times as long, and many clients send a new one with each request. */
function isTraceparent(text: string): boolean {
  const { length } = text;
  if (length < LENGTH || !isHex(text, 0, TRACE_AT - 1)) return false;
  // More may follow in a later version, behind a hyphen; ff is none.
  if (text.startsWith("ff")) return false;
  if (length > LENGTH && (text.startsWith("00") || text.charCodeAt(LENGTH) !== HYPHEN)) return false;
  return (
    text.charCodeAt(TRACE_AT - 1) === HYPHEN &&
    isHex(text, TRACE_AT, PARENT_AT - 1) &&
    text.charCodeAt(PARENT_AT - 1) === HYPHEN &&
    isHex(text, PARENT_AT, FLAGS_AT - 1) &&
    text.charCodeAt(FLAGS_AT - 1) === HYPHEN &&
    isHex(text, FLAGS_AT, LENGTH) &&
    !text.startsWith(ZERO_TRACE, TRACE_AT) &&
    !text.startsWith(ZERO_SPAN, PARENT_AT)
  );
}

function isHex(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if ((HEX[text.charCodeAt(at)] ?? 0) === 0) return false;
  return true;
}

/** Are these `length` bytes a valid `traceparent` of version 00? By fours: as `isTraceparent`, several times as fast. */
export function saysTraceparent(view: DataView, at: number, length: number): boolean {
  if (length !== LENGTH) return false;
  const around =
    (view.getUint16(at, true) ^ (ZEROS & 0xffff)) |
    (view.getUint8(at + TRACE_AT - 1) ^ HYPHEN) |
    (view.getUint8(at + PARENT_AT - 1) ^ HYPHEN) |
    (view.getUint8(at + FLAGS_AT - 1) ^ HYPHEN);
  if (around !== 0) return false;
  let isHex = HIGH_BITS;
  let trace = 0;
  let parent = 0;
  for (let i = at + TRACE_AT; i < at + PARENT_AT - 1; i += 4) {
    const four = view.getInt32(i, true);
    trace |= four ^ ZEROS;
    isHex &= hexBits(four);
  }
  for (let i = at + PARENT_AT; i < at + FLAGS_AT - 1; i += 4) {
    const four = view.getInt32(i, true);
    parent |= four ^ ZEROS;
    isHex &= hexBits(four);
  }
  isHex &= hexBits(view.getUint16(at + FLAGS_AT, true) | (ZEROS & 0xffff_0000));
  return isHex === HIGH_BITS && trace !== 0 && parent !== 0;
}

/** The high bit of each byte that is a lower-case hex digit. What is added is carried from no byte to the next: their high bits are left out. */
function hexBits(four: number): number {
  const low = four & ~HIGH_BITS;
  // At least "0" and not over "9"; at least "a" and not over "f".
  const digit = (low + 0x5050_5050) & ~(low + 0x4646_4646);
  const letter = (low + 0x1f1f_1f1f) & ~(low + 0x1919_1919);
  return (digit | letter) & ~four & HIGH_BITS;
}

export function beginTrace(sampleRatio: number): Tracing {
  const traceId = newTraceId();
  const spanId = newSpanId();
  const sampled = sampleRatio > 0 && chance() < sampleRatio;
  return {
    trace: { traceId, spanId, parentSpanId: null, sampled },
    traceparent: `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`,
  };
}
