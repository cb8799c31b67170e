import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startModelServer, type ModelServer } from "../support/model-server.ts";
import { getJson, postJson, sampleSum, startSidecar, until, type Sidecar } from "../support/sidecar.ts";

let model: ModelServer;
let sidecar: Sidecar;

before(async () => {
  model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5], model_version: "7" }));
  sidecar = await startSidecar({ upstream: model.url });
});
after(async () => {
  const code = await sidecar.stop();
  await model.close();
  assert.equal(code, 0);
});

test("a prediction is followed from the socket to the rolling metric", async () => {
  const ids: string[] = [];
  for (let x = 0; x < 10; x++) {
    const answer = await postJson(`${sidecar.traffic}/invocations`, { x });
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, { predictions: [x + 0.5], model_version: "7" });
    ids.push(String(answer.headers["x-prediction-id"]));
  }
  await until(async () => (await sidecar.metric("outrider_predictions_total")) === 10);
  const labels = await postJson(
    `${sidecar.api}/v1/labels`,
    ids.map((id, x) => ({ id, label: x })),
  );
  assert.equal(labels.status, 200);
  assert.equal(labels.body["joined"], 10);
  const where = { model: "default", version: "7", window: "1h", basis: "all" };
  // Scrapes share a snapshot for half a second.
  await until(async () => (await sidecar.metric("outrider_quality_samples", where)) === 10);
  const text = await sidecar.metrics();
  assert.equal(sampleSum(text, "outrider_quality_rmse", where), 0.5);
  assert.equal(sampleSum(text, "outrider_quality_mae", where), 0.5);
  assert.equal(sampleSum(text, "outrider_quality_samples", where), 10);
  assert.equal(sampleSum(text, "outrider_label_coverage_ratio", where), 1);
  assert.equal(sampleSum(text, "outrider_requests_total", { outcome: "ok" }), 10);
});

test("the prediction, its labels, the quality and the served version can be asked for", async () => {
  const answer = await postJson(
    `${sidecar.traffic}/invocations`,
    { x: 3 },
    { "x-prediction-id": "mine-1", "x-request-id": "req-9" },
  );
  assert.equal(answer.headers["x-prediction-id"], "mine-1");
  await postJson(`${sidecar.api}/v1/labels`, { id: "req-9", label: 4 });
  await until(async () => (await getJson(`${sidecar.api}/v1/predictions/mine-1`)).status === 200);
  const found = await getJson(`${sidecar.api}/v1/predictions/mine-1`);
  assert.equal(found.body["prediction"], 3.5);
  assert.equal(found.body["version"], "7");
  assert.deepEqual(found.body["aliases"], ["req-9"]);
  assert.equal((found.body["labels"] as { label: number; state: string }[])[0]?.label, 4);
  const version = await getJson(`${sidecar.telemetry}/version`);
  assert.equal((version.body["models"] as { served: { version: string }[] }[])[0]?.served[0]?.version, "7");
  const quality = await getJson(`${sidecar.api}/v1/quality?window=all`);
  assert.equal((quality.body["groups"] as { n_labeled: number }[])[0]?.n_labeled, 11);
});

test("liveness, readiness and the model server's own state are told apart", async () => {
  assert.equal((await getJson(`${sidecar.telemetry}/livez`)).status, 200);
  const ready = await getJson(`${sidecar.telemetry}/readyz`);
  assert.equal(ready.status, 200);
  const parts = ready.body["parts"] as Record<string, { state: string }>;
  assert.equal(parts["store"]?.state, "ok");
  assert.equal(parts["observer"]?.state, "ok");
});
