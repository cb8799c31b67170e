// The sidecar in front of model servers that nobody here wrote: bodies and headers unchanged, metrics equal to scikit-learn's, read back by Prometheus.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { request } from "undici";
import { startOtlpReceiver } from "../support/otlp-receiver.ts";
import { getJson, sampleSum, startSidecar, until, type Sidecar } from "../support/sidecar.ts";
import { label, plan, predict, type Call, type Naming, type Plan, type Sent } from "./support/labelled.ts";
import { invocationsBody, startMlflowScoring } from "./support/mlflow.ts";
import { inferBody, startMlserver } from "./support/mlserver.ts";
import { assertSameOnBothRoads, collect } from "./support/otlp.ts";
import { temporaryFolder } from "./support/process.ts";
import { promtoolCheckMetrics, startPrometheus } from "./support/prometheus.ts";
import { sklearnMetrics } from "./support/sklearn.ts";
import type { TrainedModel, TrainedRow } from "./support/trained.ts";

const owner = { after };
const GAUGES: Readonly<Record<string, string>> = {
  mse: "outrider_quality_mse",
  rmse: "outrider_quality_rmse",
  mae: "outrider_quality_mae",
  r2: "outrider_quality_r2",
  accuracy: "outrider_quality_accuracy_ratio",
  precision: "outrider_quality_precision_ratio",
  recall: "outrider_quality_recall_ratio",
  f1: "outrider_quality_f1_ratio",
  roc_auc: "outrider_quality_auc_ratio",
};

/** Headers a server makes anew for each answer. */
const OWN_EACH_TIME = new Set([
  "date",
  "ce-id",
  "ce-requestid",
  "connection",
  "keep-alive",
  "transfer-encoding",
]);
const ADDED = new Set(["x-prediction-id", "x-model-version", "via"]);

interface Told {
  readonly status: number;
  readonly text: string;
  readonly headers: Record<string, unknown>;
}

