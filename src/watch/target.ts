// CPU and memory of the model server's process, sampled: the cgroup where it has its own, else its process tree,
// else (no /proc) one process by `ps`, else what its own /metrics tells. What cannot be had is said once in the log and left out.

import type { Clock, Timer } from "../kernel/clock.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import type { CgroupRoots } from "./cgroup.ts";
import type { TargetOptions } from "./discover.ts";
import { createLinuxReader } from "./linux.ts";
import { createPageReader } from "./page.ts";
import { readMachineUnits, readUptime } from "./procfs.ts";
import { createPsReader, type PsReader } from "./ps.ts";
import { Meter, type Reading, type TargetSample } from "./sample.ts";

export type { TargetOptions } from "./discover.ts";
export type { TargetSample } from "./sample.ts";

export interface TargetNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs: number;
  /** Null: the process could not be found. */
  readonly onSample: (sample: TargetSample | null) => void;
  /** One of the keys of `REASONS`. */
  readonly onError: (reason: string) => void;
  /** Default: /proc and /sys/fs/cgroup. */
  readonly roots?: CgroupRoots;
}

export interface Target extends Part {
  latest(): TargetSample | null;
}

const MACHINE: CgroupRoots = { proc: "/proc", cgroup: "/sys/fs/cgroup" };

/** Why there is no sample, in words for the operator. */
const REASONS: Readonly<Record<string, string>> = {
  not_found: "the model server's process was not found; its CPU and memory are left out until it is",
  not_local:
    "the model server is not behind a port of this machine and its /metrics tells no CPU or memory; set `target` to watch a process, a cgroup or a metrics page",
  no_permission:
    "somebody listens on the upstream's port, but its process is not shown to us (another user or pid namespace) and its /metrics tells no CPU or memory; set `target`",
  bad_pid_file: "the pid file is missing or holds no number",
  no_cgroup: "the cgroup folder is missing or holds no cpu.stat of a cgroup v2 and no cpuacct.usage of a v1",
  no_proc:
    "this platform has no /proc and the model server's /metrics tells no CPU or memory; only `target: { pid }`, `{ pidFile }` and `{ metrics }` can be watched here",
  metrics_unreachable: "the metrics page did not answer within 2 s",
  metrics_missing:
    "the metrics page has neither process_cpu_seconds_total nor process_resident_memory_bytes, or is not there",
  metrics_too_large: "the metrics page is larger than 8 MiB",
  several_processes:
    "several processes answer for the metrics page in turn, so that no counter can be told; CPU and memory are left out",
  internal: "reading the process failed",
};

/** Nothing will change these while we run: the machine is another one, or the server is made of many. */
const FINAL: ReadonlySet<string> = new Set(["several_processes"]);
/** That is no error of sampling: there is nothing here to be sampled. */
const ABSENT: ReadonlySet<string> = new Set(["not_local", "no_proc"]);

type Outcome = { readonly reading: Reading; readonly restarts: number } | { readonly missing: string };

/** One look, on whatever platform this is. */
type Look = () => Promise<Outcome>;

interface Reader {
  look(): Promise<{ readonly reading: Reading } | { readonly missing: string }>;
  readonly restarts: number;
}

function lookOf(reader: Reader): Look {
  return async () => {
    const look = await reader.look();
    return "missing" in look ? look : { reading: look.reading, restarts: reader.restarts };
  };
}

function psLook(reader: PsReader): Look {
  return async () => {
    const reading = await reader.read();
    return reading === null ? { missing: "not_found" } : { reading, restarts: reader.restarts };
  };
}

function ownLook(options: Exclude<TargetOptions, { kind: "metrics" }>, roots: CgroupRoots): Look {
  if (readUptime(roots.proc) !== null || options.kind === "cgroup")
    return lookOf(createLinuxReader(options, { roots, units: readMachineUnits(roots.proc) }));
  if (options.kind === "pid" || options.kind === "pidFile") return psLook(createPsReader(options));
  return () => Promise.resolve({ missing: "no_proc" });
}

