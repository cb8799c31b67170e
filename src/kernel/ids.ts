// Identifiers and chance: UUIDv7 (RFC 9562 §5.7) for predictions, W3C trace context ids.

import { randomFillSync } from "node:crypto";

const HEX: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0"));
const POOL_BYTES = 8192;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/** Hex of `bytes` random bytes; drawn from a pool so that one system call serves hundreds of ids. */
export function randomHex(bytes: number): string {
  if (used + bytes > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  let text = "";
  for (let i = 0; i < bytes; i++) text += HEX[pool[used + i] ?? 0];
  used += bytes;
  return text;
}

/** A uniform number in [0, 1). */
export function chance(): number {
  return Math.random();
}

/** A UUIDv7 for `wallMs`: sortable by time, 74 random bits. */
export function uuidv7(wallMs: number): string {
  const time = Math.floor(wallMs).toString(16).padStart(12, "0");
  const r = randomHex(10);
  const variant = HEX[0x80 | (Number.parseInt(r.slice(4, 6), 16) & 0x3f)] ?? "80";
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7${r.slice(1, 4)}-${variant}${r.slice(6, 8)}-${r.slice(8, 20)}`;
}

/** 32 hex digits, not all zero (W3C trace-context §3.2.2.3). */
export function newTraceId(): string {
  const id = randomHex(16);
  return /^0+$/.test(id) ? newTraceId() : id;
}

/** 16 hex digits, not all zero. */
export function newSpanId(): string {
  const id = randomHex(8);
  return /^0+$/.test(id) ? newSpanId() : id;
}
