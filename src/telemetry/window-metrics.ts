// Quality by event time as summable gauges: parts that can be added up over replicas before the metric is formed.

import { SCORE_BOUNDS } from "../catalogue.ts";
import { formatBound } from "./exposition.ts";
import type { Basis } from "./quality-metrics.ts";
import type { Recorder } from "./recorder.ts";
import type { Labels, NumberSeries } from "./snapshot.ts";

/** One window of one version, now. */
export interface WindowFigures {
  readonly model: string;
  readonly version: string;
  readonly window: string;
  readonly basis: Basis;
  readonly predictions: number;
  /** Labelled predictions. */
  readonly pairs: number;
  readonly regression: {
    readonly squaredError: number | null;
    readonly absoluteErrorOver: number;
    readonly absoluteErrorUnder: number;
    readonly labelMean: number | null;
    readonly labelM2: number;
  } | null;
  readonly classification: {
    readonly confusion: readonly {
      readonly actual: string;
      readonly predicted: string;
      readonly correct: boolean;
      readonly count: number;
    }[];
    /** Not cumulated; one per SCORE_BOUNDS and one above all. */
    readonly scores: { readonly positive: readonly number[]; readonly negative: readonly number[] } | null;
    /** Sums over the rows that have scores, and how many they are; null for margins. */
    readonly logLoss: number | null;
    readonly squaredScoreError: number | null;
    readonly scored: number;
  } | null;
}

export interface WindowNeeds {
  windows(): Iterable<WindowFigures>;
}

/** 68 series per version and window: only where a rank metric over several replicas is asked for. */
const SCORE_WINDOWS: ReadonlySet<string> = new Set(["24h", "7d"]);

const FAMILIES = [
  "outrider_window_predictions",
  "outrider_window_pairs",
  "outrider_window_squared_error",
  "outrider_window_absolute_error",
  "outrider_window_label_mean",
  "outrider_window_label_m2",
  "outrider_window_confusion",
  "outrider_window_score",
  "outrider_window_scored_pairs",
  "outrider_window_log_loss",
  "outrider_window_squared_score_error",
] as const;
type WindowFamily = (typeof FAMILIES)[number];
type Put = (name: WindowFamily, labels: Labels, value: number | null) => void;

/** Registers itself with the recorder. */
export function createWindowMetrics(recorder: Recorder, needs: WindowNeeds): void {
  recorder.onCollect(() => {
    const sheet = new Map<WindowFamily, NumberSeries[]>(FAMILIES.map((name) => [name, []]));
    const put: Put = (name, labels, value) => {
      if (value !== null) sheet.get(name)?.push({ labels, value });
    };
    for (const figures of needs.windows()) write(put, figures);
    for (const [name, series] of sheet) recorder.gauge(name).replace(series);
  });
}

function write(put: Put, figures: WindowFigures): void {
  const { model, version, window, basis, regression, classification } = figures;
  const labels = { model, version, window, basis };
  put("outrider_window_predictions", labels, figures.predictions);
  put("outrider_window_pairs", labels, figures.pairs);
  if (regression !== null) {
    put("outrider_window_squared_error", labels, regression.squaredError);
    put("outrider_window_absolute_error", { ...labels, direction: "over" }, regression.absoluteErrorOver);
    put("outrider_window_absolute_error", { ...labels, direction: "under" }, regression.absoluteErrorUnder);
    put("outrider_window_label_mean", labels, regression.labelMean);
    put("outrider_window_label_m2", labels, regression.labelM2);
  }
  for (const { actual, predicted, correct, count } of classification?.confusion ?? []) {
    put("outrider_window_confusion", { ...labels, actual, predicted, correct: String(correct) }, count);
  }
  if (classification !== null) {
    put("outrider_window_scored_pairs", labels, classification.scored);
    put("outrider_window_log_loss", labels, classification.logLoss);
    put("outrider_window_squared_score_error", labels, classification.squaredScoreError);
  }
  const scores = classification?.scores ?? null;
  if (scores === null || !SCORE_WINDOWS.has(window)) return;
  writeScores(put, { ...labels, actual: "positive" }, scores.positive);
  writeScores(put, { ...labels, actual: "negative" }, scores.negative);
}

function writeScores(put: Put, labels: Labels, counts: readonly number[]): void {
  let below = 0;
  for (const [at, count] of counts.entries()) {
    below += count;
    put("outrider_window_score", { ...labels, upper: formatBound(SCORE_BOUNDS[at]) }, below);
  }
}
