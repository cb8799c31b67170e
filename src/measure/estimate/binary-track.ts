// Estimates for one version of a binary classifier with scores.

import type { Prediction, Value } from "../../facts/prediction.ts";
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
  calibrationThen,
  type CalibrationGap,
  coarseKeepMs,
  type EstimateError,
  estimatedWindows,
  type EstimateTrack,
  LONG_SPAN_MS,
  type MetricEstimate,
  type Moment,
  SHORT_SPAN_MS,
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

/** One window of one class against the rest. */
export function estimateWindow(window: string, rows: WindowRows, maps: Maps): WindowEstimates {
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

/** All windows of one class against the rest. */
export function answerClass(
  decisions: Decisions,
  windows: readonly TimedWindow[],
  moment: Moment,
): ClassAnswer {
  const { at, matured } = moment;
  decisions.advance(at);
  // Spans that end at the matured instant serve both as what is learnt from and as what is judged.
  const ended = new Map<number, Sketch>();
  const upToMatured = (lengthMs: number): Sketch => {
    const rows = ended.get(lengthMs) ?? decisions.rows(spanTo(matured, lengthMs), "coarse");
    ended.set(lengthMs, rows);
    return rows;
  };
  const learnt = [
    upToMatured(LONG_SPAN_MS),
    upToMatured(SHORT_SPAN_MS),
    decisions.rows(calibrationThen(moment), "coarse"),
  ];
  const rows = windows.map(({ lengthMs, tier }) => ({
    now: decisions.rows(spanTo(at, lengthMs), tier),
    matured: upToMatured(lengthMs),
  }));
  alignKeys([...learnt, ...rows.flatMap((one) => [one.now, one.matured])]);
  const [long, short, past] = learnt.map((sketch) => decisions.calibration(sketch));
  const maps = { long: long?.map ?? null, short: short?.map ?? null, past: past?.map ?? null };
  return {
    labels: { long: long?.labels ?? 0, short: short?.labels ?? 0 },
    windows: windows.map(({ name }, i) => {
      const held = rows[i];
      return held === undefined
        ? { window: name, predictions: 0, metrics: [], gaps: [], errors: [], undefined: UNCALIBRATED }
        : estimateWindow(name, held, maps);
    }),
    maps,
    rows,
  };
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

  count(row: { readonly prediction: Prediction; readonly truth: Value | null }, sign: 1 | -1): boolean {
    const decision = this.#read(row.prediction, row.truth);
    if (decision === null) return false;
    this.#decisions.count(row.prediction.ts, decision, sign);
    return true;
  }

  relabel(prediction: Prediction, before: Value | null, after: Value | null): void {
    this.count({ prediction, truth: before }, -1);
    this.count({ prediction, truth: after }, 1);
  }

  answer(moment: Moment): TrackAnswer {
    const { labels, windows } = answerClass(this.#decisions, this.#windows, moment);
    return { labels, windows };
  }

  release(): void {
    this.#decisions.release();
  }

  #read(prediction: Prediction, truth: Value | null): Decision | null {
    const { spec } = this.#setup;
    const { score } = prediction;
    if (score === null || !Number.isFinite(score)) return null;
    if (spec.scoreKind === "probability" && (score < 0 || score > 1)) return null;
    const decided = decidesPositive(spec, prediction);
    const actual = truth === null ? null : canonicalClass(truth);
    if (actual !== null && spec.classes?.includes(actual) === false) return { score, decided, actual: null };
    return { score, decided, actual: actual === null ? null : actual === spec.positive };
  }
}

export function createBinaryTrack(setup: TrackSetup): EstimateTrack {
  return new BinaryTrack(setup);
}
