// Regression: the exact sums that every regression metric and interval follows from.

import type { Archive } from "../kernel/archive.ts";
import { ratio, UNIT_BITS } from "./exact-rational.ts";
import { ExactSquares, ExactSum, squareInto, type Square } from "./exact-sum.ts";
import type { Sign } from "./totals.ts";

/** A label this close to 0 makes a relative error meaningless. */
const ZERO_TARGET = 2 ** -52;

/** One pair, looked at once and added to many sums. */
export interface ErrorPair {
  label: number;
  labelSquare: Square;
  absolute: number;
  /** The prediction is above the label. */
  over: boolean;
  squared: number;
  relative: number;
  relativeSquared: number;
  /** |error| * |label|. */
  weighted: number;
  /** error^4, error^2 d, error^2 d^2, d^3, d^4 with d = label - centre: for the intervals of MSE and R2 alone. */
  readonly moments: Float64Array;
  /** False: one of the moments is no double. */
  finite: boolean;
}

export const MOMENTS = 5;

export function createErrorPair(): ErrorPair {
  return {
    label: 0,
    labelSquare: { high: 0, low: 0, units: 0n },
    absolute: 0,
    over: false,
    squared: 0,
    relative: 0,
    relativeSquared: 0,
    weighted: 0,
    moments: new Float64Array(MOMENTS),
    finite: true,
  };
}

/** Reads a pair; `centre` should lie somewhere near the labels, and must be the same for all pairs. */
export function readErrorPair(
  pair: ErrorPair,
  values: { readonly prediction: number; readonly label: number; readonly centre: number },
): void {
  const { prediction, label, centre } = values;
  const error = label - prediction;
  const square = error * error;
  pair.label = label;
  squareInto(pair.labelSquare, label);
  pair.absolute = Math.abs(error);
  pair.over = error < 0;
  pair.squared = square;
  pair.relative = pair.absolute / Math.abs(label);
  pair.relativeSquared = pair.relative * pair.relative;
  pair.weighted = pair.absolute * Math.abs(label);
  const distance = label - centre;
  const distanceSquare = distance * distance;
  const { moments } = pair;
  const largest = Math.max(square, distanceSquare);
  moments[0] = square * square;
  moments[1] = square * distance;
  moments[2] = square * distanceSquare;
  moments[3] = distanceSquare * distance;
  moments[4] = distanceSquare * distanceSquare;
  // From 1 on none of the five is greater than the square of the greater one; below, all are finite.
  pair.finite = largest * largest < Infinity;
}

export class RegressionSums {
  readonly over = new ExactSum();
  readonly under = new ExactSum();
  readonly squared = new ExactSum();
  readonly relative = new ExactSum();
  readonly label = new ExactSum();
  readonly labelSize = new ExactSum();
  readonly labelSquared = new ExactSquares();
  readonly weighted = new ExactSum();
  readonly relativeSquared = new ExactSum();
  readonly moments: readonly ExactSum[] = Array.from({ length: MOMENTS }, () => new ExactSum());
  /** Rows whose error, square, moments or relative error are no doubles. */
  infinite = 0;
  overflow = 0;
  momentOverflow = 0;
  relativeOverflow = 0;
  weightedOverflow = 0;
  zeroTargets = 0;

  readonly #centre: number;

  constructor(centre: number) {
    this.#centre = centre;
  }

  add(pair: ErrorPair, sign: Sign): void {
    this.label.add(sign * pair.label);
    this.labelSize.add(sign * Math.abs(pair.label));
    this.labelSquared.add(pair.labelSquare, sign);
    if (pair.absolute === Infinity) this.infinite += sign;
    else (pair.over ? this.over : this.under).add(sign * pair.absolute);
    if (pair.squared === Infinity) this.overflow += sign;
    else this.squared.add(sign * pair.squared);
    if (pair.weighted === Infinity) this.weightedOverflow += sign;
    else this.weighted.add(sign * pair.weighted);
    if (Math.abs(pair.label) < ZERO_TARGET) this.zeroTargets += sign;
    else this.#addRelative(pair, sign);
    if (!pair.finite) this.momentOverflow += sign;
    else for (let i = 0; i < MOMENTS; i++) this.moments[i]?.add(sign * (pair.moments[i] ?? 0));
  }

  merge(other: RegressionSums, sign: Sign): void {
    this.over.merge(other.over, sign);
    this.under.merge(other.under, sign);
    this.squared.merge(other.squared, sign);
    this.relative.merge(other.relative, sign);
    this.relativeSquared.merge(other.relativeSquared, sign);
    this.label.merge(other.label, sign);
    this.labelSize.merge(other.labelSize, sign);
    this.labelSquared.merge(other.labelSquared, sign);
    this.weighted.merge(other.weighted, sign);
    for (const [i, sum] of other.moments.entries()) this.moments[i]?.merge(sum, sign);
    this.infinite += sign * other.infinite;
    this.overflow += sign * other.overflow;
    this.momentOverflow += sign * other.momentOverflow;
    this.relativeOverflow += sign * other.relativeOverflow;
    this.weightedOverflow += sign * other.weightedOverflow;
    this.zeroTargets += sign * other.zeroTargets;
  }

  archive(io: Archive): void {
    const { over, under, squared, relative, relativeSquared, label, labelSize, weighted, moments } = this;
    const sums = [over, under, squared, relative, relativeSquared, label, labelSize, weighted, ...moments];
    for (const sum of sums) sum.archive(io);
    this.labelSquared.archive(io);
    this.infinite = io.number(this.infinite);
    this.overflow = io.number(this.overflow);
    this.momentOverflow = io.number(this.momentOverflow);
    this.relativeOverflow = io.number(this.relativeOverflow);
    this.weightedOverflow = io.number(this.weightedOverflow);
    this.zeroTargets = io.number(this.zeroTargets);
  }

  /** The sum of |error|. */
  absolute(): ExactSum {
    const sum = new ExactSum();
    sum.merge(this.over, 1);
    sum.merge(this.under, 1);
    return sum;
  }

  /** The sum of label - prediction. */
  signed(): ExactSum {
    const sum = new ExactSum();
    sum.merge(this.under, 1);
    sum.merge(this.over, -1);
    return sum;
  }

  /** n * (sum of squares of the labels around their mean), exactly, in units of 2^-2148. */
  spread(rows: number): bigint {
    const sum = this.label.units();
    return BigInt(rows) * this.labelSquared.units() - sum * sum;
  }

  /** Mean of the labels minus the centre of the moments. */
  shift(rows: number): number {
    return this.label.mean(rows) - this.#centre;
  }

  /** The sum of squares of the labels around their mean. */
  labelM2(rows: number): number {
    return rows === 0 ? 0 : ratio(this.spread(rows), BigInt(rows) << (2n * UNIT_BITS));
  }

  #addRelative(pair: ErrorPair, sign: Sign): void {
    if (pair.relativeSquared === Infinity) this.relativeOverflow += sign;
    else {
      this.relative.add(sign * pair.relative);
      this.relativeSquared.add(sign * pair.relativeSquared);
    }
  }
}
