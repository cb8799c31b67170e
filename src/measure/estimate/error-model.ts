// Expected error of a regression on rows without labels: the mean error of labelled rows with a similar prediction, over
// twenty bins of equal weight. It sees errors that grow with the prediction, not those that depend on something else.

import { Z95 } from "../wilson.ts";
import { LABELS_MIN } from "./calibration.ts";
import type { ErrorBucket } from "./error-buckets.ts";
import { floatKey } from "./float-key.ts";

const BINS = 20;
/** With a larger share of predictions outside the range of the labelled ones nothing is estimated. */
export const OUTSIDE_MAX = 0.05;

interface Bin {
  /** Largest key of the bin. */
  readonly upper: number;
  readonly rows: number;
  readonly absolute: number;
  readonly squared: number;
}

export interface ErrorModel {
  readonly labels: number;
  readonly bits: number;
  readonly lowest: number;
  readonly highest: number;
  readonly bins: readonly Bin[];
}

/** `buckets` ascending, under keys of `bits`; null below 300 labels. */
export function learnErrors(buckets: readonly ErrorBucket[], bits: number): ErrorModel | null {
  const labels = buckets.reduce((sum, { rows }) => sum + rows, 0);
  const first = buckets[0];
  const last = buckets.at(-1);
  if (labels < LABELS_MIN || first === undefined || last === undefined) return null;
  const bins: Bin[] = [];
  let passed = 0;
  let bin = { upper: first.key, rows: 0, absolute: 0, squared: 0 };
  for (const { key, rows, absolute, squared } of buckets) {
    bin = {
      upper: key,
      rows: bin.rows + rows,
      absolute: bin.absolute + absolute,
      squared: bin.squared + squared,
    };
    passed += rows;
    if (passed < ((bins.length + 1) * labels) / BINS && key !== last.key) continue;
    bins.push(bin);
    bin = { upper: key, rows: 0, absolute: 0, squared: 0 };
  }
  return { labels, bits, lowest: first.key, highest: last.key, bins };
}

/** Predictions per value; values ascending. */
export interface PredictedValues {
  readonly values: ArrayLike<number>;
  readonly counts: ArrayLike<number>;
}

export interface ErrorEstimates {
  readonly mae: number;
  readonly mse: number;
  readonly maeBounds: readonly [lower: number, upper: number];
  /** Variance of the estimated MAE that comes from the labels behind the model. */
  readonly calibrationVariance: number;
}

export type ErrorVerdict =
  | { readonly ok: true; readonly estimates: ErrorEstimates }
  | { readonly ok: false; readonly reason: "no_predictions" | "out_of_range" };

/** The bin a prediction belongs to, and whether it lies outside the range of the labelled ones. */
export function binOf(
  model: ErrorModel,
  predicted: number,
): { readonly bin: number; readonly outside: boolean } {
  const key = floatKey(predicted, model.bits, false);
  const found = model.bins.findIndex(({ upper }) => key <= upper);
  return {
    bin: found === -1 ? model.bins.length - 1 : found,
    outside: key < model.lowest || key > model.highest,
  };
}

export function estimateErrors(predicted: PredictedValues, model: ErrorModel): ErrorVerdict {
  const shares = new Float64Array(model.bins.length);
  let rows = 0;
  let outside = 0;
  for (let i = 0; i < predicted.values.length; i++) {
    const count = predicted.counts[i] ?? 0;
    const place = binOf(model, predicted.values[i] ?? 0);
    const { bin } = place;
    rows += count;
    if (place.outside) outside += count;
    shares[bin] = (shares[bin] ?? 0) + count;
  }
  if (rows === 0) return { ok: false, reason: "no_predictions" };
  if (outside > OUTSIDE_MAX * rows) return { ok: false, reason: "out_of_range" };
  let mae = 0;
  let mse = 0;
  let chanceVariance = 0;
  let calibrationVariance = 0;
  for (const [i, bin] of model.bins.entries()) {
    const share = (shares[i] ?? 0) / rows;
    const mean = bin.absolute / bin.rows;
    const spread = Math.max(0, bin.squared / bin.rows - mean * mean);
    mae += share * mean;
    mse += (share * bin.squared) / bin.rows;
    chanceVariance += (share * spread) / rows;
    calibrationVariance += (share * share * spread) / bin.rows;
  }
  const half = Z95 * Math.sqrt(chanceVariance + calibrationVariance);
  const maeBounds = [Math.max(0, mae - half), mae + half] as const;
  return { ok: true, estimates: { mae, mse, maeBounds, calibrationVariance } };
}
