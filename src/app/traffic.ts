// The relay as the traffic process runs it: in itself, or in workers.

import type { Config } from "../config/config.ts";
import type { PartState } from "../facts/road.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { UpstreamTls } from "../proxy/dial.ts";
import { createProxy, type ProxyNeeds, type ProxyOptions, type RelaySnapshot } from "../proxy/proxy.ts";
import { headerFilter } from "../facts/header-filter.ts";
import { configuredHeaders, relaySnapshot } from "./relay-snapshot.ts";
import type { RelayFigures } from "./supervisor.ts";
import { createWorkers, type WorkersNeeds } from "./workers.ts";

export interface Traffic extends Part {
  /** Where clients connect; null before `start` and after `stop`. */
  readonly address: { readonly host: string; readonly port: number } | null;
  setSnapshot(snapshot: RelaySnapshot): void;
  /** Shown to clients from the next TLS handshake on. Throws when the two do not belong together. */
  setCertificate(certificate: { readonly cert: string; readonly key: string }): void;
  /** For connections to the model server from now on. Throws when a certificate is none. */
  setUpstreamTls(tls: UpstreamTls): void;
  stats(): RelayFigures;
  /** Somebody takes connections. Only of workers. */
  readonly accepts?: boolean;
  health?(): PartState;
}

export interface TrafficNeeds extends ProxyNeeds, WorkersNeeds {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly workerCommand: readonly [string, ...string[]];
}

export function createTraffic(config: Config, needs: TrafficNeeds): Traffic {
  const { listen, threads, tls, host, drainTimeoutMs } = config.proxy;
  const proxy: Omit<ProxyOptions, "listen"> = {
    upstream: { url: config.upstream.http, grpcUrl: config.upstream.grpc, tls: config.upstream.tls },
    tls,
    host,
    connectTimeoutMs: config.proxy.connectTimeoutMs,
    responseTimeoutMs: config.proxy.responseTimeoutMs,
    maxConnections: config.proxy.maxConnections,
    limits: config.proxy.limits,
  };
  const snapshot = relaySnapshot(config, null);
  if (threads === 1) {
    const observed = headerFilter(configuredHeaders(config));
    const relay = createProxy({ ...proxy, listen }, { ...needs, observed });
    relay.setSnapshot(snapshot);
    return relay;
  }
  const { workerCommand: command, env } = needs;
  const extraHeaders = configuredHeaders(config);
  return createWorkers(
    { threads, listen, proxy, snapshot, extraHeaders, drainMs: drainTimeoutMs, command, env },
    needs,
  );
}
