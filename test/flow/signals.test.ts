import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { request } from "undici";
import { getJson, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface SlowModel {
  readonly url: string;
  /** Event streams that the model is still sending. */
  open(): number;
}

/** `/slow` answers after 1.2 s; `/events?n=5` sends so many events, 50 ms apart; without n they never end. */
async function startSlowModel(t: TestContext): Promise<SlowModel> {
  let open = 0;
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
    else if (url.pathname === "/slow") setTimeout(() => response.end('{"predictions":[1.5]}'), 1200);
    else response.setHeader("content-type", "application/json").end('{"predictions":[1.5]}');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, open: () => open };
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

/** Ends with 0, both processes gone, before `withinMs`. */
async function assertClean(
  sidecar: Sidecar,
  ended: { code: Promise<number | null>; withinMs: number },
): Promise<void> {
  const observer = sidecar.observerPid();
  const from = performance.now();
  assert.equal(await ended.code, 0, sidecar.log().slice(-1000));
  const tookMs = performance.now() - from;
  assert.ok(tookMs < ended.withinMs, `it took ${Math.round(tookMs)} ms`);
  assert.ok(observer > 0);
  assert.throws(() => process.kill(observer, 0), "the observer is gone");
}

const ended = (sidecar: Sidecar): Promise<number | null> =>
  new Promise((resolve) => sidecar.child.once("close", (code) => resolve(code)));

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
  await pause(300);
  const code = ended(sidecar);
  process.kill(-(sidecar.child.pid ?? 0), "SIGINT");
  const clean = assertClean(sidecar, { code, withinMs: 8000 });
  const answer = await slow;
  assert.equal(answer.statusCode, 200);
  assert.equal(await answer.body.text(), '{"predictions":[1.5]}');
  await clean;
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
  await pause(200);
  const code = ended(sidecar);
  const group = -(sidecar.child.pid ?? 0);
  sidecar.child.kill("SIGTERM");
  const clean = assertClean(sidecar, { code, withinMs: 8000 });
  await pause(200);
  const ready = await getJson(`${sidecar.telemetry}/readyz`);
  assert.equal(ready.status, 503);
  assert.equal((await getJson(`${sidecar.telemetry}/livez`)).status, 200);
  sidecar.child.kill("SIGTERM");
  process.kill(group, "SIGINT");
  await assert.rejects(request(`${sidecar.traffic}/invocations`), /ECONNREFUSED/);
  assert.equal((await slow).statusCode, 200);
  await clean;
  assert.equal(sidecar.log().split('"stopping"').length - 1, 1);
});

interface Streamed {
  readonly events: number;
  readonly whole: boolean;
  readonly lastAt: number;
}

async function readEvents(url: string): Promise<Streamed> {
  const answer = await request(url);
  assert.equal(answer.statusCode, 200);
  let events = 0;
  let lastAt = 0;
  try {
    for await (const chunk of answer.body) {
      events += String(chunk).split("\n\n").length - 1;
      lastAt = performance.now();
    }
    return { events, whole: true, lastAt };
  } catch {
    return { events, whole: false, lastAt };
  }
}

test("an event stream that ends during the drain arrives whole", async (t) => {
  const model = await startSlowModel(t);
  const sidecar = await startSidecar({ upstream: model.url });
  const streamed = readEvents(`${sidecar.traffic}/events?n=30`);
  await until(() => model.open() === 1);
  const code = ended(sidecar);
  sidecar.child.kill("SIGTERM");
  const clean = assertClean(sidecar, { code, withinMs: 8000 });
  assert.deepEqual({ ...(await streamed), lastAt: 0 }, { events: 30, whole: true, lastAt: 0 });
  await clean;
});

test("an event stream without end flows until proxy.drainTimeout, then is cut, visibly, on both sides", async (t) => {
  const model = await startSlowModel(t);
  const sidecar = await startSidecar({
    upstream: model.url,
    env: { OUTRIDER_PROXY_DRAIN_TIMEOUT: "1500ms" },
  });
  const streams = [1, 2].map(() => readEvents(`${sidecar.traffic}/events`));
  await until(() => model.open() === 2);
  const code = ended(sidecar);
  const from = performance.now();
  sidecar.child.kill("SIGTERM");
  const clean = assertClean(sidecar, { code, withinMs: 6000 });
  for (const { whole, lastAt } of await Promise.all(streams)) {
    assert.equal(whole, false, "a cut stream must not look complete");
    const flowedMs = lastAt - from;
    assert.ok(flowedMs > 1300 && flowedMs < 2500, `flowed for ${Math.round(flowedMs)} ms after SIGTERM`);
  }
  await until(() => model.open() === 0);
  await clean;
});
