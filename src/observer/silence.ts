// Silence that means a label (`absentMeans`), for the models that are configured so, over this observer's ledger.

import type { Config } from "../config/config.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import type { Ledger } from "../ledger/types.ts";
import type { Recorder } from "../telemetry/recorder.ts";
import { createSilence, type Silence } from "./absent.ts";

export interface SilenceParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: Ledger;
  readonly recorder: Recorder;
}

export function createSilenceFor(config: Config, { clock, log, ledger, recorder }: SilenceParts): Silence {
  const silent = config.models.flatMap(({ name, absentMeans }) =>
    absentMeans === null ? [] : [{ model: name, ...absentMeans }],
  );
  const absent = recorder.counter("outrider_labels_absent_total");
  return createSilence(silent, {
    clock,
    log,
    versionsOf: (model) => ledger.stats().series.filter((series) => series.model === model),
    scan: (of, visit) => ledger.scan(of, visit),
    label: (events) => ledger.label(events),
    count: (model, of, rows) => absent.inc({ model, version: of }, rows),
  });
}
