// What the best constant prediction would score on the same labels; and how far off that may be where labels share buckets.

import { type Estimate, meanOver, medianOf, middle, sortedSpread, type Spread } from "./order-statistics.ts";
import type { RegressionSums } from "./regression-sums.ts";
import type { Baseline } from "./totals.ts";

/** Sums over the buckets are rounded: far more than that can add up to, as a share of the value. */
const ROUNDING = 2 ** -36;

type Range = readonly [least: number, most: number];

/** Labels, and between which values their median lies. */
interface Labels {
  readonly spread: Spread;
  readonly exact: boolean;
  readonly median: number;
  readonly medianRange: Range;
  /** Of |label|. */
  readonly largest: number;
}

/**
 * The mean of the labels for squares, their median for absolute errors, the middle of their range for the largest.
 * `mae_bound` and the like stand beside a value that comes from buckets: the exact one is no further away than that.
 */
export function regressionBaseline(rows: number, sums: RegressionSums, spread: Spread): Baseline {
  const mse = sums.labelM2(rows) / rows;
  const found: Record<string, number | null> = {
    mse: finite(mse),
    rmse: finite(Math.sqrt(mse)),
    r2: rows < 2 || !(mse > 0) ? null : 0,
    me: 0,
  };
  const labels = readLabels(spread);
  const absolute = meanDistance(labels);
  const size = sums.labelSize.mean(rows);
  const estimates: Record<string, Estimate | null> = {
    mae: absolute,
    medae: medianDistance(labels),
    wape: { value: absolute.value / size, bound: absolute.bound / size },
    mape: sums.zeroTargets > 0 ? null : meanRelativeDistance(labels),
    max_error: halfRange(labels),
  };
  for (const [name, estimate] of Object.entries(estimates)) {
    // Without a bound there is nothing to rely on.
    const known = estimate !== null && Number.isFinite(estimate.bound) ? finite(estimate.value) : null;
    found[name] = known;
    if (known !== null && estimate !== null && estimate.bound > 0)
      found[`${name}_bound`] = estimate.bound + ROUNDING * known;
  }
  return found;
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

function readLabels(spread: Spread): Labels {
  const { low, high } = spread;
  const medianAmong = (values: Float64Array): number =>
    medianOf({ ...spread, low: values, high: values })?.value ?? 0;
  return {
    spread,
    exact: low.every((least, i) => least === high[i]),
    // Among the middles of the buckets: no other constant is nearer to all of them.
    median: medianAmong(low.map((least, i) => middle(least, high[i] ?? 0))),
    medianRange: [medianAmong(low), medianAmong(high)],
    largest: Math.max(Math.abs(low[0] ?? 0), Math.abs(high.at(-1) ?? 0)),
  };
}

/** `slack`: what rounding of the labels themselves may add. */
function estimate(value: number, [least, most]: Range, slack: number): Estimate {
  return { value, bound: Math.max(most - value, value - least) + slack };
}

/** Mean distance to the median. No label moves by more than half its bucket, so neither does the least mean distance there is. */
function meanDistance({ spread, exact, median, largest }: Labels): Estimate {
  const value = meanOver(spread, (low, high) => Math.abs(middle(low, high) - median));
  if (exact) return { value, bound: 0 };
  const half = meanOver(spread, (low, high) => high / 2 - low / 2);
  return { value, bound: half + 2 * Number.EPSILON * largest };
}

/** Median distance to the median: between that of the nearest and that of the farthest that the labels can be. */
function medianDistance({ spread, exact, median, medianRange, largest }: Labels): Estimate {
  const { low, high, counts } = spread;
  const medianBy = (distance: (low: number, high: number) => number): number =>
    medianOf(
      sortedSpread(
        low.map((least, i) => distance(least, high[i] ?? 0)),
        counts,
      ),
    )?.value ?? 0;
  const value = medianBy((from, to) => Math.abs(middle(from, to) - median));
  if (exact) return { value, bound: 0 };
  const [from, to] = medianRange;
  const least = medianBy((bottom, top) => Math.max(0, bottom - to, from - top));
  const most = medianBy((bottom, top) => Math.max(top - from, to - bottom));
  return estimate(value, [least, most], Number.EPSILON * largest);
}

/** Mean of |label - median| / |label|. */
function meanRelativeDistance({ spread, exact, median, medianRange }: Labels): Estimate {
  const value = meanOver(spread, (low, high) => {
    const label = middle(low, high);
    return Math.abs((label - median) / label);
  });
  if (exact) return { value, bound: 0 };
  const ranges = Array.from(spread.low, (low, i) => relativeRange([low, spread.high[i] ?? 0], medianRange));
  const distances = {
    ...spread,
    low: Float64Array.from(ranges, ([least]) => least),
    high: Float64Array.from(ranges, ([, most]) => most),
  };
  const range: Range = [meanOver(distances, (least) => least), meanOver(distances, (_, most) => most)];
  return estimate(value, range, 4 * Number.EPSILON);
}

/** Of |1 - constant / label|. */
function relativeRange([low, high]: Range, [from, to]: Range): Range {
  // On both sides of 0: there may be a label as near to it as can be.
  if (low <= 0 && high >= 0) return [0, Infinity];
  const ratios = [from / low, from / high, to / low, to / high];
  const smallest = Math.min(...ratios);
  const largest = Math.max(...ratios);
  return [Math.max(0, smallest - 1, 1 - largest), Math.max(largest - 1, 1 - smallest)];
}

function halfRange({ spread: { low, high }, exact, largest }: Labels): Estimate {
  const bottom: Range = [low[0] ?? 0, high[0] ?? 0];
  const top: Range = [low.at(-1) ?? 0, high.at(-1) ?? 0];
  const value = middle(...top) / 2 - middle(...bottom) / 2;
  if (exact) return { value, bound: 0 };
  const range: Range = [Math.max(0, top[0] / 2 - bottom[1] / 2), top[1] / 2 - bottom[0] / 2];
  return estimate(value, range, Number.EPSILON * largest);
}
