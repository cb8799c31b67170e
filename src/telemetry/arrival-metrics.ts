// Quality by arrival of the labels: sums that only grow, so that any window over any number of replicas can be formed from them.

import { SCORE_BOUNDS } from "../catalogue.ts";
import type { ModelSpec } from "../facts/model.ts";
import { formatBound } from "./exposition.ts";
import type { Recorder } from "./recorder.ts";
import type { Labels } from "./snapshot.ts";

/** Totals of one version since this process started; they never fall. */
export interface ArrivalFigures {
  readonly model: string;
  readonly version: string;
  readonly totals: {
    readonly pairs: number;
    readonly squaredError: number;
    readonly absoluteErrorOver: number;
    readonly absoluteErrorUnder: number;
    readonly labelDeviationPositive: number;
    readonly labelDeviationNegative: number;
    readonly labelSquaredDeviation: number;
    readonly labelOffset: number;
    /** actual -> predicted -> pairs. */
    readonly confusion: ReadonlyMap<string, ReadonlyMap<string, number>>;
    /** Not cumulated; one per SCORE_BOUNDS and one above all. */
    readonly scoresPositive: readonly number[];
    readonly scoresNegative: readonly number[];
    readonly logLoss: number;
    readonly squaredScoreError: number;
  };
}

export interface ArrivalNeeds {
  /** One entry for each version that was seen, also before its first label: its series must begin at 0. */
  arrivals(): Iterable<ArrivalFigures>;
  specOf(model: string): ModelSpec | null;
}

/** Of more classes not every cell of the matrix is made before it is needed. */
const CLASSES_BEGUN_MAX = 10;
const OTHER = "_OTHER";

/** Registers itself with the recorder. */
export function createArrivalMetrics(recorder: Recorder, needs: ArrivalNeeds): void {
  const info = recorder.gauge("outrider_score_bucket_info");
  for (const [at, bound] of SCORE_BOUNDS.entries()) {
    info.set({ lower: formatBound(bound), upper: formatBound(SCORE_BOUNDS[at + 1]) }, 1);
  }
  recorder.onCollect(() => {
    for (const figures of needs.arrivals()) {
      const spec = needs.specOf(figures.model);
      if (spec === null || spec.task === "auto") continue;
      if (spec.task === "regression") writeRegression(recorder, figures);
      else writeClassification(recorder, figures, spec);
    }
  });
}

function writeRegression(recorder: Recorder, { model, version, totals }: ArrivalFigures): void {
  const labels = { model, version };
  const absolute = recorder.counter("outrider_regression_absolute_error_total");
  const deviation = recorder.counter("outrider_regression_label_deviation_total");
  recorder.counter("outrider_regression_pairs_total").set(labels, totals.pairs);
  recorder.counter("outrider_regression_squared_error_total").set(labels, totals.squaredError);
  absolute.set({ ...labels, direction: "over" }, totals.absoluteErrorOver);
  absolute.set({ ...labels, direction: "under" }, totals.absoluteErrorUnder);
  deviation.set({ ...labels, sign: "positive" }, totals.labelDeviationPositive);
  deviation.set({ ...labels, sign: "negative" }, totals.labelDeviationNegative);
  recorder
    .counter("outrider_regression_label_squared_deviation_total")
    .set(labels, totals.labelSquaredDeviation);
  recorder.gauge("outrider_regression_label_offset").set(labels, totals.labelOffset);
}

function writeClassification(recorder: Recorder, figures: ArrivalFigures, spec: ModelSpec): void {
  const { model, version, totals } = figures;
  const labels = { model, version };
  writeConfusion(recorder, figures, spec.classes ?? []);
  if (spec.scoreKind === "probability") {
    recorder.counter("outrider_classification_log_loss_total").set(labels, totals.logLoss);
  }
  if (spec.task !== "binary") return;
  const scores = recorder.histogram("outrider_classification_score");
  scores.set({ ...labels, actual: "positive" }, totals.scoresPositive);
  scores.set({ ...labels, actual: "negative" }, totals.scoresNegative);
  if (spec.scoreKind === "probability") {
    recorder
      .counter("outrider_classification_squared_score_error_total")
      .set(labels, totals.squaredScoreError);
  }
}

function writeConfusion(recorder: Recorder, figures: ArrivalFigures, classes: readonly string[]): void {
  const { model, version, totals } = figures;
  const pairs = recorder.counter("outrider_classification_pairs_total");
  const cell = (actual: string, predicted: string): Labels => {
    return { model, version, actual, predicted, correct: String(actual === predicted && actual !== OTHER) };
  };
  const begun = classes.length <= CLASSES_BEGUN_MAX ? classes : [];
  for (const actual of begun) {
    for (const predicted of begun) {
      if (totals.confusion.get(actual)?.get(predicted) === undefined) pairs.set(cell(actual, predicted), 0);
    }
  }
  for (const [actual, row] of totals.confusion) {
    for (const [predicted, count] of row) pairs.set(cell(actual, predicted), count);
  }
}
