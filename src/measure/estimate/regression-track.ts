// Estimates for one version of a regression: what it predicted, and how far off labelled rows with such predictions were.

import type { Prediction, Value } from "../../facts/prediction.ts";
import { Z95 } from "../wilson.ts";
import { ErrorBuckets } from "./error-buckets.ts";
import { type ErrorModel, estimateErrors, learnErrors, type PredictedValues } from "./error-model.ts";
import { Panes } from "./panes.ts";
import { Sketch } from "./sketch.ts";
import {
  calibrationThen,
  type CalibrationGap,
  coarseKeepMs,
  type EstimateError,
  estimatedWindows,
  type EstimateTrack,
  FINE,
  HOUR_MS,
  LONG_SPAN_MS,
  type MetricEstimate,
  type Moment,
  SHORT_SPAN_MS,
  type Span,
  spanTo,
  type TimedWindow,
  type TrackAnswer,
  type TrackSetup,
  type WindowEstimates,
} from "./track.ts";

const FINE_BUCKETS = 256;
const COARSE_BUCKETS = 512;
const MERGED_BUCKETS = 4096;
const MERGED_ERRORS = 1024;
const METRICS = ["mae", "mse", "rmse"];

interface HourPane {
  readonly values: Sketch;
  readonly errors: ErrorBuckets;
}

function addError(
  pane: HourPane,
  row: { readonly value: number; readonly truth: Value | null },
  sign: 1 | -1,
): void {
  const { value, truth } = row;
  if (typeof truth !== "number") return;
  const error = value - truth;
  // Beyond the doubles: such a row cannot be summed.
  if (Number.isFinite(error * error)) pane.errors.add(value, error, sign);
}

const whyNot = (reason: string): Record<string, string> =>
  Object.fromEntries(METRICS.map((metric) => [metric, reason]));

class RegressionTrack implements EstimateTrack {
  readonly #setup: TrackSetup;
  readonly #windows: readonly TimedWindow[];
  readonly #fine: Panes<Sketch>;
  readonly #coarse: Panes<HourPane>;

