// A registry beside the traffic, through the whole program: its list, its webhook, its silence, bodies on its traces.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { request } from "undici";
import { startModelServer } from "../support/model-server.ts";
import { getJson, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";
import { registryServer, type Asked, type RegistryServer, type Said } from "../versions/registry-server.ts";

interface Declared {
  readonly version: string;
  readonly source: string;
  readonly trouble?: string | null;
}

async function declared(sidecar: Sidecar): Promise<Declared | null | undefined> {
  const { body } = await getJson(`${sidecar.telemetry}/version`);
  const models = body["models"] as { name: string; declared: Declared | null }[];
  return models.find(({ name }) => name === "default")?.declared;
}

interface Setup {
  readonly registry: RegistryServer;
  readonly store: string;
  start(): Promise<Sidecar>;
}

/** An MLflow that holds `versions`, with its alias on `alias.version`. */
async function setUp(
  t: TestContext,
  alias: { version: string | null },
  yaml: (url: string) => string,
): Promise<Setup> {
  const none: Said = { status: 404, json: { error_code: "RESOURCE_DOES_NOT_EXIST", message: "none" } };
  const versions = ["1", "2", "3"].map((version) => ({
    version,
    status: "READY",
    description: `the ${version}`,
    source: `s3://m/${version}`,
  }));
  const registry = await registryServer(t, ({ path, method, query, body }: Asked): Said => {
    const call = path.replace("/api/2.0/mlflow/", "");
    const found = versions.find(({ version }) => version === (query["version"] ?? alias.version));
    if (call === "registered-models/alias" && method === "POST")
      alias.version = (body as { version: string }).version;
    if (call === "model-versions/search") return { json: { model_versions: versions } };
    if (method === "GET") return found === undefined ? none : { json: { model_version: found } };
    return {};
  });
  const model = await startModelServer(({ x, v }) => ({
    predictions: [Number(x) + 0.5],
    ...(v === undefined ? {} : { model_version: v }),
  }));
  const store = mkdtempSync(join(tmpdir(), "outrider-flow-"));
  const config = join(store, "outrider.yaml");
  writeFileSync(config, yaml(registry.url));
  t.after(async () => {
    await model.close();
    rmSync(store, { recursive: true, force: true });
  });
  const start = async (): Promise<Sidecar> => {
    const sidecar = await startSidecar({ upstream: model.url, store, args: ["--config", config] });
    t.after(() => sidecar.stop("SIGKILL"));
    return sidecar;
  };
  return { registry, store, start };
}

async function versionOf(sidecar: Sidecar, body: object): Promise<string> {
  const { headers } = await postJson(`${sidecar.traffic}/invocations`, body);
  const url = `${sidecar.api}/v1/predictions/${String(headers["x-prediction-id"])}`;
  await until(async () => (await getJson(url)).status === 200);
  return `${String((await getJson(url)).body["version"])} ${String(headers["x-model-version"] ?? "-")}`;
}

test("without a version block the alias fills in where the answer tells nothing, and is not announced", async (t) => {
  const { start } = await setUp(
    t,
    { version: "1" },
    (url) => `registries: [{ type: mlflow, url: "${url}", model: default, every: 1s }]\n`,
  );
  const sidecar = await start();
  await until(async () => (await declared(sidecar))?.version === "1");
  assert.equal(await versionOf(sidecar, { x: 1 }), "1 -");
  assert.equal(await versionOf(sidecar, { x: 1, v: "2" }), "2 -");
  // In traffic and not registered with us, but known there: taken over with what is known.
  const url = `${sidecar.api}/v1/models/default/versions/2`;
  await until(async () => (await getJson(url)).body["registered"] === true);
  const { body } = await getJson(url);
  assert.equal((body["metadata"] as { description: string }).description, "the 2");
  const [known] = body["registries"] as { registry: string; status: string }[];
  assert.deepEqual([known?.registry, known?.status], ["mlflow", "READY"]);
  await postJson(`${sidecar.traffic}/invocations`, { x: 1, v: "99" });
  await until(async () => (await getJson(`${sidecar.api}/v1/models/default/versions/99`)).status === 200);
  await until(async () => {
    const { body: told } = await getJson(`${sidecar.api}/v1/models/default/history`);
    const history = told["history"] as { action: string; version: string; via: string }[];
    const odd = history.find(({ version }) => version === "99");
    return odd?.action === "unregistered" && odd.via === "traffic";
  });
  await until(() => /never registered appeared in traffic/.test(sidecar.log()));
  const registries = await getJson(`${sidecar.api}/v1/models/default/registries`);
  const [view] = registries.body["registries"] as {
    declared: string;
    quality: { state: string; message: string };
  }[];
  assert.deepEqual(
    [view?.declared, view?.quality.state, view?.quality.message],
    ["1", "unsupported", "a comparison by version: unsupported by mlflow"],
  );
});

test("a version that only the registry knows is promoted there; fifty with compare-and-set: one goes", async (t) => {
  const alias = { version: "1" as string | null };
  const { start } = await setUp(
    t,
    alias,
    (url) => `models: [{ name: default, version: { registry: mlflow } }]
registries: [{ type: mlflow, url: "${url}", model: default, every: 1s, write: [promotion] }]
`,
  );
  const sidecar = await start();
  await until(async () => (await declared(sidecar))?.version === "1");
  const model = `${sidecar.api}/v1/models/default`;
  const ask = async (i: number): Promise<string> => {
    const body = { stage: "production", actor: `ada ${i}`, ifCurrent: "1" };
    const answer = await postJson(`${model}/versions/${i % 2 === 0 ? 2 : 3}/promote`, body);
    return answer.status === 200 ? `pending ${String(answer.body["pending"])}` : String(answer.body["code"]);
  };
  await until(async () => (await getJson(`${model}/registries`)).body["registries"] !== undefined);
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(i)));
  assert.equal(answers.filter((said) => said === "pending true").length, 1, answers.join());
  assert.equal(answers.filter((said) => said === "not_current").length, 49);
  await until(async () => (await declared(sidecar))?.version !== "1");
  await until(async () => {
    const { history } = (await getJson(`${model}/history`)).body as { history: { actor: string }[] };
    return /^ada \d+$/.test(history.at(-1)?.actor ?? "");
  });
  // The alias goes: nothing is in production, and history says so.
  alias.version = null;
  await until(async () => (await declared(sidecar)) === null);
  await until(async () => (await getJson(`${model}/production`)).body["version"] === null);
});

