// The status page's desk joined to the rooms that know.

import type { Config } from "../config/config.ts";
import type { TrafficStats } from "../facts/road.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Measure } from "../measure/measure.ts";
import type { ModelBook } from "../observe/models.ts";
import { modelViews, windowsOf } from "./api-needs.ts";
import type { Comparing } from "./comparing.ts";
import type { StateBook } from "./state-book.ts";
import { createStatusDesk, type StatusDesk } from "./status/status-desk.ts";
import type { ObserverVersions } from "./version-desk.ts";

export interface StatusParts {
  readonly clock: Clock;
  readonly measure: Measure;
  readonly book: ModelBook;
  readonly versions: ObserverVersions;
  readonly comparing: Comparing;
  readonly states: StateBook;
}

export interface ObserverStatus extends StatusDesk {
  /** What the traffic process counted last. */
  stats(stats: TrafficStats): void;
}

/** Whole facts that were lost, wherever. */
function lostOf({ dropped }: TrafficStats): number {
  return Object.entries(dropped).reduce(
    (sum, [what, count]) => sum + (what.endsWith("/fact") ? count : 0),
    0,
  );
}

export function createObserverStatus(config: Config, parts: StatusParts): ObserverStatus {
  let lost = 0;
  const desk = createStatusDesk({
    clock: parts.clock,
    models: () => modelViews(parts),
    versionModels: () => parts.versions.models(),
    groups: (at) => parts.measure.groups(at, { slice: "" }),
    comparisons: () => parts.comparing.comparisons.all(),
    parts: () => parts.states.all(),
    windows: () => windowsOf(parts, config),
    dropped: () => lost,
  });
  const stats = (told: TrafficStats): void => {
    lost = lostOf(told);
  };
  return {
    start: () => desk.start(),
    stop: (ms) => desk.stop(ms),
    exchange: (exchange) => desk.exchange(exchange),
    probe: (up) => desk.probe(up),
    target: (sample) => desk.target(sample),
    status: (window) => desk.status(window),
    stats,
  };
}
