// The folders of one cgroup v1: a hierarchy per controller, each mounted for itself (kernel documentation: admin-guide/cgroup-v1).

import { join } from "node:path";
import { flat, least, numberIn, pidsIn, type CgroupReading } from "./cgroup-files.ts";

/** Where the hierarchy of each controller is mounted, and the group's path below it. */
export interface SplitPlace {
  readonly mount: string;
  readonly paths: { readonly cpuacct: string; readonly cpu: string; readonly memory: string };
}

export type Controller = keyof SplitPlace["paths"];

/** "No limit" is the largest number of whole pages that 63 bits hold; no machine has a pebibyte. */
const NO_LIMIT_BYTES = 2 ** 50;

function quota(folder: string): number | null {
  // -1, no limit, is no number here.
  const allowed = numberIn(join(folder, "cpu.cfs_quota_us"));
  const period = numberIn(join(folder, "cpu.cfs_period_us"));
  return allowed === null || period === null || period === 0 ? null : allowed / period;
}

function memoryLimit(folder: string): number | null {
  const limit = numberIn(join(folder, "memory.limit_in_bytes"));
  return limit === null || limit >= NO_LIMIT_BYTES ? null : limit;
}

/** Null when there is no cpuacct hierarchy, or it cannot be read. `total_…` figures hold all children. */
export function readSplit({ mount, paths }: SplitPlace): CgroupReading | null {
  const folderOf = (controller: Controller): string => join(mount, controller, paths[controller]);
  const [accounting, cpu, memory] = [folderOf("cpuacct"), folderOf("cpu"), folderOf("memory")];
  const nanoseconds = numberIn(join(accounting, "cpuacct.usage"));
  if (nanoseconds === null) return null;
  const throttled = flat(join(cpu, "cpu.stat")).get("throttled_time");
  const usage = numberIn(join(memory, "memory.usage_in_bytes"));
  const stat = flat(join(memory, "memory.stat"));
  const inactive = stat.get("total_inactive_file");
  return {
    cpuSeconds: nanoseconds / 1e9,
    throttledSeconds: throttled === undefined ? null : throttled / 1e9,
    cpuLimit: least(cpu, join(mount, "cpu"), quota),
    anonBytes: stat.get("total_rss") ?? null,
    workingSetBytes: usage === null || inactive === undefined ? null : Math.max(0, usage - inactive),
    memoryLimitBytes: least(memory, join(mount, "memory"), memoryLimit),
    oomKills: flat(join(memory, "memory.oom_control")).get("oom_kill") ?? null,
    pids: pidsIn(accounting),
  };
}