async function ask(
  base: string,
  call: { path: string; method: "GET" | "POST"; body?: string },
): Promise<Told> {
  const { path, method, body } = call;
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const answer = await request(`${base}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
  });
  return { status: answer.statusCode, text: await answer.body.text(), headers: { ...answer.headers } };
}

/** The answer's own ids differ from call to call; everything else must not. */
const withoutIds = (text: string): string => text.replace(/"id":"[^"]*"/g, '"id":""');

async function assertUntouched(
  direct: string,
  through: string,
  calls: Parameters<typeof ask>[1][],
): Promise<void> {
  for (const call of calls) {
    const [one, two] = [await ask(direct, call), await ask(through, call)];
    assert.equal(two.status, one.status, call.path);
    assert.equal(withoutIds(two.text), withoutIds(one.text), call.path);
    for (const [name, value] of Object.entries(one.headers)) {
      if (OWN_EACH_TIME.has(name))
        assert.ok(
          name in two.headers || name === "keep-alive" || name === "connection",
          `${call.path}: ${name}`,
        );
      else assert.deepEqual(two.headers[name], value, `${call.path}: ${name}`);
    }
    const more = Object.keys(two.headers).filter(
      (name) => !(name in one.headers) && !OWN_EACH_TIME.has(name),
    );
    assert.deepEqual(
      more.filter((name) => !ADDED.has(name)),
      [],
      call.path,
    );
  }
}

async function assertQuality(
  sidecar: Sidecar,
  of: TrainedModel & { seenAs: string; seenVersion: string },
  rows: readonly Sent[],
): Promise<void> {
  const want = await sklearnMetrics({
    task: of.task,
    y: rows.map(({ row }) => row.target),
    prediction: rows.map(({ row }) => row.prediction),
    ...(of.task === "binary" ? { score: rows.map(({ row }) => row.score ?? 0) } : {}),
  });
  const where = { model: of.seenAs, version: of.seenVersion };
  await until(
    async () =>
      (await sidecar.metric("outrider_quality_samples", { ...where, window: "1h", basis: "all" })) ===
      rows.length,
  );
  const text = await sidecar.metrics();
  for (const window of ["1h", "24h", "7d", "all"]) {
    assert.equal(
      sampleSum(text, "outrider_quality_samples", { ...where, window, basis: "all" }),
      rows.length,
    );
    for (const [metric, family] of Object.entries(GAUGES)) {
      const value = want[metric];
      if (value === undefined || value === null) continue;
      const got = sampleSum(text, family, { ...where, window, basis: "all" });
      assert.ok(
        Math.abs(got - value) <= 1e-9 * Math.max(1e-3, Math.abs(value)),
        `${of.name} ${of.version} ${window} ${metric}: ${got} is not ${value}`,
      );
    }
  }
}

/** Early labels, the predictions, the other labels. The early ones wait, and join when their prediction comes. */
async function exchange(
  sidecar: Sidecar,
  planned: Plan,
  how: {
    readonly where: Readonly<Record<string, string>>;
    readonly call: (rows: readonly TrainedRow[], id: string | null) => Call;
  },
): Promise<void> {
  const labelled = (result: string): Promise<number> =>
    sidecar.metric("outrider_labels_total", { result, ...(result === "waiting" ? {} : how.where) });
  const early = await label(sidecar, planned, "early");
  assert.ok((early["waiting"] ?? 0) > 10, JSON.stringify(early));
  assert.equal(early["joined"], 0);
  assert.equal(await labelled("joined"), 0);
  await predict(sidecar, planned, how.call);
  const rows = planned.batches.reduce((sum, batch) => sum + batch.rows.length, 0);
  await until(async () => (await sidecar.metric("outrider_predictions_total", how.where)) >= rows);
  await label(sidecar, planned, "late");
}

test("MLServer with scikit-learn models: nothing is changed, and every metric is scikit-learn's", async () => {
  const mlserver = await startMlserver(owner);
  const receiver = await startOtlpReceiver();
  const file = join(temporaryFolder(owner, "config"), "outrider.yaml");
  writeFileSync(
    file,
    `upstream: ${mlserver.url}\nmodels:\n  - { name: breast-cancer, task: binary }\n  - { name: diabetes, task: regression }\n`,
  );
  const sidecar = await startSidecar({
    upstream: mlserver.url,
    args: ["--config", file, "--otlp-endpoint", receiver.url],
    env: { OTEL_METRIC_EXPORT_INTERVAL: "1000" },
  });
  try {
    const [first] = mlserver.models;
    assert.ok(first);
    const infer = inferBody(first, first.rows.slice(0, 3));
    await assertUntouched(mlserver.url, sidecar.traffic, [
      { path: `/v2/models/${first.name}/infer`, method: "POST", body: infer },
      { path: `/v2/models/${first.name}/versions/${first.version}/infer`, method: "POST", body: infer },
      { path: `/v2/models/${first.name}`, method: "GET" },
      { path: "/v2", method: "GET" },
      { path: "/v2/health/ready", method: "GET" },
      { path: "/v2/models/nope/infer", method: "POST", body: infer },
      { path: `/v2/models/${first.name}/infer`, method: "POST", body: '{"inputs":[{"name":"x"}]}' },
    ]);
    // The rows of the comparison stay apart from those sent to compare bodies: these are never labelled.
    for (const [i, model] of mlserver.models.entries()) {
      const path = `/v2/models/${model.name}/versions/${model.version}/infer`;
      const planned = plan(model, ["x-prediction-id", "x-request-id", "body"], 17 + i);
      const where = { model: model.name, version: model.version };
      await exchange(sidecar, planned, {
        where,
        call: (rows, id) => ({ path, body: inferBody(model, rows, id) }),
      });
      const rows = planned.surviving;
      await assertQuality(sidecar, { ...model, seenAs: model.name, seenVersion: model.version }, rows);
    }
    const version = await getJson(`${sidecar.telemetry}/version`);
    const served = version.body["models"] as { name: string; served: { version: string }[] }[];
    for (const model of mlserver.models) {
      assert.ok(
        served.find(({ name }) => name === model.name)?.served.some((one) => one.version === model.version),
      );
    }
    await assertReadByPrometheus(sidecar, mlserver.models);
    const { same, metrics } = await assertSameOnBothRoads(await collect(sidecar, receiver));
    assert.ok(same > 1000 && metrics.length > 40, `${same} samples, ${metrics.length} families`);
  } finally {
    await sidecar.stop();
    await receiver.close();
  }
});

async function assertReadByPrometheus(sidecar: Sidecar, models: readonly TrainedModel[]): Promise<void> {
  const prometheus = await startPrometheus(owner, {
    scrapeUrl: `${sidecar.telemetry}/metrics`,
    intervalMs: 2000,
  });
  await prometheus.queryUntil("up", (samples) => samples.some(({ value }) => value === 1));
  const text = await sidecar.metrics();
  const opinion = await promtoolCheckMetrics(text);
  assert.ok(opinion.ok, opinion.output);
  for (const model of models) {
    for (const family of Object.values(GAUGES)) {
      const where = { model: model.name, version: model.version, window: "24h", basis: "all" };
      const value = sampleSum(text, family, where);
      const select = `${family}{model="${model.name}",version="${model.version}",window="24h",basis="all"}`;
      const samples =
        value === 0
          ? await prometheus.query(select)
          : await prometheus.queryUntil(select, (found) => found.length === 1);
      for (const sample of samples)
        assert.ok(Math.abs(sample.value - value) <= 1e-12 * Math.abs(value), select);
    }
  }
  const [p95] = await prometheus.queryUntil(
    "histogram_quantile(0.95, sum by (le) (http_server_request_duration_seconds_bucket))",
    (samples) => samples.some(({ value }) => value > 0),
  );
  assert.ok(p95 && p95.value < 10);
}

test("mlflow models serve with nothing configured: nothing is changed, and every metric is scikit-learn's", async () => {
  const mlflow = await startMlflowScoring(owner);
  const sidecar = await startSidecar({ upstream: mlflow.url });
  try {
    const body = invocationsBody(mlflow.model, mlflow.model.rows.slice(0, 3));
    await assertUntouched(mlflow.url, sidecar.traffic, [
      { path: "/invocations", method: "POST", body },
      { path: "/invocations", method: "POST", body: '{"foo":1}' },
      { path: "/ping", method: "GET" },
      { path: "/version", method: "GET" },
      { path: "/metrics", method: "GET" },
    ]);
    const namings: Naming[] = ["x-prediction-id", "x-request-id"];
    const planned = plan(mlflow.model, namings, 5);
    await exchange(sidecar, planned, {
      where: { model: "default" },
      call: (rows) => ({ path: "/invocations", body: invocationsBody(mlflow.model, rows) }),
    });
    const rows = planned.surviving;
    await assertQuality(sidecar, { ...mlflow.model, seenAs: "default", seenVersion: "unknown" }, rows);
  } finally {
    await sidecar.stop();
  }
});
