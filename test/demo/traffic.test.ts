// The demo's traffic: rows one way, labels the other, mostly late, sometimes wrong, repeated, early or never.

import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { planLabels, type DueLabel } from "../../src/demo/label-plan.ts";
import { createLabelSender } from "../../src/demo/label-sender.ts";
import { loadDemo } from "../../src/demo/models.ts";
import { createDemoTraffic } from "../../src/demo/traffic.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { handClock } from "../support/hand-clock.ts";

/** A repeatable stream of numbers in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Seen {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** Answers everything with 200 and an id, and remembers what it was asked. */
async function recorder(t: TestContext): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (part: string) => (text += part));
    request.on("end", () => {
      seen.push({ path: request.url ?? "", headers: request.headers, body: JSON.parse(text) });
      response.setHeader("x-prediction-id", request.headers["x-prediction-id"] ?? `p${seen.length}`);
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

test("labels plan: about a tenth never comes, some come wrong first, most within ten seconds, all within two minutes and a bit", () => {
  const chance = seeded(1);
  const plans = Array.from({ length: 5000 }, (_, i) =>
    planLabels({ id: `p${i}`, target: 1, binary: true, nowMs: 0 }, chance),
  );
  const share = (matches: (plan: readonly DueLabel[]) => boolean): number =>
    plans.filter(matches).length / plans.length;
  const near = (actual: number, expected: number): void =>
    assert.ok(Math.abs(actual - expected) < 0.02, `${actual}, expected about ${expected}`);
  near(
    share((plan) => plan.length === 0),
    0.1,
  );
  near(
    share((plan) => plan.length === 2),
    0.9 * 0.08,
  );
  near(
    share((plan) => plan.some((label) => label.sends === 2)),
    0.9 * 0.03,
  );
  near(
    share((plan) => (plan[0]?.dueMs ?? Infinity) <= 10_000),
    0.9 * 0.8,
  );
  for (const plan of plans) {
    assert.ok(plan.every((label) => label.dueMs >= 1000 && label.dueMs <= 135_000));
    if (plan.length === 0) continue;
    assert.equal(plan.at(-1)?.label, 1, "what is said last is true");
    if (plan.length === 2) assert.equal(plan[0]?.label, 0);
  }
});

test("a label that could not be delivered is sent again with the same moment; a repeated one is the same twice", async () => {
  const clock = handClock();
  const bodies: { id: string; label: number; ts: number }[][] = [];
  let status = 503;
  const sender = createLabelSender({
    clock,
    send: (body) => {
      bodies.push(JSON.parse(body) as { id: string; label: number; ts: number }[]);
      return Promise.resolve({ kind: "answered", status, headers: {} });
    },
  });
  sender.add([{ id: "a", label: 1, dueMs: clock.wallMs(), sends: 2, ts: null }]);
  await sender.flush();
  assert.equal(sender.counts().sent, 0);
  status = 200;
  for (let i = 0; i < 3; i++) {
    clock.advance(4000);
    await sender.flush();
  }
  assert.equal(bodies.length, 3);
  assert.deepEqual(bodies[1], bodies[0]);
  assert.deepEqual(bodies[2], bodies[0]);
  assert.deepEqual(sender.counts(), { waiting: 0, sent: 2, refused: 0, dropped: 0 });
});

test("rows go through the proxy, labels to the API under the ids that came back, and it ends by itself", async (t) => {
  const proxy = await recorder(t);
  const api = await recorder(t);
  const clock = handClock();
  const traffic = createDemoTraffic(
    { proxyUrl: proxy.url, apiUrl: api.url, requestsPerSecond: 20, seconds: 30 },
    { clock, chance: seeded(7), log: silentLog, demo: loadDemo() },
  );
  await traffic.start();
  await traffic.start();
  const answered = (): number => Object.values(traffic.counts().answers).reduce((sum, n) => sum + n, 0);
  for (let i = 0; i < 300; i++) {
    clock.advance(100);
    // Let what was sent be answered before time moves on.
    do await turn();
    while (answered() < traffic.counts().requests);
  }
  const counts = traffic.counts();
  assert.ok(counts.requests > 450 && counts.requests < 750, `${counts.requests} requests`);
  assert.ok(counts.labels.sent > 500, JSON.stringify(counts));
  const labels = api.seen.flatMap((each) => each.body as { id: string; label: number; ts: number }[]);
  assert.ok(api.seen.every((each) => each.path === "/v1/labels"));
  const asked = new Set(proxy.seen.map((each, i) => String(each.headers["x-prediction-id"] ?? `p${i + 1}`)));
  const early = proxy.seen.filter((each) => each.headers["x-prediction-id"] !== undefined);
  assert.ok(early.length > 2, "some callers chose the id");
  const known = labels.filter((label) => asked.has(label.id.split(":")[0] ?? ""));
  assert.ok(known.length > 0.95 * labels.length);
  assert.ok(proxy.seen.some((each) => each.path === "/v2/models/no-such-model/infer"));
  assert.ok(new Set(proxy.seen.map((each) => each.path)).size === 3);
  clock.advance(60_000);
  await turn();
  assert.equal(traffic.counts().requests, counts.requests);
  await traffic.stop(100);
});

test("with nobody there it keeps to its bounds and stops at once", async () => {
  const clock = handClock();
  const traffic = createDemoTraffic(
    { proxyUrl: "http://127.0.0.1:1", apiUrl: "http://127.0.0.1:1", requestsPerSecond: 1000 },
    { clock, chance: seeded(3), log: silentLog, demo: loadDemo() },
  );
  await traffic.stop(10);
  await traffic.start();
  clock.advance(1000);
  assert.ok(traffic.counts().requests <= 128);
  assert.ok(traffic.counts().skipped > 500);
  await traffic.stop(100);
  await traffic.stop(100);
  const { requests } = traffic.counts();
  clock.advance(1000);
  assert.equal(traffic.counts().requests, requests);
});
