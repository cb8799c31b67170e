// Telemetry of the observer: one recorder, filled by exchanges, label outcomes, the ledger, the measuring room; read by /metrics and by OTLP.

import { randomUUID } from "node:crypto";
import { catalogue, type Descriptor } from "../catalogue.ts";
import type { Config } from "../config/config.ts";
import type { Exchange } from "../facts/exchange.ts";
import type { Group } from "../facts/group.ts";
import type { LabelOutcome } from "../facts/label.ts";
import type { Change } from "../facts/pair.ts";
import type { TrafficStats } from "../facts/road.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { isLoss } from "../kernel/metric-names.ts";
import { version } from "../kernel/version.ts";
import type { Ledger } from "../ledger/types.ts";
import type { ArrivalTotals, Measure } from "../measure/measure.ts";
import type { ModelBook } from "../observe/models.ts";
import { createArrivalMetrics } from "../telemetry/arrival-metrics.ts";
import { createComparisonMetrics } from "../telemetry/comparison-metrics.ts";
import { createEstimateMetrics } from "../telemetry/estimate-metrics.ts";
import { createExchangeMetrics } from "../telemetry/exchange-metrics.ts";
import { createExposition } from "../telemetry/exposition.ts";
import { createGenerationMetrics } from "../telemetry/generation-metrics.ts";
import { createOtlp, type Otlp } from "../telemetry/otlp.ts";
import { createQualityMetrics } from "../telemetry/quality-metrics.ts";
import { createRecorder, type Recorder } from "../telemetry/recorder.ts";
import { resourceOf } from "../telemetry/resource.ts";
import { createSpans, type Spans } from "../telemetry/spans.ts";
import { createVersionMetrics } from "../telemetry/version-metrics.ts";
import { createWebSocketMetrics } from "../telemetry/websocket-metrics.ts";
import { createTimelinessMetrics } from "../telemetry/timeliness-metrics.ts";
import { createWindowMetrics } from "../telemetry/window-metrics.ts";
import { createFlowCounters, type FlowCounters } from "./flow-counters.ts";
import type { ReadExchange } from "./intake.ts";
import type { Measuring } from "./measuring.ts";
import type { Rendered } from "./road.ts";
import type { Served } from "./served.ts";
import type { ObserverVersions } from "./version-desk.ts";
import { traceDestinations } from "./trace-destinations.ts";
import { recordTrafficStats } from "./traffic-metrics.ts";

/** What a latency objective may be about. */
const TIMED: ReadonlySet<string> = new Set([
  "http_server_request_duration_seconds",
  "outrider_time_to_first_byte_seconds",
]);
const BASES = ["all", "matured"] as const;

export interface TelemetryParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly ledger: Ledger;
  readonly measure: Measure;
  readonly book: ModelBook;
  readonly served: Served;
  readonly measuring: Measuring;
  readonly versions: ObserverVersions;
  readonly compiledBytes: () => number;
  /** Names counted as `_OTHER` because their cap was reached, since start. */
  readonly overflows: () => { readonly slice_value: number; readonly route: number; readonly model: number };
}

export interface ObserverTelemetry {
  readonly recorder: Recorder;
  readonly otlp: Otlp;
  readonly spans: Spans;
  exchange(exchange: Exchange, read: ReadExchange): void;
  label(outcome: LabelOutcome, times: number): void;
  change(change: Change): void;
  stats(stats: TrafficStats): void;
  render(accept: string, acceptEncoding: string): Promise<Rendered>;
}

class Telemetry implements ObserverTelemetry {
  readonly recorder: Recorder;
  readonly otlp: Otlp;
  readonly spans: Spans;
  readonly #parts: TelemetryParts;
  readonly #exposition: ReturnType<typeof createExposition>;
  readonly #exchanges: ReturnType<typeof createExchangeMetrics>;
  readonly #generations: ReturnType<typeof createGenerationMetrics>;
  readonly #webSockets: ReturnType<typeof createWebSocketMetrics>;
  readonly #flow: FlowCounters;
  /** How clients connect. */
  readonly #scheme: "http" | "https";

