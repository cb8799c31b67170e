// Layer B over the fleet: windows by the time of the prediction, exact whatever the number of replicas.

import { confusionRules, type Level, rankRules, sumBy } from "./class-rules.ts";
import { metricRules } from "./metric-rules.ts";
import type { Rule, RuleGroup } from "./rules.ts";

const level: Level = {
  by: ["job", "model", "version", "window", "basis"],
  nameOf: (metric, more = []) => `${["job_model_version_window", ...more].join("_")}:${metric}`,
  confusion: (matchers) => `outrider_window_confusion${matchers === "" ? "" : `{${matchers}}`}`,
  scores: (actual) => `outrider_window_score{actual="${actual}"}`,
  bound: "upper",
};

const { nameOf } = level;
const by = level.by.join(", ");
const pairs = nameOf("outrider_pairs:sum");
const predictions = nameOf("outrider_predictions:sum");
const squared = nameOf("outrider_squared_error:sum");
const labelMean = nameOf("outrider_label_mean");
const labelM2 = nameOf("outrider_label_m2");
const mse = nameOf("outrider_mse");
const scored = nameOf("outrider_scored_pairs:sum");
const absolute = (direction: string): string =>
  sumBy(level, `outrider_window_absolute_error${direction === "" ? "" : `{direction="${direction}"}`}`);

const counts: readonly Rule[] = [
  { record: predictions, expr: sumBy(level, "outrider_window_predictions") },
  { record: pairs, expr: sumBy(level, "outrider_window_pairs") },
  { record: nameOf("outrider_label_coverage"), expr: `${pairs} / (${predictions} > 0)` },
];

const regression: readonly Rule[] = [
  { record: squared, expr: sumBy(level, "outrider_window_squared_error") },
  { record: mse, expr: `${squared} / (${pairs} > 0)` },
  { record: nameOf("outrider_rmse"), expr: `sqrt(${mse})` },
  { record: nameOf("outrider_mae"), expr: `${absolute("")}\n/ (${pairs} > 0)` },
  {
    record: nameOf("outrider_bias"),
    expr: `(${absolute("over")}\n - ${absolute("under")})\n/ (${pairs} > 0)`,
  },
  {
    record: labelMean,
    expr:
      `${sumBy(level, "outrider_window_pairs * outrider_window_label_mean")}\n` +
      `/ (${sumBy(level, "outrider_window_pairs and outrider_window_label_mean")} > 0)`,
  },
  {
    // Within the replicas, and between them: large means do not cancel.
    record: labelM2,
    expr:
      `${sumBy(level, "outrider_window_label_m2")}\n+ sum by (${by}) (\n  outrider_window_pairs\n` +
      `  * (outrider_window_label_mean - on (${by}) group_left () ${labelMean}) ^ 2\n)`,
  },
  { record: nameOf("outrider_r2"), expr: `1 - ${squared} / (${labelM2} > 0)` },
];

const probabilities: readonly Rule[] = [
  { record: scored, expr: sumBy(level, "outrider_window_scored_pairs") },
  {
    record: nameOf("outrider_log_loss"),
    expr: `${sumBy(level, "outrider_window_log_loss")}\n/ (${scored} > 0)`,
  },
  {
    record: nameOf("outrider_brier"),
    expr: `${sumBy(level, "outrider_window_squared_score_error")}\n/ (${scored} > 0)`,
  },
];

export const windowGroup: RuleGroup = {
  name: "outrider-window",
  rules: [
    ...counts,
    ...regression,
    ...confusionRules(level),
    ...rankRules(level),
    ...probabilities,
    ...metricRules,
  ],
};
