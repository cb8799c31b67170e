// Metrics of several classes with their intervals and baselines, from the confusion matrix, the losses and the scores in order.

import type { MetricInterval } from "../facts/group.ts";
import {
  averagedScores,
  balancedAccuracy,
  type ClassCounts,
  classCounts,
  type Confusion,
  matthewsOf,
} from "./averages.ts";
import { entropy } from "./baselines.ts";
import { averageIntervals, matthewsInterval } from "./confusion-delta.ts";
import { shareInterval } from "./intervals.ts";
import { lossInterval, type LossSums } from "./loss-sums.ts";
import { type ClassAreas, classAreas, type ClassColumns } from "./multiclass-auc.ts";
import type { Baseline, Evaluation } from "./totals.ts";
import { wilson } from "./wilson.ts";

/** With more classes no AUC is computed: it takes one histogram per class with one count per class. */
export const AUC_CLASSES_MAX = 40;

const AVERAGES = ["micro", "macro", "weighted"];
const METRICS = [
  "accuracy",
  ...["precision", "recall", "f1"].flatMap((name) => AVERAGES.map((average) => `${name}_${average}`)),
];
const AREAS = [
  "roc_auc_ovr_macro",
  "roc_auc_ovr_weighted",
  "roc_auc_ovo_macro",
  "roc_auc_ovo_weighted",
] as const;
const OVO = /_ovo_/;
const FURTHER = ["balanced_accuracy", "mcc"];
const OF_SCORES = ["log_loss", "brier"];

type Reasons = Record<string, string>;

export interface MulticlassRows {
  readonly rows: number;
  /** By name, so that sums over it do not depend on the order of arrival. */
  readonly confusion: Confusion;
  /** Rows that have scores of all configured classes and a label among them. */
  readonly scored: number;
  /** The configured classes, in the order of the scores. */
  readonly classes: readonly string[];
  readonly columns: readonly ClassColumns[] | null;
  /** null: the scores are no probabilities. */
  readonly losses: { readonly logLoss: LossSums; readonly brier: LossSums } | null;
}

const every = (names: readonly string[], reason: string): Reasons =>
  Object.fromEntries(names.map((name) => [name, reason]));

export function evaluateMulticlass(of: MulticlassRows): Evaluation {
  const { rows, confusion } = of;
  if (rows === 0) return nothing();
  const counts = classCounts(confusion);
  let hits = 0;
  for (const each of counts.values()) hits += each.hits;
  const reasons: Reasons = {};
  const further: Reasons = {};
  const extra: Record<string, unknown> = {
    balanced_accuracy: balancedAccuracy(counts.values()),
    accuracy_ci: wilson(hits, rows),
    classes_present: counts.size,
  };
  const intervals: Record<string, MetricInterval | null> = {};
  const accuracy = shareInterval(hits, rows);
  for (const name of ["accuracy", "precision_micro", "recall_micro", "f1_micro"]) intervals[name] = accuracy;
  Object.assign(intervals, averageIntervals({ confusion, classes: counts, rows }));
  const matthews = matthewsInterval({ confusion, classes: counts, rows });
  if (matthews === null) further["mcc"] = oneLabelled(counts) ? "single_class" : "single_predicted_class";
  else {
    extra["mcc"] = matthewsOf(counts.values(), rows);
    intervals["mcc"] = matthews;
  }
  addLosses(of, { extra, intervals, further });
  const areas = of.columns === null ? null : classAreas(of.columns);
  explainAreas(of, areas, reasons);
  const found = areas !== null && areas.present >= 2 ? areas : null;
  if (areas !== null) {
    extra["roc_auc_ovr"] = Object.fromEntries(of.classes.map((name, i) => [name, areas.perClass[i] ?? null]));
    extra["roc_auc_ovr_ci"] = Object.fromEntries(
      of.classes.map((name, i) => [name, areas.perClassBounds[i] ?? null]),
    );
    if (areas.bound > 0) extra["roc_auc_bound"] = areas.bound;
    if (found !== null) Object.assign(intervals, areas.intervals);
  }
  extra["per_class"] = perClass(counts.values());
  extra["undefined"] = further;
  return {
    metrics: {
      ...averagedScores(counts.values(), rows),
      ...Object.fromEntries(AREAS.map((name) => [name, found?.[name] ?? null])),
    },
    undefined: reasons,
    confusion: Object.fromEntries([...confusion].map(([name, row]) => [name, Object.fromEntries(row)])),
    extra,
    intervals,
    baseline: baseline(of, counts, found),
  };
}

