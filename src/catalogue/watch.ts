// Families about what is watched beside the traffic: probes of the service, and its process or container.

import type { Descriptor } from "./descriptor.ts";

const PROBE_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export const probeFamilies: readonly Descriptor[] = [
  {
    name: "outrider_probe_attempts_total",
    otel: { name: "outrider.probe.attempts", unit: "{attempt}" },
    type: "counter",
    labels: ["probe", "result", "reason"],
    help: "Probes made, by result (success, failure) and the reason of a failure.",
  },
  {
    name: "outrider_probe_up",
    otel: { name: "outrider.probe.up", unit: "" },
    type: "gauge",
    labels: ["probe"],
    help: "1 when the last probe succeeded, else 0.",
  },
  {
    name: "outrider_probe_duration_seconds",
    otel: { name: "outrider.probe.duration", unit: "s" },
    type: "histogram",
    labels: ["probe"],
    help: "Time a probe took.",
    buckets: PROBE_SECONDS,
  },
  {
    name: "outrider_probe_consecutive_failures",
    otel: { name: "outrider.probe.consecutive_failures", unit: "{failure}" },
    type: "gauge",
    labels: ["probe"],
    help: "Failed probes since the last success.",
  },
  {
    name: "outrider_probe_last_success_timestamp_seconds",
    otel: { name: "outrider.probe.last_success.timestamp", unit: "s" },
    type: "gauge",
    labels: ["probe"],
    help: "Unix time of the last successful probe.",
  },
  {
    name: "outrider_probe_http_status_code",
    otel: { name: "outrider.probe.http.status_code", unit: "" },
    type: "gauge",
    labels: ["probe"],
    help: "HTTP status of the last probe that was answered.",
  },
  {
    name: "outrider_probe_tls_certificate_expiry_timestamp_seconds",
    otel: { name: "outrider.probe.tls.certificate.expiry.timestamp", unit: "s" },
    type: "gauge",
    labels: ["probe"],
    help: "Unix time at which the service's certificate ends.",
  },
];

export const targetFamilies: readonly Descriptor[] = [
  {
    name: "outrider_target_cpu_time_seconds_total",
    otel: { name: "outrider.target.cpu.time", unit: "s" },
    type: "counter",
    labels: ["source"],
    help: "CPU time the watched process or container used.",
  },
  {
    name: "outrider_target_cpu_utilization_ratio",
    otel: { name: "outrider.target.cpu.utilization", unit: "1" },
    type: "gauge",
    labels: ["source"],
    help: "Share of its CPU limit (or of the machine) the watched process used since the sample before.",
  },
  {
    name: "outrider_target_cpu_limit",
    otel: { name: "outrider.target.cpu.limit", unit: "{cpu}" },
    type: "gauge",
    labels: [],
    help: "CPUs the watched container may use.",
  },
  {
    name: "outrider_target_cpu_throttled_time_seconds_total",
    otel: { name: "outrider.target.cpu.throttled.time", unit: "s" },
    type: "counter",
    labels: [],
    help: "Time the watched container was held back by its CPU limit.",
  },
  {
    name: "outrider_target_memory_usage_bytes",
    otel: { name: "outrider.target.memory.usage", unit: "By" },
    type: "updowncounter",
    labels: ["source", "kind"],
    help: "Memory of the watched process or container: rss, or working_set as the kubelet counts it.",
  },
  {
    name: "outrider_target_memory_limit_bytes",
    otel: { name: "outrider.target.memory.limit", unit: "By" },
    type: "gauge",
    labels: [],
    help: "Memory the watched container may use.",
  },
  {
    name: "outrider_target_oom_kills_total",
    otel: { name: "outrider.target.oom_kills", unit: "{kill}" },
    type: "counter",
    labels: [],
    help: "Processes of the watched container killed for lack of memory.",
  },
  {
    name: "outrider_target_processes",
    otel: { name: "outrider.target.processes", unit: "{process}" },
    type: "gauge",
    labels: [],
    help: "Processes that are watched.",
  },
  {
    name: "outrider_target_restarts_total",
    otel: { name: "outrider.target.restarts", unit: "{restart}" },
    type: "counter",
    labels: [],
    help: "Times the watched process was found to be another one than before.",
  },
  {
    name: "outrider_target_scrape_errors_total",
    otel: { name: "outrider.target.scrape.errors", unit: "{error}" },
    type: "counter",
    labels: ["reason"],
    help: "Samples of the watched process that failed.",
  },
];
