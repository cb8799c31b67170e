// The schema of one model: its task, how its predictions are read, how its quality is counted.

import * as z from "zod";
import { extract, match, version } from "./model-reading.ts";
import { BASELINE_MARGIN, BASELINE_METRICS } from "../kernel/metric-names.ts";
import { parseDuration } from "../kernel/units.ts";
import {
  classValue,
  duration,
  headerName,
  integer,
  jsonPath,
  name,
  oneOf,
  real,
  uniqueNames,
} from "./fields.ts";

const MODELS_MAX = 256;

const slice = z
  .strictObject({
    name: z
      .string({ error: "must be a name" })
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, {
        error: "must be letters, digits and _ (at most 64), not a digit first",
      })
      .describe("Name of the slice, e.g. region."),
    header: headerName().nullable().default(null).describe("Request header that holds its value."),
    body: jsonPath().nullable().default(null).describe("Path in the request body that holds its value."),
    maxValues: integer(1, 1000).default(20).describe("Different values kept apart; further ones are _OTHER."),
  })
  .refine((given) => (given.header === null) !== (given.body === null), {
    error: "needs exactly one of header and body",
  });

const WINDOW = 'must be "all" or a window of at least 1m such as "1h", "24h", "7d"';

const windows = z
  .array(
    z.string({ error: WINDOW }).refine((text) => text === "all" || (parseDuration(text) ?? 0) >= 60_000, {
      error: WINDOW,
    }),
    { error: 'must be a list of windows such as ["1h", "24h", "7d", "all"]' },
  )
  .min(1, { error: "must name at least one window" })
  .max(8, { error: "must be at most 8 windows" })
  .transform((given, context) => {
    const length = (window: string): number => parseDuration(window) ?? Number.POSITIVE_INFINITY;
    const sorted = given.toSorted((a, b) => (length(a) < length(b) ? -1 : length(a) > length(b) ? 1 : 0));
    if (new Set(sorted.map(length)).size === sorted.length) return sorted;
    context.addIssue({ code: "custom", message: "must not name one window twice" });
    return z.NEVER;
  });

const baselineMetric = (metric: (typeof BASELINE_METRICS)[number]) =>
  real().optional().describe(`${metric} the model had when it was approved.`);

const baselineMetrics = Object.fromEntries(
  BASELINE_METRICS.map((metric) => [metric, baselineMetric(metric)]),
);

const PERCENT = 'must be a share such as "10%" or 0.1';

const baseline = z
  .strictObject({
    ...baselineMetrics,
    margin: z
      .union([z.string(), z.number()], { error: PERCENT })
      .transform((given, context) => {
        const percent = typeof given === "string" ? /^(\d{1,3}(?:\.\d+)?)\s?%$/.exec(given.trim()) : null;
        const share = typeof given === "number" ? given : Number(percent?.[1] ?? "NaN") / 100;
        if (share >= 0 && share <= 1) return share;
        context.addIssue({ code: "custom", message: PERCENT });
        return z.NEVER;
      })
      .prefault(`${100 * BASELINE_MARGIN}%`)
      .describe("How much worse than the baseline is still fine, as a share of it."),
  })
  .transform(({ margin, ...given }) => {
    const metrics: Record<string, number> = {};
    for (const [metric, value] of Object.entries<unknown>(given)) {
      if (typeof value === "number") metrics[metric] = value;
    }
    return { metrics, margin };
  })
  .nullable()
  .default(null)
  .describe(
    "Quality that versions without a registered evaluation should keep, e.g. { rmse: 55.2, margin: 10% }; the margin holds for registered ones too.",
  );

const inputs = z
  .array(z.string({ error: "must be a name or a position" }).min(1).max(64), {
    error: 'must be a list of names or positions such as ["age", "3"]',
  })
  .max(64)
  .nullable()
  .default(null)
  .describe(
    "The inputs that are watched for drift when `capture.storeInputs` is on: names of columns, keys or tensors, or positions. Default: whatever comes first, up to 18.",
  );

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;
const instant = z.string().refine((text) => INSTANT.test(text) && Number.isFinite(Date.parse(text)), {
  error: "must be a time such as 2026-01-31T00:00:00Z",
});

