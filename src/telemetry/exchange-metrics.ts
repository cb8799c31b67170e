// Every traffic family from one sealed exchange: the only place that counts requests.

import type { Exchange, RawHeaders } from "../facts/exchange.ts";
import type { CounterSeries, HistogramSeriesHandle, TraceRef } from "./instruments.ts";
import type { Recorder } from "./recorder.ts";
import type { Labels } from "./snapshot.ts";
import { SEPARATOR } from "./values.ts";

/** What was read of an exchange beside its own facts. `""` where there is nothing to say. */
export interface Reading {
  readonly model: string;
  readonly version: string;
  /** A template (`/v2/models/{model}/infer`), never the raw path. */
  readonly route: string;
}

export interface Place {
  readonly address: string;
  readonly port: number | null;
}

export interface ExchangeMetricsOptions {
  /** The service as it is configured: `server_address` and `server_port` of the upstream leg. */
  readonly upstream?: Place;
  /** Where gRPC calls go, when that is elsewhere. */
  readonly grpcUpstream?: Place;
  /** Of the traffic listener. Default http. */
  readonly scheme?: "http" | "https";
  /** Opt-in: http_server_request_body_size_bytes and its response twin. */
  readonly bodySizes?: "record" | "leave-out";
}

export interface ExchangeMetrics {
  observe(exchange: Exchange, reading: Reading): void;
}

const OUTCOMES: readonly Exchange["outcome"][] = [
  "ok",
  "client_error",
  "server_error",
  "timeout",
  "connect_error",
  "reset",
  "client_abort",
  "rejected",
];
/** Methods of RFC 9110, PATCH and QUERY; others are `_OTHER`, as the semantic conventions ask. */
const METHODS: ReadonlySet<string> = new Set([
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "QUERY",
  "TRACE",
]);
const STREAMS =
  /^(text\/event-stream|application\/(x-)?nd-?json|application\/(json-seq|jsonl|stream\+json|grpc))/i;
/** Series found once are kept for this many kinds of exchange; then the search begins anew. */
const KINDS_MAX = 1000;
/** How often a version in use renews its place. */
const SEEN_EVERY_MS = 1000;

export function createExchangeMetrics(
  recorder: Recorder,
  options: ExchangeMetricsOptions = {},
): ExchangeMetrics {
  return new ExchangeCounter(recorder, options);
}

/** What all exchanges of one kind share: their series, found once. */
interface Kind {
  readonly reading: Reading;
  readonly server: HistogramSeriesHandle;
  readonly client: HistogramSeriesHandle | null;
  readonly firstByte: HistogramSeriesHandle;
  readonly head: HistogramSeriesHandle;
  readonly requests: CounterSeries;
  seenAtMs: number;
}

/** What of an exchange itself tells its kind, beside its reading and its media. */
type Traits = Pick<Exchange, "method" | "status" | "outcome" | "ownError" | "abortedBy">;

/** The kind met last: exchanges come in runs of a kind, and comparing is cheaper than making a key. */
interface LastKind {
  readonly kind: Kind;
  readonly traits: Traits;
  readonly media: Media;
}

class ExchangeCounter implements ExchangeMetrics {
  #last: LastKind | null = null;
  readonly #recorder: Recorder;
  readonly #options: ExchangeMetricsOptions;
  readonly #kinds = new Map<string, Kind>();
  readonly #overhead: HistogramSeriesHandle;
  /** Series whose sisters of other outcomes exist. */
  readonly #begun = new WeakSet<CounterSeries>();

  constructor(recorder: Recorder, options: ExchangeMetricsOptions) {
    this.#recorder = recorder;
    this.#options = options;
    const overhead = recorder.histogram("outrider_proxy_overhead_seconds");
    overhead.zero({});
    this.#overhead = overhead.series({});
    for (const side of ["client", "upstream"]) recorder.counter("outrider_aborts_total").zero({ side });
  }