  constructor(config: Config, parts: TelemetryParts) {
    this.#parts = parts;
    this.#scheme = config.proxy.tls === null ? "http" : "https";
    const { clock, log, env } = parts;
    this.recorder = createRecorder({ catalogue: withThreshold(config.slo.latency), clock, log });
    for (const model of config.models) this.recorder.reserve(model.name);
    const resource = resourceOf({
      serviceName: `${targetOf(config)}-outrider`,
      serviceVersion: version,
      instanceId: randomUUID(),
      env,
      log,
    });
    this.#flow = createFlowCounters(this.recorder);
    this.#exposition = createExposition({ recorder: this.recorder, resource });
    this.otlp = createOtlp({ ...config.otlp, resource, version, env, recorder: this.recorder, clock, log });
    const destinations = traceDestinations(config, env, clock);
    this.spans = createSpans({ destinations, resource, version, recorder: this.recorder, clock, log });
    this.#exchanges = createExchangeMetrics(this.recorder, {
      upstream: upstreamOf(config.upstream.http),
      ...(config.upstream.grpc === null ? {} : { grpcUpstream: upstreamOf(config.upstream.grpc) }),
      scheme: this.#scheme,
    });
    this.#webSockets = createWebSocketMetrics(this.recorder);
    this.#generations = createGenerationMetrics(this.recorder, { conventions: config.telemetry.genai });
    this.recorder
      .gauge("outrider_build_info")
      .set({ version, revision: "", node_version: process.version }, 1);
    this.#registerQuality();
    this.#registerVersions(config);
    this.recorder.onCollect(() => this.#collectStore());
    this.recorder.onCollect(() => this.#collectSeries());
    this.recorder.onCollect(() => parts.versions.collect(this.recorder));
  }

  #registerQuality(): void {
    const { clock, measure, book } = this.#parts;
    const specOf = (model: string): ReturnType<ModelBook["specOf"]> => book.specOf(model);
    createQualityMetrics(this.recorder, { groups: () => this.#groups(), specOf });
    createWindowMetrics(this.recorder, {
      windows: () => BASES.flatMap((basis) => measure.windowStats(clock.wallMs(), { slice: "", basis })),
    });
    createTimelinessMetrics(this.recorder, {
      delays: () => measure.delays(clock.wallMs()),
      slices: () =>
        BASES.flatMap((basis) => measure.groups(clock.wallMs(), { basis })).filter(
          ({ slice }) => slice !== "",
        ),
      dropped: () => {
        const { droppedSlices: slice, refusedVersions } = measure.counters();
        return { slice, version: refusedVersions, ...this.#parts.overflows() };
      },
      unfitLabels: () => measure.counters().unfitLabels,
      minSamplesOf: (model) => book.specOf(model)?.minSamples ?? 1,
    });
    this.#registerMeasuring();
    createArrivalMetrics(this.recorder, { arrivals: () => this.#arrivals(), specOf });
  }

  /** Every window of every version on both bases, without slices. */
  #groups(): Group[] {
    const at = this.#parts.clock.wallMs();
    return BASES.flatMap((basis) => this.#parts.measure.groups(at, { slice: "", basis }));
  }

  #registerMeasuring(): void {
    const { clock, measuring } = this.#parts;
    const { comparing, estimates, drift } = measuring;
    createComparisonMetrics(this.recorder, {
      comparisons: () => comparing.comparisons.all(),
      counters: () => comparing.comparisons.counters(),
    });
    createEstimateMetrics(this.recorder, {
      estimates: () => estimates.latest(clock.wallMs()),
      drift: () => drift.at(clock.wallMs()),
      leftOut: () => [
        { part: "estimates", ...estimates.counters() },
        { part: "drift", ...drift.counters() },
      ],
    });
  }

  #registerVersions(config: Config): void {
    const { served, versions } = this.#parts;
    const baselines = new Map(config.models.map(({ name, baseline }) => [name, baseline]));
    createVersionMetrics(this.recorder, {
      models: () => versions.models(),
      records: () => versions.records(),
      seen: () => served.models().map((model) => ({ model, versions: served.byFirstSeen(model) })),
      groups: () => this.#groups(),
      configuredOf: (model) => baselines.get(model) ?? null,
      isLoss,
    });
  }

  *#arrivals(): Generator<{ model: string; version: string; totals: Readonly<ArrivalTotals> }> {
    for (const { model, version: of } of this.#parts.measure.series()) {
      const totals = this.#parts.measure.arrival(model, of);
      if (totals !== null) yield { model, version: of, totals };
    }
  }

  #collectStore(): void {
    const stats = this.#parts.ledger.stats();
    this.recorder.gauge("outrider_store_size_bytes").set({}, stats.sizeBytes + this.#parts.compiledBytes());
    this.recorder.gauge("outrider_store_wal_size_bytes").set({}, stats.walBytes);
    const { steps, forced, failed } = stats.wal;
    for (const [result, count] of Object.entries({ ok: steps - forced, forced, failed }))
      this.recorder.counter("outrider_store_wal_checkpoints_total").set({ result }, count);
    this.recorder.counter("outrider_store_write_errors_total").set({}, stats.writeErrors);
    this.recorder.counter("outrider_store_forgotten_total").set({ reason: "age" }, stats.forgottenByAge);
    this.recorder.counter("outrider_store_forgotten_total").set({ reason: "size" }, stats.forgottenBySize);
    for (const { result, reason, count } of stats.checkpoints)
      this.recorder.counter("outrider_store_checkpoints_total").set({ result, reason }, count);
    this.recorder.gauge("outrider_queue_length").set({ queue: "store" }, stats.queuedItems);
    this.recorder
      .counter("outrider_labels_total")
      .set({ model: "", version: "", result: "expired" }, stats.waitingExpired);
    const pending = stats.series.map((series) => ({
      labels: { model: series.model, version: series.version },
      value: series.pending,
    }));
    this.recorder.gauge("outrider_predictions_pending").replace(pending);
    for (const { model, version: of, expired } of stats.series) {
      this.recorder.counter("outrider_predictions_expired_total").set({ model, version: of }, expired);
    }
  }

  #collectSeries(): void {
    for (const {
      model,
      version: of,
      lastPredictionTs,
      lastLabelReceivedAt,
    } of this.#parts.measure.series()) {
      const labels = { model, version: of };
      this.recorder.gauge("outrider_last_prediction_timestamp_seconds").set(labels, lastPredictionTs / 1000);
      if (lastLabelReceivedAt !== null) {
        this.recorder.gauge("outrider_last_label_timestamp_seconds").set(labels, lastLabelReceivedAt / 1000);
      }
      const first = this.#parts.served.firstSeen(model, of);
      if (first !== null)
        this.recorder.gauge("outrider_model_version_first_seen_timestamp_seconds").set(labels, first / 1000);
    }
  }

  exchange(exchange: Exchange, read: ReadExchange): void {
    this.#exchanges.observe(exchange, read);
    this.#webSockets.observe(exchange, read);
    if (read.generation !== null) this.#generations.observe(read.generation, read);
    this.spans.observe(exchange, read);
  }

  label(outcome: LabelOutcome, times: number): void {
    this.#flow.label(outcome, times);
  }

  change(change: Change): void {
    this.#flow.change(change);
  }

  stats(stats: TrafficStats): void {
    recordTrafficStats(this.recorder, stats, this.#scheme);
  }

  async render(accept: string, acceptEncoding: string): Promise<Rendered> {
    const { contentType, contentEncoding, body } = await this.#exposition.render(accept, acceptEncoding);
    return { contentType, contentEncoding, body };
  }
}

/** The catalogue with the objective's threshold as a bucket of the histograms that the objective reads. */
function withThreshold({ thresholdMs }: Config["slo"]["latency"]): readonly Descriptor[] {
  const bound = thresholdMs / 1000;
  return catalogue.map((family) => {
    const { name, buckets } = family;
    if (buckets === undefined || !TIMED.has(name) || buckets.includes(bound)) return family;
    return { ...family, buckets: [...buckets, bound].toSorted((a, b) => a - b) };
  });
}

/** The one model's name, or a word for several: never the model server's own service name. */
function targetOf(config: Config): string {
  const [only, ...others] = config.models;
  return only !== undefined && others.length === 0 ? only.name : "models";
}

function upstreamOf(url: string): { address: string; port: number | null } {
  if (!URL.canParse(url) || url.startsWith("unix:")) return { address: url, port: null };
  const { hostname, port, protocol } = new URL(url);
  return { address: hostname, port: port === "" ? (protocol === "https:" ? 443 : 80) : Number(port) };
}

export function createObserverTelemetry(config: Config, parts: TelemetryParts): ObserverTelemetry {
  return new Telemetry(config, parts);
}
