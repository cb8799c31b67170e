import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { request } from "undici";
import { getJson, isGone, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";

/** Less than the 25 s of proxy.drainTimeout: nothing waited for it to pass. */
const STOPPED_WITHIN_MS = 20_000;

interface SlowModel {
  readonly url: string;
  /** The answers of `/slow` that have not been given. */
  readonly waiting: readonly ServerResponse[];
  /** Event streams that the model is still sending. */
  open(): number;
}

/** `/slow` answers when the test does; `/events?n=5` sends so many events, 50 ms apart; without n they never end. */
async function startSlowModel(t: TestContext): Promise<SlowModel> {
  let open = 0;
  const waiting: ServerResponse[] = [];
  const stream = (response: ServerResponse, count: number): void => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    open += 1;
    let sent = 0;
    const timer = setInterval(() => {
      response.write(`data: ${sent++}\n\n`);
      if (sent >= count) response.end();
    }, 50);
    response.on("close", () => {
      clearInterval(timer);
      open -= 1;
    });
  };
  const server = createServer((incoming, response) => {
    incoming.resume();
    const url = new URL(incoming.url ?? "/", "http://model");
    if (url.pathname === "/events") stream(response, Number(url.searchParams.get("n") ?? Infinity));
    else if (url.pathname === "/slow") waiting.push(response);
    else response.setHeader("content-type", "application/json").end('{"predictions":[1.5]}');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, waiting, open: () => open };
}

function storeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "outrider-signals-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function predictAndLabel(sidecar: Sidecar, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    await postJson(`${sidecar.traffic}/invocations`, { x: 1 }, { "x-prediction-id": id });
    assert.equal((await postJson(`${sidecar.api}/v1/labels`, { id, label: 1 })).status, 200);
  }
}

/** Sends a first signal, and waits for the drain to begin; what it gives checks that it ends with 0, both processes gone, in time. */
async function told(sidecar: Sidecar, pid: number, signal: NodeJS.Signals): Promise<() => Promise<void>> {
  const observer = sidecar.observerPid();
  const code = new Promise((resolve) => sidecar.child.once("close", resolve));
  const from = performance.now();
  process.kill(pid, signal);
  await until(() => sidecar.log().includes('"stopping"'));
  return async () => {
    assert.equal(await code, 0, sidecar.log().slice(-1000));
    const tookMs = performance.now() - from;
    assert.ok(tookMs < STOPPED_WITHIN_MS, `it took ${Math.round(tookMs)} ms`);
    await until(() => isGone(observer));
  };
}

function pidOf({ child }: Sidecar): number {
  assert.ok(child.pid !== undefined);
  return child.pid;
}

/** The sidecar and its observer. */
const groupOf = (sidecar: Sidecar): number => -pidOf(sidecar);

test("Ctrl-C, a SIGINT to the whole process group: the request in flight finishes, and nothing recorded is lost", async (t) => {
  const model = await startSlowModel(t);
  const store = storeFolder(t);
  const ids = Array.from({ length: 20 }, (_, i) => `p${i}`);
  const sidecar = await startSidecar({ upstream: model.url, store, ownGroup: true });
  await predictAndLabel(sidecar, ids);
  const slow = request(`${sidecar.traffic}/slow`, {
    method: "POST",
    body: "{}",
    headers: { "x-prediction-id": "slow", "content-type": "application/json" },
  });
  await until(() => model.waiting.length === 1);
  const clean = await told(sidecar, groupOf(sidecar), "SIGINT");
  model.waiting[0]?.end('{"predictions":[1.5]}');
  const answer = await slow;
  assert.equal(answer.statusCode, 200);
  assert.equal(await answer.body.text(), '{"predictions":[1.5]}');
  await clean();
  assert.doesNotMatch(sidecar.log(), /\n\s+at |SIGKILL/);
  const again = await startSidecar({ upstream: model.url, store });
  for (const id of ids) {
    const found = await getJson(`${again.api}/v1/predictions/${id}`);
    assert.equal(found.status, 200, id);
    assert.equal((found.body["labels"] as unknown[]).length, 1, id);
  }
  // The exchange that ended during the drain was recorded too.
  assert.equal((await getJson(`${again.api}/v1/predictions/slow`)).status, 200);
  await again.stop();
});

