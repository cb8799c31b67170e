// Captured inputs through the whole program: they drift, and what is redacted is nowhere.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startModelServer } from "../support/model-server.ts";
import { startOtlpReceiver } from "../support/otlp-receiver.ts";
import { getJson, postJson, startSidecar, until } from "../support/sidecar.ts";

const CANARY = "canary-5f1c9e";
const NUMBER = 77123456789;

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

interface Drifting {
  readonly versions: readonly {
    readonly streams: readonly {
      readonly stream: string;
      readonly reference: { readonly kind: string; readonly rows: number };
      readonly windows: readonly {
        readonly window: string;
        readonly rows: number;
        readonly distances: unknown;
      }[];
    }[];
  }[];
}

test("inputs are watched for drift against what was registered; what is redacted is in no file, metric, log or export", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "outrider-inputs-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const model = await startModelServer(({ instances }) => ({
    predictions: ((instances ?? []) as { age: number }[]).map(({ age }) => age / 2),
    model_version: "1",
  }));
  t.after(() => model.close());
  const otlp = await startOtlpReceiver();
  t.after(() => otlp.close());
  const config = join(folder, "outrider.yaml");
  writeFileSync(
    config,
    `capture: { storeInputs: true, redact: ["$.instances.ssn", "$.instances.account", "$.customer.id"] }
models:
  - name: default
    task: regression
    slices: [{ name: customer, body: "$.customer.id" }]
`,
  );
  const store = join(folder, "data");
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url };
  const sidecar = await startSidecar({ upstream: model.url, store, args: ["--config", config], env });
  t.after(() => sidecar.stop("SIGKILL"));
  const edges = Array.from({ length: 11 }, (_, i) => i * 10);
  const registered = await postJson(`${sidecar.api}/v1/models/default/versions`, {
    version: "1",
    trainingData: { distributions: { "input:age": { edges, counts: edges.slice(1).map(() => 100) } } },
    actor: "ci",
  });
  assert.equal(registered.status, 200);
  for (let i = 0; i < 40; i++) {
    const instances = [0, 1].map((row) => ({
      age: 90 + ((i + row) % 10),
      city: i % 2 === 0 ? "Bern" : "Genf",
      ssn: CANARY,
      account: NUMBER,
    }));
    await postJson(`${sidecar.traffic}/invocations`, { instances, customer: { id: CANARY } });
  }
  // Drift is worked out once in half a minute: it is asked for when all has come.
  await until(async () => {
    const { body: quality } = await getJson(`${sidecar.api}/v1/quality?window=24h`);
    const [group] = quality["groups"] as { n_predictions: number }[];
    return group?.n_predictions === 80;
  });
  const drift = async (): Promise<Drifting["versions"][number] | undefined> =>
    ((await getJson(`${sidecar.api}/v1/drift?model=default`)).body as unknown as Drifting).versions[0];
  await until(async () => (await drift())?.streams[0]?.windows.some(({ rows }) => rows === 80) === true);
  const version = await drift();
  const streams = version?.streams.map(({ stream }) => stream).toSorted();
  assert.deepEqual(streams, ["input:age", "input:city", "prediction"]);
  const age = version?.streams.find(({ stream }) => stream === "input:age");
  assert.deepEqual(age?.reference, { kind: "registered", rows: 1000 });
  const day = age?.windows.find(({ window }) => window === "24h");
  assert.equal(day?.rows, 80);
  const { psi } = day.distances as { psi: number };
  assert.ok(psi > 1, `all of the rows are in one of ten bins: ${psi}`);
  const estimates = await getJson(`${sidecar.api}/v1/estimates?window=24h`);
  assert.equal(estimates.status, 200);
  await sidecar.metricIs("outrider_inputs_total", 80, { result: "read" });
  let metrics = "";
  await until(async () =>
    /outrider_drift_psi\{[^}]*stream="input:age"/.test((metrics = await sidecar.metrics())),
  );
  await sidecar.stop("SIGTERM");
  const pushed = otlp.requests.map(({ body: sent }) => sent.toString("latin1")).join("\n");
  const kept = filesBelow(store).map((file) => readFileSync(file, "latin1"));
  assert.ok(kept.length > 0 && pushed.length > 100);
  for (const [where, text] of Object.entries({
    metrics,
    log: sidecar.log(),
    pushed,
    store: kept.join("\n"),
  })) {
    assert.ok(!text.includes(CANARY), `the redacted text is in ${where}`);
    assert.ok(!text.includes(String(NUMBER)), `the redacted number is in ${where}`);
  }
});

