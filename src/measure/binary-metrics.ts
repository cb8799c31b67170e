// Metrics of two classes with their intervals and baselines, from the confusion counts, the exact sums and the scores in order.

import type { MetricInterval } from "../facts/group.ts";
import { areaUnderRoc, type RankedCounts } from "./auc.ts";
import { aucInterval } from "./auc-interval.ts";
import { averagePrecisionOf } from "./average-precision.ts";
import { classCounts, matthewsOf } from "./averages.ts";
import type { Calibration } from "./calibration.ts";
import { matthewsInterval } from "./confusion-delta.ts";
import { entropy } from "./baselines.ts";
import { intervalOf, meanOfShares, shareInterval } from "./intervals.ts";
import { lossInterval, type LossSums } from "./loss-sums.ts";
import type { Baseline, Evaluation, Intervals } from "./totals.ts";
import { wilson, wilsonF1 } from "./wilson.ts";

export interface ConfusionCounts {
  readonly tp: number;
  readonly fp: number;
  readonly fn: number;
  readonly tn: number;
}

/** What the scores of some of the rows say. */
export interface ScoreView {
  /** Rows that have a score, and how many of them are positive. */
  readonly rows: number;
  readonly positives: number;
  readonly ranked: RankedCounts;
  /** null for margins, which are no probabilities. */
  readonly probability: {
    readonly logLoss: LossSums;
    readonly brier: LossSums;
    readonly calibration: Calibration;
  } | null;
}

const METRICS = ["accuracy", "precision", "recall", "f1", "roc_auc"];
const OF_COUNTS = ["specificity", "prevalence", "balanced_accuracy", "mcc"];
const OF_SCORES = ["average_precision", "log_loss", "brier", "ece10"];

type Reasons = Record<string, string>;

/** A metric in `extra`: its value and interval, or why there is none. */
interface Part {
  readonly extra: Record<string, unknown>;
  readonly reasons: Reasons;
  readonly intervals: Record<string, MetricInterval | null>;
}

const every = (names: readonly string[], reason: string): Reasons =>
  Object.fromEntries(names.map((name) => [name, reason]));

export function evaluateBinary(counts: ConfusionCounts, scores: ScoreView | null): Evaluation {
  const { tp, fp, fn, tn } = counts;
  const rows = tp + fp + fn + tn;
  const confusion = { tp, fp, fn, tn };
  if (rows === 0) {
    return {
      metrics: Object.fromEntries(METRICS.map((name) => [name, null])),
      undefined: every(METRICS, "no_labels"),
      confusion,
      extra: { undefined: every([...OF_COUNTS, ...OF_SCORES], "no_labels") },
      intervals: {},
      baseline: {},
    };
  }
  const reasons: Reasons = {};
  if (tp + fp === 0) reasons["precision"] = "no_predicted_positive";
  if (tp + fn === 0) reasons["recall"] = "no_actual_positive";
  if (tp + fp + fn === 0) reasons["f1"] = "no_positive";
  const ofCounts = countPart(counts);
  const ranking = scores === null ? withoutScores() : scorePart(scores);
  if (ranking.auc === null) reasons["roc_auc"] = scores === null ? "no_scores" : "single_class";
  return {
    metrics: {
      accuracy: (tp + tn) / rows,
      precision: tp + fp === 0 ? null : tp / (tp + fp),
      recall: tp + fn === 0 ? null : tp / (tp + fn),
      f1: tp + fp + fn === 0 ? null : (2 * tp) / (2 * tp + fp + fn),
      roc_auc: ranking.auc,
    },
    undefined: reasons,
    confusion,
    extra: {
      ...ofCounts.extra,
      ...ranking.extra,
      accuracy_ci: wilson(tp + tn, rows),
      precision_ci: wilson(tp, tp + fp),
      recall_ci: wilson(tp, tp + fn),
      f1_ci: wilsonF1(tp, fp + fn),
      undefined: { ...ofCounts.reasons, ...ranking.reasons },
    },
    intervals: { ...shareIntervals(counts), ...ofCounts.intervals, ...ranking.intervals },
    baseline: baseline(counts, scores),
  };
}

function shareIntervals({ tp, fp, fn, tn }: ConfusionCounts): Intervals {
  const found: Record<string, MetricInterval | null> = {};
  const put = (name: string, interval: MetricInterval | null): void => {
    if (interval !== null) found[name] = interval;
  };
  put("accuracy", shareInterval(tp + tn, tp + fp + fn + tn));
  put("precision", shareInterval(tp, tp + fp));
  put("recall", shareInterval(tp, tp + fn));
  put("specificity", shareInterval(tn, tn + fp));
  put("prevalence", shareInterval(tp + fn, tp + fp + fn + tn));
  const f1 = wilsonF1(tp, fp + fn);
  put("f1", f1 === null ? null : intervalOf(f1, "wilson_indirect"));
  return found;
}

