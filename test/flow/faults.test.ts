import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { further, settled, startLoad } from "../support/load.ts";
import { startModelServer } from "../support/model-server.ts";
import { NO_SERVER } from "../support/nowhere.ts";
import { getJson, postJson, sampleSum, startSidecar, until } from "../support/sidecar.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("an observer that is killed under load fails no request, comes back, and the loss is exact", async () => {
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  const sidecar = await startSidecar({ upstream: model.url });
  try {
    const load = startLoad(sidecar.traffic);
    for (let round = 0; round < 3; round++) {
      await further(load, 200);
      process.kill(sidecar.observerPid(), "SIGKILL");
      await until(
        async () =>
          (await sidecar.metric("outrider_observer_restarts_total")) === round + 1 &&
          (await sidecar.metric("outrider_observer_up")) === 1,
      );
    }
    const report = await load.stop();
    assert.equal(report.failed, 0);
    const { recorded } = await settled(sidecar, report.sent);
    assert.ok(recorded > 0);
  } finally {
    await sidecar.stop();
    await model.close();
  }
});

test("an observer that is stopped makes no request wait, and goes on where it was", async () => {
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  const sidecar = await startSidecar({ upstream: model.url });
  try {
    const load = startLoad(sidecar.traffic);
    await further(load, 100);
    const observer = sidecar.observerPid();
    process.kill(observer, "SIGSTOP");
    await sidecar.metricIs("outrider_observer_up", 0);
    // Those that it would hold up are among the first eight: the rest comes only if nobody waits for it.
    await further(load, 200);
    const alone = await sidecar.scrape();
    assert.equal(sampleSum(alone, "outrider_observer_up"), 0);
    assert.ok(sampleSum(alone, "outrider_exchanges_seen_total") > 0);
    process.kill(observer, "SIGCONT");
    await further(load, 100);
    const report = await load.stop();
    assert.equal(report.failed, 0);
    const { recorded, seen } = await settled(sidecar, report.sent);
    assert.equal(recorded, seen);
  } finally {
    await sidecar.stop();
    await model.close();
  }
});

test("after kill -9 of everything every acknowledged label is there, and the windows equal a recompute", async () => {
  const model = await startModelServer(({ x }) => ({
    predictions: [Number(x) * 1.1 + 0.01],
    model_version: "1",
  }));
  const store = mkdtempSync(join(tmpdir(), "outrider-kill-"));
  const rounds = Number(process.env["FLOW_KILLS"] ?? 4);
  const acknowledged = new Map<string, number>();
  const predicted = new Map<string, number>();
  try {
    for (let round = 0; round < rounds; round++) {
      const sidecar = await startSidecar({ upstream: model.url, store });
      for (let i = 0; i < 30; i++) {
        const id = `r${round}-${i}`;
        await postJson(`${sidecar.traffic}/invocations`, { x: i }, { "x-prediction-id": id });
        predicted.set(id, i * 1.1 + 0.01);
      }
      await sidecar.metricIs("outrider_predictions_total", 30);
      const kill = pause(20 + 40 * round).then(async () => {
        // In this order both are there to be killed: without its parent an observer ends by itself.
        process.kill(sidecar.observerPid(), "SIGKILL");
        sidecar.child.kill("SIGKILL");
        await sidecar.stop("SIGKILL");
      });
      for (let i = 0; i < 30; i++) {
        const id = `r${round}-${i}`;
        const answer = await postJson(`${sidecar.api}/v1/labels`, { id, label: i }).catch(() => null);
        if (answer === null || answer.status !== 200) break;
        acknowledged.set(id, i);
      }
      await kill;
    }
    const sidecar = await startSidecar({ upstream: model.url, store });
    for (const [id, label] of acknowledged) {
      const found = await getJson(`${sidecar.api}/v1/labels/${id}`);
      assert.equal(found.status, 200, `${id} was acknowledged`);
      assert.ok(
        JSON.stringify(found.body).includes(`"label":${label}`),
        `${id}: ${JSON.stringify(found.body)}`,
      );
    }
    const labelled: { y: number; f: number }[] = [];
    for (const [id, f] of predicted) {
      const found = await getJson(`${sidecar.api}/v1/predictions/${id}`);
      assert.equal(found.status, 200, `${id} was recorded`);
      const label = (found.body["labels"] as { label: number }[])[0];
      if (label !== undefined) labelled.push({ y: label.label, f });
    }
    const where = { window: "1h", model: "default", basis: "all" };
    await sidecar.metricIs("outrider_quality_samples", labelled.length, where);
    const text = await sidecar.metrics();
    const mse = labelled.reduce((sum, { y, f }) => sum + (y - f) ** 2, 0) / labelled.length;
    assert.ok(Math.abs(sampleSum(text, "outrider_quality_mse", where) - mse) <= 1e-9 * mse);
    await sidecar.stop();
  } finally {
    await model.close();
    rmSync(store, { recursive: true, force: true });
  }
});

test("a dead model server is a clear 502 at once, and the sidecar stays ready", async () => {
  const sidecar = await startSidecar({ upstream: NO_SERVER });
  try {
    const answer = await postJson(`${sidecar.traffic}/invocations`, { x: 1 });
    assert.equal(answer.status, 502);
    assert.equal(answer.headers["x-outrider-error"], "connection_refused");
    assert.equal(answer.headers["content-type"], "application/problem+json");
    assert.equal((await getJson(`${sidecar.telemetry}/readyz`)).status, 200);
    await sidecar.metricIs("outrider_requests_total", 1, { outcome: "connect_error" });
    await until(
      async () => (await sidecar.metric("outrider_probe_attempts_total", { result: "failure" })) >= 1,
    );
  } finally {
    await sidecar.stop();
  }
});