test("windows and references of inputs, and registered references of predictions, outlive restarts", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "outrider-inputs-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const model = await startModelServer(({ instances }) => ({
    predictions: ((instances ?? []) as { age: number }[]).map(({ age }) => age / 2),
    model_version: "1",
  }));
  t.after(() => model.close());
  const config = join(folder, "outrider.yaml");
  const write = (storeInputs: boolean): void =>
    writeFileSync(
      config,
      `capture: { storeInputs: ${storeInputs} }\nmodels: [{ name: default, task: regression }]\n`,
    );
  write(true);
  const store = join(folder, "data");
  const start = async () => {
    const sidecar = await startSidecar({ upstream: model.url, store, args: ["--config", config] });
    t.after(() => sidecar.stop("SIGKILL"));
    return sidecar;
  };
  let sidecar = await start();
  const edges = Array.from({ length: 11 }, (_, i) => i * 10);
  const bins = { edges, counts: edges.slice(1).map(() => 100) };
  const distributions = { "input:age": bins, prediction: bins };
  const registered = { version: "1", trainingData: { distributions }, actor: "ci" };
  assert.equal((await postJson(`${sidecar.api}/v1/models/default/versions`, registered)).status, 200);
  const send = async (from: number): Promise<void> => {
    for (let i = from; i < from + 40; i++)
      await postJson(`${sidecar.traffic}/invocations`, { instances: [{ age: 50 + (i % 10), city: "Bern" }] });
    await until(async () => {
      const { body } = await getJson(`${sidecar.api}/v1/quality?window=24h`);
      return (body["groups"] as { n_predictions: number }[])[0]?.n_predictions === from + 40;
    });
  };
  const told = async () => {
    const { body } = await getJson(`${sidecar.api}/v1/drift?model=default`);
    const streams = (body as unknown as Drifting).versions[0]?.streams ?? [];
    return Object.fromEntries(
      streams.map(({ stream, reference, windows }) => [
        stream,
        [reference.kind, windows.find(({ window }) => window === "24h")?.rows],
      ]),
    );
  };
  await send(0);
  await sidecar.stop("SIGTERM");
  sidecar = await start();
  await send(40);
  const both = {
    "input:age": ["registered", 80],
    "input:city": ["first", 80],
    prediction: ["registered", 80],
  };
  assert.deepEqual(await told(), both);
  await sidecar.stop("SIGTERM");
  sidecar = await start();
  await until(async () => (await getJson(`${sidecar.api}/v1/drift?model=default`)).status === 200);
  assert.deepEqual(await told(), both);
  // A kill loses no input whose prediction is kept, and doubles none, however soon the next one comes.
  await send(80);
  const all = {
    "input:age": ["registered", 120],
    "input:city": ["first", 120],
    prediction: ["registered", 120],
  };
  for (const signal of ["SIGKILL", "SIGKILL", "SIGTERM"] as const) {
    await sidecar.stop(signal);
    sidecar = await start();
    await until(async () => (await getJson(`${sidecar.api}/v1/drift?model=default`)).status === 200);
    assert.deepEqual(await told(), all);
  }
  await sidecar.stop("SIGTERM");
  // Whoever turns it off has the hours of inputs dropped from the store.
  write(false);
  sidecar = await start();
  assert.deepEqual(await told(), { prediction: ["registered", 120] });
  await sidecar.stop("SIGTERM");
  write(true);
  sidecar = await start();
  assert.deepEqual(await told(), { prediction: ["registered", 120] });
});
