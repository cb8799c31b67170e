// Figures that the traffic process owns, as series: absolute values handed over, never counted again here.

import type { TrafficStats } from "../facts/road.ts";
import { CONNECT_SECONDS } from "../kernel/bounds.ts";
import type { Recorder } from "../telemetry/recorder.ts";

const LOSSES: readonly (readonly [queue: string, what: string])[] = [
  ["observer", "fact"],
  ["observer", "body"],
  ["store", "fact"],
  ["worker", "fact"],
];

/** `scheme`: how clients connect. */
export function recordTrafficStats(recorder: Recorder, stats: TrafficStats, scheme: "http" | "https"): void {
  recorder.gauge("outrider_observer_up").set({}, 1);
  recorder.counter("outrider_observer_restarts_total").set({}, stats.observerRestarts);
  recorder.counter("outrider_exchanges_seen_total").set({}, stats.seen);
  recorder.counter("outrider_exchanges_recorded_total").set({}, stats.recorded);
  for (const [queue, what] of LOSSES) {
    recorder
      .counter("outrider_queue_dropped_total")
      .set({ queue, what }, stats.dropped[`${queue}/${what}`] ?? 0);
  }
  recorder
    .counter("outrider_queue_dropped_total")
    .set({ queue: "relay", what: "body" }, stats.uncapturedBodies);
  recorder.gauge("outrider_queue_length").set({ queue: "observer" }, stats.queuedFacts);
  recorder.gauge("outrider_proxy_connections").set({}, stats.openConnections);
  recorder.counter("outrider_proxy_connections_refused_total").set({}, stats.refusedConnections);
  recorder.counter("outrider_proxy_client_errors_total").set({}, stats.clientErrors);
  for (const [limit, count] of Object.entries(stats.limited))
    recorder.counter("outrider_proxy_limited_total").set({ limit }, count);
  recordUpstream(recorder, stats);
  for (const [cache, count] of Object.entries(stats.cacheMisses))
    recorder.counter("outrider_proxy_cache_misses_total").set({ cache }, count);
  for (const [cache, count] of Object.entries(stats.cacheEvictions))
    recorder.counter("outrider_proxy_cache_evictions_total").set({ cache }, count);
  recorder.gauge("outrider_proxy_held_bytes").set({}, stats.heldBytes);
  recorder.gauge("outrider_proxy_workers").set({}, stats.workers);
  recorder.counter("outrider_proxy_worker_restarts_total").set({}, stats.workerRestarts);
  recorder.gauge("outrider_proxy_loop_delay_seconds").set({}, stats.loopDelayMs / 1000);
  recorder
    .gauge("http_server_active_requests")
    .set({ http_request_method: "_OTHER", url_scheme: scheme }, stats.activeRequests);
}

function recordUpstream(recorder: Recorder, stats: TrafficStats): void {
  for (const [key, count] of Object.entries(stats.resends)) {
    const [reason = "", outcome = ""] = key.split("/");
    recorder.counter("outrider_upstream_resends_total").set({ reason, outcome }, count);
  }
  recorder.counter("outrider_upstream_stream_waits_total").set({}, stats.streamWaits);
  for (const [key, count] of Object.entries(stats.upstreamConnections)) {
    const [version = "", outcome = ""] = key.split("/");
    recorder
      .counter("outrider_upstream_connections_total")
      .set({ network_protocol_version: version, outcome }, count);
  }
  for (const [key, sum] of Object.entries(stats.upstreamConnectTimes)) {
    const [version = "", what] = key.split("/");
    if (what !== "sum") continue;
    const counts = Array.from(
      { length: CONNECT_SECONDS.length + 1 },
      (_, bucket) => stats.upstreamConnectTimes[`${version}/${bucket}`] ?? 0,
    );
    recorder
      .histogram("outrider_upstream_connect_duration_seconds")
      .set({ network_protocol_version: version }, counts, sum);
  }
}
