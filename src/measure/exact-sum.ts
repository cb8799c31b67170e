// Sums of doubles without any rounding: mergeable, retractable, the same whatever the order. Shewchuk's expansions
// (J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997), as Python's math.fsum uses them.

import { type Archive, archiveBigint, archiveFlag } from "../kernel/archive.ts";
import { ratio, toUnits, UNIT_BITS } from "./exact-rational.ts";

/** From here on an addend goes to whole-number arithmetic, so that no partial sum can overflow (2^970). */
const LARGE = 2 ** 970;
/** Between these magnitudes the square of a double and its rounding error are both doubles. */
const SQUARE_MIN = 2 ** -480;
const SQUARE_MAX = 2 ** 480;
const SPLITTER = 2 ** 27 + 1;

/** The first `size` of `values`: finite doubles. */
export interface Addends {
  readonly values: Float64Array;
  size: number;
}

export class ExactSum {
  /**
   * Two doubles that take nearly every addend: the rounding errors of the first go to the second. What the second cannot hold
   * without an error of its own goes to #parts, so the value is the exact sum of all three.
   */
  readonly #quick = new Float64Array(2);
  /** Non-overlapping, by increasing magnitude, no zeros. Normally none. */
  readonly #parts: number[] = [];
  /** What was too large for #parts, in units of 2^-1074. */
  #large = 0n;

