// Doubles cut to their leading bits: the keys under which close numbers are counted together.

import { MANTISSA_BITS, truncate } from "../float-bits.ts";

/** With all mantissa bits kept, every number has a key of its own. */
export const ALL_BITS = MANTISSA_BITS;

/**
 * The key of `value` when `bits` mantissa bits are told apart. `mirrored` is for probabilities: those close to 1 are then
 * told apart as well as those close to 0. The key of a key is itself, also when fewer bits are asked for step by step.
 */
export function floatKey(value: number, bits: number, mirrored: boolean): number {
  if (bits === ALL_BITS) return value + 0;
  // 1 - s is exact from 0.5 on, and so is the way back.
  return mirrored && value >= 0.5 ? 1 - truncate(1 - value, bits) : truncate(value, bits);
}
