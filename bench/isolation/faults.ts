// What is done to the sidecar during the isolation run, one thing at a time.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "undici";
import { childrenOf, commandOf, until, type Sidecar } from "../../test/support/sidecar.ts";

/** A sidecar under load, and the count of what a fault itself sends through it. */
export interface Stage {
  readonly sidecar: Sidecar;
  readonly model: string;
  sent: number;
  failed: number;
}

/** What must be there before the sidecar starts, and how it is taken away. */
export interface Ground {
  readonly store?: string;
  readonly args?: readonly string[];
  clear(): void;
}

export interface Fault {
  readonly name: string;
  prepare?(): Promise<Ground>;
  /** It takes the requests under way on some connections with it, one on each, and what was not told of the last ones. */
  readonly cuts?: true;
  /** Does it, for about `ms`; comes back when it is over and the sidecar may recover. */
  strike(stage: Stage, ms: number): Promise<void>;
}

interface Message {
  /** Past the sidecar, to the model. */
  readonly past?: boolean;
  readonly path: string;
  readonly body: string | Buffer;
  readonly headers?: Record<string, string>;
}

/** One request of the fault's own through the traffic listener: it must be answered as everybody's. */
async function pass(stage: Stage, message: Message, wanted = 200): Promise<void> {
  const { path, body, headers = {}, past = false } = message;
  if (!past) stage.sent++;
  try {
    const to = past ? stage.model : stage.sidecar.traffic;
    const answer = await request(`${to}${path}`, { method: "POST", body, headers });
    await answer.body.dump({ limit: 1e9 });
    if (answer.statusCode !== wanted) stage.failed++;
  } catch {
    stage.failed++;
  }
}

const TWO_THREADS: Ground = { args: ["--set", "proxy.threads=2"], clear: () => {} };

/** A traffic worker; never a number that stands for a whole group of processes. */
function workerOf({ child }: Sidecar): number {
  const pid = childrenOf(child.pid ?? -1).find((one) => commandOf(one).endsWith("\0traffic-worker\0"));
  if (pid === undefined) throw new Error("no traffic worker runs");
  return pid;
}

async function repeatedly(ms: number, one: () => Promise<void>): Promise<void> {
  for (const endsAt = performance.now() + ms; performance.now() < endsAt;) await one();
}

