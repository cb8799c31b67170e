// A cgroup v2 folder: exact counters with all children included (kernel documentation: admin-guide/cgroup-v2).

import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { readCgroup, textOf } from "./procfs.ts";

export interface CgroupReading {
  readonly cpuSeconds: number;
  readonly throttledSeconds: number | null;
  /** CPUs, the least of it and what is above it; null: no limit. */
  readonly cpuLimit: number | null;
  /** Anonymous memory: what the processes hold, each page once. */
  readonly anonBytes: number | null;
  /** Memory without file pages that can be dropped: what the kubelet evicts by. */
  readonly workingSetBytes: number | null;
  readonly memoryLimitBytes: number | null;
  readonly oomKills: number | null;
  readonly pids: readonly number[];
}

const FOLDERS_MAX = 200;
const PIDS_MAX = 4096;

/** `key value` lines. */
function flat(text: string | null): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const line of (text ?? "").split("\n")) {
    const [key, value] = line.split(" ");
    if (key !== undefined && value !== undefined && /^\d+$/.test(value)) values.set(key, Number(value));
  }
  return values;
}

function numberIn(path: string): number | null {
  const text = textOf(path)?.trim() ?? "";
  return /^\d+$/.test(text) ? Number(text) : null;
}

/** `200000 100000` is 2 CPUs, `max 100000` none. */
function cpuMax(folder: string): number | null {
  const [quota = "", period = ""] = (textOf(join(folder, "cpu.max")) ?? "").trim().split(" ");
  const cpus = Number(quota) / Number(period);
  return Number.isFinite(cpus) && cpus > 0 ? cpus : null;
}

/** The smallest limit of the folder and of those above it, up to `root`. */
function least(folder: string, root: string, read: (folder: string) => number | null): number | null {
  let smallest: number | null = null;
  for (let at = folder; ; at = dirname(at)) {
    const limit = read(at);
    if (limit !== null && (smallest === null || limit < smallest)) smallest = limit;
    if (at === root || at === dirname(at) || !at.startsWith(root)) return smallest;
  }
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(folder, entry.name));
  } catch {
    return [];
  }
}

/** Processes of the folder and those below it. 0 stands for one that our pid namespace does not show. */
function pidsIn(folder: string): number[] {
  const pids: number[] = [];
  const open = [folder];
  for (let i = 0; i < open.length && i < FOLDERS_MAX && pids.length < PIDS_MAX; i++) {
    const at = open[i] ?? folder;
    const lines = (textOf(join(at, "cgroup.procs")) ?? "").split("\n");
    pids.push(...lines.filter((line) => /^\d+$/.test(line)).map(Number));
    open.push(...foldersIn(at));
  }
  return pids;
}

/** Null when it is no cgroup v2 folder, or cannot be read. */
export function readCgroupFolder(folder: string, root: string): CgroupReading | null {
  const cpu = flat(textOf(join(folder, "cpu.stat")));
  const usage = cpu.get("usage_usec");
  if (usage === undefined) return null;
  const throttled = cpu.get("throttled_usec");
  const memory = numberIn(join(folder, "memory.current"));
  const stat = flat(textOf(join(folder, "memory.stat")));
  const inactive = stat.get("inactive_file");
  return {
    cpuSeconds: usage / 1e6,
    throttledSeconds: throttled === undefined ? null : throttled / 1e6,
    cpuLimit: least(folder, root, cpuMax),
    anonBytes: stat.get("anon") ?? null,
    workingSetBytes: memory === null || inactive === undefined ? null : Math.max(0, memory - inactive),
    memoryLimitBytes: least(folder, root, (at) => numberIn(join(at, "memory.max"))),
    oomKills: flat(textOf(join(folder, "memory.events"))).get("oom_kill") ?? null,
    pids: pidsIn(folder),
  };
}

function sameFolder(a: string, b: string): boolean {
  try {
    const [first, second] = [statSync(a), statSync(b)];
    return first.dev === second.dev && first.ino === second.ino;
  } catch {
    return false;
  }
}

export interface CgroupRoots {
  readonly proc: string;
  readonly cgroup: string;
}

export interface CgroupPlace {
  readonly folder: string;
  /** Where its hierarchy begins as far as we see. */
  readonly root: string;
}

/** A folder named by the operator: below the mounted hierarchy, or a full path. */
export function placeOf(path: string, roots: CgroupRoots): CgroupPlace {
  const inside = path === roots.cgroup || path.startsWith(`${roots.cgroup}/`);
  return { folder: inside ? path : join(roots.cgroup, path), root: roots.cgroup };
}

/**
 * The cgroup of a process when it is its own: not the root, and neither ours nor around ours, for that would count us.
 * A neighbour in another cgroup namespace shows as `/../…`; it is read through the neighbour's own view of the
 * hierarchy, if we may look into its file system.
 */
export function ownCgroup(pid: number, roots: CgroupRoots): CgroupPlace | null {
  const path = readCgroup(roots.proc, pid);
  const ours = readCgroup(roots.proc, "self");
  if (path === null || ours === null || path === "/" || path === "") return null;
  if (ours === path || ours.startsWith(`${path}/`)) return null;
  if (!path.split("/").includes("..")) {
    const place = placeOf(path, roots);
    return readCgroupFolder(place.folder, place.root) === null ? null : place;
  }
  const view = join(roots.proc, String(pid), "root", "sys/fs/cgroup");
  if (sameFolder(view, roots.cgroup) || readCgroupFolder(view, view) === null) return null;
  return { folder: view, root: view };
}
