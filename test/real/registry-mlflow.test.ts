// A real MLflow registry beside a real `mlflow models serve`: the alias is followed, promotions go there, metrics, traces and
// ground truth are read back by MLflow's own client.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { isDeepStrictEqual, promisify } from "node:util";
import { request } from "undici";
import { createRegistryHttp } from "../../src/versions/registry-http.ts";
import { Mlflow } from "../../src/versions/registries/mlflow.ts";
import { startModelServer } from "../support/model-server.ts";
import { getJson, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";
import { ensurePython } from "./support/install.ts";
import { invocationsBody, startMlflowScoring, startMlflowTracking } from "./support/mlflow.ts";
import { temporaryFolder } from "./support/process.ts";
import { pythonEnvironment } from "./support/trained.ts";

const owner = { after };
const run = promisify(execFile);
/** For what never comes: MLflow's client alone takes seconds to start. */
const PATIENCE_MS = 300_000;

interface Made {
  readonly experiment: string;
  readonly name: string;
  readonly versions: readonly { readonly version: string; readonly run: string }[];
}
interface Read {
  readonly champion: string;
  readonly runs: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly traces: readonly {
    readonly tags: Readonly<Record<string, string>>;
    readonly inputs: unknown;
    readonly assessments: readonly {
      readonly name: string;
      readonly value: unknown;
      readonly valid: boolean;
    }[];
  }[];
}

async function python<T>(script: string, args: readonly string[]): Promise<T> {
  const { bin } = await ensurePython();
  const env = { ...process.env, ...(await pythonEnvironment()) };
  const path = join(import.meta.dirname, "python", script);
  const { stdout } = await run(join(bin, "python"), [path, ...args], { env, maxBuffer: 16e6 });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as T;
}

interface Declared {
  readonly models: readonly {
    readonly name: string;
    readonly declared: { readonly version: string; readonly source: string } | null;
  }[];
}

async function declared(sidecar: Sidecar, of = "diabetes"): Promise<string | undefined> {
  const { body } = await getJson(`${sidecar.telemetry}/version`);
  const model = (body as unknown as Declared).models.find(({ name }) => name === of);
  return model?.declared === null ? undefined : `${model?.declared?.version} by ${model?.declared?.source}`;
}

test("the alias of a real MLflow is followed, set, written to and read back", async () => {
  const scoring = await startMlflowScoring(owner);
  const tracking = await startMlflowTracking(owner);
  const folder = temporaryFolder(owner, "registry");
  const modelFolder = temporaryFolder(owner, "registered");
  writeFileSync(join(modelFolder, "MLmodel"), "flavors: {}\n");
  const made = await python<Made>("registry_setup.py", [tracking.url, modelFolder]);
  const config = join(folder, "outrider.yaml");
  writeFileSync(
    config,
    `models:
  - name: diabetes
    task: regression
    version: { registry: mlflow }
registries:
  - type: mlflow
    url: ${tracking.url}
    model: diabetes
    every: 1s
    writeEvery: 1s
    experimentId: "${made.experiment}"
    write: [metrics, traces, labels, promotion]
otlp: { traces: { sampleRatio: 1 } }
`,
  );
  const sidecar = await startSidecar({ upstream: scoring.url, args: ["--config", config] });
  try {
    await until(async () => (await declared(sidecar)) === "1 by mlflow alias champion");
    const predict = async (rows: typeof scoring.model.rows): Promise<Record<string, unknown>> => {
      const answer = await request(`${sidecar.traffic}/invocations`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: invocationsBody(scoring.model, rows),
      });
      await answer.body.text();
      return answer.headers;
    };
    const rows = scoring.model.rows.slice(0, 20);
    await until(async () => (await predict(rows.slice(0, 1)))["x-model-version"] === "1");
    const first = String((await predict(rows))["x-prediction-id"]);
    await until(async () => (await getJson(`${sidecar.api}/v1/predictions/${first}:0`)).status === 200);
    const labels = rows.map(({ target }) => target);
    const sent = await postJson(`${sidecar.api}/v1/labels`, { id: first, label: labels });
    assert.equal(sent.body["joined"], 1);
    // A correction of one row.
    await postJson(`${sidecar.api}/v1/labels`, { id: `${first}:0`, label: (rows[0]?.target ?? 0) + 1 });

    const versions = `${sidecar.api}/v1/models/diabetes/versions`;
    const registered = await getJson(`${versions}/1`);
    assert.deepEqual((registered.body["metadata"] as { evaluation: unknown }).evaluation, { rmse: 55 });
    const asked = await postJson(`${versions}/9/promote`, { stage: "production", actor: "ada" });
    assert.equal(asked.status, 404, "a version that nobody knows cannot be promoted");
    // Version 2 is known to MLflow alone: to us when it has listed its versions.
    const promotion = { stage: "production", actor: "ada", reason: "test" };
    let pending = await postJson(`${versions}/2/promote`, promotion);
    await until(async () => {
      if (pending.status === 404) pending = await postJson(`${versions}/2/promote`, promotion);
      return pending.status !== 404;
    }, PATIENCE_MS);
    assert.deepEqual([pending.status, pending.body["pending"]], [200, true]);
    await until(async () => (await declared(sidecar)) === "2 by mlflow alias champion");
    await until(async () => (await predict(rows.slice(0, 1)))["x-model-version"] === "2");
    const mismatch = { model: "diabetes" };
    await sidecar.metricIs("outrider_version_mismatch", 1, mismatch);
    const back = await postJson(`${sidecar.api}/v1/models/diabetes/rollback`, {
      actor: "ada",
      reason: "worse",
    });
    assert.deepEqual([back.status, back.body["pending"]], [200, true]);
    await until(async () => (await declared(sidecar)) === "1 by mlflow alias champion");
    const history = await getJson(`${sidecar.api}/v1/models/diabetes/history`);
    const told = (history.body["history"] as { action: string; version: string; actor: string }[]).map(
      ({ action, version, actor }) => `${action} ${version} ${actor}`,
    );
    assert.deepEqual(told.slice(-4), [
      "archived 1 ada",
      "promoted 2 ada",
      "archived 2 ada",
      "rolled_back 1 ada",
    ]);

    // A truth that was sent before its correction is taken back when that one is there: exactly these are left in the end.
    const truths = rows.map(({ target }, row) => target + (row === 0 ? 1 : 0)).toSorted((a, b) => a - b);
    const valid = (trace: Read["traces"][number]): number[] =>
      trace.assessments
        .filter((one) => one.valid !== false)
        .map(({ value }) => Number(value))
        .toSorted((a, b) => a - b);
    const live = await getJson(`${sidecar.api}/v1/quality?model=diabetes&version=1&window=all`);
    const [group] = live.body["groups"] as { metrics: { rmse: number } }[];
    const off = (told: Read): number =>
      Math.abs((told.runs["1"]?.["outrider/all/rmse"] ?? 0) - (group?.metrics.rmse ?? 1));
    let read: Read | null = null;
    await until(async () => {
      read = await python<Read>("registry_read.py", [tracking.url, made.name, made.experiment]);
      return read.traces.some((trace) => isDeepStrictEqual(valid(trace), truths)) && off(read) < 1e-9;
    }, PATIENCE_MS);
    const seen = read as Read | null;
    assert.equal(seen?.champion, "1");
    const traced = seen?.traces.find((trace) => isDeepStrictEqual(valid(trace), truths));
    assert.equal(traced?.tags["model_version"], "1");
    assert.equal(traced?.tags["model_name"], "diabetes");
    // Corrected once more, now that the first truth is there: the new one overrides it.
    const truth = (rows[1]?.target ?? 0) + 1000;
    await postJson(`${sidecar.api}/v1/labels`, { id: `${first}:1`, label: truth });
    await until(async () => {
      const again = await python<Read>("registry_read.py", [tracking.url, made.name, made.experiment]);
      const assessed = again.traces.flatMap(({ assessments }) => assessments);
      return assessed.some((one) => one.value === truth && one.valid !== false);
    }, PATIENCE_MS);
    // Taken back: nothing holds for that row any more.
    await postJson(`${sidecar.api}/v1/labels`, { id: `${first}:1`, label: null });
    await until(async () => {
      const again = await python<Read>("registry_read.py", [tracking.url, made.name, made.experiment]);
      const assessed = again.traces.flatMap(({ assessments }) => assessments);
      return assessed.every((one) => one.value !== truth || one.valid === false);
    }, PATIENCE_MS);
  } finally {
    await sidecar.stop();
  }
});

