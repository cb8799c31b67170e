// One span per sampled exchange, from its facts: ids as they were sent upstream, so that the model's own spans hang below it.
// The sampling was decided when the request came in; an exchange that is not sampled costs one comparison here.

import type { Exchange } from "../facts/exchange.ts";
import type { Prediction } from "../facts/prediction.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import type { TraceSettings } from "./otlp-settings.ts";
import type { Recorder } from "./recorder.ts";
import type { Attributes } from "./resource.ts";
import type { SpanFacts, SpanSink } from "./span-sdk.ts";

const SPANS = "outrider_spans_total";
const LOG_EVERY_MS = 60_000;
/** Spans that come before the SDK is loaded. */
const EARLY_MAX = 256;

export interface SpanReading {
  readonly model: string;
  readonly version: string;
  readonly route: string;
  readonly predictions: readonly Prediction[];
}

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface Destination {
  /** Value of the label `destination`. */
  readonly name: string;
  readonly settings: TraceSettings;
  /** What this receiver wants to be told in its own words. */
  readonly dialect?: (exchange: Exchange, reading: SpanReading) => SpanAttributes;
}

export interface SpansOptions {
  readonly destinations: readonly Destination[];
  readonly resource: Attributes;
  readonly version: string;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Spans extends Part {
  observe(exchange: Exchange, reading: SpanReading): void;
  flush(): Promise<void>;
}

interface Opened {
  readonly destination: Destination;
  readonly sink: SpanSink;
}

/** Attributes by the semantic conventions for HTTP, then ours: model, version, prediction id, time to first byte. */
export function spanOf(exchange: Exchange, reading: SpanReading): SpanFacts {
  const { clocks, trace, method, status, startedAtMs } = exchange;
  const attributes: Record<string, string | number | boolean> = {
    "http.request.method": method,
    "http.route": reading.route,
    "url.path": exchange.target.split("?")[0]?.slice(0, 1024) ?? "",
    "url.scheme": "http",
    "network.protocol.version": exchange.httpVersion,
    model: reading.model,
    version: reading.version,
    "outrider.prediction.id": exchange.id,
    "outrider.predictions": reading.predictions.length,
    "outrider.outcome": exchange.outcome,
  };
  if (status !== null) attributes["http.response.status_code"] = status;
  if (clocks.firstByteMs !== null) attributes["outrider.time_to_first_byte"] = clocks.firstByteMs / 1000;
  const error = exchange.ownError ?? (status !== null && status >= 500 ? String(status) : exchange.abortedBy);
  if (error !== null) attributes["error.type"] = error;
  const events = [
    { name: "request_end", ms: clocks.requestEndMs },
    { name: "response_head", ms: clocks.headMs },
    { name: "first_byte", ms: clocks.firstByteMs },
  ];
  return {
    name: reading.route === "" ? method : `${method} ${reading.route}`,
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    startMs: startedAtMs,
    endMs: startedAtMs + clocks.endMs,
    failed: error !== null,
    attributes,
    events: events.flatMap(({ name, ms }) => (ms === null ? [] : [{ name, atMs: startedAtMs + ms }])),
  };
}

class ExchangeSpans implements Spans {
  readonly #options: SpansOptions;
  #opened: readonly Opened[] | null = null;
  #early: (() => void)[] = [];
  #loading: Promise<void> | null = null;
  #saidAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: SpansOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#options.destinations.length === 0) return;
    this.#loading ??= this.#load();
    await this.#loading;
  }

  async #load(): Promise<void> {
    const { destinations, resource, version, recorder, log } = this.#options;
    const { createSpanSink } = await import("./span-sdk.ts");
    this.#opened = destinations.map((destination) => {
      for (const result of ["exported", "failed", "dropped"])
        recorder.counter(SPANS).zero({ destination: destination.name, result });
      const { host, pathname } = new URL(destination.settings.url);
      log.info({ destination: destination.name, host, pathname }, "otlp: sending traces");
      const ended = (spans: number, error: string | null): void =>
        this.#ended(destination.name, spans, error);
      return {
        destination,
        sink: createSpanSink({ settings: destination.settings, resource, version, ended }),
      };
    });
    for (const call of this.#early.splice(0)) call();
  }

  observe(exchange: Exchange, reading: SpanReading): void {
    if (!exchange.trace.sampled || this.#options.destinations.length === 0) return;
    if (this.#opened !== null) this.#add(this.#opened, exchange, reading);
    else if (this.#early.length < EARLY_MAX) this.#early.push(() => this.observe(exchange, reading));
    else for (const { name } of this.#options.destinations) this.#count(name, "dropped", 1);
  }

  #add(opened: readonly Opened[], exchange: Exchange, reading: SpanReading): void {
    const span = spanOf(exchange, reading);
    for (const { destination, sink } of opened) {
      const more = destination.dialect?.(exchange, reading);
      const own = more === undefined ? span : { ...span, attributes: { ...span.attributes, ...more } };
      if (!sink.add(own)) this.#count(destination.name, "dropped", 1);
    }
  }

  #count(destination: string, result: string, spans: number): void {
    this.#options.recorder.counter(SPANS).inc({ destination, result }, spans);
  }

  #ended(destination: string, spans: number, error: string | null): void {
    this.#count(destination, error === null ? "exported" : "failed", spans);
    const now = this.#options.clock.monotonicMs();
    if (error === null || now - this.#saidAtMs < LOG_EVERY_MS) return;
    this.#saidAtMs = now;
    this.#options.log.warn({ destination, spans, error }, "otlp: traces could not be sent");
  }

  async flush(): Promise<void> {
    await Promise.allSettled((this.#opened ?? []).map(({ sink }) => sink.flush()));
  }

  async stop(deadlineMs: number): Promise<void> {
    const opened = this.#opened ?? [];
    this.#opened = null;
    const { clock, log } = this.#options;
    const deadline = Promise.withResolvers<void>();
    const timer = clock.after(deadlineMs, () => deadline.resolve());
    const ended = Promise.all(opened.map(({ sink }) => sink.shutdown())).then(() => {});
    ended.catch((thrown: unknown) => log.warn({ error: messageOf(thrown) }, "otlp: stopping traces failed"));
    await Promise.race([ended.catch(() => {}), deadline.promise]);
    timer.cancel();
  }
}

/** Does nothing visible before `start`. */
export function createSpans(options: SpansOptions): Spans {
  return new ExchangeSpans(options);
}
