// Layer A over the fleet: quality of the labels that came in within the last hour, day, ... from counters.

import { confusionRules, type Level, rankRules, sumBy } from "./class-rules.ts";
import type { Rule, RuleGroup } from "./rules.ts";

/** Ranges, and how often they are worth computing. */
const RANGES = [
  { range: "1h" },
  { range: "6h" },
  { range: "1d", interval: "5m" },
  { range: "7d", interval: "5m" },
] as const;

function levelOf(range: string): Level {
  return {
    by: ["job", "model", "version"],
    nameOf: (metric, more = []) => `${["job_model_version", ...more].join("_")}:${metric}:${range}`,
    // Sums of increases, never increases of sums: a restart of one replica must not look like one of the fleet.
    confusion: (matchers) =>
      `increase(outrider_classification_pairs_total${matchers === "" ? "" : `{${matchers}}`}[${range}])`,
    scores: (actual) => `increase(outrider_classification_score_bucket{actual="${actual}"}[${range}])`,
    bound: "le",
  };
}

function regressionRules(level: Level, range: string): Rule[] {
  const { nameOf } = level;
  const grown = (counter: string, matchers = ""): string =>
    sumBy(level, `increase(outrider_regression_${counter}_total${matchers}[${range}])`);
  const pairs = nameOf("outrider_regression_pairs");
  const sse = nameOf("outrider_regression_sse");
  const mse = nameOf("outrider_mse");
  const labelSum = nameOf("outrider_regression_label_sum");
  const sst = nameOf("outrider_regression_sst");
  return [
    { record: pairs, expr: grown("pairs") },
    { record: sse, expr: grown("squared_error") },
    { record: mse, expr: `${sse} / (${pairs} > 0)` },
    { record: nameOf("outrider_rmse"), expr: `sqrt(${mse})` },
    { record: nameOf("outrider_mae"), expr: `${grown("absolute_error")}\n/ (${pairs} > 0)` },
    {
      record: nameOf("outrider_bias"),
      expr:
        `(${grown("absolute_error", '{direction="over"}')}\n` +
        ` - ${grown("absolute_error", '{direction="under"}')})\n/ (${pairs} > 0)`,
    },
    {
      record: labelSum,
      expr:
        `${grown("label_deviation", '{sign="positive"}')}\n` +
        `- ${grown("label_deviation", '{sign="negative"}')}`,
    },
    {
      record: sst,
      expr: `clamp_min(\n  ${grown("label_squared_deviation")}\n  - ${labelSum} ^ 2 / (${pairs} > 0), 0)`,
    },
    { record: nameOf("outrider_r2"), expr: `1 - ${sse} / (${sst} > 0)` },
  ];
}

function probabilityRules(level: Level, range: string): Rule[] {
  const { nameOf } = level;
  const scored = nameOf("outrider_scored_pairs");
  const grown = (counter: string): string =>
    sumBy(level, `increase(outrider_classification_${counter}_total[${range}])`);
  return [
    {
      // Of several classes every pair is taken to have scores.
      record: scored,
      expr:
        `${sumBy(level, `increase(outrider_classification_score_bucket{le="+Inf"}[${range}])`)}\n` +
        `or ${grown("pairs")}`,
    },
    { record: nameOf("outrider_log_loss"), expr: `${grown("log_loss")}\n/ (${scored} > 0)` },
    { record: nameOf("outrider_brier"), expr: `${grown("squared_score_error")}\n/ (${scored} > 0)` },
  ];
}

export const arrivalGroups: readonly RuleGroup[] = RANGES.map(({ range, ...times }) => {
  const level = levelOf(range);
  return {
    name: `outrider-arrival-${range}`,
    ...times,
    rules: [
      ...regressionRules(level, range),
      ...confusionRules(level),
      ...rankRules(level),
      ...probabilityRules(level, range),
    ],
  };
});
