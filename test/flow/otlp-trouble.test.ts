import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { startModelServer } from "../support/model-server.ts";
import { NO_SERVER } from "../support/nowhere.ts";
import { startOtlpReceiver } from "../support/otlp-receiver.ts";
import { getJson, isGone, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";

/** Nothing like the 35 s that the drain and the observer may take at most, even on a machine that hardly runs. */
const STOPPED_WITHIN_MS = 25_000;

async function withSidecar(t: TestContext, endpoint: string): Promise<Sidecar> {
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  const sidecar = await startSidecar({
    upstream: model.url,
    args: ["--otlp-endpoint", endpoint],
    env: { OTEL_METRIC_EXPORT_INTERVAL: "500" },
  });
  t.after(async () => {
    await sidecar.stop("SIGKILL");
    await model.close();
  });
  return sidecar;
}

async function assertWorks(sidecar: Sidecar, id: string): Promise<void> {
  const answer = await postJson(`${sidecar.traffic}/invocations`, { x: 1 }, { "x-prediction-id": id });
  assert.equal(answer.status, 200);
  await until(async () => (await getJson(`${sidecar.api}/v1/predictions/${id}`)).status === 200);
  const labelled = await postJson(`${sidecar.api}/v1/labels`, { id, label: 2 });
  assert.equal(labelled.body["joined"], 1);
}

async function otlpPart(sidecar: Sidecar): Promise<{ state: string; why: string | null }> {
  const ready = await getJson(`${sidecar.telemetry}/readyz`);
  assert.equal(ready.status, 200);
  return (
    (ready.body["parts"] as Record<string, { state: string; why: string | null }>)["otlp"] ?? {
      state: "",
      why: "",
    }
  );
}

const failures = (sidecar: Sidecar): Promise<number> =>
  sidecar.metric("outrider_otlp_exports_total", { result: "failure" });

/** The sidecar stays well, counts the failures, says why, and stops in time with 0. */
async function assertUnharmed(sidecar: Sidecar): Promise<void> {
  await assertWorks(sidecar, "before");
  await until(async () => (await failures(sidecar)) >= 2);
  await until(async () => (await otlpPart(sidecar)).state === "degraded");
  assert.notEqual((await otlpPart(sidecar)).why, null);
  await assertWorks(sidecar, "after");
  await sidecar.metricIs("outrider_observer_up", 1);
  assert.equal(await sidecar.metric("outrider_observer_restarts_total"), 0);
  assert.equal(await sidecar.metric("outrider_otlp_exports_total", { result: "success" }), 0);
  const observer = sidecar.observerPid();
  const from = performance.now();
  assert.equal(await sidecar.stop(), 0);
  const tookMs = performance.now() - from;
  assert.ok(tookMs < STOPPED_WITHIN_MS, `stopping took ${Math.round(tookMs)} ms`);
  await until(() => isGone(observer));
}

async function listening(t: TestContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("an OTLP receiver that refuses connections harms nothing: failures are counted, stopping stays quick", async (t) => {
  await assertUnharmed(await withSidecar(t, NO_SERVER));
});

test("an OTLP receiver that never answers harms nothing: failures are counted, stopping stays quick", async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  receiver.answerWith("never");
  await assertUnharmed(await withSidecar(t, receiver.url));
});

test("an OTLP receiver that answers 500 harms nothing: failures are counted, stopping stays quick", async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  receiver.answerWith(500);
  await assertUnharmed(await withSidecar(t, receiver.url));
});

test("an OTLP receiver that sends rubbish without end harms nothing", async (t) => {
  const url = await listening(
    t,
    createServer((request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "application/x-protobuf" });
      const more = (): void => {
        while (response.write(Buffer.alloc(65_536, 0xff)));
      };
      response.on("drain", more);
      more();
    }),
  );
  const sidecar = await withSidecar(t, url);
  await assertUnharmed(sidecar);
});

test("when the OTLP receiver comes back, exports succeed again and the last push tells what came last", async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  receiver.answerWith(500);
  const sidecar = await withSidecar(t, receiver.url);
  await until(async () => (await otlpPart(sidecar)).state === "degraded");
  receiver.answerWith(200);
  await until(async () => (await otlpPart(sidecar)).state === "ok");
  await assertWorks(sidecar, "last");
  assert.equal(await sidecar.stop(), 0);
  const [point] = receiver.latest("outrider.predictions")?.points ?? [];
  assert.equal(point?.value, 1);
  assert.ok(
    (receiver.latest("outrider.otlp.exports")?.points ?? []).some(
      ({ attributes, value }) => attributes["result"] === "failure" && Number(value) >= 1,
    ),
  );
});