test("versions are registered under our names, a signed webhook tells of a moved alias, stages and bodies work", async () => {
  const tracking = await startMlflowTracking(owner, {
    MLFLOW_WEBHOOK_ALLOWED_SCHEMES: "http,https",
    // Else a webhook is heeded a minute after it was made.
    MLFLOW_WEBHOOK_CACHE_TTL: "1",
    MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS: "true",
  });
  const mlflow = async (path: string, body: unknown): Promise<Record<string, unknown>> => {
    const answer = await postJson(`${tracking.url}/api/2.0/mlflow/${path}`, body);
    assert.equal(answer.status, 200, `${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const experiment = String((await mlflow("experiments/create", { name: "outrider" }))["experiment_id"]);
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  const folder = temporaryFolder(owner, "registry");
  const config = join(folder, "outrider.yaml");
  writeFileSync(
    config,
    `models: [{ name: churn, match: { path: /invocations }, task: regression, version: { registry: mlflow } }]
registries:
  - type: mlflow
    url: ${tracking.url}
    model: churn
    registeredName: risk-churn
    every: 1h
    writeEvery: 1s
    experimentId: "${experiment}"
    webhookSecret: a-shared-secret-of-this-test
    write: [registration, promotion, metrics, traces, inputs]
otlp: { traces: { sampleRatio: 1 } }
`,
  );
  const sidecar = await startSidecar({ upstream: model.url, args: ["--config", config] });
  const registry = new Mlflow(
    createRegistryHttp(tracking.url, () => Promise.resolve({ kind: "ok", value: {} })),
    { alias: "champion", stage: "Production", writes: new Set(), registeredName: () => "risk-churn" },
  );
  try {
    const versions = `${sidecar.api}/v1/models/churn/versions`;
    for (const version of ["1.4.2", "1.5.0"]) {
      const artifact = { uri: `s3://models/churn/${version}`, sha256: null };
      const sent = await postJson(versions, {
        version,
        artifact,
        tags: { git: "4f2" },
        description: "of CI",
      });
      assert.equal(sent.status, 200);
      await until(async () => (await registry.version("churn", version)).kind === "ok");
    }
    const there = await registry.versions("churn");
    assert.deepEqual(
      there.kind === "ok" && there.value.map(({ version, tags }) => `${version} ${tags["git"]}`),
      ["1.4.2 4f2", "1.5.0 4f2"],
    );
    const asked = await postJson(`${versions}/1.4.2/promote`, { stage: "production", ifCurrent: null });
    assert.deepEqual([asked.status, asked.body["pending"]], [200, true], JSON.stringify(asked.body));
    await until(async () => (await declared(sidecar, "churn")) === "1.4.2 by mlflow alias champion");
    await mlflow("webhooks", {
      name: "outrider",
      url: `${sidecar.api}/v1/registries/mlflow/webhook`,
      events: [
        { entity: "MODEL_VERSION_ALIAS", action: "CREATED" },
        { entity: "MODEL_VERSION_ALIAS", action: "DELETED" },
      ],
      secret: "a-shared-secret-of-this-test",
      status: "ACTIVE",
    });
    // Looks are an hour apart: only the webhook can tell. MLflow remembers for its TTL, here a second, that there was no webhook
    // for the alias set just before: until it heeds it, the alias is set again.
    await until(async () => {
      await mlflow("registered-models/alias", { name: "risk-churn", alias: "champion", version: "2" });
      const told = async (): Promise<boolean> =>
        (await declared(sidecar, "churn")) === "1.5.0 by mlflow alias champion";
      return await until(told, 5000).then(
        () => true,
        () => false,
      );
    }, PATIENCE_MS);
    const hooked = { registry: "mlflow", operation: "webhook", result: "ok" };
    await until(async () => (await sidecar.metric("outrider_registry_calls_total", hooked)) >= 1);
    const predict = async (): Promise<Record<string, unknown>> =>
      (await postJson(`${sidecar.traffic}/invocations`, { x: 41 })).headers;
    await until(async () => (await predict())["x-model-version"] === "1.5.0");
    const id = String((await predict())["x-prediction-id"]);
    await until(async () => (await getJson(`${sidecar.api}/v1/predictions/${id}`)).status === 200);
    await postJson(`${sidecar.api}/v1/labels`, { id, label: 41 });
    // No run made these versions: figures become tags.
    await until(async () => {
      const found = await registry.version("churn", "1.5.0");
      return found.kind === "ok" && "outrider.all.rmse" in found.value.tags;
    });
    let read: Read | null = null;
    await until(async () => {
      read = await python<Read>("registry_read.py", [tracking.url, "risk-churn", experiment]);
      return read.traces.length > 0;
    }, PATIENCE_MS);
    assert.deepEqual((read as Read | null)?.traces[0]?.inputs, { x: 41 });
    // Stages, which MLflow keeps: by our name for the version.
    assert.equal((await registry.current("churn")).kind, "none");
    assert.equal((await registry.promote("churn", "1.4.2")).kind, "ok");
    const inStage = await registry.current("churn");
    assert.equal(inStage.kind === "ok" && inStage.value.version, "1.4.2");
    assert.equal((await registry.promote("churn", "9.9.9")).kind, "none");
  } finally {
    await sidecar.stop();
    await model.close();
  }
});