test("after a start, before a silent registry has answered, what our ledger noted last is told as such", async (t) => {
  const { registry, start } = await setUp(
    t,
    { version: "1" },
    (url) => `registries: [{ type: mlflow, url: "${url}", model: default, every: 1s }]\n`,
  );
  const first = await start();
  await until(async () => (await declared(first))?.version === "1");
  await until(
    async () => (await getJson(`${first.api}/v1/models/default/production`)).body["version"] === "1",
  );
  await first.stop();
  registry.answer = () => ({ status: 503, text: "maintenance" });
  const again = await start();
  await until(async () => /503/.test((await declared(again))?.trouble ?? ""));
  const told = await declared(again);
  assert.deepEqual([told?.version, told?.source], ["1", "ledger, before mlflow alias champion"]);
});

test("a signed webhook brings a moved alias at once", async (t) => {
  const alias = { version: "1" as string | null };
  const { start } = await setUp(
    t,
    alias,
    (url) => `models: [{ name: default, version: { registry: mlflow } }]
registries: [{ type: mlflow, url: "${url}", model: default, every: 1h, webhookSecret: s3cret }]
`,
  );
  const sidecar = await start();
  await until(async () => (await declared(sidecar))?.version === "1");
  alias.version = "2";
  const body = '{"entity":"model_version_alias","action":"created","data":{"name":"evil","version":"666"}}';
  const timestamp = String(Math.floor(Date.now() / 1000));
  const signature = createHmac("sha256", "s3cret").update(`d-1.${timestamp}.${body}`).digest("base64");
  const answer = await request(`${sidecar.api}/v1/registries/mlflow/webhook`, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "x-mlflow-delivery-id": "d-1",
      "x-mlflow-timestamp": timestamp,
      "x-mlflow-signature": `v1,${signature}`,
    },
  });
  assert.equal(answer.statusCode, 202, await answer.body.text());
  await until(async () => (await declared(sidecar))?.version === "2");
  await until(
    async () =>
      (await postJson(`${sidecar.traffic}/invocations`, { x: 1 })).headers["x-model-version"] === "2",
  );
  assert.ok(!sidecar.log().includes("s3cret"));
});