/** Specificity, prevalence, balanced accuracy and Matthews' coefficient. */
function countPart({ tp, fp, fn, tn }: ConfusionCounts): Part {
  const rows = tp + fp + fn + tn;
  const [positives, negatives] = [tp + fn, tn + fp];
  const extra: Record<string, unknown> = { prevalence: positives / rows, balanced_accuracy: null };
  const reasons: Reasons = {};
  const intervals: Record<string, MetricInterval | null> = {};
  if (negatives === 0) reasons["specificity"] = "no_actual_negative";
  else extra["specificity"] = tn / negatives;
  const ofPositives = wilson(tp, positives);
  const ofNegatives = wilson(tn, negatives);
  if (ofPositives === null || ofNegatives === null) reasons["balanced_accuracy"] = "single_class";
  else {
    const [recall, specificity] = [tp / positives, tn / negatives];
    extra["balanced_accuracy"] = (recall + specificity) / 2;
    const bounds = meanOfShares(
      { value: recall, bounds: ofPositives },
      { value: specificity, bounds: ofNegatives },
    );
    intervals["balanced_accuracy"] = intervalOf(bounds, "wilson_square_and_add");
  }
  const matrix = new Map([
    [
      "0",
      new Map([
        ["0", tn],
        ["1", fp],
      ]),
    ],
    [
      "1",
      new Map([
        ["0", fn],
        ["1", tp],
      ]),
    ],
  ]);
  const classes = classCounts(matrix);
  if (positives === 0 || negatives === 0) reasons["mcc"] = "single_class";
  else if (tp + fp === 0 || tn + fn === 0) reasons["mcc"] = "single_predicted_class";
  else {
    extra["mcc"] = matthewsOf(classes.values(), rows);
    intervals["mcc"] = matthewsInterval({ confusion: matrix, classes, rows });
  }
  return { extra, reasons, intervals };
}

interface ScorePart extends Part {
  readonly auc: number | null;
}

function withoutScores(): ScorePart {
  return { extra: {}, reasons: every(OF_SCORES, "no_scores"), intervals: {}, auc: null };
}

function scorePart(scores: ScoreView): ScorePart {
  const { rows, ranked, probability } = scores;
  const extra: Record<string, unknown> = {};
  const reasons: Reasons = {};
  const intervals: Record<string, MetricInterval | null> = {};
  if (probability === null) Object.assign(reasons, every(["log_loss", "brier", "ece10"], "no_probabilities"));
  else {
    extra["log_loss"] = probability.logLoss.mean(rows);
    extra["brier"] = probability.brier.mean(rows);
    extra["ece10"] = probability.calibration.error;
    extra["calibration"] = probability.calibration.bins;
    intervals["log_loss"] = lossInterval(probability.logLoss, rows);
    intervals["brier"] = lossInterval(probability.brier, rows);
    intervals["ece10"] = probability.calibration.interval;
  }
  const area = areaUnderRoc(ranked);
  const precision = area === null ? null : averagePrecisionOf(ranked);
  if (precision === null) reasons["average_precision"] = "single_class";
  else {
    extra["average_precision"] = precision.value;
    if (precision.bound > 0) extra["average_precision_bound"] = precision.bound;
    intervals["average_precision"] = precision.interval;
  }
  if (area === null) return { extra, reasons, intervals, auc: null };
  extra["auc_delong_se"] = area.standardError;
  if (area.bound > 0) extra["roc_auc_bound"] = area.bound;
  intervals["roc_auc"] = aucInterval(area);
  return { extra, reasons, intervals, auc: area.value };
}

/**
 * The best constant answer for each metric: the larger class for accuracy, "positive" for precision, recall and F1,
 * "negative" for specificity, the share of positives as score for the rest.
 */
function baseline({ tp, fp, fn, tn }: ConfusionCounts, scores: ScoreView | null): Baseline {
  const rows = tp + fp + fn + tn;
  const share = (tp + fn) / rows;
  const found: Record<string, number | null> = {
    accuracy: Math.max(share, 1 - share),
    precision: share,
    recall: share > 0 ? 1 : null,
    f1: share > 0 ? (2 * share) / (1 + share) : null,
    specificity: share < 1 ? 1 : null,
    balanced_accuracy: share > 0 && share < 1 ? 0.5 : null,
    mcc: share > 0 && share < 1 ? 0 : null,
  };
  if (scores === null) return found;
  const scored = scores.positives / scores.rows;
  const both = scored > 0 && scored < 1;
  found["roc_auc"] = both ? 0.5 : null;
  found["average_precision"] = both ? scored : null;
  if (scores.probability === null) return found;
  return { ...found, log_loss: entropy([scored, 1 - scored]), brier: scored * (1 - scored), ece10: 0 };
}