/** Half of what it holds: what it asks for next, it does not get. */
function limitMemory(pid: number): void {
  const dataKib = Number(/VmData:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  const done = spawnSync("prlimit", ["--pid", String(pid), `--data=${dataKib * 512}`]);
  if (done.status !== 0) throw new Error(`prlimit: ${done.stderr.toString()}`);
}

const restarted = (sidecar: Sidecar): Promise<void> =>
  until(async () => (await sidecar.metric("outrider_observer_restarts_total")) >= 1, 30_000);

function smallDisk(): Ground {
  const folder = mkdtempSync(join(tmpdir(), "outrider-isolation-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", folder]);
  if (mounted.status !== 0) throw new Error(`a tmpfs is needed: ${mounted.stderr.toString()}`);
  return {
    store: join(folder, "store"),
    clear: () => {
      spawnSync("umount", ["-l", folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Takes what is said, and never says a word. */
async function silentCollector(): Promise<Ground> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    args: ["--set", `otlp.endpoint=http://127.0.0.1:${port}`, "--set", "otlp.every=1s"],
    clear: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Every fsync of the observer takes five seconds. */
async function slowDisk({ sidecar }: Stage, ms: number): Promise<void> {
  const calls = "inject=fsync,fdatasync:delay_enter=5000000";
  const args = ["-f", "-q", "-e", "trace=fsync,fdatasync", "-e", calls, "-o", "/dev/null"];
  const strace: ChildProcess = spawn("strace", [...args, "-p", String(sidecar.observerPid())], {
    stdio: "ignore",
  });
  const gone = new Promise<void>((resolve, reject) => {
    strace.once("error", reject);
    strace.once("exit", (code) =>
      performance.now() < endsAt ? reject(new Error(`strace ended with ${code}`)) : resolve(),
    );
  });
  const endsAt = performance.now() + ms - 50;
  await Promise.race([gone, sleep(ms)]);
  strace.kill("SIGINT");
  await gone;
}

const HOSTILE_IDS = [
  "x".repeat(256),
  "x".repeat(10_000),
  "../../../etc/passwd",
  "'; DROP TABLE prediction; --",
  '"} evil_metric 1',
  "__proto__",
  "constructor",
  "\u00ff\u00fe",
  "a:0:1:2",
];
const DEEP = `${"[".repeat(100_000)}1${"]".repeat(100_000)}`;
const LABELS = 100_000;

const labels = (round: number): string =>
  Array.from({ length: LABELS }, (_, at) => `{"id":"r${round}-${at}","label":${at % 2}}`).join("\n");

/** `past`: what the same traffic costs the machine when the sidecar has nothing to do with it. */
function large(stage: Stage, ms: number, past: boolean): Promise<void> {
  const body = Buffer.alloc(64 * 1024 * 1024, "[");
  return repeatedly(ms, () => pass(stage, { path: "/big", body, past }));
}

function deep(stage: Stage, ms: number, past: boolean): Promise<void> {
  const headers = { "content-type": "application/json" };
  return repeatedly(ms, () => pass(stage, { path: "/deep/invocations", body: DEEP, headers, past }));
}

export const FAULTS: readonly Fault[] = [
  {
    name: "observer killed",
    strike: async ({ sidecar }) => {
      process.kill(sidecar.observerPid(), "SIGKILL");
      await restarted(sidecar);
    },
  },
  {
    name: "observer out of memory",
    strike: async ({ sidecar }) => {
      limitMemory(sidecar.observerPid());
      await restarted(sidecar);
    },
  },
  {
    name: "observer stopped for 5 s",
    strike: async ({ sidecar }) => {
      const observer = sidecar.observerPid();
      process.kill(observer, "SIGSTOP");
      await sleep(5000);
      process.kill(observer, "SIGCONT");
    },
  },
  {
    name: "ledger's disk full",
    prepare: () => Promise.resolve(smallDisk()),
    strike: async ({ sidecar }, ms) => {
      const fill = join(sidecar.store, "..", "fill");
      spawnSync("dd", ["if=/dev/zero", `of=${fill}`, "bs=4k"]);
      await sleep(ms);
      rmSync(fill, { force: true });
    },
  },
  { name: "fsync takes 5 s", strike: slowDisk },
  { name: "collector hangs", prepare: silentCollector, strike: (_stage, ms) => sleep(ms) },
  {
    name: "50 scrapes at once, again and again",
    strike: async ({ sidecar }, ms) => {
      const scraper = (): Promise<void> =>
        repeatedly(ms, async () => {
          const answer = await request(`${sidecar.telemetry}/metrics`);
          await answer.body.dump({ limit: 1e9 });
        });
      await Promise.all(Array.from({ length: 50 }, scraper));
    },
  },
  {
    name: "batches of 100,000 labels",
    strike: async ({ sidecar }, ms) => {
      let round = 0;
      await repeatedly(ms, async () => {
        const headers = { "content-type": "application/x-ndjson" };
        const answer = await request(`${sidecar.api}/v1/labels`, {
          method: "POST",
          headers,
          body: labels(round++),
        });
        await answer.body.dump();
      });
    },
  },
  { name: "64 MB bodies, both ways", strike: (stage, ms) => large(stage, ms, false) },
  { name: "the same 64 MB past the sidecar", strike: (stage, ms) => large(stage, ms, true) },
  { name: "JSON 100,000 deep, both ways", strike: (stage, ms) => deep(stage, ms, false) },
  { name: "the same deep JSON past the sidecar", strike: (stage, ms) => deep(stage, ms, true) },
  {
    name: "two traffic workers, observer killed",
    prepare: () => Promise.resolve(TWO_THREADS),
    strike: async ({ sidecar }) => {
      process.kill(sidecar.observerPid(), "SIGKILL");
      await restarted(sidecar);
    },
  },
  {
    name: "one of two traffic workers killed",
    cuts: true,
    prepare: () => Promise.resolve(TWO_THREADS),
    strike: async ({ sidecar }) => {
      process.kill(workerOf(sidecar), "SIGKILL");
      await until(async () => (await sidecar.metric("outrider_proxy_worker_restarts_total")) >= 1, 30_000);
    },
  },
  {
    name: "hostile ids and names",
    strike: async (stage, ms) => {
      let at = 0;
      await repeatedly(ms, () => {
        const id = HOSTILE_IDS[at++ % HOSTILE_IDS.length] ?? "";
        const headers = { "x-prediction-id": id, "x-request-id": `${id}${at}` };
        return pass(stage, { path: `/odd/${at}/invocations`, body: JSON.stringify({ id }), headers });
      });
    },
  },
];
