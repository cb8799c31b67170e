// Regression metrics with their intervals and baselines, from the exact sums and the distributions of errors and labels.

import type { MetricInterval } from "../facts/group.ts";
import { ratio, UNIT_BITS } from "./exact-rational.ts";
import { ANYWHERE, intervalOf, normalInterval, NOT_NEGATIVE } from "./intervals.ts";
import { largestOf, meanOver, medianInterval, medianOf, middle, type Spread } from "./order-statistics.ts";
import { regressionBaseline } from "./regression-baseline.ts";
import type { RegressionSums } from "./regression-sums.ts";
import { type Shape, shapeOfSquares, skewedInterval } from "./skewed-interval.ts";
import type { Evaluation, Intervals } from "./totals.ts";

const METRICS = ["mse", "rmse", "mae", "r2"] as const;
const FURTHER = ["me", "medae", "max_error", "mape", "wape"] as const;
/** Kurtosis of the errors (3 for normal ones) from which the interval of a mean square covers too little. */
const HEAVY_TAILS = 9;
/** A spread of values below 2^-40 of their squares' sum is made of rounding, to more than a thousandth. */
const DROWNED_BITS = 40n;
/** A difference this much smaller than its terms is rounding noise. */
const NOISE = 1e-13;

/** Labels and |errors| of the same rows. */
export interface Spreads {
  readonly errors: Spread;
  readonly labels: Spread;
}

/** Everything about `rows` (at least one) labelled rows. */
export function evaluateRegression(rows: number, sums: RegressionSums, spreads: Spreads): Evaluation {
  if (rows === 0) return nothing();
  const reasons: Record<string, string> = {};
  const further: Record<string, string> = {};
  const mse = sums.overflow > 0 ? null : sums.squared.mean(rows);
  const mae = sums.infinite > 0 ? null : sums.absolute().mean(rows);
  if (mse === null) reasons["mse"] = reasons["rmse"] = "overflow";
  if (mae === null) reasons["mae"] = "overflow";
  const r2 = determination(rows, sums);
  if (typeof r2 === "string") reasons["r2"] = r2;
  if (sums.zeroTargets > 0) reasons["mape"] = "zero_target";
  const metrics = {
    mse,
    rmse: mse === null ? null : Math.sqrt(mse),
    mae,
    r2: typeof r2 === "number" ? r2 : null,
  };
  const deviations = standardErrors(rows, sums, spreads.errors);
  const extra: Record<string, unknown> = {
    ...means(rows, sums, further),
    ...errorOrder(sums, spreads, further),
    ...deviations,
  };
  extra["undefined"] = further;
  return {
    metrics,
    undefined: reasons,
    extra,
    intervals: intervals({ rows, sums, spreads, deviations, r2: metrics.r2 }, extra),
    baseline: regressionBaseline(rows, sums, spreads.labels),
  };
}

function nothing(): Evaluation {
  const reasons = (names: readonly string[]): Record<string, string> =>
    Object.fromEntries(names.map((name) => [name, "no_labels"]));
  return {
    metrics: { mse: null, rmse: null, mae: null, r2: null },
    undefined: reasons(METRICS),
    extra: { undefined: reasons(FURTHER) },
    intervals: {},
    baseline: {},
  };
}

/** 1 - SSE/SST, rounded once; or why there is none. */
function determination(
  rows: number,
  sums: RegressionSums,
): number | "overflow" | "too_few" | "constant_target" {
  if (sums.overflow > 0) return "overflow";
  if (rows < 2) return "too_few";
  const spread = sums.spread(rows);
  if (spread === 0n) return "constant_target";
  const error = (BigInt(rows) * sums.squared.units()) << UNIT_BITS;
  const share = ratio(spread - error, spread);
  return Number.isFinite(share) ? share : "overflow";
}

/** Mean error, MAPE and WAPE. */
function means(rows: number, sums: RegressionSums, reasons: Record<string, string>): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  if (sums.infinite > 0) reasons["me"] = reasons["wape"] = "overflow";
  else {
    found["me"] = sums.signed().mean(rows);
    const labels = sums.labelSize.value();
    const wape = sums.absolute().value() / labels;
    found["wape"] = Number.isFinite(wape) ? wape : null;
    if (!Number.isFinite(wape)) reasons["wape"] = labels === 0 ? "zero_target" : "overflow";
  }
  found["mape"] = sums.zeroTargets > 0 || sums.relativeOverflow > 0 ? null : sums.relative.mean(rows);
  if (sums.zeroTargets === 0 && sums.relativeOverflow > 0) reasons["mape"] = "overflow";
  return found;
}

