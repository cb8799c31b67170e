// Probes and the model server's process, started together; what they find becomes series and the upstream's state.

import type { Config } from "../config/config.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import type { Recorder } from "../telemetry/recorder.ts";
import { createProbes } from "../watch/probes.ts";
import { createTarget } from "../watch/target.ts";
import type { StateBook } from "./state-book.ts";
import type { StatusDesk } from "./status/status-desk.ts";
import { createProbeMetrics, recordTarget } from "./watch-metrics.ts";

const SAMPLE_MS = 5000;

export interface WatchParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly recorder: Recorder;
  readonly states: StateBook;
  /** Also shown on the status page. */
  readonly shown: Pick<StatusDesk, "probe" | "target">;
}

/** Parts to be started in order. */
export function createWatch(
  config: Config,
  { clock, log, recorder, states, shown }: WatchParts,
): readonly Part[] {
  const metrics = createProbeMetrics(
    recorder,
    config.probes.map(({ name }) => name),
  );
  const probes = createProbes(config.probes, {
    clock,
    log,
    onResult: (result) => {
      metrics.record(result);
      shown.probe(result.up);
      if (result.up) states.set(`probe ${result.name}`, "ok");
      else states.set(`probe ${result.name}`, "degraded", `the probe failed: ${result.reason}`);
    },
    onJob: (name, result, seconds) => {
      recorder.counter("outrider_job_runs_total").inc({ job_name: name, result });
      if (result === "overlap" || result === "missed") return;
      recorder.histogram("outrider_job_duration_seconds").observe({ job_name: name }, seconds);
    },
  });
  const target = createTarget(config.target, {
    clock,
    log,
    everyMs: SAMPLE_MS,
    onSample: (sample) => {
      recordTarget(recorder, sample);
      shown.target(sample);
    },
    onError: (reason) => recorder.counter("outrider_target_scrape_errors_total").inc({ reason }),
  });
  return [probes, target];
}
