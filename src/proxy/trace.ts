// W3C trace context: the caller's trace is continued with a span of ours, or a trace begins here.

import type { Trace } from "../facts/exchange.ts";
import { chance, newSpanId, newTraceId } from "../kernel/ids.ts";

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZERO_TRACE = "0".repeat(32);
const ZERO_SPAN = "0".repeat(16);

export interface Tracing {
  readonly trace: Trace;
  /** The `traceparent` for the upstream: version 00, our span as the parent. */
  readonly traceparent: string;
}

/** Continues a valid `traceparent` (W3C trace-context §3.2.2), or null. */
export function continueTrace(traceparent: string): Tracing | null {
  const match = TRACEPARENT.exec(traceparent);
  if (match === null) return null;
  const [, version = "", traceId = "", parentSpanId = "", flags = "", rest] = match;
  if (version === "ff" || (version === "00" && rest !== undefined)) return null;
  if (traceId === ZERO_TRACE || parentSpanId === ZERO_SPAN) return null;
  const spanId = newSpanId();
  const sampled = (Number.parseInt(flags, 16) & 1) === 1;
  // Of a later version only the sampled bit is known to mean what it means in 00.
  const sent = version === "00" ? flags : sampled ? "01" : "00";
  return {
    trace: { traceId, spanId, parentSpanId, sampled },
    traceparent: `00-${traceId}-${spanId}-${sent}`,
  };
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