/** Median and largest |error|. */
function errorOrder(
  sums: RegressionSums,
  spreads: Spreads,
  reasons: Record<string, string>,
): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  if (sums.infinite > 0) reasons["medae"] = reasons["max_error"] = "overflow";
  else {
    const median = medianOf(spreads.errors);
    const largest = largestOf(spreads.errors);
    found["medae"] = median?.value ?? null;
    found["max_error"] = largest?.value ?? null;
    if (median !== null && median.bound > 0) found["medae_bound"] = median.bound;
    if (largest !== null && largest.bound > 0) found["max_error_bound"] = largest.bound;
  }
  return found;
}

/** Of the mean absolute error and of the mean square. */
interface Deviations {
  readonly mae_se?: number;
  readonly mse_se?: number;
}

function standardErrors(rows: number, sums: RegressionSums, errors: Spread): Deviations {
  if (rows < 2 || sums.overflow > 0) return {};
  const squares = sums.squared.units();
  const mae =
    standardError(rows, squares << UNIT_BITS, sums.absolute().units()) ??
    standardErrorOver(errors, (error) => error);
  const fourth = sums.moments[0];
  if (sums.momentOverflow > 0 || fourth === undefined) return { mae_se: mae };
  const mse =
    standardError(rows, fourth.units() << UNIT_BITS, squares) ??
    standardErrorOver(errors, (error) => error * error);
  return { mae_se: mae, mse_se: mse };
}

/**
 * Standard error of a mean (n - 1 below) from the sum of squares (units of 2^-2148) and the sum (2^-1074); null where the
 * values are so much alike that it drowns in the rounding of their squares.
 */
function standardError(count: number, squares: bigint, sum: bigint): number | null {
  const n = BigInt(count);
  const all = n * squares;
  const spread = all - sum * sum;
  if (spread <= all >> DROWNED_BITS) return null;
  return Math.sqrt(ratio(spread, (n * n * (n - 1n)) << (2n * UNIT_BITS)));
}

/** The same from the values themselves, as far as they are told apart: by what they differ from the least one. */
function standardErrorOver(errors: Spread, of: (error: number) => number): number {
  const least = of(middle(errors.low[0] ?? 0, errors.high[0] ?? 0));
  if (least === 0) return 0;
  const beyond = (low: number, high: number): number => of(middle(low, high)) / least - 1;
  const spread = meanOver(errors, (low, high) => beyond(low, high) ** 2) - meanOver(errors, beyond) ** 2;
  return least * Math.sqrt(Math.max(0, spread) / (errors.rows - 1));
}

interface Whole {
  readonly rows: number;
  readonly sums: RegressionSums;
  readonly spreads: Spreads;
  readonly deviations: Deviations;
  readonly r2: number | null;
}

function intervals(whole: Whole, extra: Record<string, unknown>): Intervals {
  const { rows, sums, spreads, r2 } = whole;
  const found: Record<string, MetricInterval | null> = {};
  const { mae_se: ofMae = null, mse_se: ofMse = null } = whole.deviations;
  const shape = shapeOfSquares(spreads.errors, sums.squared.mean(rows));
  if (sums.overflow === 0) {
    const mse = skewedInterval(sums.squared.mean(rows), { standardError: ofMse, shape }, "hall_t");
    const shown = flagged(mse, rows, sums);
    found["mse"] = shown;
    found["rmse"] =
      shown === null
        ? null
        : {
            ...shown,
            lower: Math.sqrt(shown.lower),
            upper: Math.sqrt(shown.upper),
            method: `root_of_${shown.method}`,
          };
  }
  if (sums.infinite === 0) {
    found["mae"] = normalInterval(sums.absolute().mean(rows), ofMae, { limits: NOT_NEGATIVE });
    const signed = sums.signed();
    const ofBias =
      rows < 2 || sums.overflow > 0
        ? null
        : // Where that drowns the errors are alike, the sign included.
          (standardError(rows, sums.squared.units() << UNIT_BITS, signed.units()) ?? ofMae);
    found["me"] = normalInterval(signed.mean(rows), ofBias, { limits: ANYWHERE });
    if (typeof extra["wape"] === "number") found["wape"] = wapeInterval(extra["wape"], rows, sums);
    found["medae"] = medianInterval(spreads.errors);
    // The largest error of a sample says nothing about the largest there can be.
    found["max_error"] = null;
  }
  if (typeof extra["mape"] === "number") found["mape"] = mapeInterval(extra["mape"], rows, sums);
  if (r2 !== null) {
    const of = { sums, labels: spreads.labels, shape };
    found["r2"] = flagged(determinationInterval(r2, rows, of), rows, sums);
  }
  return found;
}

