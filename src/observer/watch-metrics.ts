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

function setIfKnown(
  recorder: Recorder,
  gauge: { name: string; labels?: Record<string, string> },
  value: number | null,
): void {
  const family = recorder.gauge(gauge.name);
  if (value === null) family.remove(gauge.labels ?? {});
  else family.set(gauge.labels ?? {}, value);
}

/** Null: the process could not be found; its gauges go, its counters stay. */
export function recordTarget(recorder: Recorder, sample: TargetSample | null): void {
  if (sample === null) {
    for (const name of ["outrider_target_cpu_utilization_ratio", "outrider_target_memory_usage_bytes"])
      recorder.gauge(name).replace([]);
    recorder.gauge("outrider_target_processes").set({}, 0);
    return;
  }
  const { source } = sample;
  recorder.counter("outrider_target_cpu_time_seconds_total").set({ source }, sample.cpuSecondsTotal);
  setIfKnown(
    recorder,
    { name: "outrider_target_cpu_utilization_ratio", labels: { source } },
    sample.cpuUtilization,
  );
  setIfKnown(recorder, { name: "outrider_target_cpu_limit" }, sample.cpuLimit);
  setIfKnown(
    recorder,
    { name: "outrider_target_memory_usage_bytes", labels: { source, kind: "rss" } },
    sample.memoryBytes.rss,
  );
  setIfKnown(
    recorder,
    { name: "outrider_target_memory_usage_bytes", labels: { source, kind: "working_set" } },
    sample.memoryBytes.workingSet,
  );
  setIfKnown(recorder, { name: "outrider_target_memory_limit_bytes" }, sample.memoryLimitBytes);
  recorder.gauge("outrider_target_processes").set({}, sample.processes);
  recorder.counter("outrider_target_restarts_total").set({}, sample.restarts);
  if (sample.throttledSeconds !== null) {
    recorder.counter("outrider_target_cpu_throttled_time_seconds_total").set({}, sample.throttledSeconds);
  }
  if (sample.oomKills !== null) recorder.counter("outrider_target_oom_kills_total").set({}, sample.oomKills);
}
