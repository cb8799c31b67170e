// The OpenTelemetry SDK put together: NodeSDK with one periodic reader that asks our producer. A file of its own, because it
// costs 0.3 s and 40 MB to load: only who sends anything pays that.

import { context, diag, DiagLogLevel, metrics, type DiagLogger } from "@opentelemetry/api";
import { ExportResultCode, type ExportResult } from "@opentelemetry/core";
import { OTLPMetricExporterBase } from "@opentelemetry/exporter-metrics-otlp-http";
import {
  convertLegacyHttpOptions,
  createOtlpHttpExportDelegate,
} from "@opentelemetry/otlp-exporter-base/node-http";
import { MetricsExporterMetricsHelper } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
} from "@opentelemetry/sdk-metrics";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { exemplarSerializer } from "./otlp-exemplars.ts";
import type { OtlpSettings } from "./otlp-settings.ts";
import { createProducer, type ProducerOptions } from "./producer.ts";
import type { Attributes } from "./resource.ts";

/** Points of one request; larger collections go out as several. */
const BATCH_POINTS_MAX = 2000;
/** Requests under way at once: a receiver that never answers must not gather more. */
const EXPORTS_MAX = 4;

export interface Exported {
  /** null: it was taken. */
  readonly error: string | null;
}

export interface SdkOptions {
  readonly settings: OtlpSettings;
  readonly resource: Attributes;
  readonly producer: ProducerOptions;
  /** Told how every export ended. */
  readonly ended: (exported: Exported) => void;
  readonly diagnostics: DiagLogger;
}

export interface RunningSdk {
  forceFlush(): Promise<void>;
  /** Pushes once more. May wait for the receiver: race it with a deadline. */
  shutdown(): Promise<void>;
  /** Gives the SDK's process-wide places back. */
  release(): void;
}

export function startSdk(options: SdkOptions): RunningSdk {
  const { settings } = options;
  const reader = new PeriodicExportingMetricReader({
    exporter: reporting(createExporter(settings), options.ended),
    exportIntervalMillis: settings.intervalMs,
    exportTimeoutMillis: settings.exportTimeoutMs,
    maxExportBatchSize: BATCH_POINTS_MAX,
    metricProducers: [createProducer(options.producer)],
  });
  // Whatever is left out here, the SDK would fill from the environment, and send to localhost.
  const sdk = new NodeSDK({
    resource: resourceFromAttributes({ ...options.resource }),
    autoDetectResources: false,
    metricReaders: [reader],
    spanProcessors: [],
    logRecordProcessors: [],
    instrumentations: [],
    textMapPropagator: null,
  });
  // After the constructor, which may have installed a logger that prints.
  diag.setLogger(options.diagnostics, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  sdk.start();
  return {
    forceFlush: () => reader.forceFlush(),
    shutdown: () => sdk.shutdown(),
    release: () => {
      metrics.disable();
      context.disable();
      diag.disable();
    },
  };
}

function createExporter(settings: OtlpSettings): PushMetricExporter {
  const config = {
    url: settings.url,
    headers: { ...settings.headers },
    timeoutMillis: settings.timeoutMs,
    temporalityPreference: AggregationTemporality.CUMULATIVE,
    concurrencyLimit: EXPORTS_MAX,
  };
  const json = settings.protocol === "http/json";
  const headers = { "Content-Type": json ? "application/json" : "application/x-protobuf" };
  // What the SDK's own exporters are made of, with another serializer: theirs leave exemplars out.
  const delegate = createOtlpHttpExportDelegate(
    convertLegacyHttpOptions(config, "METRICS", "v1/metrics", headers),
    exemplarSerializer(settings.protocol),
    "otlp_http_metric_exporter",
    MetricsExporterMetricsHelper,
    undefined,
  );
  return new OTLPMetricExporterBase(delegate, config);
}

function errorOf({ code, error }: ExportResult): string | null {
  return code === ExportResultCode.SUCCESS ? null : (error?.message ?? "export failed");
}

/** Passes everything on and tells how each export ended. */
function reporting(inner: PushMetricExporter, ended: SdkOptions["ended"]): PushMetricExporter {
  return {
    export: (batch: ResourceMetrics, done) => {
      inner.export(batch, (result) => {
        ended({ error: errorOf(result) });
        done(result);
      });
    },
    forceFlush: () => inner.forceFlush(),
    selectAggregationTemporality: () => AggregationTemporality.CUMULATIVE,
    shutdown: () => inner.shutdown(),
  };
}
