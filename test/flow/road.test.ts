import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startModelServer, type ModelServer } from "../support/model-server.ts";
import { getJson, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";

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
  await sidecar.metricIs("outrider_predictions_total", 10);
  const labels = await postJson(
    `${sidecar.api}/v1/labels`,
    ids.map((id, x) => ({ id, label: x })),
  );
  assert.equal(labels.status, 200);
  assert.equal(labels.body["joined"], 10);
  const where = { model: "default", version: "7", window: "1h", basis: "all" };
  // Scrapes share a snapshot for half a second.
  await sidecar.metricIs("outrider_quality_samples", 10, where);
  await sidecar.metricIs("outrider_quality_rmse", 0.5, where);
  await sidecar.metricIs("outrider_quality_mae", 0.5, where);
  await sidecar.metricIs("outrider_label_coverage_ratio", 1, where);
  await sidecar.metricIs("outrider_requests_total", 10, { outcome: "ok" });
});

test("the prediction, its labels, the quality and the served version can be asked for", async () => {
  const answer = await postJson(
    `${sidecar.traffic}/invocations`,
    { x: 3 },
    { "x-prediction-id": "mine-1", "x-request-id": "req-9" },
  );
  assert.equal(answer.headers["x-prediction-id"], "mine-1");
  await postJson(`${sidecar.api}/v1/labels`, { id: "req-9", label: 4 });
  const labelsOf = (body: Record<string, unknown>): readonly { readonly label: number }[] =>
    (body["labels"] ?? []) as { label: number }[];
  const url = `${sidecar.api}/v1/predictions/mine-1`;
  await until(async () => labelsOf((await getJson(url)).body).length === 1);
  const found = await getJson(url);
  assert.equal(found.body["prediction"], 3.5);
  assert.equal(found.body["version"], "7");
  assert.deepEqual(found.body["aliases"], ["req-9"]);
  assert.equal(labelsOf(found.body)[0]?.label, 4);
  const version = await getJson(`${sidecar.telemetry}/version`);
  assert.equal((version.body["models"] as { served: { version: string }[] }[])[0]?.served[0]?.version, "7");
  await until(async () => {
    const quality = await getJson(`${sidecar.api}/v1/quality?window=all`);
    return (quality.body["groups"] as { n_labeled: number }[])[0]?.n_labeled === 11;
  });
});

test("liveness, readiness and the model server's own state are told apart", async () => {
  assert.equal((await getJson(`${sidecar.telemetry}/livez`)).status, 200);
  await until(async () => {
    const ready = await getJson(`${sidecar.telemetry}/readyz`);
    assert.equal(ready.status, 200);
    const parts = ready.body["parts"] as Record<string, { state: string }>;
    return parts["store"]?.state === "ok" && parts["observer"]?.state === "ok";
  });
});
