// Platforms without /proc: one process by pidusage, which runs `ps` or asks Windows. No children, no discovery.
// Of its figures only `ctime` and `memory` are used: its `cpu` is 0 for the first sample and whenever samples are far apart.

import { statSync } from "node:fs";
import pidusage from "pidusage";
import { ContinuedCounter } from "./accounts.ts";
import { readPidFile, type TargetOptions } from "./discover.ts";
import { NOTHING, type Reading } from "./sample.ts";

export interface PsReader {
  /** Null: there is no such process (any more). */
  read(): Promise<Reading | null>;
  readonly restarts: number;
}

type PsOptions = Extract<TargetOptions, { kind: "pid" | "pidFile" }>;

/** Start times are whole seconds on some platforms, and the clocks of two readings differ a little. */
const SAME_START_MS = 2500;

class OneProcess implements PsReader {
  readonly #options: PsOptions;
  readonly #cpu = new ContinuedCounter();
  /** A dead pid is never asked for again: pidusage keeps its file open and goes on failing even when the number is reused. */
  #dead: string | null = null;
  #life: { readonly pid: number; readonly startedAtMs: number } | null = null;
  #lives = 0;

  constructor(options: PsOptions) {
    this.#options = options;
  }

  get restarts(): number {
    return Math.max(0, this.#lives - 1);
  }

  /** The pid, and a key that changes when somebody writes the pid file again. */
  #wanted(): { pid: number; key: string } | null {
    if (this.#options.kind === "pid") return { pid: this.#options.pid, key: "" };
    const { path } = this.#options;
    const pid = readPidFile(path);
    const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    return pid === null || written === undefined ? null : { pid, key: `${pid} ${written}` };
  }

  async read(): Promise<Reading | null> {
    const wanted = this.#wanted();
    if (wanted === null || wanted.key === this.#dead) return null;
    try {
      const { ctime, memory, elapsed, timestamp } = await pidusage(wanted.pid);
      this.#meet({ pid: wanted.pid, startedAtMs: timestamp - elapsed });
      const cpuSecondsTotal = this.#cpu.add(ctime / 1000, String(this.#lives));
      const memoryBytes = { rss: memory, workingSet: null };
      return { ...NOTHING, source: "ps", cpuSecondsTotal, memoryBytes, processes: 1, pids: [wanted.pid] };
    } catch {
      this.#dead = wanted.key;
      return null;
    }
  }

  #meet(life: { readonly pid: number; readonly startedAtMs: number }): void {
    const before = this.#life;
    const apart = Math.abs(life.startedAtMs - (before?.startedAtMs ?? 0));
    if (before !== null && before.pid === life.pid && apart <= SAME_START_MS) return;
    this.#life = life;
    this.#lives++;
  }
}

export function createPsReader(options: PsOptions): PsReader {
  return new OneProcess(options);
}
