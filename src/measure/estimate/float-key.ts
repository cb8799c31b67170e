// Doubles cut to their leading bits: the keys under which close numbers are counted together.

/** Mantissa bits of a double: with all of them kept, every number has a key of its own. */
export const ALL_BITS = 52;

const cell = new Float64Array(1);
const halves = new Uint32Array(cell.buffer);
/** Where the low half of a double stands in memory. */
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;

function cut(value: number, bits: number): number {
  const cleared = ALL_BITS - bits;
  cell[0] = value;
  if (cleared < 32) halves[LOW] = (halves[LOW] ?? 0) & (-1 << cleared);
  else {
    halves[LOW] = 0;
    halves[1 - LOW] = (halves[1 - LOW] ?? 0) & (-1 << (cleared - 32));
  }
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