const drift = z
  .strictObject({
    reference: z
      .union(
        [
          z.strictObject({
            rows: integer(30, 1_000_000).describe("The first whole hours of each version with so many rows."),
          }),
          z
            .strictObject({
              from: instant.describe("Begin of the span, RFC 3339."),
              to: instant.describe("End of the span, RFC 3339."),
            })
            .refine(({ from, to }) => Date.parse(from) < Date.parse(to), { error: "from must be before to" }),
        ],
        { error: "must be { rows: 1000 } or { from: 2026-01-01T00:00:00Z, to: 2026-01-08T00:00:00Z }" },
      )
      .nullable()
      .default(null)
      .describe(
        "What predictions, scores and inputs are compared with: { rows: 1000 }, or { from, to }. Default: the distributions registered with the version, else its first 1,000 rows.",
      ),
  })
  .prefault({})
  .describe("Drift of predictions, scores and captured inputs.");

const gate = z
  .strictObject({
    metric: oneOf(["error_rate", "mae", "mse", "log_loss", "brier"]).describe(
      "The loss compared: error_rate, mae, mse, log_loss or brier.",
    ),
    tolerance: real().describe("By how much the new version may be worse, in the metric's own unit."),
  })
  .nullable()
  .default(null)
  .describe(
    "A promotion to production is refused unless the comparison with the version in production shows it to be no worse than this.",
  );

const absentMeans = z
  .strictObject({
    value: z
      .union([z.string().max(256), z.number(), z.boolean()], { error: "must be a string, number or boolean" })
      .transform((given) => (typeof given === "boolean" ? Number(given) : given))
      .describe("The label that holds when none arrives."),
    after: duration({ min: 1000 }).describe("How long after the prediction."),
  })
  .transform(({ value, after }) => ({ value, afterMs: after }))
  .nullable()
  .default(null)
  .describe(
    "Silence is an answer: { value: 0, after: 30d }. Default: a prediction without a label stays unlabelled.",
  );

export const modelFields = z.strictObject({
  name: name().describe("Name of the model: the `model` label of its metrics."),
  task: oneOf(["auto", "regression", "binary", "multiclass"])
    .default("auto")
    .describe("regression, binary, multiclass; auto: as its predictions look."),
  classes: z
    .array(classValue(), { error: 'must be a list of classes such as ["0", "1"]' })
    .min(2, { error: "must name at least two classes" })
    .max(1000)
    .nullable()
    .default(null)
    .describe("The classes. binary: two, default 0 and 1. multiclass: default whatever occurs."),
  positive: classValue()
    .nullable()
    .default(null)
    .describe("The positive one of the two classes; 1 of 0 and 1."),
  threshold: real()
    .nullable()
    .default(null)
    .describe(
      "A score of at least this is the positive class. Default 0.5 for probabilities, 0 for margins.",
    ),
  scoreKind: oneOf(["probability", "margin"])
    .default("probability")
    .describe("Scores are probabilities from 0 to 1, or margins (any number)."),
  match,
  extract,
  version,
  slices: z
    .array(slice)
    .max(8, { error: "must be at most 8 slices" })
    .superRefine((given, context) => uniqueNames(given, { context, path: [] }))
    .prefault([])
    .describe("Quality also per value of these, e.g. [{ name: region, header: x-region }]."),
  windows: windows.prefault(["1h", "24h", "7d", "all"]).describe("Windows of the ready-made metrics."),
  labelHorizon: duration({ min: 1000 })
    .prefault("7d")
    .describe("How long a label is waited for; older predictions are mature."),
  absentMeans,
  minSamples: integer(1)
    .default(1)
    .describe("With fewer labelled predictions a ready-made gauge is left out."),
  labelOffset: real()
    .default(0)
    .describe("K of the arrival-time counters: near the mean of the labels. Equal on all replicas."),
  maxClasses: integer(2, 1000)
    .default(20)
    .describe("Classes kept apart in metrics; further ones are _OTHER."),
  baseline,
  gate,
  inputs,
  drift,
});

type Fields = z.output<typeof modelFields>;

/** Fills in what follows from the task; `checkTask` has said what does not fit. */
function settle(given: Fields) {
  const { labelHorizon, threshold, ...rest } = given;
  const binary = given.task === "binary";
  return {
    ...rest,
    classes: binary ? (given.classes ?? ["0", "1"]) : given.classes,
    positive: binary ? (given.positive ?? "1") : given.positive,
    threshold: threshold ?? (given.scoreKind === "margin" ? 0 : 0.5),
    labelHorizonMs: labelHorizon,
  };
}

export const models = z
  .array(modelFields.transform(settle))
  .max(MODELS_MAX)
  .superRefine((given, context) => uniqueNames(given, { context, path: [] }))
  .prefault([])
  .describe("What is known about the models. Without it, what they say decides.");