test("SIGTERM twice, and Ctrl-C on top: the drain goes on, and ends with 0", async (t) => {
  const model = await startSlowModel(t);
  const sidecar = await startSidecar({ upstream: model.url, ownGroup: true });
  const slow = request(`${sidecar.traffic}/slow`);
  await until(() => model.waiting.length === 1);
  const clean = await told(sidecar, pidOf(sidecar), "SIGTERM");
  await until(async () => (await getJson(`${sidecar.telemetry}/readyz`)).status === 503);
  assert.equal((await getJson(`${sidecar.telemetry}/livez`)).status, 200);
  sidecar.child.kill("SIGTERM");
  process.kill(groupOf(sidecar), "SIGINT");
  await assert.rejects(request(`${sidecar.traffic}/invocations`), /ECONNREFUSED/);
  model.waiting[0]?.end();
  assert.equal((await slow).statusCode, 200);
  await clean();
  assert.equal(sidecar.log().split('"stopping"').length - 1, 1);
});

test("SIGTERM to `npm start`: npm waits for the drain, ends with 0, and leaves nothing running", async (t) => {
  const model = await startSlowModel(t);
  const sidecar = await startSidecar({ upstream: model.url, byNpm: true, ownGroup: true });
  t.after(() => {
    try {
      process.kill(groupOf(sidecar), "SIGKILL");
    } catch {
      // As it should be: nothing of the group is left.
    }
  });
  const slow = request(`${sidecar.traffic}/slow`);
  await until(() => model.waiting.length === 1);
  sidecar.child.kill("SIGTERM");
  await until(async () => (await getJson(`${sidecar.telemetry}/readyz`)).status === 503);
  assert.equal(sidecar.child.exitCode ?? sidecar.child.signalCode, null);
  model.waiting[0]?.end();
  assert.equal((await slow).statusCode, 200);
  assert.equal(await sidecar.stop(), 0, sidecar.log().slice(-1000));
  await assert.rejects(request(`${sidecar.traffic}/invocations`), /ECONNREFUSED/);
});

interface Streamed {
  events: number;
  whole: boolean;
  readonly ended: Promise<void>;
}

function readEvents(url: string): Streamed {
  const read = async (): Promise<void> => {
    const answer = await request(url);
    assert.equal(answer.statusCode, 200);
    try {
      for await (const chunk of answer.body) streamed.events += String(chunk).split("\n\n").length - 1;
      streamed.whole = true;
    } catch {
      // Cut: not whole.
    }
  };
  const ended = Promise.resolve().then(read);
  const streamed: Streamed = { events: 0, whole: false, ended };
  return streamed;
}

test("an event stream that ends during the drain arrives whole", async (t) => {
  const model = await startSlowModel(t);
  const sidecar = await startSidecar({ upstream: model.url });
  const streamed = readEvents(`${sidecar.traffic}/events?n=30`);
  await until(() => model.open() === 1);
  const clean = await told(sidecar, pidOf(sidecar), "SIGTERM");
  await streamed.ended;
  assert.deepEqual([streamed.events, streamed.whole], [30, true]);
  await clean();
});

test("an event stream without end flows until proxy.drainTimeout, then is cut, visibly, on both sides", async (t) => {
  const model = await startSlowModel(t);
  const sidecar = await startSidecar({
    upstream: model.url,
    env: { OUTRIDER_PROXY_DRAIN_TIMEOUT: "5s" },
  });
  const streams = [1, 2].map(() => readEvents(`${sidecar.traffic}/events`));
  await until(() => model.open() === 2);
  const from = performance.now();
  const before = streams.map(({ events }) => events);
  const clean = await told(sidecar, pidOf(sidecar), "SIGTERM");
  await Promise.all(streams.map(({ ended }) => ended));
  for (const [i, { events }] of streams.entries())
    assert.ok(events >= (before[i] ?? 0) + 5, `${events} events after ${before[i]}: it did not flow`);
  assert.ok(performance.now() - from >= 5000, "they were cut before their time");
  for (const { whole } of streams) assert.equal(whole, false, "a cut stream must not look complete");
  await until(() => model.open() === 0);
  await clean();
});