/** Squares of errors with such tails have no standard error that a sample could tell: said, not hidden. */
function flagged(interval: MetricInterval | null, rows: number, sums: RegressionSums): MetricInterval | null {
  return interval !== null && kurtosis(rows, sums) > HEAVY_TAILS
    ? { ...interval, flag: "kurtosis" }
    : interval;
}

/** Fourth moment of the errors over their squared second; NaN without errors. */
function kurtosis(rows: number, sums: RegressionSums): number {
  const second = sums.squared.mean(rows);
  return (sums.moments[0]?.mean(rows) ?? 0) / (second * second);
}

function mapeInterval(mape: number, rows: number, sums: RegressionSums): MetricInterval | null {
  if (rows < 2 || sums.relativeSquaredOverflow > 0) return null;
  const spread = sums.relativeSquared.mean(rows) - mape * mape;
  const deviation = Math.sqrt(Math.max(0, spread) / (rows - 1));
  return normalInterval(mape, deviation, { limits: NOT_NEGATIVE });
}

/** A ratio of two sums over the same rows: linearised (Cochran, Sampling Techniques, ch. 6). */
function wapeInterval(wape: number, rows: number, sums: RegressionSums): MetricInterval | null {
  if (rows < 2 || sums.overflow > 0 || sums.weightedOverflow > 0) return null;
  const labels = sums.labelSize.value();
  const labelSquares = ratio(sums.labelSquared.units(), 1n << (2n * UNIT_BITS));
  const terms = [sums.squared.value(), -2 * wape * sums.weighted.value(), wape * wape * labelSquares];
  const spread = Math.max(
    0,
    terms.reduce((sum, term) => sum + term, 0),
  );
  const error = Math.sqrt((spread * rows) / (rows - 1)) / labels;
  return normalInterval(wape, error, { limits: NOT_NEGATIVE, method: "delta_ratio" });
}

/**
 * The delta method on 1 - R2 = SSE/SST, which leans as the squared errors do: a row moves it by
 * (error^2 - (1 - R2)(label - mean)^2) / SST. Where rounding drowns the sums (labels within a thousandth of their size and
 * `labelOffset` far from them) the part that errors and labels share is left out, which can only widen the interval.
 */
function determinationInterval(
  r2: number,
  rows: number,
  of: { readonly sums: RegressionSums; readonly labels: Spread; readonly shape: Shape },
): MetricInterval | null {
  const { sums, labels, shape } = of;
  const share = 1 - r2;
  if (rows < 3 || sums.momentOverflow > 0 || share <= 0) return null;
  const centre = sums.label.mean(rows);
  let spread = influenceSquares(share, rows, sums);
  const method = spread === null ? "delta_hall_t_wide" : "delta_hall_t";
  spread ??=
    (sums.moments[0]?.value() ?? 0) +
    share * share * rows * meanOver(labels, (low, high) => (middle(low, high) - centre) ** 4);
  if (!(spread > 0) || !Number.isFinite(spread)) return null;
  const deviation = Math.sqrt((spread * rows) / (rows - 1)) / sums.labelM2(rows);
  const inverted = skewedInterval(share, { standardError: deviation, shape }, method);
  return inverted === null ? null : intervalOf([1 - inverted.upper, 1 - inverted.lower], method);
}

/** Sum of (error^2 - share * (label - mean)^2)^2; null where it is lost in rounding. */
function influenceSquares(share: number, rows: number, sums: RegressionSums): number | null {
  const [e4 = 0, e2d = 0, e2d2 = 0, d3 = 0, d4 = 0] = sums.moments.map((moment) => moment.value());
  const shift = sums.shift(rows);
  const crossed = [e2d2, -2 * shift * e2d, shift * shift * sums.squared.value()];
  // The sum of (d - shift)^4, with the sum of d^2 = SST + rows * shift^2.
  const fourths = [d4, -4 * shift * d3, 6 * shift * shift * sums.labelM2(rows), 3 * rows * shift ** 4];
  const terms = [
    e4,
    ...crossed.map((term) => -2 * share * term),
    ...fourths.map((term) => share * share * term),
  ];
  let spread = 0;
  let size = 0;
  for (const term of terms) {
    spread += term;
    size = Math.max(size, Math.abs(term));
  }
  return spread > NOISE * size ? spread : null;
}
