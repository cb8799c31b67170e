// Estimates for one version of a binary classifier with scores.

import type { Archive } from "../../kernel/archive.ts";
import { canonicalClass } from "../../kernel/classes.ts";
import { Z95 } from "../wilson.ts";
import type { Calibration } from "./calibration.ts";
import { CLASSIFIER_METRICS, type ClassifierEstimates, estimateClassifier } from "./cbpe.ts";
import {
  alignKeys,
  countOf,
  Decisions,
  decidesPositive,
  type Decision,
  predictionsOf,
  realisedOf,
} from "./decisions.ts";
import type { Sketch } from "./sketch.ts";
import {
  type InParts,
  calibrationThen,
  type CalibrationGap,
  coarseKeepMs,
  type CountedRow,
  delayOf,
  type EstimateError,
  estimatedWindows,
  type EstimateTrack,
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

/** Under which calibrations a window is estimated. */
export interface Maps {
  readonly long: Calibration | null;
  readonly short: Calibration | null;
  /** As it was known at the matured instant. */
  readonly past: Calibration | null;
}

/** The rows of a window that ends now, and of the one that ended at the matured instant. */
export interface WindowRows {
  readonly now: Sketch;
  readonly matured: Sketch;
}

const UNCALIBRATED = Object.fromEntries(CLASSIFIER_METRICS.map((metric) => [metric, "calibration"]));
const UNDEFINED: Readonly<Record<string, string>> = {
  accuracy: "no_predictions",
  precision: "no_predicted_positive",
  recall: "no_expected_positive",
  f1: "no_positive",
  roc_auc: "single_class",
};

function gapsOf(long: ClassifierEstimates, short: ClassifierEstimates): CalibrationGap[] {
  return CLASSIFIER_METRICS.flatMap((metric) => {
    const slow = long[metric];
    const fast = short[metric];
    if (slow === null || fast === null) return [];
    const noise = Z95 * Math.sqrt(slow.calibrationVariance + fast.calibrationVariance);
    return [{ metric, value: fast.value - slow.value, noise }];
  });
}

function errorsOf(matured: Sketch, past: Calibration | null): EstimateError[] {
  if (past === null) return [];
  const estimates = estimateClassifier(predictionsOf(matured), past);
  const truth = realisedOf(matured);
  return CLASSIFIER_METRICS.flatMap((metric) => {
    const estimated = estimates[metric]?.value ?? null;
    const realised = truth[metric];
    return estimated === null || realised === null ? [] : [{ metric, estimated, realised }];
  });
}

/** One window of one class against the rest, but for its nowcast. */
export function estimateWindow(
  window: string,
  rows: WindowRows,
  maps: Maps,
): Omit<WindowEstimates, "nowcast"> {
  const predictions = countOf(rows.now);
  const errors = errorsOf(rows.matured, maps.past);
  if (maps.long === null) {
    return { window, predictions, metrics: [], gaps: [], errors, undefined: UNCALIBRATED };
  }
  const scored = predictionsOf(rows.now);
  const estimates = estimateClassifier(scored, maps.long);
  const metrics: MetricEstimate[] = [];
  const reasons: Record<string, string> = {};
  for (const metric of CLASSIFIER_METRICS) {
    const estimate = estimates[metric];
    if (estimate === null) reasons[metric] = UNDEFINED[metric] ?? "undefined";
    else metrics.push({ metric, value: estimate.value, bounds: [estimate.lower, estimate.upper] });
  }
  const gaps = maps.short === null ? [] : gapsOf(estimates, estimateClassifier(scored, maps.short));
  return { window, predictions, metrics, gaps, errors, undefined: reasons };
}

export interface ClassAnswer extends TrackAnswer {
  readonly maps: Maps;
  readonly rows: readonly WindowRows[];
}

/** Reasons for the metrics of a nowcast that have no value. */
function explained({ expected, metrics }: Omit<Nowcast, "undefined">): Nowcast {
  const reasons: Record<string, string> = {};
  for (const metric of CLASSIFIER_METRICS) {
    if (!metrics.some((one) => one.metric === metric)) reasons[metric] = UNDEFINED[metric] ?? "undefined";
  }
  return { expected, metrics, undefined: reasons };
}

/** All windows of one class against the rest. */
export function* answerClass(
  decisions: Decisions,
  windows: readonly TimedWindow[],
  moment: Moment,
): InParts<ClassAnswer> {
  const { at, matured } = moment;
  decisions.advance(at);
  // Spans that end at the matured instant serve both as what is learnt from and as what is judged.
  const ended = new Map<number, Sketch>();
  const upToMatured = (lengthMs: number): Sketch => {
    const rows = ended.get(lengthMs) ?? decisions.rows(spanTo(matured, lengthMs), "coarse");
    ended.set(lengthMs, rows);
    return rows;
  };
  const complete = spanTo(moment.complete, LONG_SPAN_MS);
  const completeRows = decisions.rows(complete, "coarse");
  yield;
  const longRows = upToMatured(LONG_SPAN_MS);
  yield;
  const learnt = [longRows, upToMatured(SHORT_SPAN_MS), decisions.rows(calibrationThen(moment), "coarse")];
  for (const { lengthMs } of windows) {
    yield;
    upToMatured(lengthMs);
  }
  yield;
  // From here on in one part: a nowcast looks into the same panes again.
  const rows = windows.map(({ lengthMs, tier }) => ({
    now: decisions.rows(spanTo(at, lengthMs), tier),
    matured: upToMatured(lengthMs),
  }));
  alignKeys([completeRows, ...learnt, ...rows.flatMap((one) => [one.now, one.matured])]);
  const [long, short, past] = learnt.map((sketch) => decisions.calibration(sketch));
  const maps = { long: long?.map ?? null, short: short?.map ?? null, past: past?.map ?? null };
  const basis = decisions.nowcastBasis(complete, completeRows);
  const nowcast = ({ lengthMs, tier }: TimedWindow, held: Sketch): Nowcast =>
    basis === null
      ? { expected: 0, metrics: [], undefined: UNCALIBRATED }
      : explained(decisions.nowcast({ span: spanTo(at, lengthMs), tier }, held, basis));
  return {
    labels: { long: long?.labels ?? 0, short: short?.labels ?? 0 },
    windows: windows.flatMap((window, i) => {
      const held = rows[i];
      return held === undefined
        ? []
        : [{ ...estimateWindow(window.name, held, maps), nowcast: nowcast(window, held.now) }];
    }),
    maps,
    rows,
  };
}

/** By metric; those without a value are left out. */
export function realisedIn(decisions: Decisions, span: Span): Map<string, number> {
  const found = realisedOf(decisions.rows(span, "coarse"));
  return new Map(
    CLASSIFIER_METRICS.flatMap((metric) => {
      const value = found[metric];
      return value === null ? [] : [[metric, value]];
    }),
  );
}

class BinaryTrack implements EstimateTrack {
  readonly #setup: TrackSetup;
  readonly #windows: readonly TimedWindow[];
  readonly #decisions: Decisions;

  constructor(setup: TrackSetup) {
    this.#setup = setup;
    const { spec, purse } = setup;
    this.#windows = estimatedWindows(spec);
    this.#decisions = new Decisions({
      probability: spec.scoreKind === "probability",
      keepMs: coarseKeepMs(spec),
      purse,
    });
  }

  count(row: CountedRow, sign: 1 | -1): boolean {
    const decision = this.#read(row);
    if (decision === null) return false;
    this.#decisions.count(row.prediction.ts, decision, sign);
    return true;
  }

  *answer(moment: Moment): InParts<TrackAnswer> {
    const { labels, windows } = yield* answerClass(this.#decisions, this.#windows, moment);
    return { labels, windows };
  }

  realised(span: Span): ReadonlyMap<string, number> {
    return realisedIn(this.#decisions, span);
  }

  archive(io: Archive): void {
    this.#decisions.archive(io);
  }

  release(): void {
    this.#decisions.release();
  }

  #read(row: CountedRow): Decision | null {
    const { prediction, truth } = row;
    const { spec } = this.#setup;
    const { score } = prediction;
    if (score === null || !Number.isFinite(score)) return null;
    if (spec.scoreKind === "probability" && (score < 0 || score > 1)) return null;
    const decided = decidesPositive(spec, prediction);
    const actual = truth === null ? null : canonicalClass(truth.value);
    if (actual === null || spec.classes?.includes(actual) === false)
      return { score, decided, actual: null, delayMs: null };
    return { score, decided, actual: actual === spec.positive, delayMs: delayOf(row) };
  }
}

export function createBinaryTrack(setup: TrackSetup): EstimateTrack {
  return new BinaryTrack(setup);
}
