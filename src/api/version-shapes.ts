// Shapes of the calls about the version ledger: what may be sent, and what is answered.

import { z } from "zod";

const time = z.iso.datetime().describe("RFC 3339, UTC");
const stage = z.enum(["none", "staging", "production", "archived"]);
const plain = (text: string): boolean => text.isWellFormed() && !/\p{Cc}/u.test(text);
const actor = z
  .string()
  .min(1)
  .max(256)
  .refine(plain, { error: "must not hold control characters" })
  .optional()
  .describe("who decides; default: the name of the token, else api");
const reason = z.string().max(4096).nullable().default(null);
const versionName = z
  .string()
  .min(1)
  .max(128)
  .refine(plain, { error: "must not hold control characters" })
  .describe("semver, a timestamp, any text: unique within the model");
const ifCurrent = versionName
  .nullable()
  .optional()
  .describe("compare and set: the version that must be in production now; null: none may be");

const MAP_MAX = 1000;
const small = <T extends z.ZodType>(record: z.ZodRecord<z.ZodString, T>): z.ZodRecord<z.ZodString, T> =>
  record.refine((given) => Object.keys(given).length <= MAP_MAX, {
    error: `has more than ${MAP_MAX} entries`,
  });
const key = z.string().max(256);

export const registerBody = z.strictObject({
  version: versionName,
  artifact: z
    .strictObject({
      uri: z.string().min(1).max(4096),
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/i, { error: "must be 64 hex digits" })
        .nullable()
        .default(null),
    })
    .nullable()
    .default(null)
    .describe("where the trained artifact is, and its digest"),
  trainingData: z.unknown().default(null).describe("any JSON: where the data is, its digest, its span"),
  parameters: small(z.record(key, z.unknown())).default({}),
  evaluation: small(z.record(key, z.number()))
    .default({})
    .describe("metric (scikit-learn's name) -> value on the evaluation data: the version's baseline"),
  tags: small(z.record(key, z.string().max(4096))).default({}),
  description: z.string().max(65_536).nullable().default(null),
  actor,
});

export const promoteBody = z.strictObject({
  stage: z.enum(["staging", "production", "archived"]),
  actor,
  reason,
  ifCurrent,
});

export const rollbackBody = z.strictObject({
  actor,
  reason,
  ifCurrent,
  to: z
    .enum(["previous", "good"])
    .default("previous")
    .describe("good: the last production version whose quality was good when it was left"),
});

export const decisionAnswer = z.object({
  model: z.string(),
  version: z.string(),
  stage,
  registered: z.boolean(),
  since: time,
  changed: z.boolean().describe("false: it was so already, or is pending"),
  pending: z
    .boolean()
    .describe(
      "true: asked of the registry that decides; it holds, and is in the history, when read back from there",
    ),
  production: z.string().nullable().describe("the version in production after this call"),
});

const qualityThen = z.array(
  z.object({
    window: z.string(),
    basis: z.enum(["all", "matured"]),
    n_predictions: z.number(),
    n_labeled: z.number(),
    coverage: z.number().nullable(),
    metrics: z.record(z.string(), z.number().nullable()),
  }),
);

export const historyAnswer = z.object({
  model: z.string(),
  history: z
    .array(
      z.object({
        seq: z.int(),
        at: time,
        actor: z.string().describe("who decided, as told by the caller"),
        via: z
          .string()
          .nullable()
          .describe("how it came: api, token:<name of the token that was shown>, registry, traffic"),
        action: z.enum(["registered", "unregistered", "promoted", "archived", "rolled_back"]),
        version: z.string(),
        from: stage,
        to: stage,
        reason: z.string().nullable(),
        quality: qualityThen.nullable(),
      }),
    )
    .describe("oldest first; the newest 1,000, older ones by ?before=<seq>"),
});

export const historyQuery = z.strictObject({
  before: z.coerce.number().int().min(1).optional().describe("only events of a smaller seq"),
});

export const productionAnswer = z.object({
  model: z.string(),
  at: time,
  version: z.string().nullable(),
  since: time.nullable(),
});

export const productionQuery = z.strictObject({
  at: z.iso.datetime({ offset: true }).optional().describe("RFC 3339; default: now"),
});

export const registriesAnswer = z.object({
  model: z.string(),
  registries: z.array(
    z.object({
      registry: z.string(),
      declared: z.string().nullable(),
      checkedAt: time.nullable(),
      trouble: z.string().nullable().describe("why the last look, or the last write, failed"),
      quality: z.object({
        state: z.enum(["ok", "none", "unsupported", "failed"]),
        message: z.string().nullable(),
        rows: z
          .array(z.object({ version: z.string(), name: z.string(), value: z.number(), count: z.number() }))
          .describe("means of what it was sent, by version"),
      }),
    }),
  ),
});
