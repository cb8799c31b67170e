// A firing and a quiet case for every alert, as promtool's input series. All cases share one timeline: the job tells them apart.

import type { AlertName } from "../../../src/config/config.ts";

type Labels = Readonly<Record<string, string>>;

export interface Series {
  readonly name: string;
  readonly labels: Labels;
  /** promtool's notation, one sample per step of the file. */
  readonly values: string;
}

export interface AlertCase {
  readonly alert: AlertName;
  /** When it must fire, and the other must not. */
  readonly at: string;
  readonly firing: readonly Series[];
  readonly quiet: readonly Series[];
  /** Labels of the alert beside alertname, severity and job. */
  readonly labels: Labels;
}

const I = { instance: "i" };
const M = { model: "m" };
const V = { model: "m", version: "2" };
const one = (name: string, labels: Labels, values: string): Series => ({ name, labels, values });

const requests = (outcome: string, values: string): Series =>
  one("outrider_requests_total", { ...I, ...V, outcome }, values);
const traffic = (ok: string, bad: string): Series[] => [requests("ok", ok), requests("server_error", bad)];
const duration = (fast: string, all: string): Series[] => [
  requests("ok", all),
  one("outrider_build_info", I, "1x100"),
  one("http_server_request_duration_seconds_bucket", { ...I, ...V, le: "0.5" }, fast),
  one("http_server_request_duration_seconds_count", { ...I, ...V }, all),
];

const LEVEL = "job_model_version_window";
const window = (length: string): Labels => ({ window: length, basis: "matured" });
/** What the sidecars' windows amount to, as the rules record it. */
function measured(version: string, length: string, metrics: Readonly<Record<string, number>>): Series[] {
  const place = { model: "m", version, ...window(length) };
  return [
    ...Object.entries(metrics).map(([metric, value]) =>
      one(`${LEVEL}_metric:outrider_quality`, { ...place, metric }, `${value}x100`),
    ),
    ...(metrics["accuracy"] === undefined
      ? []
      : [one(`${LEVEL}:outrider_accuracy`, place, `${metrics["accuracy"]}x100`)]),
  ];
}
const rows = (version: string, length: string, count: number): Series =>
  one(`${LEVEL}:outrider_pairs:sum`, { model: "m", version, ...window(length) }, `${count}x100`);
const baseline = (metric: string, value: number): Series[] => [
  one("outrider_quality_baseline", { ...I, ...V, metric, source: "registered" }, `${value}x100`),
  one("outrider_quality_baseline_margin_ratio", { ...I, ...M }, "0.1x100"),
];

const roles = [
  one("outrider_model_version_info", { ...I, model: "m", version: "1", role: "previous" }, "1x100"),
  one("outrider_model_version_info", { ...I, ...V, role: "current" }, "1x100"),
];
const versions = (before: number, now: number, count: number): Series[] => [
  ...roles,
  ...measured("1", "7d", { accuracy: before }),
  ...measured("2", "7d", { accuracy: now }),
  rows("1", "7d", count),
  rows("2", "7d", count),
];
const comparison = (lower: number, count: number): Series[] => {
  const pair = { ...I, model: "m", metric: "error_rate", baseline: "1", candidate: "2" };
  return [
    ...roles,
    one("outrider_comparison_lower", pair, `${lower}x100`),
    ...["1", "2"].map((version) => one("outrider_comparison_rows", { ...pair, version }, `${count}x100`)),
  ];
};
const labels = (joined: string, rejected: string): Series[] => [
  one("outrider_labels_total", { ...I, ...V, result: "joined" }, joined),
  one("outrider_labels_total", { ...I, result: "rejected" }, rejected),
];
const pairs = (labelled: string, made: string): Series[] => [
  one("outrider_window_pairs", { ...I, ...V, ...window("24h") }, labelled),
  one("outrider_window_predictions", { ...I, ...V, ...window("24h") }, made),
];
const silent = (lastLabel: number): Series[] => [
  one("outrider_predictions_total", { ...I, ...V }, "0+10x100"),
  one("outrider_model_version_first_seen_timestamp_seconds", { ...I, ...V }, "-1000000x100"),
  one("outrider_last_label_timestamp_seconds", { ...I, ...V }, `${lastLabel}x100`),
];
const drift = (psi: number): Series[] => {
  const stream = { ...I, ...V, stream: "score", window: "24h" };
  return [
    one("outrider_drift_psi", stream, `${psi}x100`),
    one("outrider_drift_psi_noise", stream, "0.02x100"),
    one("outrider_drift_rows", stream, "500x100"),
  ];
};
const exports = (failures: string, lastSuccess: string): Series[] => [
  one("outrider_otlp_exports_total", { ...I, result: "failure" }, failures),
  one("outrider_otlp_last_success_timestamp_seconds", I, lastSuccess),
];
const offsets = (a: number, b: number): Series[] =>
  [a, b].map((value, at) =>
    one("outrider_regression_label_offset", { instance: `i${at}`, ...V }, `${value}x100`),
  );

