// Relay: CPU per request and latency of Outrider with everything on, against nginx, haproxy, Go's ReverseProxy, http-proxy and no proxy, in rounds of one run.

import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LoadResult } from "./load.ts";
import { Stage, type Ports } from "./peers/stage.ts";
import { freePort } from "../test/real/support/process.ts";

const here = dirname(fileURLToPath(import.meta.url));
const ROUNDS = 7;
const SECONDS = 2;
/** Further rounds of latency alone, of those whose ratio is told: a median of few rounds says little on a machine that others use, too. */
const LATENCY_ROUNDS = 10;
const LATENCY_OF: ReadonlySet<string> = new Set(["direct", "nginx", "outrider"]);
const CONNECTIONS = 16;
export const RATE = 4000;
/** Before the first round each peer answers so many requests, for so long at most: a compiler that works while it runs is through by then. */
const WARM_REQUESTS = 120_000;
const WARM_SECONDS = 20;
/** Of 100 KB answers, which take a road of their own: as many loads. */
const WARM_LARGE_LOADS = 4;
/** Open loop needs room for what is late. */
const PACED_CONNECTIONS = 64;

export interface Peer {
  readonly name: string;
  readonly port: number;
  readonly root: ChildProcess | null;
}

export interface RelayRow {
  readonly name: string;
  readonly cpuMicros: readonly number[];
  /** Outrider only: the traffic process alone. */
  readonly trafficMicros: readonly number[];
  /** At `RATE` requests a second. */
  readonly p50Ms: readonly number[];
  readonly p99Ms: readonly number[];
  /** Answers of 100 KB. */
  readonly largeMicros: readonly number[];
  readonly perSecond: readonly number[];
  errors: number;
}

/** The process and all its descendants. */
export function tree(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // It ended between the listing and the reading.
    }
  }
  const found = [pid];
  for (const at of found) for (const [child, parent] of parents) if (parent === at) found.push(child);
  return found;
}

/** User and system time of one process, all threads, in clock ticks of 10 ms; and finer from schedstat where the kernel has it. */
export function cpuMicros(pid: number): number {
  let nanos = 0;
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      nanos += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
    }
    if (nanos > 0) return nanos / 1000;
  } catch {
    // No schedstat: fall through to ticks.
  }
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

export interface LoadOptions {
  readonly seconds: number;
  /** Requests a second; 0: as many as are answered. */
  readonly rate: number;
  readonly connections: number;
  readonly path?: string;
  /** Names of lines that each request says anew, with commas: `traceparent`, `x-request-id`. Default: none. */
  readonly fresh?: string;
}

export function runLoad(port: number, options: LoadOptions): Promise<LoadResult> {
  const { connections, seconds, rate, path = "/v2/models/bench/infer", fresh = "" } = options;
  const args = [join(here, "load.ts"), port, connections, seconds, rate, path, fresh].map(String);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on("close", () => {
      try {
        resolve(JSON.parse(text) as LoadResult);
      } catch (cause) {
        reject(new Error("the load did not report", { cause }));
      }
    });
  });
}

async function startPeers(stage: Stage, say: (line: string) => void): Promise<Peer[]> {
  const upstream = await stage.upstream();
  const peers: Peer[] = [{ name: "direct", port: upstream, root: null }];
  const starts: readonly [string, (ports: Ports) => Promise<ChildProcess>][] = [
    ["nginx", (ports) => stage.nginx(ports, "bare")],
    ["haproxy", (ports) => stage.haproxy(ports)],
    ["go", (ports) => stage.go(ports)],
    ["http-proxy", (ports) => stage.httpProxy(ports)],
    ["outrider", (ports) => stage.outrider(ports)],
  ];
  for (const [name, start] of starts) {
    const port = await freePort();
    try {
      peers.push({ name, port, root: await start({ listen: port, upstream }) });
    } catch (thrown) {
      say(`${name}: left out: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    }
  }
  return peers;
}

/** `mixes`: see `LoadOptions.fresh`; in turn. */
export async function warm(peer: Peer, mixes: readonly string[] = [""]): Promise<void> {
  let requests = 0;
  for (let i = 0; i * SECONDS < WARM_SECONDS && requests < WARM_REQUESTS; i++) {
    const fresh = mixes[i % mixes.length] ?? "";
    const load = { seconds: SECONDS, rate: 0, connections: CONNECTIONS, fresh };
    requests += (await runLoad(peer.port, load)).requests;
  }
}

/** CPU of the peer's processes per request of one load, the first process alone, and the load's own figures. */
export async function loaded(
  peer: Peer,
  load: Pick<LoadOptions, "path" | "fresh">,
): Promise<{ all: number; first: number; result: LoadResult }> {
  const pids = peer.root?.pid === undefined ? [] : tree(peer.root.pid);
  const before = pids.map((pid) => cpuMicros(pid));
  const result = await runLoad(peer.port, { seconds: SECONDS, rate: 0, connections: CONNECTIONS, ...load });
  // What was queued is still being observed: it belongs to these requests.
  if (peer.name.startsWith("outrider")) await new Promise((resolve) => setTimeout(resolve, 500));
  const used = pids.map((pid, i) => (cpuMicros(pid) - (before[i] ?? 0)) / result.requests);
  return { all: used.reduce((sum, micros) => sum + micros, 0), first: used[0] ?? 0, result };
}

async function measure(peer: Peer, row: RelayRow): Promise<void> {
  const small = await loaded(peer, {});
  const large = await loaded(peer, { path: "/large" });
  push(row.cpuMicros, small.all);
  push(row.trafficMicros, small.first);
  push(row.perSecond, small.result.requests / small.result.seconds);
  push(row.largeMicros, peer.name === "outrider" ? large.first : large.all);
  row.errors += small.result.errors + large.result.errors;
  await measureLatency(peer, row);
}

async function measureLatency(peer: Peer, row: RelayRow): Promise<void> {
  const paced = await runLoad(peer.port, { seconds: SECONDS, rate: RATE, connections: PACED_CONNECTIONS });
  push(row.p50Ms, paced.p50Ms);
  push(row.p99Ms, paced.p99Ms);
  row.errors += paced.errors;
}

function push(list: readonly number[], value: number): void {
  (list as number[]).push(value);
}

/** Rounds interleave the peers, so that a machine that slows down slows all of them. */
export async function benchRelay(say: (line: string) => void): Promise<readonly RelayRow[]> {
  const stage = new Stage();
  try {
    const peers = await startPeers(stage, say);
    const rows = peers.map((peer): RelayRow => ({
      name: peer.name,
      cpuMicros: [],
      trafficMicros: [],
      p50Ms: [],
      p99Ms: [],
      perSecond: [],
      largeMicros: [],
      errors: 0,
    }));
    for (const peer of peers) {
      await warm(peer);
      for (let i = 0; i < WARM_LARGE_LOADS; i++) await loaded(peer, { path: "/large" });
    }
    for (let round = 0; round < ROUNDS + LATENCY_ROUNDS; round++) {
      for (const [i, peer] of peers.entries()) {
        const row = rows[i];
        if (row === undefined) continue;
        if (round < ROUNDS) await measure(peer, row);
        else if (LATENCY_OF.has(peer.name)) await measureLatency(peer, row);
      }
    }
    return rows;
  } finally {
    await stage.end();
  }
}
