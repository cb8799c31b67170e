// Doubles as whole numbers: exact ratios, rounded once. The slow road beside exact-sum.ts, taken at query time and for extreme values.

/** Every finite double is a whole multiple of 2^-1074; this many bits stand behind the point. */
export const UNIT_BITS = 1074n;

const bits = new DataView(new ArrayBuffer(8));

/** `value` as a whole number of units of 2^-1074. `value` must be finite. */
export function toUnits(value: number): bigint {
  bits.setFloat64(0, value);
  const high = bits.getUint32(0);
  const exponent = (high >>> 20) & 0x7ff;
  const fraction = (BigInt(high & 0xfffff) << 32n) | BigInt(bits.getUint32(4));
  const magnitude = exponent === 0 ? fraction : (fraction | (1n << 52n)) << BigInt(exponent - 1);
  return value < 0 ? -magnitude : magnitude;
}

/** How many bits `value` (not negative) needs; at most 3 too many. */
function bitLength(value: bigint): number {
  return value.toString(16).length * 4;
}

/** value * 2^exponent without a detour over 0 or infinity. */
function scale(value: number, exponent: number): number {
  let scaled = value;
  let left = exponent;
  while (left > 1000) {
    scaled *= 2 ** 1000;
    left -= 1000;
  }
  while (left < -1000) {
    scaled *= 2 ** -1000;
    left += 1000;
  }
  return scaled * 2 ** left;
}

/** numerator / denominator as the nearest double (ties to even; subnormal results may be one unit off). */
export function ratio(numerator: bigint, denominator: bigint): number {
  if (numerator === 0n) return 0;
  const negative = numerator < 0n !== denominator < 0n;
  const n = numerator < 0n ? -numerator : numerator;
  const d = denominator < 0n ? -denominator : denominator;
  // 70 bits of quotient and a sticky bit below them: BigInt to Number rounds to nearest even.
  const shift = 70 + bitLength(d) - bitLength(n);
  const top = shift > 0 ? n << BigInt(shift) : n;
  const bottom = shift < 0 ? d << BigInt(-shift) : d;
  const quotient = top / bottom;
  const sticky = quotient * bottom === top ? 0n : 1n;
  const rounded = scale(Number((quotient << 1n) | sticky), -shift - 1);
  return negative ? -rounded : rounded;
}
