// Relay: CPU per request and latency of Outrider with everything on, against nginx, Go's ReverseProxy and no proxy, in rounds of one run.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LoadResult } from "./load.ts";

const here = dirname(fileURLToPath(import.meta.url));
const ROUNDS = 5;
const SECONDS = 2;
const CONNECTIONS = 16;

interface Peer {
  readonly name: string;
  readonly port: number;
  readonly root: ChildProcess | null;
}

export interface RelayRow {
  readonly name: string;
  readonly cpuMicros: readonly number[];
  /** Outrider only: the traffic process alone. */
  readonly trafficMicros: readonly number[];
  readonly p50Ms: readonly number[];
  readonly p99Ms: readonly number[];
  readonly perSecond: readonly number[];
  errors: number;
}

async function freePort(): Promise<number> {
  return await new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

async function listening(port: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on ${port}`);
}

/** The process and all its descendants. */
function tree(pid: number): number[] {
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
function cpuMicros(pid: number): number {
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

function runLoad(
  port: number,
  options: { seconds: number; rate: number; connections: number },
): Promise<LoadResult> {
  const args = [join(here, "load.ts"), port, options.connections, options.seconds, options.rate].map(String);
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

function goBuild(source: string, out: string): string | null {
  const built = spawnSync("go", ["build", "-o", out, join(here, "peers", source)], {
    encoding: "utf8",
    env: { ...process.env, GO111MODULE: "off" },
  });
  return built.status === 0 ? null : (built.error?.message ?? built.stderr);
}

function nginxConfig(folder: string, ports: { listen: number; upstream: number }): string {
  return `daemon off; master_process on; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
 keepalive_requests 1000000;
 upstream model { server 127.0.0.1:${ports.upstream}; keepalive 64; }
 server { listen 127.0.0.1:${ports.listen}; location / { proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; } } }`;
}

class Stage {
  readonly #children: ChildProcess[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), "outrider-bench-"));

  spawn(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "ignore"], env });
    this.#children.push(child);
    return child;
  }

  async end(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null) continue;
      const gone = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      await gone;
      clearTimeout(timer);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function startPeers(stage: Stage, say: (line: string) => void): Promise<Peer[]> {
  const upstream = await freePort();
  const failed = goBuild("upstream.go", join(stage.folder, "upstream"));
  if (failed !== null) throw new Error(`the model server of the benchmark needs Go: ${failed}`);
  stage.spawn(join(stage.folder, "upstream"), [`127.0.0.1:${upstream}`]);
  await listening(upstream);
  const peers: Peer[] = [{ name: "direct", port: upstream, root: null }];
  if (spawnSync("nginx", ["-v"]).status !== 0)
    spawnSync("apt-get", ["install", "-y", "-q", "nginx-light"], { stdio: "ignore" });
  if (spawnSync("nginx", ["-v"]).status === 0) {
    const port = await freePort();
    writeFileSync(join(stage.folder, "nginx.conf"), nginxConfig(stage.folder, { listen: port, upstream }));
    peers.push({
      name: "nginx",
      port,
      root: stage.spawn("nginx", ["-c", join(stage.folder, "nginx.conf"), "-p", stage.folder]),
    });
    await listening(port);
  } else say("nginx could not be installed: left out");
  if (goBuild("reverseproxy.go", join(stage.folder, "reverseproxy")) === null) {
    const port = await freePort();
    const root = stage.spawn(join(stage.folder, "reverseproxy"), [
      `127.0.0.1:${port}`,
      `http://127.0.0.1:${upstream}`,
    ]);
    peers.push({ name: "go", port, root });
    await listening(port);
  }
  peers.push(await startOutrider(stage, upstream));
  return peers;
}

async function startOutrider(stage: Stage, upstream: number): Promise<Peer> {
  const port = await freePort();
  const main = join(here, "..", "src", "main.ts");
  const args = ["run", "--upstream", `http://127.0.0.1:${upstream}`, "--listen", `127.0.0.1:${port}`];
  args.push(
    "--telemetry-listen",
    "127.0.0.1:0",
    "--api-listen",
    "127.0.0.1:0",
    "--store",
    join(stage.folder, "store"),
  );
  const root = stage.spawn(process.execPath, [main, ...args]);
  await listening(port);
  return { name: "outrider", port, root };
}

async function measure(peer: Peer, row: RelayRow): Promise<void> {
  const pids = peer.root?.pid === undefined ? [] : tree(peer.root.pid);
  const before = pids.map((pid) => cpuMicros(pid));
  const closed = await runLoad(peer.port, { seconds: SECONDS, rate: 0, connections: CONNECTIONS });
  // What was queued is still being observed: it belongs to these requests.
  if (peer.name === "outrider") await new Promise((resolve) => setTimeout(resolve, 500));
  const used = pids.map((pid, i) => cpuMicros(pid) - (before[i] ?? 0));
  const paced = await runLoad(peer.port, { seconds: SECONDS, rate: 2000, connections: CONNECTIONS });
  const push = (list: readonly number[], value: number): void => void (list as number[]).push(value);
  push(row.cpuMicros, used.reduce((sum, micros) => sum + micros, 0) / closed.requests);
  push(row.trafficMicros, (used[0] ?? 0) / closed.requests);
  push(row.perSecond, closed.requests / closed.seconds);
  push(row.p50Ms, paced.p50Ms);
  push(row.p99Ms, paced.p99Ms);
  row.errors += closed.errors + paced.errors;
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
      errors: 0,
    }));
    for (const peer of peers) await runLoad(peer.port, { seconds: 2, rate: 0, connections: CONNECTIONS });
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, peer] of peers.entries()) {
        const row = rows[i];
        if (row !== undefined) await measure(peer, row);
      }
    }
    return rows;
  } finally {
    await stage.end();
  }
}
