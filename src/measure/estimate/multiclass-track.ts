// Estimates for one version of a classifier of several classes: each class against the rest, put together.

import type { Archive } from "../../kernel/archive.ts";
import { canonicalClass } from "../../kernel/classes.ts";
import { answerClass, type ClassAnswer, realisedIn } from "./binary-track.ts";
import { Decisions } from "./decisions.ts";
import {
  type InParts,
  coarseKeepMs,
  type CountedRow,
  delayOf,
  type EstimateError,
  estimatedWindows,
  type EstimateTrack,
  type MetricEstimate,
  type Moment,
  type Nowcast,
  type Span,
  type TimedWindow,
  type TrackAnswer,
  type TrackSetup,
  type WindowEstimates,
} from "./track.ts";

/** With more classes nothing is estimated: it takes the panes of a binary model for each. */
const CLASSES_MAX = 10;
/** Metric -> the one that is averaged over the classes. */
const MACRO = new Map([
  ["precision_macro", "precision"],
  ["recall_macro", "recall"],
  ["f1_macro", "f1"],
  ["roc_auc_ovr_macro", "roc_auc"],
]);
const METRICS = ["accuracy", ...MACRO.keys()];

const whyNot = (reason: string): Record<string, string> =>
  Object.fromEntries(METRICS.map((metric) => [metric, reason]));

class MulticlassTrack implements EstimateTrack {
  readonly #setup: TrackSetup;
  readonly #windows: readonly TimedWindow[];
  readonly #classes: ReadonlyMap<string, Decisions>;

  constructor(setup: TrackSetup) {
    this.#setup = setup;
    const { spec, purse } = setup;
    this.#windows = estimatedWindows(spec);
    const names = spec.classes ?? [];
    const probability = spec.scoreKind === "probability";
    const keepMs = coarseKeepMs(spec);
    this.#classes = new Map(
      names.length > CLASSES_MAX
        ? []
        : names.map((name) => [name, new Decisions({ probability, keepMs, purse })]),
    );
  }

  count(row: CountedRow, sign: 1 | -1): boolean {
    const { value, scores, ts } = row.prediction;
    if (scores === null || value === null || this.#classes.size === 0) return false;
    const predicted = canonicalClass(value);
    const truth = row.truth === null ? null : canonicalClass(row.truth.value);
    const delayMs = delayOf(row);
    const usable = [...this.#classes.keys()].every((name) => this.#fits(scores[name]));
    if (!usable) return false;
    for (const [name, decisions] of this.#classes) {
      const actual = truth === null ? null : truth === name;
      decisions.count(ts, { score: scores[name] ?? 0, decided: predicted === name, actual, delayMs }, sign);
    }
    return true;
  }

  *answer(moment: Moment): InParts<TrackAnswer> {
    const answers: ClassAnswer[] = [];
    for (const each of this.#classes.values()) {
      answers.push(yield* answerClass(each, this.#windows, moment));
      yield;
    }
    const [first] = answers;
    return {
      labels: first?.labels ?? { long: 0, short: 0 },
      windows: this.#windows.map(({ name }, at) => {
        const each = answers.map(({ windows }) => windows[at]).filter((window) => window !== undefined);
        return together(name, each, answers);
      }),
    };
  }

  realised(span: Span): ReadonlyMap<string, number> {
    const each = [...this.#classes.values()].map((decisions) => realisedIn(decisions, span));
    return new Map(
      METRICS.flatMap((metric) => {
        const values = figuresOf(each, (of) => of.get(MACRO.get(metric) ?? metric));
        return values === null ? [] : [[metric, combined(metric, values)]];
      }),
    );
  }

  archive(io: Archive): void {
    for (const decisions of this.#classes.values()) decisions.archive(io);
  }

  release(): void {
    for (const decisions of this.#classes.values()) decisions.release();
  }

  #fits(score: number | undefined): boolean {
    if (score === undefined || !Number.isFinite(score)) return false;
    return this.#setup.spec.scoreKind === "margin" || (score >= 0 && score <= 1);
  }
}

/** A wrong row is wrong twice, for the class it has and for the one it was given; a right one never. */
function accuracyOf(accuracies: readonly number[]): number {
  const wrong = accuracies.reduce((sum, accuracy) => sum + (1 - accuracy), 0);
  return Math.min(1, Math.max(0, 1 - wrong / 2));
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const combined = (metric: string, values: readonly number[]): number =>
  metric === "accuracy" ? accuracyOf(values) : mean(values);

/** The classes' own figures of one metric; null unless every class has one. */
function figuresOf<C, T>(each: readonly C[], pick: (of: C) => T | undefined): T[] | null {
  const found = each.map(pick).filter((figure) => figure !== undefined);
  return found.length === each.length && found.length > 0 ? found : null;
}

function together(
  window: string,
  each: readonly WindowEstimates[],
  answers: readonly ClassAnswer[],
): WindowEstimates {
  const predictions = each[0]?.predictions ?? 0;
  if (answers.length === 0) {
    const nothing = { metrics: [], undefined: whyNot("classes") };
    return { window, predictions, gaps: [], errors: [], ...nothing, nowcast: { expected: 0, ...nothing } };
  }
  const calibrated = answers.every(({ maps }) => maps.long !== null);
  const metrics: MetricEstimate[] = [];
  const errors: EstimateError[] = [];
  const reasons: Record<string, string> = {};
  for (const metric of METRICS) {
    const of = MACRO.get(metric) ?? metric;
    const values = figuresOf(each, ({ metrics: own }) => own.find((one) => one.metric === of)?.value);
    if (values !== null) metrics.push({ metric, value: combined(metric, values), bounds: null });
    else reasons[metric] = calibrated ? "class_absent" : "calibration";
    const past = figuresOf(each, ({ errors: own }) => own.find((one) => one.metric === of));
    if (past === null) continue;
    errors.push({
      metric,
      estimated: combined(
        metric,
        past.map((one) => one.estimated),
      ),
      realised: combined(
        metric,
        past.map((one) => one.realised),
      ),
    });
  }
  return { window, predictions, metrics, gaps: [], errors, nowcast: nowcastOf(each), undefined: reasons };
}

/** The expected labels are the same for every class. */
function nowcastOf(each: readonly WindowEstimates[]): Nowcast {
  const metrics: MetricEstimate[] = [];
  const reasons: Record<string, string> = {};
  const uncalibrated = each.some(({ nowcast }) => nowcast.undefined["accuracy"] === "calibration");
  for (const metric of METRICS) {
    const of = MACRO.get(metric) ?? metric;
    const values = figuresOf(each, ({ nowcast }) => nowcast.metrics.find((one) => one.metric === of)?.value);
    if (values !== null) metrics.push({ metric, value: combined(metric, values), bounds: null });
    else reasons[metric] = uncalibrated ? "calibration" : "class_absent";
  }
  const expected = mean(each.map(({ nowcast }) => nowcast.expected));
  return { expected, metrics, undefined: reasons };
}

export function createMulticlassTrack(setup: TrackSetup): EstimateTrack {
  return new MulticlassTrack(setup);
}
