// The metrics of a group under their one name each (scikit-learn's, where it has one), and which are better when smaller.

/** Metrics with a ready-made gauge each. */
export const READY_METRICS = [
  "mse",
  "rmse",
  "mae",
  "r2",
  "accuracy",
  "precision",
  "recall",
  "f1",
  "roc_auc",
] as const;
export type ReadyMetric = (typeof READY_METRICS)[number];

/** Further figures of a group that have a gauge each. */
export const FURTHER_METRICS = [
  "log_loss",
  "brier",
  "average_precision",
  "balanced_accuracy",
  "specificity",
  "prevalence",
  "ece10",
  "mape",
  "wape",
  "mcc",
  "medae",
  "max_error",
] as const;
export type FurtherMetric = (typeof FURTHER_METRICS)[number];

/** What several classes are summed up to. */
export type AveragedMetric =
  | `${"precision" | "recall" | "f1"}_${"micro" | "macro" | "weighted"}`
  | `roc_auc_${"ovr" | "ovo"}_${"macro" | "weighted"}`;

export type MetricName = ReadyMetric | FurtherMetric | AveragedMetric;

/** What a model's baseline may name. */
export const BASELINE_METRICS = [
  ...READY_METRICS,
  "f1_macro",
  "f1_micro",
  "f1_weighted",
] as const satisfies readonly MetricName[];

/** How much worse than its baseline a metric may be unless a model says otherwise, as a share of it. */
export const BASELINE_MARGIN = 0.1;

const LOSSES: ReadonlySet<string> = new Set<MetricName | "ece">([
  "mse",
  "rmse",
  "mae",
  "medae",
  "mape",
  "wape",
  "max_error",
  "log_loss",
  "brier",
  "ece",
  "ece10",
]);

/** Losses and errors are better when smaller, all others when greater. */
export function isLoss(metric: string): boolean {
  return LOSSES.has(metric);
}
