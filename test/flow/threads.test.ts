// Several traffic workers: they share the connections, count as one, and what becomes of one of them touches no other.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { httpOrigin, rawClient } from "../proxy/support.ts";
import { settled, startLoad } from "../support/load.ts";
import { startModelServer } from "../support/model-server.ts";
import {
  childrenOf,
  commandOf,
  getJson,
  postJson,
  sampleSum,
  startSidecar,
  until,
  type Sidecar,
} from "../support/sidecar.ts";

/** A sidecar of two workers in front of `upstream`, or of a model that answers x + 0.5. */
async function start(
  t: TestContext,
  upstream?: string,
): Promise<{ sidecar: Sidecar; port: number; pids: (role: string) => number[] }> {
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  const args = ["--set", "proxy.threads=2"];
  const sidecar = await startSidecar({ upstream: upstream ?? model.url, args });
  t.after(async () => {
    await sidecar.stop();
    await model.close();
  });
  const pids = (role: string): number[] =>
    childrenOf(sidecar.child.pid ?? -1).filter((pid) => commandOf(pid).endsWith(`\0${role}\0`));
  return { sidecar, port: Number(new URL(sidecar.traffic).port), pids };
}

function socketsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

/** Never a number that stands for a whole group of processes. */
function first(pids: readonly number[]): number {
  const [pid] = pids;
  assert.ok(pid !== undefined, "no such process runs");
  return pid;
}

