// Identifiers and chance: UUIDv7 (RFC 9562 §5.7) for predictions, W3C trace context ids.

import { randomBytes } from "node:crypto";

/** By the character code of a random hex digit: the digit with the variant's two bits (RFC 9562 §4.1) and its own two low ones. */
const VARIANTS: string[] = [];
for (let i = 0; i < 16; i++) VARIANTS[i.toString(16).charCodeAt(0)] = (8 + (i & 3)).toString(16);
const ZERO_TRACE_ID = "0".repeat(32);
const ZERO_SPAN_ID = "0".repeat(16);
const POOL_BYTES = 8192;
/** Random hex digits not given out yet: one system call and one conversion serve hundreds of ids. */
let pool = "";
let used = 0;
/** The time part of the last UUIDv7: many are made within one millisecond. */
let lastMs = Number.NaN;
let lastPrefix = "";

/** Hex of `bytes` (at most 8192) random bytes. */
export function randomHex(bytes: number): string {
  const digits = 2 * bytes;
  if (used + digits > pool.length) {
    pool = randomBytes(POOL_BYTES).toString("hex");
    used = 0;
  }
  used += digits;
  return pool.slice(used - digits, used);
}

/** A uniform number in [0, 1). */
export function chance(): number {
  return Math.random();
}

/** A UUIDv7 for `wallMs`: sortable by time, 74 random bits. */
export function uuidv7(wallMs: number): string {
  const ms = Math.floor(wallMs);
  if (ms !== lastMs) {
    const time = ms.toString(16).padStart(12, "0");
    lastMs = ms;
    lastPrefix = `${time.slice(0, 8)}-${time.slice(8, 12)}-7`;
  }
  const r = randomHex(10);
  const variant = VARIANTS[r.charCodeAt(4)] ?? "8";
  return `${lastPrefix}${r.slice(1, 4)}-${variant}${r.slice(5, 8)}-${r.slice(8, 20)}`;
}

/** 32 hex digits, not all zero (W3C trace-context §3.2.2.3). */
export function newTraceId(): string {
  const id = randomHex(16);
  return id === ZERO_TRACE_ID ? newTraceId() : id;
}

/** 16 hex digits, not all zero. */
export function newSpanId(): string {
  const id = randomHex(8);
  return id === ZERO_SPAN_ID ? newSpanId() : id;
}
