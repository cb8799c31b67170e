// The ready-made quality gauges: what GET /v1/quality says, as series. What has no value has no series, and a series that says why.

import type { Group } from "../facts/group.ts";
import type { ModelSpec } from "../facts/model.ts";
import type { FurtherMetric, MetricName, ReadyMetric } from "../kernel/metric-names.ts";
import type { Recorder } from "./recorder.ts";
import type { Labels, NumberSeries } from "./snapshot.ts";

/** Which predictions of the window count: all, or those old enough for their label to be in. */
export type Basis = "all" | "matured";

export interface QualityGroup extends Group {
  /** Default "all". */
  readonly basis?: Basis;
  /** Share of the window's predictions that are labelled or past the label horizon. */
  readonly maturity?: number | null;
}

export interface QualityNeeds {
  /** Every group of every window, now. Groups of slices are left out here. */
  groups(): readonly QualityGroup[];
  specOf(model: string): ModelSpec | null;
}

/** Metric of a group -> family. `roc_auc` is the binary one. */
const GAUGES: ReadonlyMap<string, string> = new Map<ReadyMetric, string>([
  ["mse", "outrider_quality_mse"],
  ["rmse", "outrider_quality_rmse"],
  ["mae", "outrider_quality_mae"],
  ["r2", "outrider_quality_r2"],
  ["accuracy", "outrider_quality_accuracy_ratio"],
  ["precision", "outrider_quality_precision_ratio"],
  ["recall", "outrider_quality_recall_ratio"],
  ["f1", "outrider_quality_f1_ratio"],
  ["roc_auc", "outrider_quality_auc_ratio"],
]);
/** Material of a group that has a family of its own. */
const EXTRAS: ReadonlyMap<string, string> = new Map<FurtherMetric, string>([
  ["log_loss", "outrider_quality_log_loss"],
  ["brier", "outrider_quality_brier"],
  ["average_precision", "outrider_quality_average_precision_ratio"],
  ["balanced_accuracy", "outrider_quality_balanced_accuracy_ratio"],
  ["specificity", "outrider_quality_specificity_ratio"],
  ["prevalence", "outrider_quality_prevalence_ratio"],
  ["ece10", "outrider_quality_ece_ratio"],
  ["mape", "outrider_quality_mape_ratio"],
  ["wape", "outrider_quality_wape_ratio"],
  ["mcc", "outrider_quality_mcc"],
  ["medae", "outrider_quality_medae"],
  ["max_error", "outrider_quality_max_error"],
]);
/** Bounds of what is kept in buckets, as a group names them -> the metric as the series name it. */
const BOUNDS: ReadonlyMap<string, string> = new Map<string, MetricName>([
  ["roc_auc_bound", "roc_auc"],
  ["average_precision_bound", "average_precision"],
  ["medae_bound", "medae"],
  ["max_error_bound", "max_error"],
]);
/** The group's mean error is label minus prediction; bias says how much too much the model says. */
const MEAN_ERROR = "me";
const BIAS = "outrider_quality_bias";
const INTERVAL = "outrider_quality_interval";
const BOUND = "outrider_quality_bound";
const BASELINE = "outrider_quality_constant_baseline";
const BASELINE_BOUND = "outrider_quality_constant_baseline_bound";
const BASELINE_BOUNDED = /^(.+)_bound$/;
const MULTICLASS = "outrider_quality_multiclass_ratio";
const SAMPLES = "outrider_quality_samples";
const COVERAGE = "outrider_label_coverage_ratio";
const MATURITY = "outrider_label_maturity_ratio";
const UNDEFINED = "outrider_metric_undefined";
const AVERAGED = /^(.+)_(micro|macro|weighted)$/;

/** Registers itself with the recorder: the gauges are made when a snapshot is. */
export function createQualityMetrics(recorder: Recorder, needs: QualityNeeds): void {
  const families = [
    ...GAUGES.values(),
    ...EXTRAS.values(),
    BIAS,
    INTERVAL,
    BOUND,
    BASELINE,
    BASELINE_BOUND,
    MULTICLASS,
    SAMPLES,
    COVERAGE,
    MATURITY,
    UNDEFINED,
  ];
  recorder.onCollect(() => {
    const sheet = new Map<string, NumberSeries[]>(families.map((name) => [name, []]));
    for (const group of needs.groups()) {
      if (group.slice !== "") continue;
      write(sheet, group, needs.specOf(group.model)?.minSamples ?? 1);
    }
    for (const [name, series] of sheet) recorder.gauge(name).replace(series);
  });
}

type Sheet = ReadonlyMap<string, NumberSeries[]>;

