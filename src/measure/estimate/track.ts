// What an estimating track is asked and what it answers, and the spans of time it looks at.

import type { ModelSpec } from "../../facts/model.ts";
import type { Truth } from "../../facts/pair.ts";
import type { Prediction } from "../../facts/prediction.ts";
import type { Archive } from "../../kernel/archive.ts";
import { parseWindow } from "../windows.ts";
import type { BucketPurse } from "./sketch.ts";

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
/** Windows up to a day are made of panes of 5 minutes, longer ones and all calibration spans of panes of one hour. */
export const FINE = { stepMs: 5 * MINUTE_MS, keepMs: 25 * HOUR_MS } as const;
const FINE_WINDOW_MAX_MS = DAY_MS;
/** Longer windows are not estimated. */
const WINDOW_MAX_MS = 31 * DAY_MS;
/** The two spans of matured rows a calibration is learnt from. */
export const LONG_SPAN_MS = 7 * DAY_MS;
export const SHORT_SPAN_MS = DAY_MS;
/** Panes are not kept longer than this, whatever the horizon of labels. */
const KEEP_MAX_MS = 62 * DAY_MS;

export interface TimedWindow {
  readonly name: string;
  readonly lengthMs: number;
  readonly tier: "fine" | "coarse";
}

/** The windows of a model that are estimated: those with a length, up to 31 days. */
export function estimatedWindows(spec: ModelSpec): TimedWindow[] {
  return spec.windows.flatMap((name) => {
    const { lengthMs } = parseWindow(name);
    if (lengthMs === null || lengthMs > WINDOW_MAX_MS) return [];
    return [{ name, lengthMs, tier: lengthMs <= FINE_WINDOW_MAX_MS ? "fine" : "coarse" }];
  });
}

/** How far back panes of an hour are needed: the longest window or calibration, as seen from the matured instant. */
export function coarseKeepMs(spec: ModelSpec): number {
  const longest = Math.max(LONG_SPAN_MS, ...estimatedWindows(spec).map(({ lengthMs }) => lengthMs));
  return Math.min(2 * spec.labelHorizonMs + longest + HOUR_MS, KEEP_MAX_MS);
}

/** Unix ms. */
export interface Moment {
  readonly at: number;
  /** Rows up to here are matured: nearly all labels they will ever get are in. A whole hour. */
  readonly matured: number;
  /** Rows up to here have all labels they will ever get, as nearly as can be told. A whole hour. */
  readonly complete: number;
}

/** Spans (from, to] of one question. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export const spanTo = (to: number, lengthMs: number): Span => ({ from: to - lengthMs, to });

/**
 * What was known at the matured instant itself: the estimate for a window that ended there would have been calibrated on
 * rows matured by then. With it, estimates are compared with what was realised, without remembering past answers.
 */
export function calibrationThen(moment: Moment): Span {
  const lag = moment.at - moment.matured;
  const to = Math.floor((moment.matured - lag) / HOUR_MS) * HOUR_MS;
  return spanTo(to, LONG_SPAN_MS);
}

export interface MetricEstimate {
  readonly metric: string;
  readonly value: number;
  /** 95 % bounds of what will be realised on these rows; null: none is known. */
  readonly bounds: readonly [lower: number, upper: number] | null;
}

/** Estimate under the calibration of the last matured day minus that of the last seven: the sign of concept drift. */
export interface CalibrationGap {
  readonly metric: string;
  readonly value: number;
  /** Gaps up to this size are expected of the labels' own noise (95 %). */
  readonly noise: number;
}

/** What was said of a window that is over, and what its labels say. */
export interface EstimateError {
  readonly metric: string;
  readonly estimated: number;
  readonly realised: number;
}

/** What the metrics of the window will be when the labels still expected are in: those that are in, and the chance of each other. */
export interface Nowcast {
  /** Labels that are expected to come, beside those that are in. */
  readonly expected: number;
  readonly metrics: readonly MetricEstimate[];
  /** Metric -> why it has none. */
  readonly undefined: Readonly<Record<string, string>>;
}

export interface WindowEstimates {
  readonly window: string;
  readonly predictions: number;
  readonly metrics: readonly MetricEstimate[];
  readonly gaps: readonly CalibrationGap[];
  /** Of the window of the same length that ended at the matured instant. */
  readonly errors: readonly EstimateError[];
  readonly nowcast: Nowcast;
  /** Metric -> why it has no estimate. */
  readonly undefined: Readonly<Record<string, string>>;
}

export interface TrackAnswer {
  /** Matured labels behind the long and the short calibration. */
  readonly labels: { readonly long: number; readonly short: number };
  readonly windows: readonly WindowEstimates[];
}

/** A row as it is: null is unlabelled. */
export interface CountedRow {
  readonly prediction: Prediction;
  readonly truth: Truth | null;
}

/** How long the first label took. */
export function delayOf({ prediction, truth }: CountedRow): number | null {
  return truth === null ? null : Math.max(0, truth.firstReceivedAt - prediction.ts);
}

/** Work in parts of some milliseconds: each `next` does one, the last one gives what came of it. */
export type InParts<T> = Generator<undefined, T, undefined>;

export function atOnce<T>(work: InParts<T>): T {
  for (;;) {
    const part = work.next();
    if (part.done === true) return part.value;
  }
}

export interface EstimateTrack {
  /** Counts the row as it is, or takes it back. False: the task cannot use it. */
  count(row: CountedRow, sign: 1 | -1): boolean;
  /** Rows may come and go between the parts. */
  answer(moment: Moment): InParts<TrackAnswer>;
  /** The metrics of the labelled rows of a span of whole hours, as they turned out. */
  realised(span: Span): ReadonlyMap<string, number>;
  /** To a checkpoint, or, newly made, from one. */
  archive(io: Archive): void;
  release(): void;
}

export interface TrackSetup {
  readonly spec: ModelSpec;
  readonly purse: BucketPurse;
}