test("bodies go on traces only where asked for, without redacted places; a foreign answer is taken for success", async (t) => {
  const spans: string[] = [];
  const langfuse = await registryServer(t, ({ text }) => {
    spans.push(text);
    return { json: { name: "otel-ingestion-job", data: { id: "33b9" } } };
  });
  const { registry, start } = await setUp(
    t,
    { version: "1" },
    (url) => `capture: { redact: ["$.customer.name"] }
registries:
  - { type: mlflow, url: "${url}", model: default, experimentId: "1", write: [traces, inputs] }
  - { type: langfuse, url: "${langfuse.url}", model: default, write: [traces] }
otlp: { traces: { sampleRatio: 1 } }
`,
  );
  const sidecar = await start();
  await postJson(`${sidecar.traffic}/invocations`, { x: 41, customer: { name: "Ada Lovelace", age: 36 } });
  const sent = (): string =>
    registry.asked
      .filter(({ path }) => path === "/v1/traces")
      .map(({ text }) => text)
      .join();
  await until(() => sent() !== "" && spans.length > 0);
  assert.match(sent(), /mlflow\.spanInputs.*\{"x":41,"customer":\{"name":"\[redacted\]","age":36\}\}/s);
  assert.match(sent(), /mlflow\.spanOutputs.*\{"predictions":\[41\.5\]\}/s);
  assert.match(spans.join(), /langfuse\.version/);
  assert.ok(!/Lovelace|customer/.test(spans.join()), "not asked for there");
  assert.ok(!sent().includes("Lovelace"));
  for (const destination of ["mlflow", "langfuse"])
    await sidecar.metricIs("outrider_spans_total", 1, { destination, result: "exported" });
});

test("a version is polled from a model server on a unix socket, and announced", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "outrider-flow-"));
  const socket = join(folder, "model.sock");
  let version = "7";
  const server = createServer((asked, response) => {
    response.setHeader("content-type", "application/json");
    response.end(asked.url === "/meta" ? JSON.stringify({ versions: [version] }) : '{"predictions":[1.5]}');
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const config = join(folder, "outrider.yaml");
  writeFileSync(
    config,
    'models: [{ name: default, version: { poll: { path: /meta, every: 1s, at: "$.versions[0]" } } }]\n',
  );
  const sidecar = await startSidecar({ upstream: `unix:${socket}`, args: ["--config", config] });
  t.after(async () => {
    await sidecar.stop("SIGKILL");
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const announced = async (): Promise<unknown> =>
    (await postJson(`${sidecar.traffic}/invocations`, { x: 1 })).headers["x-model-version"];
  await until(async () => (await announced()) === "7");
  version = "8";
  await until(async () => (await announced()) === "8");
  assert.equal(await versionOf(sidecar, { x: 1 }), "8 8");
});

test("traces go into a Databricks table with a service principal's fetched token", async (t) => {
  const databricks = await registryServer(t, ({ path }) =>
    path === "/oidc/v1/token" ? { json: { access_token: "at-1", expires_in: 3600 } } : {},
  );
  const { start } = await setUp(
    t,
    { version: "1" },
    () => `registries:
  - type: databricks
    url: "${databricks.url}"
    clientId: sp
    token: canary-4711
    model: default
    registeredName: main.risk.default
    tracesTable: main.obs.spans
    write: [traces]
otlp: { traces: { sampleRatio: 1 } }
`,
  );
  const sidecar = await start();
  await postJson(`${sidecar.traffic}/invocations`, { x: 1 });
  const sent = (): Asked | undefined =>
    databricks.asked.find(({ path }) => path === "/api/2.0/otel/v1/traces");
  await until(() => sent() !== undefined);
  const headers: Asked["headers"] = sent()?.headers ?? {};
  assert.equal(headers["authorization"], "Bearer at-1");
  assert.equal(headers["x-databricks-uc-table-name"], "main.obs.spans");
  assert.equal(headers["content-type"], "application/x-protobuf");
  assert.ok(!sidecar.log().includes("canary-4711"));
});
