// A sidecar on a store, and how large its observer is.

import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";

import { startSidecar, stopSidecar } from "./labels.ts";

/** Resident memory of the observer that a sidecar runs, in KiB. */
export function observerKib({ pid }: ChildProcess): number {
  const observer = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0];
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${observer}/status`, "utf8"))?.[1]);
}

interface Observed {
  readonly readyMs: number;
  /** Resident memory of the observer, in KiB: once it is ready, and after it has taken a checkpoint. */
  readonly rssKib: number;
  readonly laterKib: number;
}

/** A sidecar on the store; `waitMs` after it was ready it is killed. */
export async function observed(store: string, waitMs: number): Promise<Observed> {
  const args = ["--upstream", "http://127.0.0.1:9", "--store", store];
  for (const flag of ["--listen", "--telemetry-listen", "--api-listen"]) args.push(flag, "127.0.0.1:0");
  const startedAt = performance.now();
  const { child } = await startSidecar(args);
  const readyMs = performance.now() - startedAt;
  try {
    // After the garbage of the start was collected.
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const rssKib = observerKib(child);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    return { readyMs, rssKib, laterKib: observerKib(child) };
  } finally {
    await stopSidecar(child, "SIGKILL");
  }
}