function nothing(): Evaluation {
  const names = [...METRICS, ...AREAS];
  return {
    metrics: Object.fromEntries(names.map((name) => [name, null])),
    undefined: every(names, "no_labels"),
    confusion: {},
    extra: { undefined: every([...FURTHER, ...OF_SCORES], "no_labels") },
    intervals: {},
    baseline: {},
  };
}

function oneLabelled(counts: ReadonlyMap<string, ClassCounts>): boolean {
  let labelled = 0;
  for (const { actual } of counts.values()) if (actual > 0) labelled++;
  return labelled < 2;
}

function addLosses(
  { scored, losses }: MulticlassRows,
  into: {
    readonly extra: Record<string, unknown>;
    readonly intervals: Record<string, MetricInterval | null>;
    readonly further: Reasons;
  },
): void {
  if (scored === 0 || losses === null) {
    Object.assign(into.further, every(OF_SCORES, scored === 0 ? "no_scores" : "no_probabilities"));
    return;
  }
  into.extra["log_loss"] = losses.logLoss.mean(scored);
  into.extra["brier"] = losses.brier.mean(scored);
  into.intervals["log_loss"] = lossInterval(losses.logLoss, scored);
  into.intervals["brier"] = lossInterval(losses.brier, scored);
}

function explainAreas({ classes }: MulticlassRows, areas: ClassAreas | null, reasons: Reasons): void {
  for (const name of AREAS) {
    if (areas === null) reasons[name] = classes.length > AUC_CLASSES_MAX ? "too_many_classes" : "no_scores";
    else if (areas.present < 2) reasons[name] = "single_class";
    else if (areas[name] === null) reasons[name] = OVO.test(name) ? "too_many_classes" : "class_absent";
  }
}

/** Precision, recall and F1 of each class that occurs; undefined ones are null. */
function perClass(counts: Iterable<ClassCounts>): Readonly<Record<string, unknown>> {
  const ratio = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);
  const entries = Array.from(counts, ({ name, hits, actual, predicted }) => {
    const figures = {
      support: actual,
      predicted,
      precision: ratio(hits, predicted),
      recall: ratio(hits, actual),
      f1: ratio(2 * hits, predicted + actual),
      precision_ci: wilson(hits, predicted),
      recall_ci: wilson(hits, actual),
    };
    return [name, figures] as const;
  });
  return Object.fromEntries(entries);
}

/** The largest class for what counts hits, the shares of the classes as scores for losses. */
function baseline(
  { scored, classes, columns, losses }: MulticlassRows,
  counts: ReadonlyMap<string, ClassCounts>,
  areas: ClassAreas | null,
): Baseline {
  let [rows, largest, labelled] = [0, 0, 0];
  for (const { actual } of counts.values()) {
    rows += actual;
    largest = Math.max(largest, actual);
    if (actual > 0) labelled++;
  }
  const share = largest / rows;
  const f1 = (2 * share) / (1 + share);
  const found: Record<string, number | null> = {
    accuracy: share,
    precision_micro: share,
    recall_micro: share,
    f1_micro: share,
    precision_macro: share / labelled,
    recall_macro: 1 / labelled,
    f1_macro: f1 / labelled,
    precision_weighted: share * share,
    recall_weighted: share,
    f1_weighted: share * f1,
    balanced_accuracy: 1 / labelled,
    mcc: labelled > 1 ? 0 : null,
  };
  if (areas !== null) for (const name of AREAS) found[name] = areas[name] === null ? null : 0.5;
  if (scored === 0 || losses === null || columns === null) return found;
  // Of the rows with scores only: others have no loss.
  const support = (columns[0]?.counts ?? []).map((column) => column.reduce((sum, count) => sum + count, 0));
  const shares = classes.map((_, i) => (support[i] ?? 0) / scored);
  return {
    ...found,
    log_loss: entropy(shares),
    brier: 1 - shares.reduce((sum, each) => sum + each * each, 0),
  };
}