/** One sample a minute. */
export const shortCases: readonly AlertCase[] = [
  {
    alert: "OutriderAbsent",
    at: "25m",
    firing: [one("outrider_observer_up", I, "1x10 _x30")],
    quiet: [one("outrider_observer_up", I, "1x100")],
    labels: {},
  },
  {
    alert: "OutriderDown",
    at: "15m",
    firing: [one("up", I, "1x5 0x30"), one("outrider_observer_up", I, "1x5 _x30")],
    // A program that never was a sidecar.
    quiet: [one("up", I, "0x100")],
    labels: I,
  },
  {
    alert: "OutriderTargetDown",
    at: "10m",
    firing: [
      one("outrider_probe_up", { ...I, probe: "upstream" }, "0x100"),
      one("outrider_probe_consecutive_failures", { ...I, probe: "upstream" }, "3x100"),
    ],
    quiet: [
      one("outrider_probe_up", { ...I, probe: "upstream" }, "0x100"),
      one("outrider_probe_consecutive_failures", { ...I, probe: "upstream" }, "2x100"),
    ],
    labels: { ...I, probe: "upstream" },
  },
  {
    alert: "OutriderProbeFlapping",
    at: "10m",
    firing: [one("outrider_probe_up", { ...I, probe: "upstream" }, "1 0 1 0 1 0 1 0 1 1x100")],
    quiet: [one("outrider_probe_up", { ...I, probe: "upstream" }, "1 0 1 0 1 1x100")],
    labels: { ...I, probe: "upstream" },
  },
  {
    alert: "OutriderCertificateExpiring",
    at: "20m",
    firing: [
      one("outrider_probe_tls_certificate_expiry_timestamp_seconds", { ...I, probe: "p" }, "86400x100"),
    ],
    quiet: [
      one("outrider_probe_tls_certificate_expiry_timestamp_seconds", { ...I, probe: "p" }, "5000000x100"),
    ],
    labels: { ...I, probe: "p" },
  },
  {
    alert: "OutriderErrorBudgetBurnFast",
    at: "30m",
    firing: traffic("0+90x100", "0+10x100"),
    // As bad, but too few requests to say so.
    quiet: traffic("0+1x100", "0+1x100"),
    labels: { slo: "availability" },
  },
  {
    alert: "OutriderErrorBudgetBurnSlow",
    at: "60m",
    firing: traffic("0+995x100", "0+5x100"),
    quiet: traffic("0+9999x100", "0+1x100"),
    labels: { slo: "availability" },
  },
  {
    alert: "OutriderLatencyBudgetBurnFast",
    at: "30m",
    firing: duration("0+50x100", "0+100x100"),
    quiet: duration("0+95x100", "0+100x100"),
    labels: { slo: "latency" },
  },
  {
    alert: "OutriderLatencyBudgetBurnSlow",
    at: "60m",
    firing: duration("0+95x100", "0+100x100"),
    quiet: duration("0+100x100", "0+100x100"),
    labels: { slo: "latency" },
  },
  {
    alert: "OutriderPredictionExtractFailures",
    at: "50m",
    firing: [
      requests("ok", "0+100x100"),
      one("outrider_prediction_extract_failures_total", { ...I, ...M, reason: "not_json" }, "0+10x100"),
    ],
    quiet: [
      requests("ok", "0+100x100"),
      one("outrider_prediction_extract_failures_total", { ...I, ...M, reason: "not_json" }, "0+1x100"),
    ],
    labels: M,
  },
  { alert: "OutriderLabelsMissing", at: "60m", firing: silent(-1_000_000), quiet: silent(0), labels: M },
  {
    alert: "OutriderLabelsLost",
    at: "50m",
    firing: labels("0+10x100", "0+10x100"),
    quiet: labels("0+100x100", "0+1x100"),
    labels: {},
  },
  {
    alert: "OutriderQualityBelowBaseline",
    at: "30m",
    firing: [...measured("2", "24h", { accuracy: 0.7 }), ...baseline("accuracy", 0.9), rows("2", "24h", 500)],
    // Within the margin of a tenth.
    quiet: [...measured("2", "24h", { accuracy: 0.82 }), ...baseline("accuracy", 0.9), rows("2", "24h", 500)],
    labels: { ...V, ...window("24h"), metric: "accuracy" },
  },
  {
    alert: "OutriderQualityWorseThanPrevious",
    at: "40m",
    firing: versions(0.9, 0.7, 500),
    // A tenth of 210 rows: within two standard errors.
    quiet: versions(0.6, 0.53, 210),
    labels: { ...V, metric: "accuracy" },
  },
  {
    alert: "OutriderCandidateWorse",
    at: "15m",
    firing: comparison(0.02, 300),
    quiet: comparison(-0.01, 300),
    labels: { ...M, metric: "error_rate", baseline: "1", candidate: "2" },
  },
  {
    alert: "OutriderQualityCollapse",
    at: "20m",
    firing: [...measured("2", "24h", { r2: -0.5 }), rows("2", "24h", 500)],
    quiet: [...measured("2", "24h", { accuracy: 0.6 }), ...baseline("accuracy", 0.9), rows("2", "24h", 500)],
    labels: { ...V, ...window("24h"), metric: "r2" },
  },
  {
    alert: "OutriderPredictionDrift",
    at: "80m",
    firing: drift(0.5),
    quiet: drift(0.2),
    labels: { ...V, stream: "score", window: "24h" },
  },
  {
    alert: "OutriderConceptDrift",
    at: "20m",
    firing: [
      one(
        "outrider_concept_drift_alarms_total",
        { ...I, ...V, detector: "adwin", direction: "up" },
        "0x10 1x90",
      ),
    ],
    quiet: [
      one(
        "outrider_concept_drift_alarms_total",
        { ...I, ...V, detector: "adwin", direction: "down" },
        "0x10 1x90",
      ),
    ],
    labels: { ...V, detector: "adwin" },
  },
  {
    alert: "OutriderTargetMemoryNearLimit",
    at: "20m",
    firing: [
      one("outrider_target_memory_usage_bytes", { ...I, source: "cgroup", kind: "working_set" }, "95x100"),
      one("outrider_target_memory_limit_bytes", I, "100x100"),
    ],
    quiet: [
      one("outrider_target_memory_usage_bytes", { ...I, source: "cgroup", kind: "working_set" }, "50x100"),
      one("outrider_target_memory_limit_bytes", I, "100x100"),
    ],
    labels: I,
  },
  {
    alert: "OutriderTargetOutOfMemory",
    at: "12m",
    firing: [one("outrider_target_oom_kills_total", I, "0x5 1x90")],
    quiet: [one("outrider_target_oom_kills_total", I, "1x100")],
    labels: I,
  },
  {
    alert: "OutriderTargetCpuHigh",
    at: "30m",
    firing: [one("outrider_target_cpu_utilization_ratio", { ...I, source: "cgroup" }, "0.95x100")],
    quiet: [one("outrider_target_cpu_utilization_ratio", { ...I, source: "cgroup" }, "0.8x100")],
    labels: I,
  },
  {
    alert: "OutriderTargetCpuThrottled",
    at: "30m",
    firing: [one("outrider_target_cpu_throttled_time_seconds_total", I, "0+30x100")],
    quiet: [one("outrider_target_cpu_throttled_time_seconds_total", I, "0+5x100")],
    labels: I,
  },
  {
    alert: "OutriderObserverDown",
    at: "10m",
    firing: [one("outrider_observer_up", I, "0x100")],
    quiet: [one("outrider_observer_up", I, "1x100"), one("outrider_observer_restarts_total", I, "0x5 1x90")],
    labels: I,
  },
  {
    alert: "OutriderTrafficWorkersRestarting",
    at: "10m",
    firing: [one("outrider_proxy_worker_restarts_total", I, "0x3 1x2 2 4x90")],
    quiet: [one("outrider_proxy_worker_restarts_total", I, "0x3 1x2 2x90")],
    labels: I,
  },
  {
    alert: "OutriderProxyHoldingMuch",
    at: "20m",
    firing: [one("outrider_proxy_held_bytes", I, "0x5 200000000x90")],
    quiet: [one("outrider_proxy_held_bytes", I, "0x5 200000000x3 0x10 130000000x80")],
    labels: I,
  },
  {
    alert: "OutriderQueueDropping",
    at: "10m",
    firing: [one("outrider_queue_dropped_total", { ...I, queue: "observer", what: "body" }, "0x5 7x90")],
    quiet: [one("outrider_queue_dropped_total", { ...I, queue: "observer", what: "body" }, "7x100")],
    labels: { ...I, queue: "observer", what: "body" },
  },
  {
    alert: "OutriderStoreWriteErrors",
    at: "10m",
    firing: [one("outrider_store_write_errors_total", I, "0x5 1x90")],
    quiet: [one("outrider_store_write_errors_total", I, "0x100")],
    labels: I,
  },
  {
    alert: "OutriderSeriesBudgetExceeded",
    at: "40m",
    firing: [one("outrider_label_values_overflow_total", { ...I, label: "http_route" }, "0x5 9x90")],
    quiet: [one("outrider_label_values_overflow_total", { ...I, label: "http_route" }, "9x100")],
    labels: { ...I, label: "http_route" },
  },
  {
    alert: "OutriderExporterFailing",
    at: "40m",
    firing: exports("0+1x100", "0x100"),
    // Some fail, most do not.
    quiet: exports("0+1x100", "0+60x100"),
    labels: I,
  },
  {
    alert: "OutriderJobFailing",
    at: "40m",
    firing: [one("outrider_job_runs_total", { ...I, job_name: "probe", result: "failed" }, "0+1x100")],
    quiet: [one("outrider_job_runs_total", { ...I, job_name: "probe", result: "ok" }, "0+1x100")],
    labels: { ...I, job_name: "probe" },
  },
  {
    alert: "OutriderRegistryStale",
    at: "30m",
    firing: [
      one("outrider_registry_last_answer_timestamp_seconds", { ...I, registry: "mlflow", ...M }, "0x100"),
    ],
    quiet: [
      one("outrider_registry_last_answer_timestamp_seconds", { ...I, registry: "mlflow", ...M }, "0+60x100"),
    ],
    labels: { ...I, registry: "mlflow", ...M },
  },
  {
    alert: "OutriderVersionMismatch",
    at: "30m",
    firing: [one("outrider_version_mismatch", { ...I, ...M }, "1x100")],
    quiet: [one("outrider_version_mismatch", { ...I, ...M }, "1x10 0x90")],
    labels: M,
  },
  {
    alert: "OutriderLabelOffsetMismatch",
    at: "30m",
    firing: offsets(0, 5),
    quiet: offsets(5, 5),
    labels: V,
  },
];

const percentile = (values: string): Series =>
  one("outrider_label_delay_percentile_seconds", { ...I, ...V, percentile: "90" }, values);

/** One sample every ten minutes: a day is 144, a week 1008. */
export const longCases: readonly AlertCase[] = [
  {
    alert: "OutriderNoTraffic",
    at: "10d",
    // Steady for more than a week, then nothing.
    firing: [requests("ok", "0+100x1430 143000x200")],
    quiet: [requests("ok", "0+100x1700")],
    labels: M,
  },
  {
    alert: "OutriderLabelCoverageLow",
    at: "10d",
    firing: pairs("900x1420 200x200", "1000x1700"),
    quiet: pairs("900x1420 700x200", "1000x1700"),
    labels: M,
  },
  {
    alert: "OutriderLabelDelayHigh",
    at: "10d",
    firing: [percentile("100x1420 900x200")],
    quiet: [percentile("100x1420 150x200")],
    labels: M,
  },
];