/** The process where it can be seen, else its page. A machine that is not this one is not looked at again. */
function lookWithPage(own: Look, page: Look): Look {
  let elsewhere: string | null = null;
  return async () => {
    const seen: Outcome = elsewhere === null ? await own() : { missing: elsewhere };
    if (!("missing" in seen)) return seen;
    if (ABSENT.has(seen.missing)) elsewhere = seen.missing;
    const told = await page();
    return "missing" in told && told.missing !== "several_processes" ? seen : told;
  };
}

function chooseLook(options: TargetOptions, roots: CgroupRoots, clock: Clock): Look {
  if (options.kind === "metrics") return lookOf(createPageReader(options, clock));
  const own = ownLook(options, roots);
  return options.kind === "auto" ? lookWithPage(own, lookOf(createPageReader(options.page, clock))) : own;
}

class WatchedTarget implements Target {
  readonly #options: TargetOptions;
  readonly #needs: TargetNeeds;
  readonly #meter = new Meter();
  #look: Look | null = null;
  #latest: TargetSample | null = null;
  #running: Promise<void> | null = null;
  #timer: Timer | null = null;
  #stopped = false;
  /** What was said last: found (by source) or missing (by reason); said again only when it changes. */
  #said = "";

  constructor(options: TargetOptions, needs: TargetNeeds) {
    this.#options = options;
    this.#needs = needs;
  }

  latest(): TargetSample | null {
    return this.#latest;
  }

  start(): Promise<void> {
    if (this.#timer !== null || this.#stopped) return Promise.resolve();
    this.#timer = this.#needs.clock.every(this.#needs.everyMs, () => this.#tick());
    this.#tick();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = null;
    await this.#running;
  }

  /** A look that takes longer than the period is not joined by a second one. */
  #tick(): void {
    this.#running ??= this.#sample().finally(() => {
      this.#running = null;
    });
  }

  async #sample(): Promise<void> {
    let outcome: Outcome;
    try {
      this.#look ??= chooseLook(this.#options, this.#needs.roots ?? MACHINE, this.#needs.clock);
      outcome = await this.#look();
    } catch (thrown) {
      this.#needs.log.error({ error: messageOf(thrown) }, "reading the model server's process failed");
      outcome = { missing: "internal" };
    }
    if (this.#stopped) return;
    if ("missing" in outcome) this.#miss(outcome.missing);
    else this.#take(outcome.reading, outcome.restarts);
  }

  #take(reading: Reading, restarts: number): void {
    const sample = this.#meter.sample(reading, { monotonicMs: this.#needs.clock.monotonicMs(), restarts });
    this.#latest = sample;
    if (this.#changed(`found ${sample.source}`)) {
      const { source, processes, pids } = sample;
      const fields = { source, processes, pids: pids.slice(0, 10) };
      const message =
        source === "metrics"
          ? "CPU and memory are what the model server's own /metrics tells; limits, throttling and working set are left out"
          : "watching the model server's process";
      this.#needs.log.info(fields, message);
    }
    this.#needs.onSample(sample);
  }

  #miss(reason: string): void {
    const absent = ABSENT.has(reason);
    if (this.#changed(reason)) {
      const message = REASONS[reason] ?? reason;
      if (absent) this.#needs.log.info({ reason }, message);
      else this.#needs.log.warn({ reason }, message);
    }
    this.#latest = null;
    if (FINAL.has(reason) || (absent && this.#options.kind !== "auto")) this.#timer?.cancel();
    if (!absent) this.#needs.onError(reason);
    this.#needs.onSample(null);
  }

  #changed(said: string): boolean {
    if (this.#said === said) return false;
    this.#said = said;
    return true;
  }
}

/** Samples at once and then every `everyMs`. */
export function createTarget(options: TargetOptions, needs: TargetNeeds): Target {
  return new WatchedTarget(options, needs);
}
