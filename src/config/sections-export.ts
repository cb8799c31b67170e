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
    tokenFile: file().nullable().default(null).describe("File that holds the token."),
    model: name()
      .nullable()
      .default(null)
      .describe("Our name of the model. Default: every model of the same name there."),
    registeredName: text("a name", 512)
      .nullable()
      .default(null)
      .describe("The model's name there. Default: `model`."),
    alias: text("an alias", 256).default("champion").describe("The alias that says what is in production."),
    every: duration({ min: 1000, max: DAY_MS }).prefault("30s").describe("Time between two looks."),
    write: z
      .array(oneOf(["metrics", "traces", "labels", "promotion"]))
      .prefault([])
      .describe("What is written there: metrics, traces, labels, promotion. Default: nothing."),
  })
  .refine((given) => given.token === null || given.tokenFile === null, {
    error: "needs only one of token and tokenFile",
  })
  .transform(({ every, ...rest }) => ({ ...rest, everyMs: every }));

export const registries = z
  .array(registry)
  .max(LIST_MAX)
  .prefault([])
  .describe("Model registries that say which version is in production, and may be told how it does.");
