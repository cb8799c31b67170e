// What is sent where: our own configuration first, then the standard OTEL_* variables, then defaults. Pure.

import { Problem } from "../kernel/problem.ts";
import type { Env } from "./resource.ts";

export type OtlpProtocol = "http/protobuf" | "http/json";

export interface OtlpConfig {
  /** Base address of the receiver; `/v1/metrics` is appended. Absent: OTEL_EXPORTER_OTLP_(METRICS_)ENDPOINT, else nothing is sent. */
  readonly endpoint?: string | null;
  readonly protocol?: OtlpProtocol | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** false: no metrics are sent. */
  readonly metrics?: boolean;
  readonly intervalMs?: number | null;
  /** For one export with its retries. */
  readonly timeoutMs?: number | null;
}

export interface OtlpSettings {
  readonly url: string;
  readonly protocol: OtlpProtocol;
  readonly headers: Readonly<Record<string, string>>;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** For one collection and all its batches; at most the interval. */
  readonly exportTimeoutMs: number;
  /** Things to tell the operator once. */
  readonly remarks: readonly string[];
}

export interface TraceSettings {
  readonly url: string;
  readonly protocol: OtlpProtocol;
  /** A function is asked before each export: tokens end. */
  readonly headers: Readonly<Record<string, string>> | (() => Promise<Record<string, string>>);
  /** Spans of one export. Default 512. */
  readonly batchMax?: number;
  /** For one export with its retries. */
  readonly timeoutMs: number;
}

type Signal = "metrics" | "traces";

const INTERVAL_MS = 60_000;
/** Short: the exporter's whole retry budget is waited for when the program stops. */
const TIMEOUT_MS = 2500;
const EXPORT_TIMEOUT_MS = 30_000;

/** Where spans go, by the same rules as metrics. null: nowhere. Throws a Problem when the address is none. */
export function settleTraces(config: OtlpConfig, env: Env): TraceSettings | null {
  if (truthy(env["OTEL_SDK_DISABLED"]) || !exported(env["OTEL_TRACES_EXPORTER"])) return null;
  const url = urlOf(config, env, "traces");
  if (url === null) return null;
  const timeoutMs =
    config.timeoutMs ??
    millis(env["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"]) ??
    millis(env["OTEL_EXPORTER_OTLP_TIMEOUT"]) ??
    TIMEOUT_MS;
  return {
    url,
    protocol: protocolOf(config, env, { signal: "traces", remarks: [] }),
    headers: config.headers ?? {},
    timeoutMs,
  };
}

function exported(exporters: string | undefined): boolean {
  const names = textOf(exporters);
  return names === null || names.split(",").some((name) => name.trim() === "otlp");
}

/** null: nothing is to be sent. Throws a Problem when the address is none. */
export function settleOtlp(config: OtlpConfig, env: Env): OtlpSettings | null {
  if (config.metrics === false || truthy(env["OTEL_SDK_DISABLED"])) return null;
  if (!exported(env["OTEL_METRICS_EXPORTER"])) return null;
  const url = urlOf(config, env, "metrics");
  if (url === null) return null;
  const remarks: string[] = [];
  const intervalMs = config.intervalMs ?? millis(env["OTEL_METRIC_EXPORT_INTERVAL"]) ?? INTERVAL_MS;
  const exportTimeoutMs = millis(env["OTEL_METRIC_EXPORT_TIMEOUT"]) ?? EXPORT_TIMEOUT_MS;
  const timeoutMs =
    config.timeoutMs ??
    millis(env["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT"]) ??
    millis(env["OTEL_EXPORTER_OTLP_TIMEOUT"]) ??
    TIMEOUT_MS;
  const temporality = textOf(env["OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"])?.toLowerCase();
  if (temporality !== undefined && temporality !== "cumulative") {
    remarks.push(`metrics are cumulative; use the Collector's cumulativetodelta for "${temporality}"`);
  }
  return {
    url,
    protocol: protocolOf(config, env, { signal: "metrics", remarks }),
    headers: config.headers ?? {},
    intervalMs,
    timeoutMs,
    exportTimeoutMs: Math.min(exportTimeoutMs, intervalMs),
    remarks,
  };
}

function urlOf(config: OtlpConfig, env: Env, signal: Signal): string | null {
  const own = textOf(config.endpoint ?? undefined);
  const whole = textOf(env[`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`]);
  const base = own ?? (whole === null ? textOf(env["OTEL_EXPORTER_OTLP_ENDPOINT"]) : null);
  const text = base ?? whole;
  if (text === null) return null;
  if (!URL.canParse(text) || !/^https?:\/\//i.test(text)) {
    throw new Problem("otlp_endpoint_invalid", `"${text}" is not an http or https address`, "otlp.endpoint");
  }
  const url = new URL(text);
  // The signal's own variable is taken as it is; a base gets the signal's path.
  if (base !== null && !url.pathname.endsWith(`/v1/${signal}`)) {
    url.pathname = `${url.pathname.replace(/\/+(v1\/(metrics|traces))?$/, "")}/v1/${signal}`;
  }
  return url.href;
}

function protocolOf(
  config: OtlpConfig,
  env: Env,
  { signal, remarks }: { readonly signal: Signal; readonly remarks: string[] },
): OtlpProtocol {
  const named =
    config.protocol ??
    textOf(env[`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_PROTOCOL`]) ??
    textOf(env["OTEL_EXPORTER_OTLP_PROTOCOL"]) ??
    "http/protobuf";
  if (named === "http/json" || named === "http/protobuf") return named;
  remarks.push(`protocol "${named}" is not spoken; http/protobuf is used`);
  return "http/protobuf";
}

const textOf = (value: string | undefined): string | null => value?.trim() || null;
const truthy = (value: string | undefined): boolean => value?.trim().toLowerCase() === "true";

function millis(value: string | undefined): number | null {
  const text = textOf(value);
  const ms = text === null ? Number.NaN : Number(text);
  return Number.isFinite(ms) && ms > 0 ? ms : null;
}