  observe(exchange: Exchange, reading: Reading): void {
    const { clocks, trace } = exchange;
    const media = mediaOf(exchange);
    const kind = this.#kindOf(exchange, reading, media);
    // A point that led to no trace would be worse than none.
    const exemplar = trace.sampled ? { trace_id: trace.traceId, span_id: trace.spanId } : undefined;
    kind.requests.inc();
    kind.server.observe(clocks.endMs / 1000, exemplar);
    if (clocks.headMs !== null) kind.head.observe(clocks.headMs / 1000);
    if (clocks.firstByteMs !== null) kind.firstByte.observe(clocks.firstByteMs / 1000, exemplar);
    this.#observeLegs(exchange, kind, exemplar);
    if (media.streaming && clocks.firstByteMs !== null) {
      const labels = { http_route: reading.route, model: reading.model, version: reading.version };
      this.#recorder
        .histogram("outrider_stream_longest_gap_seconds")
        .observe(labels, clocks.longestGapMs / 1000);
    }
    if (exchange.abortedBy !== null) {
      this.#recorder.counter("outrider_aborts_total").inc({ side: exchange.abortedBy });
    }
    if (this.#options.bodySizes === "record") this.#observeBodies(exchange, reading);
  }

  #observeLegs(exchange: Exchange, kind: Kind, exemplar: TraceRef | undefined): void {
    if (kind.client === null) return;
    const { requestEndMs, headMs, lastByteMs, endMs } = exchange.clocks;
    const ended = lastByteMs ?? endMs;
    // A service may answer before the request has ended: then its leg began no later than its answer.
    const began = Math.min(requestEndMs ?? 0, headMs ?? ended, ended);
    kind.client.observe((ended - began) / 1000, exemplar);
    if (lastByteMs !== null && requestEndMs !== null && !exchange.upgraded) {
      this.#overhead.observe(Math.max(0, endMs - (ended - began)) / 1000);
    }
  }

  #observeBodies(exchange: Exchange, reading: Reading): void {
    const labels = { http_route: reading.route, model: reading.model };
    const { request, response } = exchange;
    this.#recorder.histogram("http_server_request_body_size_bytes").observe(labels, request.total);
    this.#recorder.histogram("http_server_response_body_size_bytes").observe(labels, response.total);
  }

  #kindOf(exchange: Exchange, reading: Reading, media: Media): Kind {
    const last = this.#last;
    if (last !== null && isLike(last, { exchange, reading, media }) && isFresh(last.kind, exchange))
      return last.kind;
    const kind = this.#lookUp(exchange, reading, media);
    const { method, status, outcome, ownError, abortedBy } = exchange;
    this.#last = { kind, media, traits: { method, status, outcome, ownError, abortedBy } };
    return kind;
  }

  #lookUp(exchange: Exchange, reading: Reading, media: Media): Kind {
    const { model, version, route } = reading;
    const status = exchange.status === null ? "" : String(exchange.status);
    const cause = exchange.ownError ?? exchange.abortedBy ?? "";
    const tail = `${exchange.method} ${status} ${exchange.outcome} ${cause} ${media.grpcStatus} ${media.streaming} ${media.grpc}`;
    const key = model + SEPARATOR + version + SEPARATOR + route + SEPARATOR + tail;
    const known = this.#kinds.get(key);
    // Compared again: a hostile name could hold the separator, and an evicted version's series are dead.
    const fits = known !== undefined && known.requests.live && isSameReading(known.reading, reading);
    if (fits && isFresh(known, exchange)) return known;
    this.#recorder.seen(model, version);
    if (fits) {
      known.seenAtMs = exchange.startedAtMs;
      return known;
    }
    if (this.#kinds.size >= KINDS_MAX) this.#kinds.clear();
    const kind = this.#find(exchange, reading, media);
    this.#kinds.set(key, kind);
    return kind;
  }

  #find(exchange: Exchange, reading: Reading, media: Media): Kind {
    const recorder = this.#recorder;
    const { model, version } = reading;
    const requests = recorder.counter("outrider_requests_total");
    const counted = requests.series({ model, version, outcome: exchange.outcome });
    if (!this.#begun.has(counted)) {
      for (const outcome of OUTCOMES) requests.zero({ model, version, outcome });
      this.#begun.add(counted);
    }
    const place = { http_route: reading.route, model, version };
    const http = {
      http_request_method: METHODS.has(exchange.method) ? exchange.method : "_OTHER",
      http_response_status_code: exchange.status === null ? "" : String(exchange.status),
    };
    const server = {
      ...http,
      ...place,
      url_scheme: this.#options.scheme ?? "http",
      error_type: errorType(exchange, 500) || grpcErrorType(media.grpcStatus),
      rpc_grpc_status_code: media.grpcStatus,
    };
    return {
      reading,
      seenAtMs: exchange.startedAtMs,
      requests: counted,
      server: recorder.histogram("http_server_request_duration_seconds").series(server),
      client: reachedUpstream(exchange)
        ? recorder
            .histogram("http_client_request_duration_seconds")
            .series(this.#clientLabels(exchange, http, media))
        : null,
      head: recorder.histogram("outrider_response_head_seconds").series(place),
      firstByte: recorder
        .histogram("outrider_time_to_first_byte_seconds")
        .series({ ...place, streaming: media.streaming ? "true" : "false" }),
    };
  }

  #clientLabels(exchange: Exchange, http: Labels, media: Media): Labels {
    const { upstream: plain, grpcUpstream } = this.#options;
    const upstream = media.grpc ? (grpcUpstream ?? plain) : plain;
    const port = upstream?.port ?? null;
    return {
      ...http,
      // The status is the service's own only when the sidecar did not answer in its place.
      http_response_status_code: exchange.ownError === null ? (http["http_response_status_code"] ?? "") : "",
      server_address: upstream?.address ?? "",
      server_port: port === null ? "" : String(port),
      error_type: errorType(exchange, 400),
    };
  }
}

