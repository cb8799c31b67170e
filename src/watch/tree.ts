// Which processes belong to the service: its root, found from whoever was discovered, and everything below it.

import type { Proc, Processes } from "./procfs.ts";

/** The process, its parent, and so on up to the first one that cannot be seen. */
export function lineage(processes: Processes, pid: number): Proc[] {
  const line: Proc[] = [];
  for (let at = processes.get(pid); at !== undefined; at = processes.get(at.ppid)) {
    if (line.includes(at)) break;
    line.push(at);
  }
  return line;
}

export interface RootQuestion {
  /** Processes that were discovered: the holders of the listening socket, the matches of a name. */
  readonly found: readonly number[];
  /** Ourselves: neither we nor our ancestors are the service. (One that alone holds the listening socket is: `discover`.) */
  readonly self: number;
}

/**
 * The top of the service's process tree. A model server is often a master with workers (gunicorn, uvicorn, MLServer,
 * `mlflow models serve`), and the one that was found may be a worker. From the oldest one found we go up as long as the
 * parent was found too (a master shares its listening socket with its workers) or is in the same process group (a
 * wrapper that started the server and waits). Shells with job control, service managers and container init processes
 * put what they start into groups of its own, so the way ends below them. It also ends before pid 1, unless that
 * itself was found, and before us and our ancestors: a script that starts both the server and us is neither.
 */
export function rootOf(processes: Processes, { found, self }: RootQuestion): Proc | null {
  const ours = new Set(lineage(processes, self).map(({ pid }) => pid));
  const candidates = found
    .filter((pid) => !ours.has(pid))
    .flatMap((pid) => processes.get(pid) ?? [])
    .filter(({ state }) => state !== "Z")
    .toSorted((a, b) => a.startTicks - b.startTicks || a.pid - b.pid);
  const [oldest] = candidates;
  if (oldest === undefined) return null;
  let root = oldest;
  for (const parent of lineage(processes, oldest.pid).slice(1)) {
    const belongs = found.includes(parent.pid) || (parent.pgrp === oldest.pgrp && parent.pid !== 1);
    if (!belongs || ours.has(parent.pid)) break;
    root = parent;
  }
  return root;
}

/** `root` and everything below it, without `exclude` and what is below that. */
export function membersOf(processes: Processes, root: number, exclude: ReadonlySet<number>): Proc[] {
  const children = new Map<number, Proc[]>();
  for (const proc of processes.values()) {
    const siblings = children.get(proc.ppid);
    if (siblings === undefined) children.set(proc.ppid, [proc]);
    else siblings.push(proc);
  }
  const top = processes.get(root);
  const members: Proc[] = [];
  const open = top === undefined ? [] : [top];
  const seen = new Set<number>();
  for (let proc = open.pop(); proc !== undefined; proc = open.pop()) {
    if (seen.has(proc.pid) || exclude.has(proc.pid)) continue;
    seen.add(proc.pid);
    members.push(proc);
    open.push(...(children.get(proc.pid) ?? []));
  }
  return members;
}
