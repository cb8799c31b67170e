// Estimates for one version of a regression: what it predicted, and how far off labelled rows with such predictions were.

import type { Archive } from "../../kernel/archive.ts";
import { ExactSum } from "../exact-sum.ts";
import { Z95 } from "../wilson.ts";
import { DelayPanes } from "./delay-curves.ts";
import { archiveErrorSums, ErrorBuckets, type ErrorSums } from "./error-buckets.ts";
import { type ErrorModel, estimateErrors, learnErrors, type PredictedValues } from "./error-model.ts";
import { type ErrorBasis, nowcastErrors, type WaitingValues } from "./nowcast-errors.ts";
import { Panes } from "./panes.ts";
import { Sketch } from "./sketch.ts";
import {
  calibrationThen,
  type CalibrationGap,
  coarseKeepMs,
  type CountedRow,
  delayOf,
  type EstimateError,
  estimatedWindows,
  type EstimateTrack,
  FINE,
  HOUR_MS,
  type InParts,
  LONG_SPAN_MS,
  type MetricEstimate,
  type Moment,
  type Nowcast,
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

/** Sides of the values: rows without a label, and with one. */
const OPEN = 0;
const LABELLED = 1;

interface FinePane {
  readonly values: Sketch;
  readonly labelled: ErrorSums;
}

interface HourPane {
  readonly values: Sketch;
  readonly errors: ErrorBuckets;
}

const whyNot = (reason: string): Record<string, string> =>
  Object.fromEntries(METRICS.map((metric) => [metric, reason]));

class RegressionTrack implements EstimateTrack {
  readonly #setup: TrackSetup;
  readonly #windows: readonly TimedWindow[];
  readonly #fine: Panes<FinePane>;
  readonly #coarse: Panes<HourPane>;
  readonly #delays: DelayPanes;

  constructor(setup: TrackSetup) {
    this.#setup = setup;
    this.#windows = estimatedWindows(setup.spec);
    this.#fine = new Panes({
      ...FINE,
      create: () => ({
        values: this.#values(FINE_BUCKETS),
        labelled: { rows: 0, absolute: new ExactSum(), squared: new ExactSum() },
      }),
      drop: (pane) => pane.values.release(),
    });
    const keepMs = coarseKeepMs(setup.spec);
    // There are no scores to tell apart.
    this.#delays = new DelayPanes({ probability: false, keepMs, purse: { left: 0 } });
    this.#coarse = new Panes({
      stepMs: HOUR_MS,
      keepMs,
      create: () => ({ values: this.#values(COARSE_BUCKETS), errors: new ErrorBuckets() }),
      drop: (pane) => pane.values.release(),
    });
  }

  count(row: CountedRow, sign: 1 | -1): boolean {
    const { value, ts } = row.prediction;
    if (typeof value !== "number" || !Number.isFinite(value)) return false;
    const truth = row.truth?.value;
    const error = typeof truth === "number" ? value - truth : Number.NaN;
    // Beyond the doubles: such a row cannot be summed, and counts as open.
    const usable = Number.isFinite(error * error);
    const side = usable ? LABELLED : OPEN;
    const fine = this.#fine.at(ts);
    fine?.values.add(value, side, sign);
    const coarse = this.#coarse.at(ts);
    coarse?.values.add(value, side, sign);
    if (!usable) return true;
    if (fine !== null) {
      fine.labelled.rows += sign;
      fine.labelled.absolute.add(sign * Math.abs(error));
      fine.labelled.squared.add(sign * error * error);
    }
    coarse?.errors.add(value, error, sign);
    this.#delays.count(ts, { score: 0, positive: false, delayMs: delayOf(row) ?? 0 }, sign);
    return true;
  }

  *answer(moment: Moment): InParts<TrackAnswer> {
    const { at, matured } = moment;
    this.#fine.advance(at);
    this.#coarse.advance(at);
    this.#delays.advance(at);
    // Spans that end at the matured instant serve both as what is learnt from and as what is judged.
    const spans = new Map<string, ErrorBuckets>();
    const labelledIn = (span: Span): ErrorBuckets => {
      const key = `${span.from} ${span.to}`;
      const found = spans.get(key) ?? this.#labelled(span);
      spans.set(key, found);
      return found;
    };
    const complete = spanTo(moment.complete, LONG_SPAN_MS);
    const basis = this.#nowcastBasis(complete, labelledIn(complete));
    yield;
    const long = learn(labelledIn(spanTo(matured, LONG_SPAN_MS)));
    yield;
    const short = learn(labelledIn(spanTo(matured, SHORT_SPAN_MS)));
    const then = learn(labelledIn(calibrationThen(moment))).model;
    const models = { long: long.model, short: short.model };
    const windows: WindowEstimates[] = [];
    for (const { name: window, lengthMs, tier } of this.#windows) {
      yield;
      const judged = spanTo(matured, lengthMs);
      const errors = then === null ? [] : this.#errors(judged, labelledIn(judged), then);
      yield;
      const span = spanTo(at, lengthMs);
      const now = this.#predicted(span, tier);
      yield;
      const nowcast = this.#nowcast(span, tier, basis);
      windows.push({ window, predictions: totalOf(now), ...estimateNow(now, models), errors, nowcast });
    }
    return { labels: { long: long.labels, short: short.labels }, windows };
  }

  realised(span: Span): ReadonlyMap<string, number> {
    return realisedOf(this.#labelled(span));
  }

  archive(io: Archive): void {
    this.#fine.archive(io, ({ values, labelled }) => {
      values.archive(io);
      archiveErrorSums(io, labelled);
    });
    this.#coarse.archive(io, ({ values, errors }) => {
      values.archive(io);
      errors.archive(io);
    });
    this.#delays.archive(io);
  }

  release(): void {
    this.#fine.clear();
    this.#coarse.clear();
    this.#delays.clear();
  }

  #values(buckets: number): Sketch {
    return new Sketch({ sides: 2, mirrored: false, buckets, purse: this.#setup.purse });
  }

  *#panes(span: Span, tier: TimedWindow["tier"]) {
    yield* tier === "fine" ? this.#fine.timed(span.from, span.to) : this.#coarse.timed(span.from, span.to);
  }

  #predicted(span: Span, tier: TimedWindow["tier"]): PredictedValues {
    const purse = { left: MERGED_BUCKETS };
    const merged = new Sketch({ sides: 2, mirrored: false, buckets: MERGED_BUCKETS, purse });
    merged.mergeAll([...this.#panes(span, tier)].map(({ pane }) => pane.values));
    return valuesOf(merged, [OPEN, LABELLED]);
  }

  /** Learnt from rows of `span`, all of them complete; null when their labels are too few. */
  #nowcastBasis(span: Span, labelled: ErrorBuckets): ErrorBasis | null {
    const { model, labels } = learn(labelled);
    const delays = this.#delays.learn(span);
    if (model === null || delays === null) return null;
    const rows = totalOf(this.#predicted(span, "coarse"));
    return { model, delays, coverage: rows === 0 ? 1 : Math.min(1, labels / rows) };
  }

  #nowcast(span: Span, tier: TimedWindow["tier"], basis: ErrorBasis | null): Nowcast {
    if (basis === null) return { expected: 0, metrics: [], undefined: whyNot("calibration") };
    const sums = { rows: 0, absolute: new ExactSum(), squared: new ExactSum() };
    const waiting: WaitingValues[] = [];
    for (const { pane, fromTs, toTs } of this.#panes(span, tier)) {
      for (const { rows, absolute, squared } of "errors" in pane ? pane.errors.sums() : [pane.labelled]) {
        sums.rows += rows;
        sums.absolute.merge(absolute, 1);
        sums.squared.merge(squared, 1);
      }
      const ages = { youngest: Math.max(0, span.to - toTs), oldest: Math.max(0, span.to - fromTs) };
      waiting.push({ ...ages, predicted: valuesOf(pane.values, [OPEN]) });
    }
    const labelled = {
      rows: sums.rows,
      absolute: sums.absolute.value(),
      squared: sums.squared.value(),
    };
    const found = nowcastErrors(labelled, waiting, basis);
    return found.ok
      ? { expected: found.expected, metrics: found.metrics, undefined: {} }
      : { expected: 0, metrics: [], undefined: whyNot(found.reason) };
  }

  #labelled(span: Span): ErrorBuckets {
    const merged = new ErrorBuckets(MERGED_ERRORS);
    for (const pane of this.#coarse.between(span.from, span.to)) merged.merge(pane.errors);
    return merged;
  }

  #errors(span: Span, labelled: ErrorBuckets, then: ErrorModel): EstimateError[] {
    const verdict = estimateErrors(this.#predicted(span, "coarse"), then);
    if (!verdict.ok) return [];
    const { mae, mse } = verdict.estimates;
    const estimates = new Map([
      ["mae", mae],
      ["mse", mse],
      ["rmse", Math.sqrt(mse)],
    ]);
    return [...realisedOf(labelled)].flatMap(([metric, realised]) => {
      const estimated = estimates.get(metric);
      return estimated === undefined ? [] : [{ metric, estimated, realised }];
    });
  }
}

function learn(labelled: ErrorBuckets): { readonly model: ErrorModel | null; readonly labels: number } {
  const buckets = labelled.buckets();
  const labels = buckets.reduce((sum, { rows }) => sum + rows, 0);
  return { model: learnErrors(buckets, labelled.bits), labels };
}

function realisedOf(labelled: ErrorBuckets): ReadonlyMap<string, number> {
  const buckets = labelled.buckets();
  const rows = buckets.reduce((sum, bucket) => sum + bucket.rows, 0);
  if (rows === 0) return new Map();
  const mae = buckets.reduce((sum, { absolute }) => sum + absolute, 0) / rows;
  const mse = buckets.reduce((sum, { squared }) => sum + squared, 0) / rows;
  return new Map([
    ["mae", mae],
    ["mse", mse],
    ["rmse", Math.sqrt(mse)],
  ]);
}

function valuesOf(sketch: Sketch, sides: readonly number[]): PredictedValues {
  const values = new Float64Array(sketch.size);
  const counts = new Float64Array(sketch.size);
  for (let at = 0; at < values.length; at++) {
    values[at] = sketch.key(at);
    let count = 0;
    for (const side of sides) count += sketch.count(at, side);
    counts[at] = count;
  }
  return { values, counts };
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
