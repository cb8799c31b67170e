// What both layers share: precision, recall and F1 per class from a confusion matrix, AUC from cumulative score buckets.

import type { Rule } from "./rules.ts";

/** One way to add up: which labels stay, how a rule of that level is called, and where the sums come from. */
export interface Level {
  readonly by: readonly string[];
  /** `nameOf("outrider_f1_macro")`; `more`: further labels that stay. */
  readonly nameOf: (metric: string, more?: readonly string[]) => string;
  /** The confusion matrix, with matchers like `correct="true"`. */
  readonly confusion: (matchers: string) => string;
  /** Cumulative counts of scores, as a selector with `actual="..."`. */
  readonly scores: (actual: "positive" | "negative") => string;
  /** The label that holds the upper bound of a score bucket. */
  readonly bound: "le" | "upper";
}

export const sumBy = (level: Level, expr: string, more: readonly string[] = []): string =>
  `sum by (${[...level.by, ...more].join(", ")}) (${expr})`;

export function confusionRules(level: Level): Rule[] {
  const all = sumBy(level, level.confusion(""));
  const perClass = (metric: string): string => level.nameOf(metric, ["class"]);
  const renamed = (matchers: string, label: string): string =>
    sumBy(
      level,
      `label_replace(${sumBy(level, level.confusion(matchers), [label])}, "class", "$1", "${label}", "(.*)")`,
      ["class"],
    );
  const [tp, actual, predicted] = ["true_positives", "actual", "predicted"].map((name) =>
    perClass(`outrider_${name}`),
  );
  return [
    {
      record: level.nameOf("outrider_accuracy"),
      expr: `(${sumBy(level, level.confusion('correct="true"'))}\n or ${all} * 0)\n/ (${all} > 0)`,
    },
    { record: `${actual}`, expr: renamed("", "actual") },
    { record: `${predicted}`, expr: renamed("", "predicted") },
    {
      // A class that was never hit has no cell of its own.
      record: `${tp}`,
      expr: `${renamed('correct="true"', "actual")}\nor (${actual} or ${predicted}) * 0`,
    },
    { record: perClass("outrider_precision"), expr: `${tp} / (${predicted} > 0)` },
    { record: perClass("outrider_recall"), expr: `${tp} / (${actual} > 0)` },
    {
      record: perClass("outrider_f1"),
      expr: `2 * ${tp}\n/ (((${predicted} or ${actual} * 0) + (${actual} or ${predicted} * 0)) > 0)`,
    },
    {
      record: level.nameOf("outrider_f1_macro"),
      expr: `avg by (${level.by.join(", ")}) (${perClass("outrider_f1")})`,
    },
  ];
}

/** Mann-Whitney over the buckets: a negative of a bucket loses to the positives above, half of those in it. */
export function rankRules(level: Level): Rule[] {
  const { bound, by } = level;
  const name = (metric: string): string => level.nameOf(metric, [bound]);
  const rules: Rule[] = [];
  for (const actual of ["positive", "negative"] as const) {
    const own = name(`outrider_score_${actual}`);
    rules.push({ record: own, expr: sumBy(level, level.scores(actual), [bound]) });
    rules.push({
      // The bucket below, looked up by its bound; 0 below the lowest.
      record: name(`outrider_score_${actual}_prev`),
      expr:
        `sum by (${[...by, bound].join(", ")}) (\n` +
        `  label_replace(${own}, "lower", "$1", "${bound}", "(.*)")\n` +
        `  * on (lower) group_left (${bound}) ${boundsBelow(bound)}\n` +
        `)\nor ${own} * 0`,
    });
  }
  const [positive, positivePrev, negative, negativePrev] = [
    "positive",
    "positive_prev",
    "negative",
    "negative_prev",
  ].map((each) => name(`outrider_score_${each}`));
  const total = (metric: string): string => `sum by (${by.join(", ")}) (${metric}{${bound}="+Inf"})`;
  const pairs = `(${total(`${positive}`)} * ${total(`${negative}`)} > 0)`;
  const inBucket = `(${negative} - ${negativePrev})`;
  return [
    ...rules,
    {
      record: level.nameOf("outrider_auc"),
      expr:
        `sum by (${by.join(", ")}) (\n  ${inBucket}\n` +
        `  * (-(${positive} + ${positivePrev}) / 2\n` +
        `     + on (${by.join(", ")}) group_left () ${total(`${positive}`)})\n)\n/ ${pairs}`,
    },
    {
      // The exact value lies within auc +- this.
      record: level.nameOf("outrider_auc_bound"),
      expr: `sum by (${by.join(", ")}) (\n  ${inBucket} * (${positive} - ${positivePrev})\n) / 2\n/ ${pairs}`,
    },
  ];
}

/** lower -> the bound above it, under the name that bounds have here. */
function boundsBelow(bound: "le" | "upper"): string {
  if (bound === "upper") return "max by (lower, upper) (outrider_score_bucket_info)";
  return 'max by (lower, le) (label_replace(outrider_score_bucket_info, "le", "$1", "upper", "(.*)"))';
}
