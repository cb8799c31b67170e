// Probe results and samples of the model server's process, as series.

import type { Recorder } from "../telemetry/recorder.ts";
import type { ProbeResult } from "../watch/probes.ts";
import type { TargetSample } from "../watch/target.ts";

export interface ProbeMetrics {
  record(result: ProbeResult): void;
}

export function createProbeMetrics(recorder: Recorder, probes: readonly string[]): ProbeMetrics {
  const failures = new Map<string, number>();
  for (const probe of probes) {
    recorder.counter("outrider_probe_attempts_total").zero({ probe, result: "success", reason: "" });
    recorder.counter("outrider_probe_attempts_total").zero({ probe, result: "failure", reason: "timeout" });
  }
  return {
    record: (result) => {
      const probe = result.name;
      const outcome = result.up
        ? { result: "success", reason: "" }
        : { result: "failure", reason: result.reason };
      const failed = result.up ? 0 : (failures.get(probe) ?? 0) + 1;
      failures.set(probe, failed);
      recorder.counter("outrider_probe_attempts_total").inc({ probe, ...outcome });
      recorder.gauge("outrider_probe_up").set({ probe }, result.up ? 1 : 0);
      recorder.histogram("outrider_probe_duration_seconds").observe({ probe }, result.durationMs / 1000);
      recorder.gauge("outrider_probe_consecutive_failures").set({ probe }, failed);
      if (result.up)
        recorder.gauge("outrider_probe_last_success_timestamp_seconds").set({ probe }, result.at / 1000);
      if (result.status !== null)
        recorder.gauge("outrider_probe_http_status_code").set({ probe }, result.status);
      if (result.certExpiresAtMs !== null) {
        recorder
          .gauge("outrider_probe_tls_certificate_expiry_timestamp_seconds")
          .set({ probe }, result.certExpiresAtMs / 1000);
      }
    },
  };
}

/** Null: the process could not be found; its gauges go, its counters stay. What is not known has no series, not a zero. */
export function recordTarget(recorder: Recorder, sample: TargetSample | null): void {
  const source = sample?.source ?? "";
  // Replaced as a whole: the same process may be seen another way than before.
  const gauge = (
    name: string,
    ...series: readonly { labels?: Record<string, string>; value: number | null | undefined }[]
  ) =>
    recorder
      .gauge(name)
      .replace(
        series.flatMap(({ labels = {}, value }) => (typeof value === "number" ? [{ labels, value }] : [])),
      );
  gauge("outrider_target_cpu_utilization_ratio", { labels: { source }, value: sample?.cpuUtilization });
  gauge("outrider_target_cpu_limit", { value: sample?.cpuLimit });
  gauge(
    "outrider_target_memory_usage_bytes",
    { labels: { source, kind: "rss" }, value: sample?.memoryBytes.rss },
    { labels: { source, kind: "working_set" }, value: sample?.memoryBytes.workingSet },
  );
  gauge("outrider_target_memory_limit_bytes", { value: sample?.memoryLimitBytes });
  gauge("outrider_target_processes", { value: sample?.processes });
  if (sample === null) return;
  const counter = (name: string, value: number | null, labels: Record<string, string> = {}): void => {
    if (value !== null) recorder.counter(name).set(labels, value);
  };
  counter("outrider_target_cpu_time_seconds_total", sample.cpuSecondsTotal, { source });
  counter("outrider_target_restarts_total", sample.restarts);
  counter("outrider_target_cpu_throttled_time_seconds_total", sample.throttledSeconds);
  counter("outrider_target_oom_kills_total", sample.oomKills);
}
