// Families about the requests that pass: rate, errors, duration.

import type { Descriptor } from "./descriptor.ts";

/** Bounds that the HTTP semantic conventions advise for durations, in seconds. */
const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const STREAM_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const OVERHEAD_SECONDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1];
/** Powers of four from 256 B to 64 MiB. */
const BODY_BYTES = [256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];

export const trafficFamilies: readonly Descriptor[] = [
  {
    name: "http_server_request_duration_seconds",
    otel: { name: "http.server.request.duration", unit: "s" },
    type: "histogram",
    labels: [
      "http_request_method",
      "http_response_status_code",
      "http_route",
      "url_scheme",
      "error_type",
      "model",
      "version",
      "rpc_grpc_status_code",
    ],
    help: "Time from the request headers to the last response byte, seen by the client side of the proxy.",
    buckets: HTTP_SECONDS,
  },
  {
    name: "http_client_request_duration_seconds",
    otel: { name: "http.client.request.duration", unit: "s" },
    type: "histogram",
    labels: [
      "http_request_method",
      "http_response_status_code",
      "server_address",
      "server_port",
      "error_type",
    ],
    help: "Time of the upstream leg: from the end of the request to the last response byte from the service.",
    buckets: HTTP_SECONDS,
  },
  {
    name: "http_server_active_requests",
    otel: { name: "http.server.active_requests", unit: "{request}" },
    type: "updowncounter",
    labels: ["http_request_method", "url_scheme"],
    help: "Requests in flight.",
  },
  {
    name: "http_server_request_body_size_bytes",
    otel: { name: "http.server.request.body.size", unit: "By" },
    type: "histogram",
    labels: ["http_route", "model"],
    help: "Size of request bodies as transferred. Off by default.",
    buckets: BODY_BYTES,
  },
  {
    name: "http_server_response_body_size_bytes",
    otel: { name: "http.server.response.body.size", unit: "By" },
    type: "histogram",
    labels: ["http_route", "model"],
    help: "Size of response bodies as transferred. Off by default.",
    buckets: BODY_BYTES,
  },
  {
    name: "outrider_time_to_first_byte_seconds",
    otel: { name: "outrider.time_to_first_byte", unit: "s" },
    type: "histogram",
    labels: ["http_route", "model", "version", "streaming"],
    help: "Time from the request headers to the first response body byte from the service.",
    buckets: STREAM_SECONDS,
  },
  {
    name: "outrider_response_head_seconds",
    otel: { name: "outrider.response_head", unit: "s" },
    type: "histogram",
    labels: ["http_route", "model", "version"],
    help: "Time from the request headers to the response headers from the service.",
    buckets: STREAM_SECONDS,
  },
  {
    name: "outrider_stream_longest_gap_seconds",
    otel: { name: "outrider.stream.longest_gap", unit: "s" },
    type: "histogram",
    labels: ["http_route", "model", "version"],
    help: "Longest silence between two chunks of one streamed response.",
    buckets: STREAM_SECONDS,
  },
  {
    name: "outrider_proxy_overhead_seconds",
    otel: { name: "outrider.proxy.overhead", unit: "s" },
    type: "histogram",
    labels: [],
    help: "Time the sidecar itself added: the whole exchange less the upstream leg.",
    buckets: OVERHEAD_SECONDS,
  },
  {
    name: "outrider_requests_total",
    otel: { name: "outrider.requests", unit: "{request}" },
    type: "counter",
    labels: ["model", "version", "outcome"],
    help: "Requests by outcome: ok, client_error, server_error, timeout, connect_error, reset, client_abort, rejected.",
  },
  {
    name: "outrider_aborts_total",
    otel: { name: "outrider.aborts", unit: "{request}" },
    type: "counter",
    labels: ["side"],
    help: "Exchanges broken off after they began, by the side that did it: client or upstream.",
  },
  {
    name: "outrider_proxy_connections",
    otel: { name: "outrider.proxy.connections", unit: "{connection}" },
    type: "updowncounter",
    labels: [],
    help: "Client connections open on the traffic listener.",
  },
  {
    name: "outrider_proxy_connections_refused_total",
    otel: { name: "outrider.proxy.connections.refused", unit: "{connection}" },
    type: "counter",
    labels: [],
    help: "Client connections closed at once because the listener was full.",
  },
  {
    name: "outrider_proxy_client_errors_total",
    otel: { name: "outrider.proxy.client_errors", unit: "{error}" },
    type: "counter",
    labels: [],
    help: "Connections on which the client sent something that is not HTTP.",
  },
  {
    name: "outrider_proxy_limited_total",
    otel: { name: "outrider.proxy.limited", unit: "{connection}" },
    type: "counter",
    labels: ["limit"],
    help: "Client connections, or streams of HTTP/2, ended by a limit of `proxy.limits`: head_size, head_timeout, body_timeout, send_timeout, upload_timeout (the model took nothing of a body), idle_timeout, request_timeout, or early_answer (the rest of an upload that was answered early: 64 MiB, 30 s), or tunnel_idle_timeout; over HTTP/2 also flood, stream_resets or max_streams (a stream refused). held_body ends nothing: the client's uploads were told to wait, because the model does not take them. worn_out: after some 8000 such waits it was told to go to a new connection. Of a model of HTTP/2: resent (a request that it had not processed, and said so, was sent again), not_processed (it was not, and the client was told), stream_wait (no stream was free within `proxy.connectTimeout`).",
  },
  {
    name: "outrider_proxy_cache_misses_total",
    otel: { name: "outrider.proxy.cache.misses", unit: "{lookup}" },
    type: "counter",
    labels: ["cache"],
    help: "What was read in full because nothing like it was remembered: request_head and answer_head (of HTTP/1.1: 64, of at most 1 KiB; those of a connection whose heads are mostly new are not looked for), target (256, of at most 128 characters). It costs CPU, nothing else.",
  },
  {
    name: "outrider_proxy_cache_evictions_total",
    otel: { name: "outrider.proxy.cache.evictions", unit: "{entry}" },
    type: "counter",
    labels: ["cache"],
    help: "Remembered heads and targets that were forgotten to make room for others: one head at a time, the oldest; targets all at once.",
  },
  {
    name: "outrider_proxy_held_bytes",
    otel: { name: "outrider.proxy.held", unit: "By" },
    type: "updowncounter",
    labels: [],
    help: "Bytes of bodies, both ways, that were read and not handed on yet, because a client or the model does not take them, or kept until a model of HTTP/2 answers, to be sent again if it has not processed them. At most about 1 MiB for each connection and direction.",
  },
  {
    name: "outrider_proxy_workers",
    otel: { name: "outrider.proxy.workers", unit: "{process}" },
    type: "gauge",
    labels: [],
    help: "Processes that accept client connections: `proxy.threads` of them, unless one is being started again.",
  },
  {
    name: "outrider_proxy_worker_restarts_total",
    otel: { name: "outrider.proxy.worker.restarts", unit: "{restart}" },
    type: "counter",
    labels: [],
    help: "Times a traffic worker ended by itself and was started again.",
  },
  {
    name: "outrider_proxy_loop_delay_seconds",
    otel: { name: "outrider.proxy.loop_delay", unit: "s" },
    type: "gauge",
    labels: [],
    help: "Delay of the traffic process's event loop; of the slowest worker where there are several.",
  },
];
