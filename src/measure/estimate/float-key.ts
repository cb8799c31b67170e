// Doubles cut to their leading bits: the keys under which close numbers are counted together.

/** Mantissa bits of a double: with all of them kept, every number has a key of its own. */
export const ALL_BITS = 52;

const cell = new Float64Array(1);
const words = new BigUint64Array(cell.buffer);
const MASKS = Array.from({ length: ALL_BITS + 1 }, (_, kept) => {
  const cleared = BigInt(ALL_BITS - kept);
  return ((1n << 64n) - 1n) ^ ((1n << cleared) - 1n);
});

function cut(value: number, bits: number): number {
  cell[0] = value;
  words[0] = (words[0] ?? 0n) & (MASKS[bits] ?? 0n);
  return cell[0] + 0;
}

/**
 * The key of `value` when `bits` mantissa bits are told apart. `mirrored` is for probabilities: those close to 1 are then
 * told apart as well as those close to 0. The key of a key is itself, also when fewer bits are asked for step by step.
 */
export function floatKey(value: number, bits: number, mirrored: boolean): number {
  if (bits === ALL_BITS) return value + 0;
  // 1 - s is exact from 0.5 on, and so is the way back.
  return mirrored && value >= 0.5 ? 1 - cut(1 - value, bits) : cut(value, bits);
}
