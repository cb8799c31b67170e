// Workers where the system cannot spread connections over several sockets (macOS has no SO_REUSEPORT that does): they share one.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { rawClient } from "../proxy/support.ts";
import { settled, startLoad } from "../support/load.ts";
import { startModelServer } from "../support/model-server.ts";
import { commandOf, startSidecar, until, childrenOf, type Sidecar } from "../support/sidecar.ts";

/** What such a system says, in whatever process of the sidecar. */
const NO_REUSE_PORT = `
import net from "node:net";
import { syncBuiltinESMExports } from "node:module";
const { BoundSocket } = net;
net.BoundSocket = class extends BoundSocket {
  constructor(options) {
    if (options?.reusePort === true) throw Object.assign(new Error("bind ENOTSUP"), { code: "ENOTSUP" });
    super(options);
  }
};
syncBuiltinESMExports();
`;

interface Rig {
  readonly sidecar: Sidecar;
  readonly port: number;
  readonly workers: () => number[];
}

async function start(t: TestContext): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), "outrider-shared-"));
  const preload = join(folder, "preload.mjs");
  writeFileSync(preload, NO_REUSE_PORT);
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  const env = { NODE_OPTIONS: `--import ${preload}` };
  const sidecar = await startSidecar({ upstream: model.url, args: ["--set", "proxy.threads=2"], env });
  t.after(async () => {
    await sidecar.stop();
    await model.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const workers = (): number[] =>
    childrenOf(sidecar.child.pid ?? -1).filter((pid) => commandOf(pid).endsWith("\0traffic-worker\0"));
  await until(() => workers().length === 2);
  return { sidecar, port: Number(new URL(sidecar.traffic).port), workers };
}

const BODY = '{"x":1}';
const POST = `POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const ANSWER = /^HTTP\/1\.1 200 [^]*\{"predictions":\[1\.5\]\}/;

test("workers that share one socket relay and count as one, with the observer killed under load", async (t) => {
  const { sidecar } = await start(t);
  const load = startLoad(sidecar.traffic, 16);
  await until(() => load.answered() > 200);
  process.kill(sidecar.observerPid(), "SIGKILL");
  await until(async () => (await sidecar.metric("outrider_observer_restarts_total")) === 1);
  const report = await load.stop();
  assert.equal(report.failed, 0);
  const { recorded } = await settled(sidecar, report.sent);
  assert.ok(recorded > 0);
});

test("one of them killed, the other takes all new connections, and it is started again; one that hangs holds up nobody", async (t) => {
  const { sidecar, port, workers } = await start(t);
  const [victim] = workers();
  assert.ok(victim !== undefined);
  process.kill(victim, "SIGKILL");
  const ask = async (): Promise<void> => {
    const clients = await Promise.all(Array.from({ length: 24 }, () => rawClient(t, port)));
    for (const client of clients) client.send(POST);
    for (const client of clients) await client.until(ANSWER);
    for (const client of clients) client.socket.destroy();
  };
  await until(async () => (await sidecar.metric("outrider_proxy_worker_restarts_total")) === 1);
  await ask();
  await until(async () => (await sidecar.metric("outrider_proxy_workers")) === 2);
  const [hung] = workers();
  assert.ok(hung !== undefined && hung !== victim);
  process.kill(hung, "SIGSTOP");
  await ask();
  process.kill(hung, "SIGCONT");
  await settled(sidecar, 48);
  assert.equal(await sidecar.stop(), 0);
});
