// Expected performance of a classifier on rows without labels: each row counts as positive with its calibrated chance
// (confidence-based performance estimation). Right as long as P(positive | score) has not changed.

import { Z95 } from "../wilson.ts";
import type { Calibration, Reading } from "./calibration.ts";

/** Predictions per score; scores ascending. */
export interface ScoredPredictions {
  readonly scores: ArrayLike<number>;
  /** How many were decided for the negative and for the positive class. */
  readonly decidedNegative: ArrayLike<number>;
  readonly decidedPositive: ArrayLike<number>;
}

export interface Estimate {
  readonly value: number;
  /** 95 % bounds of what will be realised on these rows. */
  readonly lower: number;
  readonly upper: number;
  /** Part of the variance that comes from the labels behind the calibration; the rest is chance in the rows themselves. */
  readonly calibrationVariance: number;
}

export const CLASSIFIER_METRICS = ["accuracy", "precision", "recall", "f1", "roc_auc"] as const;
export type ClassifierMetric = (typeof CLASSIFIER_METRICS)[number];
/** null: not defined on these rows (no predicted positives, no rows). */
export type ClassifierEstimates = Readonly<Record<ClassifierMetric, Estimate | null>>;

interface Sums {
  /** Predictions, those decided positive, expected positives, expected true positives. */
  readonly rows: number;
  readonly decided: number;
  readonly positives: number;
  readonly hits: number;
}

/** What one more expected positive at a score changes in a metric: for rows decided negative and positive. */
type Slope = (at: number) => readonly [negative: number, positive: number];

class Expectation {
  readonly #predictions: ScoredPredictions;
  readonly #calibration: Calibration;
  readonly #readings: Reading[];

  constructor(predictions: ScoredPredictions, calibration: Calibration) {
    this.#predictions = predictions;
    this.#calibration = calibration;
    this.#readings = Array.from(predictions.scores, (score) => {
      const reading: Reading = { chance: 0, lower: 0, upper: 0, share: 0 };
      calibration.read(score, reading);
      return reading;
    });
  }

  sums(): Sums {
    let rows = 0;
    let decided = 0;
    let positives = 0;
    let hits = 0;
    for (const [at, { chance }] of this.#readings.entries()) {
      const no = this.#predictions.decidedNegative[at] ?? 0;
      const yes = this.#predictions.decidedPositive[at] ?? 0;
      rows += no + yes;
      decided += yes;
      positives += (no + yes) * chance;
      hits += yes * chance;
    }
    return { rows, decided, positives, hits };
  }

  /** Area under the ROC curve with weights `chance` and 1 - `chance`, and how it changes with each chance. */
  area(): { value: number; slope: Slope } | null {
    const { rows, positives } = this.sums();
    const negatives = rows - positives;
    if (!(positives > 0 && negatives > 0)) return null;
    const size = this.#readings.length;
    const effects = new Float64Array(size);
    let below = 0;
    let seen = 0;
    let wins = 0;
    for (const [at, { chance }] of this.#readings.entries()) {
      const count = this.#count(at);
      const pos = count * chance;
      const neg = count - pos;
      wins += pos * (below + neg / 2);
      // A row that turns positive wins over the negatives below and no longer loses to the positives above.
      effects[at] = below + neg / 2 - (positives - seen - pos / 2);
      below += neg;
      seen += pos;
    }
    const value = wins / (positives * negatives);
    const slope: Slope = (at) => {
      const change = (effects[at] ?? 0) / (positives * negatives) - value / positives + value / negatives;
      return [change, change];
    };
    return { value, slope };
  }

  /**
   * Poisson-binomial variance of the rows, plus that of each calibration block, both carried over by the metric's slopes
   * (delta method): sum c(1-c) d^2 + sum over blocks of (sum of d)^2 c(1-c)/n.
   */
  estimate(value: number, slope: Slope): Estimate {
    const shares = new Float64Array(this.#calibration.blocks.length);
    let chanceVariance = 0;
    for (const [at, { chance, lower, upper, share }] of this.#readings.entries()) {
      const [whenNo, whenYes] = slope(at);
      const no = this.#predictions.decidedNegative[at] ?? 0;
      const yes = this.#predictions.decidedPositive[at] ?? 0;
      chanceVariance += chance * (1 - chance) * (no * whenNo * whenNo + yes * whenYes * whenYes);
      const net = no * whenNo + yes * whenYes;
      shares[lower] = (shares[lower] ?? 0) + net * (1 - share);
      shares[upper] = (shares[upper] ?? 0) + net * share;
    }
    let calibrationVariance = 0;
    for (const [at, { chance, labels }] of this.#calibration.blocks.entries()) {
      const net = shares[at] ?? 0;
      calibrationVariance += (net * net * chance * (1 - chance)) / labels;
    }
    const half = Z95 * Math.sqrt(chanceVariance + calibrationVariance);
    return {
      value,
      lower: Math.max(0, value - half),
      upper: Math.min(1, value + half),
      calibrationVariance,
    };
  }

  #count(at: number): number {
    return (this.#predictions.decidedNegative[at] ?? 0) + (this.#predictions.decidedPositive[at] ?? 0);
  }
}

/** Estimates for the predictions under the map; every value is a share in [0, 1]. */
export function estimateClassifier(
  predictions: ScoredPredictions,
  calibration: Calibration,
): ClassifierEstimates {
  const expected = new Expectation(predictions, calibration);
  const { rows, decided, positives, hits } = expected.sums();
  const right = hits + (rows - decided) - (positives - hits);
  const area = expected.area();
  const recall = hits / positives;
  const f1 = (2 * hits) / (decided + positives);
  return {
    accuracy: rows === 0 ? null : expected.estimate(right / rows, () => [-1 / rows, 1 / rows]),
    precision: decided === 0 ? null : expected.estimate(hits / decided, () => [0, 1 / decided]),
    recall:
      positives > 0 ? expected.estimate(recall, () => [-recall / positives, (1 - recall) / positives]) : null,
    f1:
      decided + positives > 0
        ? expected.estimate(f1, () => [-f1 / (decided + positives), (2 - f1) / (decided + positives)])
        : null,
    roc_auc: area === null ? null : expected.estimate(area.value, area.slope),
  };
}
