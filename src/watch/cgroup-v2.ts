// A cgroup v2 folder: exact counters with all children included (kernel documentation: admin-guide/cgroup-v2).

import { join } from "node:path";
import { flat, least, numberIn, pidsIn, type CgroupReading } from "./cgroup-files.ts";
import { textOf } from "./procfs.ts";

/** `200000 100000` is 2 CPUs, `max 100000` none. */
function cpuMax(folder: string): number | null {
  const [quota = "", period = ""] = (textOf(join(folder, "cpu.max")) ?? "").trim().split(" ");
  const cpus = Number(quota) / Number(period);
  return Number.isFinite(cpus) && cpus > 0 ? cpus : null;
}

/** Null when it is no cgroup v2 folder, or cannot be read. */
export function readUnified(folder: string, root: string): CgroupReading | null {
  const cpu = flat(join(folder, "cpu.stat"));
  const usage = cpu.get("usage_usec");
  if (usage === undefined) return null;
  const throttled = cpu.get("throttled_usec");
  const memory = numberIn(join(folder, "memory.current"));
  const stat = flat(join(folder, "memory.stat"));
  const inactive = stat.get("inactive_file");
  return {
    cpuSeconds: usage / 1e6,
    throttledSeconds: throttled === undefined ? null : throttled / 1e6,
    cpuLimit: least(folder, root, cpuMax),
    anonBytes: stat.get("anon") ?? null,
    workingSetBytes: memory === null || inactive === undefined ? null : Math.max(0, memory - inactive),
    memoryLimitBytes: least(folder, root, (at) => numberIn(join(at, "memory.max"))),
    oomKills: flat(join(folder, "memory.events")).get("oom_kill") ?? null,
    pids: pidsIn(folder),
  };
}
