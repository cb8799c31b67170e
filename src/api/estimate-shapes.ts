// The shapes of what is known before all labels are in: estimates, nowcasts, drift.

import * as z from "zod";

const count = z.int().nonnegative();
const time = z.string().describe("RFC 3339, UTC");
const reasons = z.record(z.string(), z.string());
const bound = z.number().nullable();
const bounded = z.object({
  value: z.number(),
  lower: bound,
  upper: bound.describe("95 % bounds of what will be realised; null: none can be given"),
});

const pairs = z.record(z.string(), z.object({ estimated: z.number(), realised: z.number() }));

export const estimatesAnswer = z.object({
  at: time,
  estimates: z.array(
    z.object({
      model: z.string(),
      version: z.string(),
      window: z.string(),
      n_predictions: count,
      labels: z
        .object({ "7d": count, "24h": count })
        .describe("settled labels behind the calibration, of the last seven days and of the last one"),
      estimated: z
        .record(z.string(), bounded)
        .describe("what the metric will probably be for all predictions, from their scores or values alone"),
      undefined: reasons.describe("why a metric has no estimate"),
      nowcast: z.object({
        expected_labels: z.number().describe("labels that are still expected"),
        metrics: z
          .record(z.string(), bounded)
          .describe(
            "what the metric will be when they are in: labelled predictions as they are, each other one by its chance",
          ),
        undefined: reasons.describe("why a metric has no nowcast"),
        errors: pairs.describe(
          "of the newest window, of those that ended with a whole hour, that has all its labels by now: what its nowcast said, and what they say",
        ),
      }),
      errors: pairs.describe("of the window of the same length that ended when labels had settled"),
      calibration_gap: z
        .record(z.string(), z.object({ value: z.number(), noise: z.number() }))
        .describe("estimate by the labels of the last settled day minus that by the last seven"),
    }),
  ),
});

const distances = z.object({
  psi: z.number(),
  psi_noise: z.number().describe("its mean without any drift"),
  jensen_shannon: z.number(),
  kolmogorov_smirnov: bound.describe("null for categories, as are the next three"),
  kolmogorov_smirnov_upper: bound,
  kolmogorov_smirnov_noise: bound,
  wasserstein: bound,
});

export const driftAnswer = z.object({
  at: time,
  versions: z.array(
    z.object({
      model: z.string(),
      version: z.string(),
      streams: z.array(
        z.object({
          stream: z.string().describe('prediction, score, class, confidence, or "input:" and a name'),
          reference: z.object({
            kind: z.enum(["first", "span", "registered"]),
            rows: count.describe("0: there is none yet"),
          }),
          windows: z.array(
            z.object({
              window: z.string(),
              rows: count,
              distances: distances.nullable(),
              reason: z.string().nullable().describe("why there are no distances"),
            }),
          ),
        }),
      ),
      alarms: z.array(
        z.object({
          detector: z.string(),
          direction: z.string().describe("up: the model has become worse"),
          alarms: count,
          last: time.nullable().describe("time of the prediction with which the last change was found"),
        }),
      ),
      behind_seconds: z
        .number()
        .describe("how much of what has settled the detectors have still to be shown"),
    }),
  ),
});

export type EstimatesView = z.output<typeof estimatesAnswer>;
export type DriftView = z.output<typeof driftAnswer>;

const text = z.string().min(1).max(512).optional();
export const estimatesQuery = z.strictObject({ model: text, version: text, window: text });
export const driftQuery = z.strictObject({ model: text, version: text });