function put(sheet: Sheet, name: string, series: { readonly labels: Labels; readonly value: unknown }): void {
  const { labels, value } = series;
  if (typeof value === "number") sheet.get(name)?.push({ labels, value });
}

function write(sheet: Sheet, group: QualityGroup, minSamples: number): void {
  const { model, version, window } = group;
  const labels = { model, version, window, basis: group.basis ?? "all" };
  // Behind is not without labels.
  if (labels.basis !== "all" || group.undefined["any"] !== "catching_up")
    put(sheet, SAMPLES, { labels, value: group.n_labeled });
  put(sheet, COVERAGE, { labels, value: group.coverage });
  // Said once: the maturity of a window does not depend on the basis.
  if (labels.basis === "all")
    put(sheet, MATURITY, { labels: { model, version, window }, value: group.maturity });
  for (const [metric, reason] of Object.entries(group.undefined)) {
    put(sheet, UNDEFINED, { labels: { ...labels, metric, reason }, value: 1 });
  }
  if (group.n_labeled > 0) writeFurtherReasons(sheet, labels, group.extra["undefined"]);
  // Below the configured number of samples a ready-made figure would only mislead.
  if (group.n_labeled < minSamples) return writeWithheld(sheet, labels, group);
  for (const [metric, value] of Object.entries(group.metrics)) writeMetric(sheet, labels, { metric, value });
  for (const [key, name] of EXTRAS) put(sheet, name, { labels, value: group.extra[key] });
  const meanError = group.extra[MEAN_ERROR];
  if (typeof meanError === "number") put(sheet, BIAS, { labels, value: negated(meanError) });
  for (const [key, metric] of BOUNDS)
    put(sheet, BOUND, { labels: { ...labels, metric }, value: group.extra[key] });
  writeIntervals(sheet, labels, group.intervals ?? {});
  for (const [name, value] of Object.entries(group.baseline ?? {})) {
    const [, bounded] = BASELINE_BOUNDED.exec(name) ?? [];
    const family = bounded === undefined ? BASELINE : BASELINE_BOUND;
    put(sheet, family, { labels: { ...labels, metric: bounded ?? seriesNameOf(name) }, value });
  }
}

/** What would have a gauge of its own, were there samples enough. */
function writeWithheld(sheet: Sheet, labels: Labels, { metrics, extra }: QualityGroup): void {
  const further = [...EXTRAS.keys(), MEAN_ERROR].map((name) => [name, extra[name]] as const);
  const ready = Object.entries(metrics).filter(([name]) => GAUGES.has(name) || AVERAGED.test(name));
  for (const [name, value] of [...ready, ...further]) {
    if (typeof value !== "number") continue;
    const metric = seriesNameOf(name);
    put(sheet, UNDEFINED, { labels: { ...labels, metric, reason: "below_min_samples" }, value: 1 });
  }
}

/** The label `metric` of a group's metric. */
const seriesNameOf = (name: string): string => (name === MEAN_ERROR ? "bias" : name);

/** Never -0, which some readers print. */
function negated(value: number): number {
  return value === 0 ? 0 : -value;
}

function writeFurtherReasons(sheet: Sheet, labels: Labels, reasons: unknown): void {
  if (typeof reasons !== "object" || reasons === null) return;
  for (const [name, reason] of Object.entries(reasons)) {
    const metric = seriesNameOf(name);
    if (typeof reason === "string")
      put(sheet, UNDEFINED, { labels: { ...labels, metric, reason }, value: 1 });
  }
}

function writeIntervals(sheet: Sheet, labels: Labels, intervals: NonNullable<Group["intervals"]>): void {
  for (const [name, interval] of Object.entries(intervals)) {
    if (interval === null) continue;
    const turned = name === MEAN_ERROR;
    const metric = seriesNameOf(name);
    const lower = turned ? negated(interval.upper) : interval.lower;
    const upper = turned ? negated(interval.lower) : interval.upper;
    put(sheet, INTERVAL, { labels: { ...labels, metric, bound: "lower" }, value: lower });
    put(sheet, INTERVAL, { labels: { ...labels, metric, bound: "upper" }, value: upper });
  }
}

function writeMetric(
  sheet: Sheet,
  labels: Labels,
  entry: { readonly metric: string; readonly value: number | null },
): void {
  const own = GAUGES.get(entry.metric);
  if (own !== undefined) return put(sheet, own, { labels, value: entry.value });
  const [, metric, average] = AVERAGED.exec(entry.metric) ?? [];
  if (metric === undefined || average === undefined) return;
  put(sheet, MULTICLASS, { labels: { ...labels, metric, average }, value: entry.value });
}
