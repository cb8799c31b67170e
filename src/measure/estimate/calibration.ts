// From scores to chances: P(positive | score) learnt from labelled rows, as a non-decreasing map over the scores that occurred.

import { isotonic } from "./isotonic.ts";
import { fitLogistic, logisticAt } from "./logistic.ts";

/** Labelled rows per score; scores ascending. */
export interface LabelledScores {
  readonly scores: ArrayLike<number>;
  readonly positives: ArrayLike<number>;
  readonly negatives: ArrayLike<number>;
}

/** Below these no map is made: it would be mostly noise. */
export const LABELS_MIN = 300;
export const LABELS_PER_CLASS_MIN = 30;
/** Below this many labels the map leans on a logistic curve. */
const SHRINK_BELOW = 1000;
/** Weight of the curve at each score, in labels. */
const PSEUDO_LABELS = 2;
const LOGIT_MAX = 30;

/** What the map says at one score: between two blocks it is interpolated. */
export interface Reading {
  /** P(positive). */
  chance: number;
  /** Blocks below and above, and the share of the upper one. */
  lower: number;
  upper: number;
  share: number;
}

export interface CalibrationBlock {
  /** Chance by which the variance of the block is judged: never 0 or 1. */
  readonly chance: number;
  /** Labels pooled. */
  readonly labels: number;
}

export interface Calibration {
  readonly labels: number;
  readonly blocks: readonly CalibrationBlock[];
  /** Fills `into`. */
  read(score: number, into: Reading): void;
}

interface Knots {
  readonly scores: Float64Array;
  readonly chances: Float64Array;
  readonly blocks: Int32Array;
}

function sumOf(counts: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i] ?? 0;
  return sum;
}

class IsotonicCalibration implements Calibration {
  readonly labels: number;
  readonly blocks: readonly CalibrationBlock[];
  readonly #knots: Knots;

  constructor(labels: number, blocks: readonly CalibrationBlock[], knots: Knots) {
    this.labels = labels;
    this.blocks = blocks;
    this.#knots = knots;
  }

  read(score: number, into: Reading): void {
    const { scores, chances, blocks } = this.#knots;
    let low = 0;
    let high = scores.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((scores[middle] ?? 0) <= score) low = middle + 1;
      else high = middle;
    }
    const below = Math.max(0, low - 1);
    const above = Math.min(low, scores.length - 1);
    const from = scores[below] ?? 0;
    const span = (scores[above] ?? 0) - from;
    const share = span > 0 && score > from ? (score - from) / span : 0;
    into.lower = blocks[below] ?? 0;
    into.upper = blocks[above] ?? 0;
    into.share = share;
    into.chance = (chances[below] ?? 0) * (1 - share) + (chances[above] ?? 0) * share;
  }
}

/** Log odds of a probability, held away from infinity; a margin as it is. */
function logitOf(score: number, probability: boolean): number {
  if (!probability) return score;
  const odds = Math.log(score) - Math.log1p(-score);
  return Math.min(Math.max(odds, -LOGIT_MAX), LOGIT_MAX);
}

/**
 * null: too few labels (fewer than 300, or fewer than 30 of a class). Pool-adjacent-violators over the scores; below 1,000
 * labels two pseudo-labels at the value of a logistic curve are added to each score first.
 */
export function calibrate(labelled: LabelledScores, scale: { probability: boolean }): Calibration | null {
  const { scores, positives, negatives } = labelled;
  const p = sumOf(positives);
  const n = sumOf(negatives);
  if (p + n < LABELS_MIN || Math.min(p, n) < LABELS_PER_CLASS_MIN) return null;
  const size = scores.length;
  const hits = Float64Array.from({ length: size }, (_, i) => positives[i] ?? 0);
  const rows = Float64Array.from({ length: size }, (_, i) => (positives[i] ?? 0) + (negatives[i] ?? 0));
  const sums = hits.slice();
  const weights = rows.slice();
  if (p + n < SHRINK_BELOW) {
    const xs = Float64Array.from({ length: size }, (_, i) => logitOf(scores[i] ?? 0, scale.probability));
    const curve = fitLogistic(xs, hits, rows);
    for (let i = 0; i < size; i++) {
      if ((rows[i] ?? 0) === 0) continue;
      sums[i] = (hits[i] ?? 0) + PSEUDO_LABELS * logisticAt(curve, xs[i] ?? 0);
      weights[i] = (rows[i] ?? 0) + PSEUDO_LABELS;
    }
  }
  const blocks: CalibrationBlock[] = [];
  const knots = {
    scores: new Float64Array(size),
    chances: new Float64Array(size),
    blocks: new Int32Array(size),
  };
  let kept = 0;
  for (const { first, last, value } of isotonic(sums, weights)) {
    let labels = 0;
    for (let i = first; i <= last; i++) {
      if ((rows[i] ?? 0) === 0) continue;
      labels += rows[i] ?? 0;
      knots.scores[kept] = scores[i] ?? 0;
      knots.chances[kept] = value;
      knots.blocks[kept++] = blocks.length;
    }
    blocks.push({ chance: (value * labels + 0.5) / (labels + 1), labels });
  }
  return new IsotonicCalibration(p + n, blocks, {
    scores: knots.scores.subarray(0, kept),
    chances: knots.chances.subarray(0, kept),
    blocks: knots.blocks.subarray(0, kept),
  });
}
