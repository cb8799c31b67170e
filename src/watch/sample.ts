// One look at the watched process: the figures, and the counters that go on growing over restarts.

import { availableParallelism } from "node:os";

export interface TargetSample {
  /** Where the figures come from: the process tree in /proc, `ps`, the process's own cgroup, or its own /metrics. */
  readonly source: "procfs" | "ps" | "cgroup" | "metrics";
  /** Grows over restarts, and when children end. Seconds of CPU time, of all processes together; null: not told. */
  readonly cpuSecondsTotal: number | null;
  /**
   * Share used since the sample before of what may be used (`cpuLimit`, else all CPUs); null at first, and for `metrics`: the
   * CPUs that we see need not be those of the container next door.
   */
  readonly cpuUtilization: number | null;
  /** CPUs; null: no limit, or not known. */
  readonly cpuLimit: number | null;
  /** `rss`: resident memory, pages shared by several processes counted for each. `workingSet`: without dropable file pages. */
  readonly memoryBytes: { readonly rss: number | null; readonly workingSet: number | null };
  readonly memoryLimitBytes: number | null;
  /** Both grow over restarts. */
  readonly throttledSeconds: number | null;
  readonly oomKills: number | null;
  /** Null: not told. */
  readonly processes: number | null;
  /** How often the watched process was found to be another one than before. */
  readonly restarts: number;
  readonly pids: readonly number[];
}

/** A sample before the share of the CPU is worked out. */
export type Reading = Omit<TargetSample, "cpuUtilization" | "restarts">;

/** Gives readings their share of the CPU. */
export class Meter {
  #last: Point | null = null;

  sample(reading: Reading, at: { readonly monotonicMs: number; readonly restarts: number }): TargetSample {
    const before = this.#last;
    const { source, cpuSecondsTotal: total } = reading;
    const now = total === null ? null : { source, total, atMs: at.monotonicMs };
    this.#last = now;
    return { ...reading, cpuUtilization: share(reading.cpuLimit, before, now), restarts: at.restarts };
  }
}

interface Point {
  readonly source: TargetSample["source"];
  readonly total: number;
  readonly atMs: number;
}

function share(cpuLimit: number | null, before: Point | null, now: Point | null): number | null {
  if (before === null || now === null || before.source !== now.source || now.atMs <= before.atMs) return null;
  if (now.source === "metrics") return null;
  const cpus = ((now.total - before.total) * 1000) / (now.atMs - before.atMs);
  return cpus / (cpuLimit ?? availableParallelism());
}

/** Nothing known beside the CPU time: the start of every reading. */
export const NOTHING = Object.freeze({
  cpuLimit: null,
  memoryBytes: Object.freeze({ rss: null, workingSet: null }),
  memoryLimitBytes: null,
  throttledSeconds: null,
  oomKills: null,
});
