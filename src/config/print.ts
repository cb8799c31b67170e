// The effective configuration in the words of the file, with every secret hidden: what `outrider config` prints.

import { formatDuration, formatSize } from "../kernel/units.ts";
import { formatAddress } from "./addresses.ts";
import type { Config } from "./config.ts";
import { isRecord } from "./keys.ts";

const HIDDEN = "[hidden]";

/** Durations, sizes and addresses as they are written; user names and passwords in URLs hidden. */
function written(value: unknown): unknown {
  if (typeof value === "string") return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#@]*@/i, `$1${HIDDEN}@`);
  if (Array.isArray(value)) return value.map(written);
  if (!isRecord(value)) return value;
  const { host, port } = value;
  if (typeof host === "string" && typeof port === "number" && Object.keys(value).length === 2) {
    return formatAddress({ host, port });
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => writtenEntry(key, inner)));
}

function writtenEntry(key: string, value: unknown): [string, unknown] {
  if (key.endsWith("Ms"))
    return [key.slice(0, -2), typeof value === "number" ? formatDuration(value) : value];
  if (key.endsWith("Bytes") && typeof value === "number")
    return [key.slice(0, -"Bytes".length), formatSize(value)];
  return [key, written(value)];
}

function hideValues(map: object | null): Record<string, string> | null {
  return map === null ? null : Object.fromEntries(Object.keys(map).map((key) => [key, HIDDEN]));
}

function limitsText(limits: Config["proxy"]["limits"]): unknown {
  return {
    maxHeadSizeBytes: limits.headBytesMax,
    maxHeaderLines: limits.headLinesMax,
    headTimeoutMs: limits.headMs,
    bodyTimeoutMs: limits.bodyMs,
    sendTimeoutMs: limits.sendMs,
    uploadTimeoutMs: limits.uploadMs,
    idleTimeoutMs: limits.idleMs,
    requestTimeoutMs: limits.totalMs,
    tunnelIdleTimeoutMs: limits.tunnelIdleMs,
    maxStreams: limits.streamsMax,
  };
}

function serverTlsText(tls: Config["proxy"]["tls"]): unknown {
  return tls === null ? null : { certFile: tls.certFile, keyFile: tls.keyFile };
}

function targetText(target: Config["target"]): unknown {
  switch (target.kind) {
    case "auto":
      return "auto";
    case "pid":
      return { pid: target.pid };
    case "pidFile":
      return { pidFile: target.path };
    case "processName":
      return { processName: target.pattern };
    case "cgroup":
      return { cgroup: target.path };
    case "port":
      return { port: target.port };
    case "metrics":
      return { metrics: target.url };
  }
}

function modelText(model: Config["models"][number]): unknown {
  const { baseline, threshold, ...rest } = model;
  const scored = model.task === "binary" || model.task === "auto";
  return {
    ...rest,
    ...(scored ? { threshold } : {}),
    baseline: baseline === null ? null : { ...baseline.metrics, margin: baseline.margin },
  };
}

function otlpText(otlp: Config["otlp"]): unknown {
  if (otlp === null) return null;
  const { intervalMs, headers, ...rest } = otlp;
  return { ...rest, headers: hideValues(headers), everyMs: intervalMs };
}

/** Plain data in the shape of the file; what is hidden says so. */
export function redactedConfig(config: Config): unknown {
  const { upstream, proxy, api } = config;
  return written({
    upstream: { http: upstream.http, grpc: upstream.grpc, tls: hideValues(upstream.tls) },
    proxy: { ...proxy, limits: limitsText(proxy.limits), tls: serverTlsText(proxy.tls) },
    telemetry: config.telemetry,
    api: { ...api, tokens: api.tokens.map((token) => ({ ...token, sha256: HIDDEN })) },
    store: config.store,
    capture: config.capture,
    models: config.models.map(modelText),
    probes: config.probes.map(({ tls: _tls, ...probe }) => probe),
    target: targetText(config.target),
    otlp: otlpText(config.otlp),
    registries: config.registries.map(({ token, tokenFile, headers, webhookSecret, ...rest }) => ({
      ...rest,
      headers: hideValues(headers),
      token: token === null || tokenFile !== null ? null : HIDDEN,
      tokenFile,
      webhookSecret: webhookSecret === null ? null : HIDDEN,
    })),
    slo: config.slo,
    alerts: config.alerts,
  });
}