  constructor(setup: TrackSetup) {
    this.#setup = setup;
    this.#windows = estimatedWindows(setup.spec);
    this.#fine = new Panes({
      ...FINE,
      create: () => this.#values(FINE_BUCKETS),
      drop: (pane) => pane.release(),
    });
    this.#coarse = new Panes({
      stepMs: HOUR_MS,
      keepMs: coarseKeepMs(setup.spec),
      create: () => ({ values: this.#values(COARSE_BUCKETS), errors: new ErrorBuckets() }),
      drop: (pane) => pane.values.release(),
    });
  }

  count(row: { readonly prediction: Prediction; readonly truth: Value | null }, sign: 1 | -1): boolean {
    const { value, ts } = row.prediction;
    if (typeof value !== "number" || !Number.isFinite(value)) return false;
    this.#fine.at(ts)?.add(value, 0, sign);
    const pane = this.#coarse.at(ts);
    if (pane === null) return true;
    pane.values.add(value, 0, sign);
    addError(pane, { value, truth: row.truth }, sign);
    return true;
  }

  relabel({ value, ts }: Prediction, before: Value | null, after: Value | null): void {
    if (typeof value !== "number" || !Number.isFinite(value)) return;
    const pane = this.#coarse.at(ts);
    if (pane === null) return;
    addError(pane, { value, truth: before }, -1);
    addError(pane, { value, truth: after }, 1);
  }

  answer(moment: Moment): TrackAnswer {
    const { at, matured } = moment;
    this.#fine.advance(at);
    this.#coarse.advance(at);
    const long = this.#learn(spanTo(matured, LONG_SPAN_MS));
    const short = this.#learn(spanTo(matured, SHORT_SPAN_MS));
    const then = this.#learn(calibrationThen(moment));
    return {
      labels: { long: long.labels, short: short.labels },
      windows: this.#windows.map((window) => {
        const errors = then.model === null ? [] : this.#errors(spanTo(matured, window.lengthMs), then.model);
        const now = this.#predicted(spanTo(at, window.lengthMs), window.tier);
        const models = { long: long.model, short: short.model };
        return { window: window.name, predictions: totalOf(now), ...estimateNow(now, models), errors };
      }),
    };
  }

  release(): void {
    this.#fine.clear();
    this.#coarse.clear();
  }

  #values(buckets: number): Sketch {
    return new Sketch({ sides: 1, mirrored: false, buckets, purse: this.#setup.purse });
  }

  #predicted(span: Span, tier: TimedWindow["tier"]): PredictedValues {
    const purse = { left: MERGED_BUCKETS };
    const merged = new Sketch({ sides: 1, mirrored: false, buckets: MERGED_BUCKETS, purse });
    if (tier === "fine") for (const pane of this.#fine.between(span.from, span.to)) merged.merge(pane);
    else for (const pane of this.#coarse.between(span.from, span.to)) merged.merge(pane.values);
    const size = { length: merged.size };
    return {
      values: Float64Array.from(size, (_, i) => merged.key(i)),
      counts: Float64Array.from(size, (_, i) => merged.count(i, 0)),
    };
  }

  #labelled(span: Span): ErrorBuckets {
    const merged = new ErrorBuckets(MERGED_ERRORS);
    for (const pane of this.#coarse.between(span.from, span.to)) merged.merge(pane.errors);
    return merged;
  }

  #learn(span: Span): { readonly model: ErrorModel | null; readonly labels: number } {
    const labelled = this.#labelled(span);
    const buckets = labelled.buckets();
    const labels = buckets.reduce((sum, { rows }) => sum + rows, 0);
    return { model: learnErrors(buckets, labelled.bits), labels };
  }

  #errors(span: Span, then: ErrorModel): EstimateError[] {
    const verdict = estimateErrors(this.#predicted(span, "coarse"), then);
    const buckets = this.#labelled(span).buckets();
    const rows = buckets.reduce((sum, bucket) => sum + bucket.rows, 0);
    if (!verdict.ok || rows === 0) return [];
    const mae = buckets.reduce((sum, { absolute }) => sum + absolute, 0) / rows;
    const mse = buckets.reduce((sum, { squared }) => sum + squared, 0) / rows;
    return [
      { metric: "mae", estimated: verdict.estimates.mae, realised: mae },
      { metric: "mse", estimated: verdict.estimates.mse, realised: mse },
      { metric: "rmse", estimated: Math.sqrt(verdict.estimates.mse), realised: Math.sqrt(mse) },
    ];
  }
}

function totalOf({ counts }: PredictedValues): number {
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i] ?? 0;
  return sum;
}

function estimateNow(
  now: PredictedValues,
  models: { readonly long: ErrorModel | null; readonly short: ErrorModel | null },
): Pick<WindowEstimates, "metrics" | "gaps" | "undefined"> {
  const { long, short } = models;
  if (long === null) return { metrics: [], gaps: [], undefined: whyNot("calibration") };
  const verdict = estimateErrors(now, long);
  if (!verdict.ok) return { metrics: [], gaps: [], undefined: whyNot(verdict.reason) };
  const { mae, mse, maeBounds, calibrationVariance } = verdict.estimates;
  const metrics: MetricEstimate[] = [
    { metric: "mae", value: mae, bounds: maeBounds },
    { metric: "mse", value: mse, bounds: null },
    { metric: "rmse", value: Math.sqrt(mse), bounds: null },
  ];
  const recent = short === null ? null : estimateErrors(now, short);
  const gaps: CalibrationGap[] = [];
  if (recent?.ok === true) {
    const noise = Z95 * Math.sqrt(calibrationVariance + recent.estimates.calibrationVariance);
    gaps.push({ metric: "mae", value: recent.estimates.mae - mae, noise });
  }
  return { metrics, gaps, undefined: {} };
}

export function createRegressionTrack(setup: TrackSetup): EstimateTrack {
  return new RegressionTrack(setup);
}
