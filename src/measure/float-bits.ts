// Doubles cut to their leading mantissa bits: the buckets of the score histogram.

export const MANTISSA_BITS = 52;

const word = new Float64Array(1);
const halves = new Uint32Array(word.buffer);
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;
const HIGH = 1 - LOW;
/** Sign and exponent. */
const HEAD_BITS = 12;

/** `value` with all but the leading `bits` bits of its mantissa cleared; never -0. */
export function truncate(value: number, bits: number): number {
  word[0] = value;
  const cleared = MANTISSA_BITS - bits;
  if (cleared >= 32) {
    halves[LOW] = 0;
    halves[HIGH] = (halves[HIGH] ?? 0) & (-1 << (cleared - 32));
  } else halves[LOW] = (halves[LOW] ?? 0) & (-1 << cleared);
  return word[0] + 0;
}

/** The next larger value (not negative) that `truncate` can give: its bucket ends before it. */
export function bucketEnd(truncated: number, bits: number): number {
  word[0] = truncated;
  const cleared = MANTISSA_BITS - bits;
  if (cleared >= 32) halves[HIGH] = (halves[HIGH] ?? 0) + 2 ** (cleared - 32);
  else {
    const low = (halves[LOW] ?? 0) + 2 ** cleared;
    halves[LOW] = low;
    if (low >= 2 ** 32) halves[HIGH] = (halves[HIGH] ?? 0) + 1;
  }
  return Math.min(word[0], Number.MAX_VALUE);
}

/** Mantissa bits from the left that two doubles share; -1 where sign or exponent differ. */
export function sharedBits(a: number, b: number): number {
  word[0] = a;
  const high = halves[HIGH] ?? 0;
  const low = halves[LOW] ?? 0;
  word[0] = b;
  const highShared = Math.clz32(high ^ (halves[HIGH] ?? 0));
  const shared = highShared < 32 ? highShared : 32 + Math.clz32(low ^ (halves[LOW] ?? 0));
  return Math.max(-1, shared - HEAD_BITS);
}
