// Regression: the exact sums that every regression metric and interval follows from.

import type { Archive } from "../kernel/archive.ts";
import {
  ERROR_PAIRS_MAX,
  type ErrorColumns,
  type ErrorPairs,
  fillColumns,
  MOMENTS,
} from "./error-columns.ts";
import { ratio, UNIT_BITS } from "./exact-rational.ts";
import { ExactSquares, ExactSum } from "./exact-sum.ts";
import type { Sign } from "./totals.ts";

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
  /** The error itself is: only its interval has no square to rest on. */
  relativeSquaredOverflow = 0;
  weightedOverflow = 0;
  zeroTargets = 0;

  readonly #centre: number;

  constructor(centre: number) {
    this.#centre = centre;
  }

  /** Adds the first `count` pairs. */
  add(pairs: ErrorPairs, count: number): void {
    for (let from = 0; from < count; from += ERROR_PAIRS_MAX) {
      this.#addColumns(
        fillColumns(pairs, { from, to: Math.min(count, from + ERROR_PAIRS_MAX) }, this.#centre),
      );
    }
  }

  #addColumns(columns: ErrorColumns): void {
    this.label.addAll(columns.label);
    this.labelSize.addAll(columns.labelSize);
    this.labelSquared.addAll(columns.labelSquared, columns.labelSquaredUnits);
    this.over.addAll(columns.over);
    this.under.addAll(columns.under);
    this.squared.addAll(columns.squared);
    this.weighted.addAll(columns.weighted);
    this.relative.addAll(columns.relative);
    this.relativeSquared.addAll(columns.relativeSquared);
    for (const [i, column] of columns.moments.entries()) this.moments[i]?.addAll(column);
    this.infinite += columns.infinite;
    this.overflow += columns.overflow;
    this.weightedOverflow += columns.weightedOverflow;
    this.zeroTargets += columns.zeroTargets;
    this.relativeOverflow += columns.relativeOverflow;
    this.relativeSquaredOverflow += columns.relativeSquaredOverflow;
    this.momentOverflow += columns.momentOverflow;
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
    this.relativeSquaredOverflow += sign * other.relativeSquaredOverflow;
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
    this.relativeSquaredOverflow = io.number(this.relativeSquaredOverflow);
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
}