  /** Adds a finite double; add(-x) takes x back exactly. */
  add(addend: number): void {
    if (addend >= LARGE || addend <= -LARGE) {
      this.#large += toUnits(addend);
      return;
    }
    const quick = this.#quick;
    const high = quick[0] ?? 0;
    const sum = high + addend;
    const virtual = sum - high;
    const error = high - (sum - virtual) + (addend - virtual);
    quick[0] = sum;
    if (error === 0) return;
    const low = quick[1] ?? 0;
    const rest = low + error;
    const part = rest - low;
    const left = low - (rest - part) + (error - part);
    quick[1] = rest;
    if (left !== 0) grow(this.#parts, left);
  }

  /** The same as `add` of each, in a fraction of the time. */
  addAll({ values, size }: Addends): void {
    const quick = this.#quick;
    let high = quick[0] ?? 0;
    let low = quick[1] ?? 0;
    for (let at = 0; at < size; at++) {
      const addend = values[at] ?? 0;
      if (addend >= LARGE || addend <= -LARGE) {
        this.#large += toUnits(addend);
        continue;
      }
      const sum = high + addend;
      const virtual = sum - high;
      const error = high - (sum - virtual) + (addend - virtual);
      high = sum;
      if (error === 0) continue;
      const rest = low + error;
      const part = rest - low;
      const left = low - (rest - part) + (error - part);
      low = rest;
      if (left !== 0) grow(this.#parts, left);
    }
    quick[0] = high;
    quick[1] = low;
  }

  /** Adds (sign 1) or takes away (sign -1) all that `other` holds. */
  merge(other: ExactSum, sign: 1 | -1): void {
    this.add(sign * (other.#quick[0] ?? 0));
    this.add(sign * (other.#quick[1] ?? 0));
    for (const part of other.#parts) this.add(sign * part);
    this.#large += sign === 1 ? other.#large : -other.#large;
  }

  /** The exact sum in units of 2^-1074. */
  units(): bigint {
    let units = this.#large;
    for (const part of this.#expansion()) units += toUnits(part);
    return units;
  }

  /** The correctly rounded sum (ties to even); infinite when beyond the doubles. */
  value(): number {
    if (this.#large !== 0n) return ratio(this.units(), 1n << UNIT_BITS);
    const parts = this.#expansion();
    let at = parts.length - 1;
    let high = parts[at] ?? 0;
    let low = 0;
    while (at > 0 && low === 0) {
      const part = parts[--at] ?? 0;
      const sum = high + part;
      low = part - (sum - high);
      high = sum;
    }
    // Half-way cases: what lies below decides the direction.
    const below = at > 0 ? (parts[at - 1] ?? 0) : 0;
    if ((low < 0 && below < 0) || (low > 0 && below > 0)) {
      const twice = low * 2;
      const up = high + twice;
      if (up - high === twice) high = up;
    }
    return high;
  }

  /** The sum divided by `count`; finite whenever the mean is, even where the sum is not. */
  mean(count: number): number {
    if (this.#large !== 0n) return ratio(this.units(), BigInt(count) << UNIT_BITS);
    return this.value() / count;
  }

  archive(io: Archive): void {
    const quick = this.#quick;
    quick[0] = io.number(quick[0] ?? 0);
    quick[1] = io.number(quick[1] ?? 0);
    // Nearly all are.
    const isQuick = archiveFlag(io, this.#parts.length === 0 && this.#large === 0n);
    if (isQuick) {
      this.#parts.length = 0;
      this.#large = 0n;
      return;
    }
    const parts = io.float64s(Float64Array.from(this.#parts));
    this.#large = archiveBigint(io, this.#large);
    if (io.reading) this.#parts.splice(0, this.#parts.length, ...parts);
  }

  /** All but #large: non-overlapping, by increasing magnitude, no zeros. */
  #expansion(): number[] {
    const parts = [...this.#parts];
    for (const part of this.#quick) grow(parts, part);
    return parts;
  }
}

/** Adds a double to an expansion (Shewchuk's Grow-Expansion without zeros). */
function grow(parts: number[], addend: number): void {
  const count = parts.length;
  let sum = addend;
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const part = parts[i] ?? 0;
    const next = sum + part;
    const virtual = next - sum;
    const error = sum - (next - virtual) + (part - virtual);
    if (error !== 0) parts[kept++] = error;
    sum = next;
  }
  if (sum !== 0) {
    if (kept === parts.length) parts.push(sum);
    else parts[kept] = sum;
    kept++;
  }
  while (parts.length > kept) parts.pop();
}

/** The square of a double, unrounded: `high + low`, or `units` (of 2^-2148) where doubles cannot hold it. */
export interface Square {
  high: number;
  low: number;
  units: bigint;
}

/** Writes value^2 into `out` (Dekker's product on Veltkamp's split). `value` must be finite. */
export function squareInto(out: Square, value: number): void {
  const magnitude = Math.abs(value);
  out.units = 0n;
  out.high = 0;
  out.low = 0;
  if (magnitude === 0) return;
  if (magnitude < SQUARE_MIN || magnitude > SQUARE_MAX) {
    const units = toUnits(value);
    out.units = units * units;
    return;
  }
  const spread = SPLITTER * value;
  const head = spread - (spread - value);
  const tail = value - head;
  out.high = value * value;
  out.low = head * head - out.high + 2 * head * tail + tail * tail;
}

/** The exact sum of squares. */
export class ExactSquares {
  readonly #sum = new ExactSum();
  #units = 0n;

  add(square: Square, sign: 1 | -1): void {
    if (square.units !== 0n) {
      this.#units += sign === 1 ? square.units : -square.units;
      return;
    }
    this.#sum.add(sign * square.high);
    if (square.low !== 0) this.#sum.add(sign * square.low);
  }

  /** Squares as doubles, high and low parts apart, and others in units of 2^-2148. */
  addAll(parts: Addends, units: bigint): void {
    this.#sum.addAll(parts);
    if (units !== 0n) this.#units += units;
  }

  merge(other: ExactSquares, sign: 1 | -1): void {
    this.#sum.merge(other.#sum, sign);
    this.#units += sign === 1 ? other.#units : -other.#units;
  }

  archive(io: Archive): void {
    this.#sum.archive(io);
    this.#units = archiveBigint(io, this.#units);
  }

  /** The exact sum in units of 2^-2148. */
  units(): bigint {
    return (this.#sum.units() << UNIT_BITS) + this.#units;
  }
}
