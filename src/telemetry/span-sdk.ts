// The SDK's side of tracing: a batch processor and an OTLP exporter per sink. A file of its own, loaded only when traces are sent.

import {
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Attributes as SpanAttributes,
  type HrTime,
} from "@opentelemetry/api";
import { ExportResultCode, type ExportResult } from "@opentelemetry/core";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter } from "@opentelemetry/sdk-trace";
import type { TraceSettings } from "./otlp-settings.ts";
import type { Attributes } from "./resource.ts";

/** Spans that wait for their export; further ones are dropped and counted. */
const QUEUE_MAX = 4096;
const BATCH_MAX = 512;
const DELAY_MS = 2000;

/** One exchange as a span. Times in Unix ms (fractions allowed). */
export interface SpanFacts {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly startMs: number;
  readonly endMs: number;
  readonly failed: boolean;
  readonly attributes: SpanAttributes;
  readonly events: readonly { readonly name: string; readonly atMs: number }[];
}

export interface SinkOptions {
  readonly settings: TraceSettings;
  readonly resource: Attributes;
  readonly version: string;
  /** Told how many spans an export carried, and how it ended. */
  readonly ended: (spans: number, error: string | null) => void;
}

export interface SpanSink {
  /** False: the queue is full, the span is dropped. */
  add(span: SpanFacts): boolean;
  flush(): Promise<void>;
  /** Sends what waits. May wait for the receiver: race it with a deadline. */
  shutdown(): Promise<void>;
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}

class ExporterSink implements SpanSink {
  readonly #processor: BatchSpanProcessor;
  readonly #resource: Resource;
  readonly #scope: { readonly name: string; readonly version: string };
  #waiting = 0;

  constructor({ settings, resource, version, ended }: SinkOptions) {
    this.#resource = resourceFromAttributes({ ...resource });
    this.#scope = { name: "outrider", version };
    const exporter = createExporter(settings);
    const counting: SpanExporter = {
      export: (spans, done) => {
        exporter.export(spans, (result: ExportResult) => {
          this.#waiting -= spans.length;
          const failed = result.code !== ExportResultCode.SUCCESS;
          ended(spans.length, failed ? (result.error?.message ?? "export failed").slice(0, 500) : null);
          done(result);
        });
      },
      forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
      shutdown: () => exporter.shutdown(),
    };
    this.#processor = new BatchSpanProcessor({
      exporter: counting,
      maxQueueSize: QUEUE_MAX,
      maxExportBatchSize: settings.batchMax ?? BATCH_MAX,
      scheduledDelayMillis: DELAY_MS,
      exportTimeoutMillis: settings.timeoutMs + 1000,
    });
  }

  add(span: SpanFacts): boolean {
    if (this.#waiting >= QUEUE_MAX) return false;
    this.#waiting++;
    this.#processor.onEnd(this.#readable(span));
    return true;
  }

  #readable(span: SpanFacts): ReadableSpan {
    const { traceId, spanId, parentSpanId } = span;
    const context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
    return {
      name: span.name,
      kind: SpanKind.SERVER,
      spanContext: () => context,
      ...(parentSpanId === null
        ? {}
        : {
            parentSpanContext: {
              traceId,
              spanId: parentSpanId,
              traceFlags: TraceFlags.SAMPLED,
              isRemote: true,
            },
          }),
      startTime: hrTime(span.startMs),
      endTime: hrTime(span.endMs),
      duration: hrTime(span.endMs - span.startMs),
      status: { code: span.failed ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
      attributes: span.attributes,
      links: [],
      events: span.events.map(({ name, atMs }) => ({ name, time: hrTime(atMs) })),
      ended: true,
      resource: this.#resource,
      instrumentationScope: this.#scope,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    };
  }

  flush(): Promise<void> {
    return this.#processor.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#processor.shutdown();
  }
}

function createExporter({ url, headers, timeoutMs, protocol }: TraceSettings): SpanExporter {
  const lines = typeof headers === "function" ? headers : { ...headers };
  const config = { url, headers: lines, timeoutMillis: timeoutMs, concurrencyLimit: 4 };
  return protocol === "http/json" ? new JsonExporter(config) : new ProtobufExporter(config);
}

export function createSpanSink(options: SinkOptions): SpanSink {
  return new ExporterSink(options);
}
