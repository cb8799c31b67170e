// Linux: the service's own cgroup where it has one, else its process tree. Finds it again when it was started anew.
// looking (nobody known) -> watching (a root process, by tree or cgroup) -> looking (it is gone).

import { ContinuedCounter, TreeCpu } from "./accounts.ts";
import { nameOf, ownCgroup, placeOf, readPlace, type CgroupPlace, type CgroupRoots } from "./cgroup.ts";
import { discover, type Missing, type ProcessOptions, type TargetOptions } from "./discover.ts";
import { readProc, readProcesses, readUptime, type MachineUnits, type Proc } from "./procfs.ts";
import { NOTHING, type Reading } from "./sample.ts";
import { membersOf } from "./tree.ts";

export type Look = { readonly reading: Reading } | { readonly missing: Missing | "no_cgroup" };

export interface LinuxReader {
  look(): Promise<Look>;
  readonly restarts: number;
}

interface Watched {
  readonly root: Proc;
  readonly cgroup: CgroupPlace | null;
}

/** Looking is not free: who is known, or hidden from us, is looked for again only every so many samples. */
const PATIENCE = 12;
/** Refusals in a row after which we believe them: a server that is just starting looks hidden for a moment. */
const REFUSALS = 3;

const isSame = (a: Proc | null, b: Proc | null): boolean =>
  a !== null && b !== null && a.pid === b.pid && a.startTicks === b.startTicks;

/** The counters of cgroups, continued from one to the next. */
class CgroupCounters {
  readonly #cpu = new ContinuedCounter();
  readonly #throttled = new ContinuedCounter();
  readonly #oom = new ContinuedCounter();

  read(place: CgroupPlace): Reading | null {
    const seen = readPlace(place);
    if (seen === null) return null;
    const { throttledSeconds: throttled, oomKills } = seen;
    const name = nameOf(place);
    return {
      source: "cgroup",
      cpuSecondsTotal: this.#cpu.add(seen.cpuSeconds, name),
      cpuLimit: seen.cpuLimit,
      memoryBytes: { rss: seen.anonBytes, workingSet: seen.workingSetBytes },
      memoryLimitBytes: seen.memoryLimitBytes,
      throttledSeconds: throttled === null ? null : this.#throttled.add(throttled, name),
      oomKills: oomKills === null ? null : this.#oom.add(oomKills, name),
      processes: seen.pids.length,
      pids: seen.pids.filter((pid) => pid > 0),
    };
  }
}

/** A cgroup that the operator named. Its main process is the oldest one seen in it. */
class NamedCgroup implements LinuxReader {
  readonly #path: string;
  readonly #roots: CgroupRoots;
  readonly #counters = new CgroupCounters();
  #main: Proc | null = null;
  restarts = 0;

  constructor(path: string, roots: CgroupRoots) {
    this.#path = path;
    this.#roots = roots;
  }

  look(): Promise<Look> {
    const reading = this.#counters.read(placeOf(this.#path, this.#roots));
    if (reading === null) return Promise.resolve({ missing: "no_cgroup" });
    this.#meet(reading.pids);
    return Promise.resolve({ reading });
  }

  #meet(pids: readonly number[]): void {
    const seen = pids.flatMap((pid) => readProc(this.#roots.proc, pid) ?? []);
    if (seen.some((proc) => isSame(proc, this.#main))) return;
    const [oldest] = seen.toSorted((a, b) => a.startTicks - b.startTicks);
    if (oldest === undefined) return;
    if (this.#main !== null) this.restarts++;
    this.#main = oldest;
  }
}

class FoundProcess implements LinuxReader {
  readonly #options: ProcessOptions;
  readonly #roots: CgroupRoots;
  readonly #units: MachineUnits;
  readonly #tree = new TreeCpu();
  readonly #counters = new CgroupCounters();
  #watched: Watched | null = null;
  #before: Proc | null = null;
  #refusals = 0;
  #looks = 0;
  restarts = 0;

  constructor(options: ProcessOptions, roots: CgroupRoots, units: MachineUnits) {
    this.#options = options;
    this.#roots = roots;
    this.#units = units;
  }

  async look(): Promise<Look> {
    const watched = await this.#current();
    if ("missing" in watched) return watched;
    const reading =
      watched.cgroup === null ? await this.#readTree(watched.root) : this.#counters.read(watched.cgroup);
    if (reading !== null) return { reading };
    // It ended between two reads.
    this.#watched = null;
    return { missing: "not_found" };
  }

  /** Who is watched now. Looked for again now and then: another process may have taken the port while the old one lives. */
  async #current(): Promise<Watched | { readonly missing: Missing }> {
    const still = this.#still();
    const cheap = this.#options.kind === "pid" || this.#options.kind === "pidFile";
    if (still !== null && !cheap && ++this.#looks % PATIENCE !== 0) return still;
    const again = await this.#find();
    if (!("missing" in again) || still === null) return again;
    this.#watched = still;
    return still;
  }

  #still(): Watched | null {
    const watched = this.#watched;
    if (watched === null) return null;
    const now = readProc(this.#roots.proc, watched.root.pid);
    if (isSame(now, watched.root) && now?.state !== "Z") return watched;
    this.#watched = null;
    return null;
  }

  async #find(): Promise<Watched | { readonly missing: Missing }> {
    if (this.#refusals >= REFUSALS && this.#refusals % PATIENCE !== 0) {
      this.#refusals++;
      return { missing: "no_permission" };
    }
    const discovery = await discover(this.#options, this.#roots.proc);
    if ("missing" in discovery) {
      this.#refusals = discovery.missing === "no_permission" ? this.#refusals + 1 : 0;
      return discovery;
    }
    const { root } = discovery;
    this.#refusals = 0;
    if (this.#before !== null && !isSame(this.#before, root)) this.restarts++;
    this.#before = root;
    this.#watched = { root, cgroup: ownCgroup(root.pid, this.#roots) };
    return this.#watched;
  }

  async #readTree(root: Proc): Promise<Reading | null> {
    const { proc } = this.#roots;
    const uptimeTicks = (readUptime(proc) ?? 0) * this.#units.ticksPerSecond;
    const processes = await readProcesses(proc);
    if (!isSame(processes.get(root.pid) ?? null, root)) return null;
    const members = membersOf(processes, root.pid, this.#ourselves(root));
    const ticks = this.#tree.add(members, uptimeTicks);
    const rssPages = members.reduce((sum, member) => sum + member.rssPages, 0);
    return {
      ...NOTHING,
      source: "procfs",
      cpuSecondsTotal: ticks / this.#units.ticksPerSecond,
      memoryBytes: { rss: rssPages * this.#units.pageBytes, workingSet: null },
      processes: members.length,
      pids: members.map(({ pid }) => pid),
    };
  }

  /** When the service started us, we are below it: neither this process nor the traffic process above it counts. */
  #ourselves(root: Proc): ReadonlySet<number> {
    const self = readProc(this.#roots.proc, "self");
    const ours = self === null ? [] : [self.pid, self.ppid];
    return new Set(ours.filter((pid) => pid !== root.pid));
  }
}

export function createLinuxReader(
  options: Exclude<TargetOptions, { kind: "metrics" }>,
  machine: { readonly roots: CgroupRoots; readonly units: MachineUnits },
): LinuxReader {
  if (options.kind === "cgroup") return new NamedCgroup(options.path, machine.roots);
  return new FoundProcess(options, machine.roots, machine.units);
}