const gone = (pid: number): boolean => commandOf(pid) === "";
const BODY = '{"x":1}';
const POST = `POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const ANSWER = /^HTTP\/1\.1 200 [^]*\{"predictions":\[1\.5\]\}/;

test("both workers take connections, and with the observer killed under load no request fails and the loss is exact", async (t) => {
  const { sidecar, pids } = await start(t);
  const workers = pids("traffic-worker");
  assert.equal(workers.length, 2);
  const before = workers.map(socketsOf);
  const load = startLoad(sidecar.traffic, 24);
  await until(() => workers.every((pid, i) => socketsOf(pid) >= (before[i] ?? 0) + 4));
  for (let round = 1; round <= 2; round++) {
    process.kill(first(pids("observer")), "SIGKILL");
    await until(
      async () =>
        (await sidecar.metric("outrider_observer_restarts_total")) === round &&
        (await sidecar.metric("outrider_observer_up")) === 1,
    );
  }
  const report = await load.stop();
  assert.equal(report.failed, 0);
  const { recorded } = await settled(sidecar, report.sent);
  assert.ok(recorded > 0);
});

test("while the observer is away the traffic process's own page sums over the workers", async (t) => {
  const { sidecar, pids, port } = await start(t);
  await until(async () => (await sidecar.metric("outrider_observer_up")) === 1);
  const observer = first(pids("observer"));
  process.kill(observer, "SIGSTOP");
  const clients = await Promise.all(Array.from({ length: 16 }, () => rawClient(t, port)));
  for (const client of clients) client.send(POST);
  for (const client of clients) await client.until(ANSWER);
  await until(async () => {
    const text = await sidecar.scrape();
    return (
      sampleSum(text, "outrider_observer_up") === 0 &&
      sampleSum(text, "outrider_proxy_workers") === 2 &&
      sampleSum(text, "outrider_proxy_connections") === 16 &&
      sampleSum(text, "outrider_exchanges_seen_total") === 16
    );
  });
  process.kill(observer, "SIGCONT");
  const { recorded } = await settled(sidecar, 16);
  // Each worker remembers for itself.
  const misses = await sidecar.metric("outrider_proxy_cache_misses_total", { cache: "target" });
  assert.ok(misses === 1 || misses === 2, `${misses} misses`);
  const opened = await sidecar.metric("outrider_upstream_connections_total", { outcome: "opened" });
  assert.ok(opened >= 1 && opened <= 16, `${opened} connections`);
  const took = await sidecar.metric("outrider_upstream_connect_duration_seconds_count");
  assert.equal(took, opened);
  assert.equal(recorded, 16);
});

test("a worker that is killed takes its own connections with it and no others, is started again, and the figures add up", async (t) => {
  const { sidecar, pids, port } = await start(t);
  const clients = await Promise.all(Array.from({ length: 24 }, () => rawClient(t, port)));
  for (const client of clients) client.send(POST);
  for (const client of clients) await client.until(ANSWER);
  await settled(sidecar, 24);
  const [victim, other] = [first(pids("traffic-worker")), first(pids("traffic-worker").slice(1))];
  process.kill(victim, "SIGKILL");
  // Its end has been seen: each of its connections is closed by now.
  await until(async () => (await sidecar.metric("outrider_proxy_worker_restarts_total")) === 1);
  await until(() => clients.some((client) => client.state.ended));
  const fresh = await Promise.all(Array.from({ length: 24 }, () => rawClient(t, port)));
  for (const client of fresh) client.send(POST);
  for (const client of fresh) await client.until(ANSWER);
  const left = clients.filter((client) => !client.state.ended);
  assert.ok(left.length > 0 && left.length < 24, `${left.length} connections are left`);
  for (const client of left) {
    client.send(POST);
    await client.until(/(?:\{"predictions":\[1\.5\]\}[^]*){2}$/);
  }
  await until(
    async () =>
      (await sidecar.metric("outrider_proxy_worker_restarts_total")) === 1 &&
      (await sidecar.metric("outrider_proxy_workers")) === 2,
  );
  assert.ok(pids("traffic-worker").includes(other), "the other one is still the same process");
  await until(() =>
    /traffic worker \d ended; the others take its connections, starting it again/.test(sidecar.log()),
  );
  await settled(sidecar, 24 + 24 + left.length);
});

test("a worker that hangs keeps no new connection waiting for good: another one takes them", async (t) => {
  const { sidecar, pids, port } = await start(t);
  const hung = first(pids("traffic-worker"));
  process.kill(hung, "SIGSTOP");
  const clients = await Promise.all(Array.from({ length: 16 }, () => rawClient(t, port)));
  for (const client of clients) client.send(POST);
  for (const client of clients) await client.until(ANSWER);
  process.kill(hung, "SIGCONT");
  await settled(sidecar, 16);
});

test("told to stop, all workers finish what is under way, hand over their last facts and end", async (t) => {
  const release: (() => void)[] = [];
  const slow = await httpOrigin(t, ({ method }, response) => {
    // The sidecar's own probe is not held up.
    if (method === "POST") release.push(() => response.end('{"predictions":[1.5]}'));
    else response.end();
  });
  const { sidecar, pids, port } = await start(t, slow.url);
  const workers = pids("traffic-worker");
  const clients = await Promise.all(Array.from({ length: 12 }, () => rawClient(t, port)));
  for (const client of clients) client.send(POST);
  await until(() => release.length === 12);
  sidecar.child.kill("SIGTERM");
  await until(() => /"msg":"stopping"/.test(sidecar.log()));
  await until(async () => (await getJson(`${sidecar.telemetry}/readyz`)).status === 503);
  for (const call of release) call();
  for (const client of clients) await client.until(ANSWER);
  assert.equal(await sidecar.stop(), 0);
  assert.equal(workers.length, 2);
  await until(() => workers.every(gone));
});

test("an address that another sidecar listens at is refused with a clear error, also with several workers on both sides", async (t) => {
  const { port } = await start(t);
  const main = join(import.meta.dirname, "..", "..", "src", "main.ts");
  const args = [main, "run", "--upstream", "http://127.0.0.1:1", "--listen", `127.0.0.1:${port}`];
  args.push("--telemetry-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0");
  args.push("--store", join(tmpdir(), "outrider-never"), "--set", "proxy.threads=2");
  const second = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  let text = "";
  second.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const [code] = await once(second, "close");
  assert.notEqual(code, 0);
  assert.match(text, /cannot listen: [^\n]*EADDRINUSE[^\n]*another program listens there/);
});

test("workers whose traffic process was killed end by themselves", async (t) => {
  const { sidecar, pids } = await start(t);
  assert.equal((await postJson(`${sidecar.traffic}/invocations`, { x: 1 })).status, 200);
  const workers = pids("traffic-worker");
  assert.equal(workers.length, 2);
  sidecar.child.kill("SIGKILL");
  await until(() => workers.every(gone));
});
