// Medians and extremes from counts per value: exact while values are counted apart, else with the bound that the buckets leave.

import type { MetricInterval } from "../facts/group.ts";
import { intervalOf } from "./intervals.ts";
import type { ScoreHistogram } from "./score-histogram.ts";
import { Z95 } from "./wilson.ts";

/** The exact value lies within value +- bound; bound 0: it is exact. */
export interface Estimate {
  readonly value: number;
  readonly bound: number;
}

/** Values in ascending order: `counts[i]` rows lie between `low[i]` and `high[i]`. */
export interface Spread {
  readonly rows: number;
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly counts: Float64Array;
}

/** Below this many rows no order statistics bound a median with 95 % (1 - 2 * 2^-6 = 0.97). */
const MEDIAN_ROWS_MIN = 6;

export function spreadOf(histogram: ScoreHistogram): Spread {
  const { low, high } = histogram.ranges();
  const counts = histogram.columns().counts[0] ?? new Float64Array(low.length);
  let rows = 0;
  for (const count of counts) rows += count;
  return { rows, low, high, counts };
}

/** The row at `rank` (1 is the smallest), taken as evenly spread within its bucket. */
function atRank(spread: Spread, rank: number): { value: number; low: number; high: number } {
  let before = 0;
  for (let i = 0; i < spread.counts.length; i++) {
    const count = spread.counts[i] ?? 0;
    if (before + count >= rank) {
      const low = spread.low[i] ?? 0;
      const high = spread.high[i] ?? 0;
      return { value: low + (high - low) * ((rank - before - 0.5) / count), low, high };
    }
    before += count;
  }
  return { value: Number.NaN, low: Number.NaN, high: Number.NaN };
}

/** The mean of the two middle values of an even number, as numpy has it; null without rows. */
export function medianOf(spread: Spread): Estimate | null {
  const { rows } = spread;
  if (rows === 0) return null;
  const first = atRank(spread, Math.ceil(rows / 2));
  const second = rows % 2 === 1 ? first : atRank(spread, rows / 2 + 1);
  const value = middle(first.value, second.value);
  const bound = Math.max(middle(first.high, second.high) - value, value - middle(first.low, second.low));
  return { value, bound };
}

/** Halves first: the sum of two large values is no double. */
export function middle(a: number, b: number): number {
  const sum = a + b;
  return Number.isFinite(sum) ? sum / 2 : a / 2 + b / 2;
}

export function largestOf(spread: Spread): Estimate | null {
  if (spread.rows === 0) return null;
  const low = spread.low.at(-1) ?? 0;
  const high = spread.high.at(-1) ?? 0;
  return { value: middle(low, high), bound: (high - low) / 2 };
}

/** Ranks n/2 -+ z sqrt(n)/2 bound the median whatever the distribution; null below six rows. */
export function medianInterval(spread: Spread): MetricInterval | null {
  const { rows } = spread;
  if (rows < MEDIAN_ROWS_MIN) return null;
  const half = (Z95 * Math.sqrt(rows)) / 2;
  const first = Math.max(1, Math.floor(rows / 2 - half));
  const last = Math.min(rows, Math.ceil(rows / 2 + 1 + half));
  return intervalOf([atRank(spread, first).low, atRank(spread, last).high], "order_statistics");
}

/** The mean of a function of the ends of each bucket. */
export function meanOver(spread: Spread, of: (low: number, high: number) => number): number {
  let sum = 0;
  for (let i = 0; i < spread.counts.length; i++) {
    sum += (spread.counts[i] ?? 0) * of(spread.low[i] ?? 0, spread.high[i] ?? 0);
  }
  return sum / spread.rows;
}

/** `counts[i]` rows of `values[i]`, in any order. */
export function sortedSpread(values: Float64Array, counts: Float64Array): Spread {
  const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0));
  const at = Float64Array.from(order, (i) => values[i] ?? 0);
  const sorted = Float64Array.from(order, (i) => counts[i] ?? 0);
  return { rows: sorted.reduce((sum, count) => sum + count, 0), low: at, high: at, counts: sorted };
}
