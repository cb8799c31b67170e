// The shapes of the API's answers, once: the OpenAPI document is made from them and the tests hold real answers against them.

import { z } from "zod";

const time = z.iso.datetime().describe("RFC 3339, UTC");
const count = z.int().min(0);
const value = z.union([z.number(), z.string()]);
const label = z.union([value, z.null(), z.array(value.nullable())]).describe("null: retracted");
const absent = z.literal(true).optional().describe("nobody said it: silence stands for this value");
const state = z.enum(["current", "superseded", "waiting", "invalid"]);

const labelError = z.object({
  line: z
    .int()
    .describe("line of the body, or index in the JSON array; from 1. CSV: the line on which the record ends"),
  code: z.string(),
  message: z.string(),
});

export const labelsAnswer = z.object({
  received: count,
  joined: count,
  waiting: count,
  duplicate: count,
  corrected: count,
  stale: count,
  retracted: count,
  rejected: count,
  errors: z.array(labelError).max(100).describe("the first 100"),
});

const given = z.union([z.number(), z.string().max(1024), z.boolean(), z.null()]);
export const labelSent = z.object({
  id: z.string().min(1).max(512).describe("prediction id, <id>:<row>, or an alias"),
  label: z
    .union([given, z.array(given).min(1).max(10_000)])
    .describe(
      "the truth; true and false are the classes 1 and 0; null retracts; an array labels all rows of the answer",
    ),
  model: z.string().max(256).nullish().describe("needed only when several models know the id"),
  ts: z
    .union([z.iso.datetime({ offset: true }), z.int().min(0)])
    .nullish()
    .describe("when the label was established: RFC 3339 or Unix milliseconds; default now"),
});

export const predictionAnswer = z.object({
  id: z.string(),
  aliases: z.array(z.string()),
  model: z.string(),
  version: z.string(),
  slice: z.record(z.string(), z.string()).nullable(),
  ts: time,
  prediction: value.nullable(),
  score: z.number().nullable(),
  scores: z.record(z.string(), z.number()).nullable(),
  traceId: z.string().nullable(),
  exchange: z
    .object({
      method: z.string(),
      route: z.string(),
      status: z.int().nullable(),
      durationMs: z.number(),
      ttfbMs: z.number().nullable(),
    })
    .nullable(),
  labels: z.array(z.object({ label, ts: time, receivedAt: time, state, absent })),
  registered: z.boolean(),
  links: z.object({ version: z.string(), labels: z.string() }).describe("paths of what belongs to it"),
  others: z
    .array(z.object({ version: z.string(), ts: time }))
    .describe("other versions of the same model that know the id; ask with ?version="),
});

export const labelHistoryAnswer = z.object({
  id: z.string(),
  labels: z.array(
    z.object({
      id: z.string(),
      model: z.string().nullable(),
      label,
      ts: time,
      receivedAt: time,
      state,
      absent,
    }),
  ),
});

const group = z.looseObject({
  model: z.string(),
  version: z.string(),
  slice: z.string().describe('"" or "name=value"'),
  window: z.string(),
  n_predictions: count,
  n_labeled: count,
  coverage: z.number().nullable(),
  basis: z.string().optional(),
  maturity: z.number().nullable().optional(),
  approximate: z
    .boolean()
    .optional()
    .describe(
      "scores, errors or labels are counted in buckets: areas, medians, baselines and intervals follow from those",
    ),
  metrics: z.record(z.string(), z.number().nullable()),
  undefined: z.record(z.string(), z.string()).describe("why a metric is null"),
  confusion: z.record(z.string(), z.unknown()).optional(),
  extra: z.record(z.string(), z.unknown()).describe("further metrics; `undefined` says why some are missing"),
  intervals: z
    .record(
      z.string(),
      z
        .object({
          lower: z.number(),
          upper: z.number(),
          level: z.literal(0.95),
          method: z.string(),
          flag: z
            .literal("kurtosis")
            .optional()
            .describe("errors with such heavy tails that the interval is too narrow"),
        })
        .nullable(),
    )
    .optional()
    .describe("95 % confidence intervals by metric; null: none can be given"),
  baseline: z
    .record(z.string(), z.number().nullable())
    .optional()
    .describe("what the best constant prediction would score on the same labels"),
});

export const qualityAnswer = z.object({ at: time, groups: z.array(group) });

const bound = z.number().nullable();
export const comparisonAnswer = z.object({
  at: time,
  model: z.string(),
  baseline: z.string(),
  candidate: z.string(),
  countedUntil: time
    .nullable()
    .describe("predictions up to here are counted; younger ones wait for their labels"),
  metrics: z.array(
    z.object({
      metric: z.string(),
      difference: bound.describe("candidate minus baseline"),
      lower: bound,
      upper: bound.describe(
        "95 % bounds of the difference; null while there are fewer than 100 rows of each",
      ),
      interval: z
        .enum(["always-valid", "fixed-horizon"])
        .describe(
          "always-valid: holds however often one looks. fixed-horizon: holds for one look at a time set beforehand, no verdict follows",
        ),
      p: bound.describe("smallest p-value so far; null for descriptive metrics"),
      rows: z.object({ baseline: count, candidate: count }),
      paired: z.boolean().describe("both versions answered the same requests: compared request by request"),
      verdict: z.enum(["better", "worse", "undecided"]).describe("of the candidate"),
    }),
  ),
});

