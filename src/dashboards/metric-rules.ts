// Quality by the label `metric`, so that one expression can hold any metric against its baseline or against another version.

import { isLoss, type MetricName } from "../kernel/metric-names.ts";
import type { Rule } from "./rules.ts";

const LEVEL = "job_model_version_window";
const BY = "job, model, version, window, basis";

/** Metric -> the recording that is exact over replicas. */
const EXACT: readonly (readonly [metric: MetricName, record: string])[] = [
  ["accuracy", "accuracy"],
  ["roc_auc", "auc"],
  ["f1_macro", "f1_macro"],
  ["r2", "r2"],
  ["mse", "mse"],
  ["rmse", "rmse"],
  ["mae", "mae"],
  ["log_loss", "log_loss"],
  ["brier", "brier"],
];

/** Metrics that need to know the positive class: of several replicas the mean, weighted by their samples. */
const WEIGHTED: readonly (readonly [metric: MetricName, selector: string])[] = [
  ["precision", "outrider_quality_precision_ratio"],
  ["recall", "outrider_quality_recall_ratio"],
  ["f1", "outrider_quality_f1_ratio"],
  ["f1_micro", 'outrider_quality_multiclass_ratio{metric="f1",average="micro"}'],
  ["f1_weighted", 'outrider_quality_multiclass_ratio{metric="f1",average="weighted"}'],
];

export const FLEET_METRICS: readonly MetricName[] = [...EXACT, ...WEIGHTED].map(([metric]) => metric);
export const LOSSES = FLEET_METRICS.filter(isLoss).join("|");

const QUALITY = `${LEVEL}_metric:outrider_quality`;
const BASELINE = "job_model_version_metric:outrider_baseline";
const GAP = `${LEVEL}_metric:outrider_baseline_gap`;

export const names = { quality: QUALITY, baseline: BASELINE, gap: GAP, pairs: `${LEVEL}:outrider_pairs:sum` };

const named = (expr: string, metric: string): string =>
  `label_replace(${expr}, "metric", "${metric}", "", "")`;

function weighted(selector: string): string {
  const on = "on (job, instance, model, version, window, basis)";
  return (
    `sum by (${BY}) (${selector} * ${on} group_left () outrider_quality_samples)\n` +
    `/ (sum by (${BY}) (outrider_quality_samples and ${on} ${selector}) > 0)`
  );
}

/** Behind the recordings of the same group that they read. */
export const metricRules: readonly Rule[] = [
  {
    record: QUALITY,
    expr: [
      ...EXACT.map(([metric, record]) => named(`${LEVEL}:outrider_${record}`, metric)),
      ...WEIGHTED.map(([metric, selector]) => named(weighted(selector), metric)),
    ].join("\nor "),
  },
  { record: BASELINE, expr: `max by (job, model, version, metric) (outrider_quality_baseline)` },
  {
    // Positive: worse than the baseline, whichever way the metric counts.
    record: GAP,
    expr:
      `(${QUALITY}{metric=~"${LOSSES}"}\n - on (job, model, version, metric) group_left () ${BASELINE})\n` +
      `or -(${QUALITY}{metric!~"${LOSSES}"}\n - on (job, model, version, metric) group_left () ${BASELINE})`,
  },
];
