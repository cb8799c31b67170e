// One look at the watched process: the figures, and the counters that go on growing over restarts.

import { availableParallelism } from "node:os";

export interface TargetSample {
  /** Where the figures come from: the process tree in /proc, `ps`, or the process's own cgroup. */
  readonly source: "procfs" | "ps" | "cgroup";
  /** Grows over restarts, and when children end. Seconds of CPU time, of all processes together. */
  readonly cpuSecondsTotal: number;
  /** Share used since the sample before of what may be used (`cpuLimit`, else all CPUs); null at first. */
  readonly cpuUtilization: number | null;
  /** CPUs; null: no limit, or not known. */
  readonly cpuLimit: number | null;
  /** `rss`: resident memory, pages shared by several processes counted for each. `workingSet`: without dropable file pages. */
  readonly memoryBytes: { readonly rss: number | null; readonly workingSet: number | null };
  readonly memoryLimitBytes: number | null;
  /** Both grow over restarts. */
  readonly throttledSeconds: number | null;
  readonly oomKills: number | null;
  readonly processes: number;
  /** How often the watched process was found to be another one than before. */
  readonly restarts: number;
  readonly pids: readonly number[];
}

/** A sample before the share of the CPU is worked out. */
export type Reading = Omit<TargetSample, "cpuUtilization" | "restarts">;

/** Gives readings their share of the CPU. */
export class Meter {
  #last: { source: string; total: number; atMs: number } | null = null;

  sample(reading: Reading, at: { readonly monotonicMs: number; readonly restarts: number }): TargetSample {
    const before = this.#last;
    this.#last = { source: reading.source, total: reading.cpuSecondsTotal, atMs: at.monotonicMs };
    return {
      ...reading,
      cpuUtilization: this.#share(reading, at.monotonicMs, before),
      restarts: at.restarts,
    };
  }

  #share(
    reading: Reading,
    atMs: number,
    before: { source: string; total: number; atMs: number } | null,
  ): number | null {
    if (before === null || before.source !== reading.source || atMs <= before.atMs) return null;
    const cpus = ((reading.cpuSecondsTotal - before.total) * 1000) / (atMs - before.atMs);
    return cpus / (reading.cpuLimit ?? availableParallelism());
  }
}

/** Nothing known beside the CPU time: the start of every reading. */
export const NOTHING = Object.freeze({
  cpuLimit: null,
  memoryBytes: Object.freeze({ rss: null, workingSet: null }),
  memoryLimitBytes: null,
  throttledSeconds: null,
  oomKills: null,
});
