// What the folders of cgroup v1 and v2 have in common: small files of numbers, limits that hold for all below, processes.

import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { textOf } from "./procfs.ts";

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

/** The `key value` lines of a file; empty when it cannot be read. */
export function flat(path: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>();
  for (const line of (textOf(path) ?? "").split("\n")) {
    const [key, value] = line.split(" ");
    if (key !== undefined && value !== undefined && /^\d+$/.test(value)) values.set(key, Number(value));
  }
  return values;
}

export function numberIn(path: string): number | null {
  const text = textOf(path)?.trim() ?? "";
  return /^\d+$/.test(text) ? Number(text) : null;
}

/** The smallest limit of the folder and of those above it, up to `root`. */
export function least(folder: string, root: string, read: (folder: string) => number | null): number | null {
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
export function pidsIn(folder: string): number[] {
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
