// Area under precision over recall as a sum of steps (scikit-learn's average precision), with what buckets leave open and how sure it is.

import type { MetricInterval } from "../facts/group.ts";
import type { RankedCounts } from "./auc.ts";
import { intervalOf, logitBounds, widened } from "./intervals.ts";

export interface AveragePrecision {
  readonly value: number;
  /** The exact value lies within value +- bound; 0 while scores are counted apart. */
  readonly bound: number;
  readonly interval: MetricInterval;
}

/** Points at which a mixed bucket is evaluated. */
const POINTS = 8;
/** A bucket with more positives than this is bounded by an integral instead of a sum. */
const SUMMED = 256;
/** Below this many positives the variance is not trusted to be smaller than that of a share. */
const FEW = 50;

/** Rows above a bucket, and in it. */
interface Bucket {
  readonly found: number;
  readonly taken: number;
  readonly pos: number;
  readonly neg: number;
}

/** Precision summed over the positives of a bucket whose rows are evenly interleaved. */
function interleaved({ found, taken, pos, neg }: Bucket): number {
  let sum = 0;
  for (let i = 0; i < POINTS; i++) {
    const part = (i + 0.5) / POINTS;
    const above = found + part * pos + 0.5;
    sum += above / (taken + part * (pos + neg) + 0.5);
  }
  return (sum * pos) / POINTS;
}

/** The same with all negatives of the bucket above its positives: the least it can be. */
function negativesFirst({ found, taken, pos, neg }: Bucket): number {
  const before = taken + neg;
  if (pos > SUMMED) {
    // sum of (found + i) / (before + i) = pos - (before - found) * sum of 1 / (before + i); that last sum is below the integral.
    const harmonic = before === 0 ? 0 : Math.log((before + pos) / before);
    return before === 0 ? pos : Math.max(0, pos - (before - found) * harmonic);
  }
  let sum = 0;
  for (let i = 1; i <= pos; i++) sum += (found + i) / (before + i);
  return sum;
}

/** null without positives. */
export function averagePrecisionOf(ranked: RankedCounts): AveragePrecision | null {
  const { positives, negatives, mixed } = ranked;
  let [found, taken, sum, least, most] = [0, 0, 0, 0, 0];
  for (let i = positives.length - 1; i >= 0; i--) {
    const pos = positives[i] ?? 0;
    const neg = negatives[i] ?? 0;
    const bucket = { found, taken, pos, neg };
    found += pos;
    taken += pos + neg;
    if (pos === 0) continue;
    const tied = (pos * found) / taken;
    if (mixed[i] === 1) {
      sum += interleaved(bucket);
      least += negativesFirst(bucket);
      // All positives tied and above: no positive of the bucket can have a higher precision.
      most += (pos * found) / (taken - neg);
    } else {
      sum += tied;
      least += tied;
      most += tied;
    }
  }
  if (found === 0) return null;
  const value = sum / found;
  const bound = least === most ? 0 : Math.max(most / found - value, value - least / found);
  return { value, bound, interval: intervalFor(ranked, { value, bound, found, taken }) };
}

/**
 * The variance from each row's influence on the value (delta method), on the logit scale; with few positives at least that
 * of a share of as many trials (Boyd, Eng and Page, ECML PKDD 2013).
 */
function intervalFor(
  ranked: RankedCounts,
  whole: { readonly value: number; readonly bound: number; readonly found: number; readonly taken: number },
): MetricInterval {
  const { found, taken, bound } = whole;
  // At 0 or 1 the logit has no place: half a positive is taken away.
  const edge = 0.5 / (found + 1);
  const value = Math.min(Math.max(whole.value, edge), 1 - edge);
  const share = (value * (1 - value)) / found;
  const variance = influenceVariance(ranked, { found, taken, value: whole.value });
  const used = found < FEW || variance === 0 ? Math.max(variance, share) : variance;
  const bounds = logitBounds(value, Math.sqrt(used));
  const around = intervalOf(
    [Math.min(bounds[0], whole.value), Math.max(bounds[1], whole.value)],
    "delta_logit",
  );
  return widened(around, bound, { min: 0, max: 1 });
}

/** Variance of the value over samples of as many rows. */
function influenceVariance(
  ranked: RankedCounts,
  whole: { readonly found: number; readonly taken: number; readonly value: number },
): number {
  const { positives, negatives } = ranked;
  const { value } = whole;
  let { found, taken } = whole;
  const all = found;
  // Going up from the lowest score: what one more row at or above changes in the precision of the positives passed.
  let [gained, lost, total, squares] = [0, 0, 0, 0];
  for (let i = 0; i < positives.length; i++) {
    const pos = positives[i] ?? 0;
    const neg = negatives[i] ?? 0;
    if (pos > 0) {
      gained += (pos * (taken - found)) / (taken * taken);
      lost += (pos * found) / (taken * taken);
    }
    const ofPositive = found / taken + gained - value;
    const ofNegative = -lost;
    total += pos * ofPositive + neg * ofNegative;
    squares += pos * ofPositive * ofPositive + neg * ofNegative * ofNegative;
    found -= pos;
    taken -= pos + neg;
  }
  const rows = whole.taken;
  return Math.max(0, squares - (total * total) / rows) / (all * all);
}