const modelVersion = z.object({
  version: z.string(),
  firstSeen: time.nullable(),
  lastSeen: time.nullable(),
  predictions: count,
  labels: count,
  registered: z.boolean().describe("false: seen in traffic only"),
  stage: z.enum(["none", "staging", "production", "archived"]).nullable(),
  metadata: z.unknown().describe("what was registered; null: nothing"),
  registries: z
    .array(
      z.object({
        registry: z.string(),
        status: z.string().nullable(),
        description: z.string().nullable(),
        tags: z.record(z.string(), z.string()),
        checkedAt: time,
      }),
    )
    .describe("what the registries know of it, as of their last list"),
});
const measuredVersion = modelVersion.extend({ quality: z.array(group) });

export const modelsAnswer = z.object({
  models: z.array(z.object({ name: z.string(), task: z.string(), versions: z.array(modelVersion) })),
});
export const versionsAnswer = z.object({
  model: z.string(),
  task: z.string(),
  versions: z.array(measuredVersion),
});
export const versionAnswer = measuredVersion.extend({ model: z.string(), task: z.string() });

export const problemAnswer = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string().describe("stable; programs decide by it"),
  detail: z.string(),
});

const text = z.string().min(1).max(512).optional();
export const narrowing = z.strictObject({ model: text, version: text });
export const ofModel = z.strictObject({ model: text });
export const comparisonQuery = z.strictObject({
  model: text.describe("may be left out when there is only one"),
  baseline: text.describe("default: the one in production, else the version before the candidate"),
  candidate: text.describe("default: the newest version"),
});
export const qualityQuery = z.strictObject({
  model: text,
  version: text,
  window: text.describe("1h, 24h, 7d, all: the configured windows"),
  slice: text.describe('"name=value"'),
  basis: text.describe("all, or matured: windows that end where nearly all labels are in"),
});

export const statusQuery = z.strictObject({
  window: text.describe("of the quality figures: 1h, 24h, 7d, all; default 24h"),
});

const ms = z.number().nullable();
const unixMs = z.number().describe("Unix ms");
const pulseBin = z.object({
  at: unixMs,
  requests: count,
  clientErrors: count,
  serverErrors: count,
  ownErrors: count.describe("answered or broken off by the sidecar: no connection, time-out, reset"),
  responseTimeP50Ms: ms,
  responseTimeP95Ms: ms,
  firstByteP50Ms: ms,
  firstByteP95Ms: ms,
  up: z.number().nullable().describe("share of the probes that succeeded"),
  cpu: z.number().nullable().describe("share of the CPUs that the model server may use"),
  memoryBytes: z.number().nullable(),
});
const statusVersion = z.object({
  version: z.string(),
  stage: z.string().nullable(),
  registered: z.boolean(),
  firstSeen: unixMs.nullable(),
  lastSeen: unixMs.nullable(),
  predictions: count,
  labels: count,
  evaluation: z.record(z.string(), z.number()),
  group: group.nullable().describe("quality in the asked window"),
});
const qualityPoint = z.object({
  at: unixMs,
  coverage: z.number().nullable(),
  metrics: z.record(z.string(), z.tuple([z.number(), bound, bound])),
});

export const statusAnswer = z.object({
  at: unixMs,
  outrider: z.string(),
  startedAt: unixMs,
  window: z.string(),
  windows: z.array(z.string()),
  parts: z.record(z.string(), z.object({ state: z.string(), why: z.string().nullable(), since: z.string() })),
  pulse: z.object({ binMs: z.int(), bins: z.array(pulseBin) }),
  models: z.array(
    z.object({
      name: z.string(),
      task: z.string(),
      served: z.array(z.object({ version: z.string(), since: z.string(), share: z.number() })),
      declared: z.looseObject({ version: z.string(), source: z.string(), since: z.string() }).nullable(),
      mismatch: z.boolean(),
      versions: z.array(statusVersion),
    }),
  ),
  verdicts: z.array(
    z.object({
      model: z.string(),
      baseline: z.string(),
      candidate: z.string(),
      metric: z.string(),
      difference: bound,
      lower: bound,
      upper: bound,
      verdict: z.enum(["better", "worse", "undecided"]),
    }),
  ),
  history: z.array(
    z.object({ model: z.string(), version: z.string(), window: z.string(), points: z.array(qualityPoint) }),
  ),
  findings: z
    .array(
      z.object({
        key: z.string(),
        severity: z.enum(["critical", "warning", "info"]),
        message: z.string(),
        since: unixMs,
        until: unixMs.nullable().describe("null: it still holds"),
      }),
    )
    .describe("what needs attention first, then what is over"),
});
