// The schema of what leaves: OTLP and model registries.

import * as z from "zod";
import {
  DAY_MS,
  LIST_MAX,
  duration,
  file,
  flag,
  headerName,
  name,
  oneOf,
  ratio,
  secret,
  text,
  webUrl,
} from "./fields.ts";

export const otlp = z
  .strictObject({
    endpoint: webUrl()
      .nullable()
      .default(null)
      .describe(
        "Base address of the OTLP receiver, e.g. http://127.0.0.1:4318. Default: OTEL_EXPORTER_OTLP_ENDPOINT.",
      ),
    protocol: oneOf(["http/protobuf", "http/json"])
      .nullable()
      .default(null)
      .describe("Encoding. Default: OTEL_EXPORTER_OTLP_PROTOCOL, else http/protobuf."),
    headers: z
      .record(headerName(), text("a header value", 8192), {
        error: "must be a map of header names and values",
      })
      .prefault({})
      .meta({ ...secret, description: "Headers sent with every export, e.g. { authorization: ... }." }),
    headersFile: file()
      .nullable()
      .default(null)
      .describe("File with further headers, one `name: value` a line."),
    metrics: flag().default(true).describe("Send metrics."),
    traces: z
      .strictObject({
        sampleRatio: ratio()
          .default(0.05)
          .describe("Share of the requests that begin a trace here which are sent."),
      })
      .nullable()
      .default(null)
      .describe("Send traces. Default: none."),
    every: duration({ min: 1000, max: DAY_MS })
      .nullable()
      .default(null)
      .describe("Time between two exports. Default: OTEL_METRIC_EXPORT_INTERVAL, else 60s."),
  })
  .nullable()
  .default(null)
  .describe("Export by OTLP. Absent: nothing is sent, unless the standard OTEL_* variables say so.");

const WORDS = [
  "metrics",
  "tags",
  "comment",
  "traces",
  "inputs",
  "labels",
  "promotion",
  "registration",
] as const;

/** What can be written to each registry; anything else is refused when the configuration is read. */
const WRITABLE: Readonly<Record<string, readonly (typeof WORDS)[number][]>> = {
  mlflow: ["metrics", "tags", "traces", "inputs", "labels", "promotion", "registration"],
  databricks: ["metrics", "tags", "comment", "traces", "inputs", "promotion"],
  "unity-catalog": ["metrics", "comment"],
  langfuse: ["metrics", "traces", "inputs", "labels"],
};

const registry = z
  .strictObject({
    type: oneOf(["mlflow", "databricks", "unity-catalog", "langfuse"]).describe(
      "Which registry: mlflow, databricks, unity-catalog or langfuse.",
    ),
    url: webUrl().describe("Its base address."),
    token: text("a token", 8192)
      .nullable()
      .default(null)
      .meta({
        ...secret,
        description: "Its access token; better in `tokenFile`. Langfuse: public key:secret key.",
      }),
    tokenFile: file()
      .nullable()
      .default(null)
      .describe(
        "File that holds the token. It is read again while running, so that the token can be renewed there.",
      ),
    model: name()
      .nullable()
      .default(null)
      .describe("Our name of the model. Default: every model of the same name there."),
    registeredName: text("a name", 512)
      .nullable()
      .default(null)
      .describe("The model's name there. Default: `model`."),
    alias: text("an alias", 256).default("champion").describe("The alias that says what is in production."),
    stage: text("a stage", 64)
      .nullable()
      .default(null)
      .describe("MLflow stage that says it instead, e.g. Production. Default: the alias decides."),
    headers: z
      .record(headerName(), text("a header value", 8192), {
        error: "must be a map of header names and values",
      })
      .prefault({})
      .meta({
        ...secret,
        description: "Headers sent with every call, e.g. { x-mlflow-workspace: ... } or a gateway's own key.",
      }),
    webhookSecret: text("a secret", 1024)
      .nullable()
      .default(null)
      .meta({
        ...secret,
        description:
          "Secret of an MLflow webhook; better in `webhookSecretFile`. Deliveries go to POST /v1/registries/<type>/webhook of the API.",
      }),
    webhookSecretFile: file().nullable().default(null).describe("File that holds the webhook's secret."),
    every: duration({ min: 1000, max: DAY_MS }).prefault("30s").describe("Time between two looks."),
    writeEvery: duration({ min: 1000, max: DAY_MS })
      .prefault("5m")
      .describe("Time between two writes of live metrics."),
    clientId: text("a client id", 256)
      .nullable()
      .default(null)
      .describe("Databricks service principal (OAuth); `token` then holds its secret."),
    endpoint: text("a name", 256)
      .nullable()
      .default(null)
      .describe("Databricks serving endpoint that tells what serves. Default: the alias decides."),
    experimentId: text("an id", 64)
      .nullable()
      .default(null)
      .describe("MLflow experiment that traces go to; needed to write traces there."),
    tracesTable: text("a table", 512)
      .nullable()
      .default(null)
      .describe("Databricks table (catalog.schema.table) that traces go to; needed to write traces there."),
    write: z
      .array(oneOf(WORDS))
      .prefault([])
      .describe(
        "What is written there: metrics, tags, comment (live quality, in these places), traces, inputs (bodies on the traces), " +
          "labels, promotion, registration. Default: nothing.",
      ),
  })
  .refine((given) => given.token === null || given.tokenFile === null, {
    error: "needs only one of token and tokenFile",
  })
  .refine((given) => given.webhookSecret === null || given.webhookSecretFile === null, {
    error: "needs only one of webhookSecret and webhookSecretFile",
  })
  .superRefine((given, context) => {
    const { type, write, experimentId, tracesTable, endpoint, stage } = given;
    const say = (path: string, message: string): void =>
      context.addIssue({ code: "custom", path: [path], message });
    for (const word of write) {
      if (!(WRITABLE[type] ?? []).includes(word)) say("write", `cannot be ${word}: unsupported by ${type}`);
    }
    const traces = write.includes("traces");
    if (write.includes("inputs") && !traces) say("write", "has inputs, which go on traces: add traces");
    if (traces && type === "mlflow" && experimentId === null)
      say("experimentId", "is needed to write traces to MLflow");
    if (traces && type === "databricks" && tracesTable === null)
      say("tracesTable", "is needed to write traces to Databricks");
    if (endpoint !== null && type !== "databricks") say("endpoint", `is unknown to ${type}`);
    if (endpoint !== null && write.includes("promotion"))
      say("write", "cannot be promotion together with endpoint: its traffic is not moved by an alias");
    if (stage !== null && type !== "mlflow") say("stage", `is unknown to ${type}`);
    const hooked = given.webhookSecret !== null || given.webhookSecretFile !== null;
    if (hooked && type !== "mlflow") say("webhookSecret", `cannot be used: unsupported by ${type}`);
  })
  .transform(({ every, writeEvery, ...rest }) => ({ ...rest, everyMs: every, writeEveryMs: writeEvery }));

export const registries = z
  .array(registry)
  .max(LIST_MAX)
  .prefault([])
  .describe("Model registries that say which version is in production, and may be told how it does.");
