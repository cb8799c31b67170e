// The OTLP that leaves a running sidecar, read by the published protobuf classes, by a real Collector and by a real Prometheus.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { request } from "undici";
import { startModelServer, type ModelServer } from "../support/model-server.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../support/otlp-receiver.ts";
import { postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";
import { startCollector } from "./support/collector.ts";
import { assertSameOnBothRoads, collect, keyOf, published, samplesByKey } from "./support/otlp.ts";
import { temporaryFolder } from "./support/process.ts";
import { startPrometheus } from "./support/prometheus.ts";

const owner = { after };
const ROWS = 40;
let model: ModelServer;
let receiver: OtlpReceiver;
let sidecar: Sidecar;

/** What a scikit-learn runtime would say; `x` decides. */
function answer(body: Record<string, unknown>): unknown {
  const x = Number(body["x"]);
  if (body["kind"] === "house") return { model_version: "7", predictions: [x * 1.25 + 0.1] };
  const score = (x % 10) / 10 + 0.05;
  return {
    model_name: "spam",
    model_version: "3",
    outputs: [
      { name: "predict", datatype: "INT64", shape: [1], data: [score > 0.5 ? 1 : 0] },
      { name: "predict_proba", datatype: "FP64", shape: [1, 2], data: [1 - score, score] },
    ],
  };
}

before(async () => {
  model = await startModelServer((body, _request, response) => {
    if (body["x"] === "bad") response.statusCode = 400;
    return body["x"] === "bad" ? { error: "no number" } : answer(body);
  });
  receiver = await startOtlpReceiver();
  const file = join(temporaryFolder(owner, "otlp"), "outrider.yaml");
  const models = [
    { name: "house", task: "regression", match: { path: "/house" } },
    { name: "spam", task: "binary", positive: "1", match: { path: "/spam" } },
  ];
  writeFileSync(file, JSON.stringify({ upstream: model.url, models }));
  sidecar = await startSidecar({
    upstream: model.url,
    args: ["--config", file, "--otlp-endpoint", receiver.url],
    env: { OTEL_METRIC_EXPORT_INTERVAL: "1000", OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=proof" },
  });
  await traffic();
});
after(async () => {
  await sidecar.stop();
  await receiver.close();
  await model.close();
});

/** Predictions of two tasks, labels of every fate, errors: so that every kind of family has samples. */
async function traffic(): Promise<void> {
  for (let x = 0; x < ROWS; x++) {
    for (const kind of ["house", "spam"]) {
      await postJson(`${sidecar.traffic}/${kind}`, { kind, x }, { "x-prediction-id": `${kind}-${x}` });
    }
  }
  for (const path of ["/house", "/elsewhere"]) {
    const ask = { method: "POST", body: '{"x":"bad"}', reset: true } as const;
    const refused = await request(`${sidecar.traffic}${path}`, ask);
    await refused.body.dump();
  }
  await until(async () => (await sidecar.metric("outrider_predictions_total")) >= 2 * ROWS);
  const now = Date.now();
  const labels = Array.from({ length: ROWS - 5 }, (_, x) => [
    { id: `house-${x}`, label: x * 1.2, ts: now },
    { id: `spam-${x}`, label: x % 3 === 0 ? 1 : 0, ts: now },
  ]).flat();
  const fates = [
    { id: "house-0", label: 0, ts: now },
    { id: "house-1", label: 3, ts: now + 1 },
    { id: "house-2", label: 3, ts: now - 1000 },
    { id: "spam-3", label: null, ts: now + 1 },
    { id: "early", label: 1 },
    { id: "", label: 1 },
  ];
  for (const batch of [labels, fates]) {
    const told = await postJson(`${sidecar.api}/v1/labels`, batch);
    assert.equal(told.status, 200, JSON.stringify(told.body));
  }
  // Scrapes share a snapshot for half a second.
  let before = "";
  await until(async () => {
    await new Promise((resolve) => setTimeout(resolve, 600));
    const now =
      (await sidecar.metrics()).match(/^outrider_(?:quality|label)_.*basis="all".*$/gm)?.join() ?? "";
    const rests = now !== "" && now === before;
    before = now;
    return rests;
  });
  // Those of its clients are closed by them when they have been idle.
  await sidecar.metricIs("outrider_proxy_connections", 0);
}

test("the published protobuf classes read every series of /metrics out of the OTLP, with the same value", async () => {
  const { same, moved, metrics } = await assertSameOnBothRoads(await collect(sidecar, receiver));
  assert.ok(same > 500, `only ${same} samples stood still`);
  // Matured windows end where labels are in: a moving instant, and with it the number of series. What is expected of labels changes
  // while predictions wait, and so does what is held against it. Probes are jobs: they run by the clock.
  const moving =
    /basis=matured|^outrider_series\{|^outrider_(label_(delay|maturity|expected)|estimate|nowcast|drift|concept)/;
  const ours = moved.filter(
    (key) => /^outrider_(?!otlp|target|store|probe|job|proxy_loop)|^http_/.test(key) && !moving.test(key),
  );
  assert.deepEqual(ours, [], "these were to stand still");
  for (const [kind, least] of [
    ["sum", 15],
    ["gauge", 30],
    ["histogram", 4],
  ] as const) {
    const found = metrics.filter((metric) => metric.kind === kind).length;
    assert.ok(found >= least, `${found} families of kind ${kind}`);
  }
  const mse = metrics.find(({ name }) => name === "outrider.quality.mse");
  const duration = metrics.find(({ name }) => name === "http.server.request.duration");
  assert.ok(mse && mse.points.length > 0);
  assert.ok(duration?.points.some(({ count }) => (count ?? 0) >= ROWS));
});

async function send(url: string, bodies: readonly Buffer[]): Promise<void> {
  for (const body of bodies) {
    const headers = { "content-type": "application/x-protobuf" };
    const told = await request(url, { method: "POST", body, headers });
    assert.equal(told.statusCode, 200, await told.body.text());
    await told.body.dump();
  }
}

test("a real Collector passes on what we meant: the same metrics, attributes, values and buckets", async () => {
  const behind = await startOtlpReceiver();
  try {
    const collector = await startCollector(owner, behind.url);
    const { bodies } = await collect(sidecar, receiver);
    await send(`${collector.url}/v1/metrics`, bodies);
    await behind.received(bodies.length);
    const arrived = behind.requests.flatMap(({ metrics }) =>
      metrics.map(({ name, kind, points }) => ({
        name,
        kind,
        points: points.map(({ bucketCounts, ...point }) => ({
          ...point,
          ...(bucketCounts === undefined ? {} : { counts: bucketCounts }),
        })),
      })),
    );
    const want = samplesByKey(await published(bodies));
    assert.ok(want.size > 500);
    assert.deepEqual(samplesByKey(arrived), want);
  } finally {
    await behind.close();
  }
});

test("a real Prometheus that takes the OTLP stores it under the names and labels that /metrics shows", async () => {
  const prometheus = await startPrometheus(owner, {
    scrapeUrl: null,
    intervalMs: 1000,
    flags: ["--web.enable-otlp-receiver"],
  });
  const { bodies } = await collect(sidecar, receiver);
  await send(`${prometheus.url}/api/v1/otlp/v1/metrics`, bodies);
  const stored = new Map<string, number>();
  const samples = await prometheus.queryUntil('{__name__=~".+",job!=""}', (found) => found.length > 500);
  for (const { labels, value } of samples) {
    const { __name__: name = "", job: _job, instance: _instance, ...own } = labels;
    if (name !== "target_info") stored.set(keyOf(name, own), value);
  }
  const want = samplesByKey(await published(bodies));
  for (const [key, value] of want) assert.equal(stored.get(key), value, key);
  // Prometheus adds a count to histograms that came without a sum.
  const more = [...stored.keys()].filter(
    (key) => !want.has(key) && !key.startsWith("outrider_classification_score_"),
  );
  assert.deepEqual(more, []);
});
