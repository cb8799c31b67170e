// An interval for a mean of squares: they lean to one side and have long tails, so mean -+ 1.96 standard errors holds too seldom.

import type { MetricInterval } from "../facts/group.ts";
import { intervalOf } from "./intervals.ts";
import type { Spread } from "./order-statistics.ts";
import { Z95 } from "./wilson.ts";

/** How the values behind a mean are distributed, by what their sample says. */
export interface Shape {
  readonly rows: number;
  readonly skewness: number;
  /** 3 for normal values. */
  readonly kurtosis: number;
  /** How much heavier the upper tail is than that of squared exponential values, by its mean logarithm; 0: it is not. */
  readonly tail: number;
}

/** What the upper end is stretched by for each unit of `tail`: found by simulation (decision 0045). */
const STRETCH = 3;

/** Of the squares of `spread`'s values, taken at the middle of their buckets; `mean`: about the mean of the squares, for scale. */
export function shapeOfSquares(spread: Spread, mean: number): Shape {
  const { rows, low, high, counts } = spread;
  const squares = counts.map((_, i) => {
    const middle = (low[i] ?? 0) / 2 + (high[i] ?? 0) / 2;
    return (middle * middle) / mean;
  });
  const moment = (centre: number, power: number): number => {
    let sum = 0;
    for (let i = 0; i < counts.length; i++) sum += (counts[i] ?? 0) * ((squares[i] ?? 0) - centre) ** power;
    return sum / rows;
  };
  const centre = moment(0, 1);
  const second = moment(centre, 2);
  const skewness = moment(centre, 3) / second ** 1.5;
  const kurtosis = moment(centre, 4) / second ** 2;
  // Equal values have no shape.
  return Number.isFinite(kurtosis) && Number.isFinite(skewness)
    ? { rows, skewness, kurtosis, tail: tailOf(spread) }
    : { rows, skewness: 0, kurtosis: 1, tail: 0 };
}

/**
 * Mean logarithm of the largest 2 sqrt(n) squares over the one below them (Hill, The Annals of Statistics 3, 1975), less what
 * it is for squared exponential values: where those end, the interval needs no help. The fewer rows, the less a tail can be
 * told from the rest: below 17 it says nothing.
 */
function tailOf({ rows, low, high, counts }: Spread): number {
  const largest = Math.ceil(2 * Math.sqrt(rows));
  const share = largest / rows;
  if (share >= 0.5) return 0;
  let left = largest;
  let sum = 0;
  for (let i = counts.length - 1; i >= 0; i--) {
    const logarithm = 2 * Math.log((low[i] ?? 0) / 2 + (high[i] ?? 0) / 2);
    const taken = Math.min(left, counts[i] ?? 0);
    sum += taken * logarithm;
    left -= taken;
    if (taken === counts[i]) continue;
    const excess = sum / largest - logarithm - 2 * exponentialExcess(-Math.log(share));
    // Below the largest there are only zeros: nothing to compare with.
    return Number.isFinite(excess) ? Math.max(0, excess) * (1 - 2 * share) : 0;
  }
  return 0;
}

/** Mean of log(x/u) over exponential values x above u: e^u E1(u), as a continued fraction (Abramowitz and Stegun 5.1.22). */
function exponentialExcess(u: number): number {
  let below = 0;
  for (let i = 50; i >= 1; i--) below = i / (1 + i / (u + below));
  return 1 / (u + below);
}

/**
 * Degrees of freedom of a sample variance: 2n / (kurtosis - (n - 3) / (n - 1)), which is n - 1 for normal values
 * (O'Neill, The American Statistician 68, 2014), at most n - 1. Few, where one value makes up most of the variance.
 */
function freedom({ rows, kurtosis }: Shape): number {
  const most = rows - 1;
  const excess = kurtosis - (rows - 3) / most;
  return excess > 0 ? Math.min(most, (2 * rows) / excess) : most;
}

/** The 97.5 % point of Student's t, to 5e-4 from two degrees on (Hill, Algorithm 396, Communications of the ACM 13, 1970). */
export function studentQuantile(degrees: number): number {
  // Two rows: the Cauchy distribution, exactly.
  if (degrees < 2) return Math.tan(0.475 * Math.PI);
  const n = degrees;
  const a = 1 / (n - 0.5);
  const b = 48 / (a * a);
  let c = ((20_700 * (a / b) - 98) * a - 16) * a + 96.36;
  const d = ((94.5 / (b + c) - 3) / b + 1) * Math.sqrt((a * Math.PI) / 2) * n;
  let y = (d * 0.05) ** (2 / n);
  if (y <= 0.05 + a) {
    const inner = ((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3;
    y = ((1 / inner + 0.5 / (n + 4)) * y - 1) * ((n + 1) / (n + 2)) + 1 / y;
    return Math.sqrt(n * y);
  }
  const x = -Z95;
  y = x * x;
  if (n < 5) c += 0.3 * (n - 4.5) * (x + 0.6);
  c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c;
  y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x;
  return Math.sqrt(n * Math.expm1(a * y * y));
}

/** Where the studentised mean of skewed values is `x` after Hall's cubic transformation has made it symmetric. */
function untransformed(x: number, { rows, skewness }: Shape): number {
  const lean = skewness / Math.sqrt(rows);
  // The limit: nothing leans.
  if (Math.abs(lean) < 1e-9) return x;
  return (3 / lean) * (Math.cbrt(1 + lean * (x - lean / 6)) - 1);
}

/**
 * A positive mean (or what moves like one) from its standard error and the shape of its values: Hall's transformation of the
 * studentised mean against its skewness (Journal of the Royal Statistical Society B 54, 1992), with Student's t at the
 * degrees of freedom that the tails leave instead of the normal quantile; a tail without variance stretches the upper end, as
 * the outlier that makes up for it may not have come yet. docs/numbers.md has what it holds in simulations.
 * null without a standard error, and where an end is no double.
 */
export function skewedInterval(
  value: number,
  of: { readonly standardError: number | null; readonly shape: Shape },
  method: string,
): MetricInterval | null {
  const { standardError, shape } = of;
  if (standardError === null || shape.rows < 2) return null;
  const quantile = studentQuantile(freedom(shape));
  const lower = Math.max(0, value - standardError * untransformed(quantile, shape));
  const reach = -standardError * untransformed(-quantile, shape);
  const upper = value + reach * (1 + STRETCH * shape.tail);
  return Number.isFinite(lower) && Number.isFinite(upper) ? intervalOf([lower, upper], method) : null;
}
