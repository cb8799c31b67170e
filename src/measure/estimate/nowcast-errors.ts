// What a regression's errors will be when the labels still expected are in: those of the labelled rows as they are, and of
// each row that still waits the usual error at its prediction, as likely as its age leaves a label to come.

import { Z95 } from "../wilson.ts";
import type { LearntDelays } from "./delay-curves.ts";
import { binOf, type ErrorModel, OUTSIDE_MAX, type PredictedValues } from "./error-model.ts";
import type { MetricEstimate } from "./track.ts";

export interface LabelledErrors {
  readonly rows: number;
  /** Sums of |error| and error². */
  readonly absolute: number;
  readonly squared: number;
}

/** Rows without a label between two ages (ms). */
export interface WaitingValues {
  readonly youngest: number;
  readonly oldest: number;
  readonly predicted: PredictedValues;
}

export interface ErrorBasis {
  readonly model: ErrorModel;
  readonly delays: LearntDelays;
  /** Share of rows that get a label at all. */
  readonly coverage: number;
}

export type ErrorNowcast =
  | { readonly ok: true; readonly expected: number; readonly metrics: readonly MetricEstimate[] }
  | { readonly ok: false; readonly reason: "no_predictions" | "out_of_range" };

/** Labels expected per error bin, with what the bounds need. */
class Expected {
  readonly labels: Float64Array;
  /** Of the squares of the chances. */
  readonly squares: Float64Array;
  /** Labels that one standard error more of what has come by now would take away. */
  readonly byArrived: Float64Array;
  rows = 0;
  outside = 0;
  readonly #basis: ErrorBasis;

  constructor(basis: ErrorBasis) {
    this.#basis = basis;
    const size = basis.model.bins.length;
    this.labels = new Float64Array(size);
    this.squares = new Float64Array(size);
    this.byArrived = new Float64Array(size);
  }

  wait({ youngest, oldest, predicted }: WaitingValues): void {
    const { delays, coverage, model } = this.#basis;
    const arrived = delays.arrived(0, false, { youngest, oldest });
    const error = delays.errorOf(0, false, arrived);
    const open = 1 - coverage * arrived;
    if (open < 1e-12) return;
    const chance = (coverage * (1 - arrived)) / open;
    const slope = (coverage * (1 - coverage)) / (open * open);
    for (let i = 0; i < predicted.values.length; i++) {
      const count = predicted.counts[i] ?? 0;
      if (count === 0) continue;
      const { bin, outside } = binOf(model, predicted.values[i] ?? 0);
      this.rows += count;
      if (outside) this.outside += count;
      this.labels[bin] = (this.labels[bin] ?? 0) + count * chance;
      this.squares[bin] = (this.squares[bin] ?? 0) + count * chance * chance;
      this.byArrived[bin] = (this.byArrived[bin] ?? 0) + count * slope * error;
    }
  }
}

export function nowcastErrors(
  labelled: LabelledErrors,
  waiting: Iterable<WaitingValues>,
  basis: ErrorBasis,
): ErrorNowcast {
  const expected = new Expected(basis);
  for (const rows of waiting) expected.wait(rows);
  if (expected.outside > OUTSIDE_MAX * expected.rows) return { ok: false, reason: "out_of_range" };
  let [rows, absolute, squared] = [labelled.rows, labelled.absolute, labelled.squared];
  for (const [at, bin] of basis.model.bins.entries()) {
    const labels = expected.labels[at] ?? 0;
    rows += labels;
    absolute += (labels * bin.absolute) / bin.rows;
    squared += (labels * bin.squared) / bin.rows;
  }
  if (!(rows > 0)) return { ok: false, reason: "no_predictions" };
  const [mae, mse] = [absolute / rows, squared / rows];
  const half = Z95 * Math.sqrt(varianceOf(expected, { rows, mae }, basis.model));
  return {
    ok: true,
    expected: rows - labelled.rows,
    metrics: [
      { metric: "mae", value: mae, bounds: [Math.max(0, mae - half), mae + half] },
      { metric: "mse", value: mse, bounds: null },
      { metric: "rmse", value: Math.sqrt(mse), bounds: null },
    ],
  };
}

/** Of the mean absolute error: chance in the waiting rows, the labels behind each bin, and those behind the delays. */
function varianceOf(
  expected: Expected,
  { rows, mae }: { readonly rows: number; readonly mae: number },
  model: ErrorModel,
): number {
  let [variance, byArrived] = [0, 0];
  for (const [at, bin] of model.bins.entries()) {
    const mean = bin.absolute / bin.rows;
    const spread = Math.max(0, bin.squared / bin.rows - mean * mean);
    const labels = expected.labels[at] ?? 0;
    const gap = mean - mae;
    variance += labels * (spread + gap * gap) - (expected.squares[at] ?? 0) * gap * gap;
    variance += (labels * labels * spread) / bin.rows;
    byArrived += (expected.byArrived[at] ?? 0) * gap;
  }
  return Math.max(0, variance + byArrived * byArrived) / (rows * rows);
}
