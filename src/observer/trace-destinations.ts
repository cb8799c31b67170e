// Where spans go: the OTLP receiver, and the registries that want traces, each in its own dialect.

import type { Config } from "../config/config.ts";
import type { Exchange } from "../facts/exchange.ts";
import { settleTraces, type TraceSettings } from "../telemetry/otlp-settings.ts";
import type { Destination, SpanAttributes, SpanReading } from "../telemetry/spans.ts";
import type { Clock } from "../kernel/clock.ts";
import { authoriseOf } from "../versions/registry-auth.ts";
import { spanBodies, type BodiesOptions, type SpanBodies } from "./span-bodies.ts";

type Registry = Config["registries"][number];

const TIMEOUT_MS = 10_000;
/** Spans of one export when bodies are on them: Langfuse takes 4.5 MB at a time. */
const BATCH_WITH_BODIES = 128;

/** MLflow turns these into tags of the trace, by which traces are found per version. */
function mlflowDialect(exchange: Exchange, { model, version }: SpanReading): SpanAttributes {
  return {
    "mlflow.spanType": "CHAIN",
    "mlflow.traceTag.model_name": model,
    "mlflow.traceTag.model_version": version,
    "mlflow.traceTag.prediction_id": exchange.id,
  };
}

/** Langfuse compares by `langfuse.version` and shows the time to the first byte as its time to first token. */
function langfuseDialect(exchange: Exchange, { model, version }: SpanReading): SpanAttributes {
  const { firstByteMs } = exchange.clocks;
  return {
    "langfuse.version": version,
    "langfuse.trace.name": model === "" ? exchange.method : model,
    "langfuse.observation.type": "generation",
    "langfuse.observation.model.name": model,
    ...(firstByteMs === null
      ? {}
      : {
          "langfuse.observation.completion_start_time": new Date(
            exchange.startedAtMs + firstByteMs,
          ).toISOString(),
        }),
  };
}

interface Receiver {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly dialect: NonNullable<Destination["dialect"]>;
  /** How the bodies are told there. */
  readonly bodies: (bodies: SpanBodies) => SpanAttributes;
}

function present(attributes: Readonly<Record<string, string | null>>): SpanAttributes {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([key, value]) => (value === null ? [] : [[key, value]])),
  );
}

function mlflowBodies({ input, output }: SpanBodies): SpanAttributes {
  return present({ "mlflow.spanInputs": input, "mlflow.spanOutputs": output });
}

function langfuseBodies({ input, output }: SpanBodies): SpanAttributes {
  return present({ "langfuse.observation.input": input, "langfuse.observation.output": output });
}

function receiverOf({ type, experimentId, tracesTable }: Registry): Receiver | null {
  switch (type) {
    case "mlflow":
      return {
        path: "/v1/traces",
        headers: { "x-mlflow-experiment-id": experimentId ?? "0" },
        dialect: mlflowDialect,
        bodies: mlflowBodies,
      };
    case "databricks":
      return {
        path: "/api/2.0/otel/v1/traces",
        headers: { "x-databricks-uc-table-name": tracesTable ?? "" },
        dialect: mlflowDialect,
        bodies: mlflowBodies,
      };
    case "langfuse":
      return {
        path: "/api/public/otel/v1/traces",
        headers: { "x-langfuse-ingestion-version": "4" },
        dialect: langfuseDialect,
        bodies: langfuseBodies,
      };
    case "unity-catalog":
      return null;
    default: {
      const never: never = type;
      return never;
    }
  }
}

/** Who we are, and what the receiver wants besides. Without the first the receiver refuses, which is counted. */
function headersOf(registry: Registry, more: Receiver["headers"], clock: Clock): TraceSettings["headers"] {
  const authorise = authoriseOf(registry, clock);
  return async () => {
    const authorised = await authorise(false);
    return { ...(authorised.kind === "ok" ? authorised.value : {}), ...more };
  };
}

function ofRegistry(registry: Registry, options: BodiesOptions, clock: Clock): Destination[] {
  const receiver = receiverOf(registry);
  if (!registry.write.includes("traces") || receiver === null) return [];
  const withBodies = registry.write.includes("inputs");
  const settings: TraceSettings = {
    ...(withBodies ? { batchMax: BATCH_WITH_BODIES } : {}),
    url: `${registry.url.replace(/\/+$/, "")}${receiver.path}`,
    protocol: "http/protobuf",
    headers: headersOf(registry, receiver.headers, clock),
    timeoutMs: TIMEOUT_MS,
  };
  const { dialect, bodies } = receiver;
  const whole: Destination["dialect"] = (exchange, reading) => ({
    ...dialect(exchange, reading),
    ...bodies(spanBodies(exchange, options)),
  });
  return [{ name: registry.type, settings, dialect: withBodies ? whole : dialect }];
}

export function traceDestinations(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
  clock: Clock,
): Destination[] {
  const own = config.otlp === null || config.otlp.traces === null ? null : settleTraces(config.otlp, env);
  return [
    ...(own === null ? [] : [{ name: "otlp", settings: own }]),
    ...config.registries.flatMap((registry) => {
      const { maxBodySizeBytes: bytesMax, redact } = config.capture;
      return ofRegistry(registry, { bytesMax, redact }, clock);
    }),
  ];
}