/** Its series are in use, and its version has said so lately. */
function isFresh(kind: Kind, { startedAtMs }: Exchange): boolean {
  return kind.requests.live && startedAtMs - kind.seenAtMs < SEEN_EVERY_MS;
}

function isSameReading(one: Reading, other: Reading): boolean {
  return one.model === other.model && one.version === other.version && one.route === other.route;
}

function isLike(
  { kind, traits, media }: LastKind,
  of: { exchange: Exchange; reading: Reading; media: Media },
): boolean {
  const { exchange } = of;
  return (
    isSameReading(kind.reading, of.reading) &&
    traits.method === exchange.method &&
    traits.status === exchange.status &&
    traits.outcome === exchange.outcome &&
    traits.ownError === exchange.ownError &&
    traits.abortedBy === exchange.abortedBy &&
    media.grpcStatus === of.media.grpcStatus &&
    media.streaming === of.media.streaming &&
    media.grpc === of.media.grpc
  );
}

/** Statuses that the semantic conventions of gRPC call errors of the server, by name. */
const GRPC_ERRORS: ReadonlyMap<string, string> = new Map([
  ["2", "UNKNOWN"],
  ["4", "DEADLINE_EXCEEDED"],
  ["12", "UNIMPLEMENTED"],
  ["13", "INTERNAL"],
  ["14", "UNAVAILABLE"],
  ["15", "DATA_LOSS"],
]);

function grpcErrorType(status: string): string {
  return GRPC_ERRORS.get(status) ?? "";
}

/** Refused before anything was sent on: there is no upstream leg. */
function reachedUpstream(exchange: Exchange): boolean {
  return exchange.outcome !== "rejected";
}

/** `error.type`: our own cause, else who broke off, else the status from `statusMin` on; "" on success. */
function errorType(exchange: Exchange, statusMin: 400 | 500): string {
  if (exchange.ownError !== null) return exchange.ownError;
  if (exchange.abortedBy === "client") return "client_abort";
  if (exchange.abortedBy === "upstream") return "connection_reset";
  return exchange.status !== null && exchange.status >= statusMin ? String(exchange.status) : "";
}

interface Media {
  /** A gRPC call, as the relay tells them apart: gRPC-Web is plain HTTP. */
  readonly grpc: boolean;
  readonly streaming: boolean;
  /** Of the trailers, or of the head where the service answered with trailers alone. */
  readonly grpcStatus: string;
}

const GRPC = /^application\/grpc(?:$|[+; ])/i;

const PLAIN_TYPE = "application/json";
const PLAIN: Media = Object.freeze({ grpc: false, streaming: false, grpcStatus: "" });

function mediaOf(exchange: Exchange): Media {
  const { requestHeaders, responseHeaders, responseTrailers, target } = exchange;
  const type = headerOf(responseHeaders, "content-type") ?? "";
  const sent = headerOf(requestHeaders, "content-type") ?? "";
  // What nearly all exchanges are.
  if (type === PLAIN_TYPE && sent === PLAIN_TYPE) return PLAIN;
  const grpc = GRPC.test(sent);
  if (!GRPC.test(type)) return { grpc, streaming: STREAMS.test(type), grpcStatus: "" };
  const status = headerOf(responseTrailers, "grpc-status") ?? headerOf(responseHeaders, "grpc-status");
  // gRPC frames one answer as it frames many: the method's name tells.
  const streaming = /stream/i.test(target);
  return { grpc, streaming, grpcStatus: status !== null && /^\d{1,2}$/.test(status) ? status : "" };
}

/** The first value of a header; `name` in lower case. */
function headerOf(headers: RawHeaders, name: string): string | null {
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const candidate = headers[at] ?? "";
    if (candidate === name || (candidate.length === name.length && candidate.toLowerCase() === name))
      return headers[at + 1] ?? null;
  }
  return null;
}
