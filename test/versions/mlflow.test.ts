// The MLflow adapter: what it asks, and how it takes what a real MLflow answered.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Mlflow } from "../../src/versions/registries/mlflow.ts";
import { http, LABEL, NOTE, recorded } from "./adapter-support.ts";
import { registryServer, type Asked, type Said } from "./registry-server.ts";

const REGISTRY = "mlflow-registry";
const VERSION = { version: "1", run_id: "r-1", status: "READY", source: "s3://m/1" };

function mlflow(url: string, parts: { stage?: string; writes?: string[] } = {}): Mlflow {
  const { stage = null, writes = ["metrics"] } = parts;
  return new Mlflow(http(url), {
    alias: "champion",
    stage,
    writes: new Set(writes),
    registeredName: () => "churn",
  });
}

/** A registry that holds versions of `churn` by number, and the latest metrics of every run. */
function fake(versions: Record<string, Record<string, unknown>>, metrics: Map<string, number> = new Map()) {
  return ({ method, path, query, body }: Asked): Said => {
    const call = path.replace("/api/2.0/mlflow/", "");
    const given = body as { metrics?: { key: string; value: number }[]; version?: string } | null;
    if (call === "model-versions/get") {
      const found = versions[query["version"] ?? ""];
      return found === undefined
        ? { status: 404, json: { error_code: "RESOURCE_DOES_NOT_EXIST", message: "no such version" } }
        : { json: { model_version: found } };
    }
    if (call === "model-versions/search") {
      const wanted = /='([^']*)'$/.exec(query["filter"] ?? "")?.[1];
      const tagged = Object.values(versions).filter(({ tags }) =>
        (tags as { value: string }[] | undefined)?.some(({ value }) => value === wanted),
      );
      return { json: { model_versions: tagged } };
    }
    if (call === "runs/get")
      return { json: { run: { data: { metrics: [...metrics].map(([key, value]) => ({ key, value })) } } } };
    if (call === "runs/log-batch") for (const { key, value } of given?.metrics ?? []) metrics.set(key, value);
    return { status: method === "GET" ? 404 : 200 };
  };
}

test("the alias, a stage and a version are read from recorded answers", async (t) => {
  const server = await registryServer(t, () => recorded(REGISTRY, "alias -> version"));
  const byAlias = await mlflow(server.url).current("ours");
  assert.ok(byAlias.kind === "ok");
  assert.deepEqual(
    [byAlias.value.version, byAlias.value.status, byAlias.value.tags],
    ["1", "READY", { "outrider.env": "prod" }],
  );
  assert.deepEqual(server.asked[0]?.query, { name: "churn", alias: "champion" });
  server.answer = () => recorded(REGISTRY, "latest versions (old stages API, POST)");
  const byStage = await mlflow(server.url, { stage: "Production" }).current("ours");
  assert.equal(byStage.kind === "ok" && byStage.value.version, "1");
  assert.equal(server.asked[1]?.text, '{"name":"churn","stages":["Production"]}');
  server.answer = () => ({ json: {} });
  assert.equal((await mlflow(server.url, { stage: "Production" }).current("ours")).kind, "none");
});

test("an alias or a model that does not exist is an answer; another refusal is not", async (t) => {
  const server = await registryServer(t, () => recorded(REGISTRY, "missing alias"));
  assert.equal((await mlflow(server.url).current("m")).kind, "none");
  server.answer = () => recorded(REGISTRY, "missing model");
  assert.equal((await mlflow(server.url).current("m")).kind, "none");
  server.answer = () => recorded(REGISTRY, "bad: alias named v1");
  assert.equal((await mlflow(server.url).current("m")).kind, "failed");
  server.answer = () => recorded(REGISTRY, "bad host header");
  const refused = await mlflow(server.url).current("m");
  assert.match(refused.kind === "failed" ? refused.message : "", /403 Invalid Host header/);
});

test("versions come page by page, in order, with the names that we gave them", async (t) => {
  const pages: Record<string, Said> = {
    "": { json: { model_versions: [{ version: "10" }, { version: "2" }], next_page_token: "a" } },
    a: { json: { model_versions: [], next_page_token: "b" } },
    b: {
      json: {
        model_versions: [{ version: "1", tags: [{ key: "outrider.version", value: "1.4.2" }] }],
        next_page_token: "b",
      },
    },
  };
  const server = await registryServer(t, ({ query }) => pages[query["page_token"] ?? ""] ?? {});
  const reply = await mlflow(server.url).versions("m");
  assert.ok(reply.kind === "ok");
  assert.deepEqual(
    reply.value.map(({ version }) => version),
    ["1.4.2", "2", "10"],
  );
  assert.equal(server.asked[0]?.query["filter"], "name='churn'");
  const single = await registryServer(t, ({ query }) =>
    query["page_token"] === undefined ? recorded(REGISTRY, "versions search") : { json: {} },
  );
  const fromReal = await mlflow(single.url).versions("m");
  assert.deepEqual(fromReal.kind === "ok" && fromReal.value.map(({ version }) => version), ["1"]);
});

test("parameters and evaluation come from the run: without our own metrics, and without NaN", async (t) => {
  const server = await registryServer(t, ({ path }) =>
    path.endsWith("/runs/get")
      ? {
          json: {
            run: {
              data: {
                metrics: [
                  { key: "rmse", value: 50.1 },
                  { key: "r2", value: "NaN" },
                  { key: "outrider/24h/rmse", value: 51 },
                ],
                params: [{ key: "alpha", value: "0.1" }],
              },
            },
          },
        }
      : { json: { model_version: VERSION } },
  );
  const reply = await mlflow(server.url).version("m", "1");
  assert.ok(reply.kind === "ok");
  assert.deepEqual([reply.value.evaluation, reply.value.parameters], [{ rmse: 50.1 }, { alpha: "0.1" }]);
});

test("live quality goes to the run and the logged model; what is there already is not written again", async (t) => {
  const metrics = new Map<string, number>();
  const server = await registryServer(t, fake({ 1: { ...VERSION, model_id: "m-1" } }, metrics));
  const registry = mlflow(server.url);
  assert.equal((await registry.writeQuality("m", NOTE)).kind, "ok");
  const batches = (): { run_id: string; metrics: { key: string; model_id: string }[] }[] =>
    server.asked
      .filter(({ path }) => path.endsWith("/log-batch"))
      .map(({ body }) => body as { run_id: string; metrics: { key: string; model_id: string }[] });
  assert.equal(batches()[0]?.run_id, "r-1");
  assert.deepEqual(
    batches()[0]?.metrics.map(({ key }) => key),
    ["outrider/24h/rmse", "outrider/24h/rmse_samples", "outrider/7d/rmse", "outrider/7d/rmse_samples"],
  );
  assert.equal(batches()[0]?.metrics[0]?.model_id, "m-1");
  // As after an answer that was never heard, or after a start.
  await mlflow(server.url).writeQuality("m", { ...NOTE, at: NOTE.at + 60_000 });
  assert.equal(batches().length, 1);
  const [first, second] = NOTE.figures;
  assert.ok(first && second);
  await registry.writeQuality("m", { ...NOTE, figures: [first, { ...second, value: 53 }] });
  assert.deepEqual(
    batches()[1]?.metrics.map(({ key }) => key),
    ["outrider/7d/rmse"],
  );
});

test("tags are written where wanted, or where there is no run, and only when they changed", async (t) => {
  const server = await registryServer(t, fake({ 1: { version: "1" } }));
  const registry = mlflow(server.url);
  await registry.writeQuality("m", NOTE);
  await registry.writeQuality("m", NOTE);
  const tags = server.asked.filter(({ path }) => path.endsWith("/set-tag"));
  assert.deepEqual(
    tags.map(({ body }) => body),
    [
      { name: "churn", version: "1", key: "outrider.24h.rmse", value: "51.5 (n=100)" },
      { name: "churn", version: "1", key: "outrider.7d.rmse", value: "52.5 (n=700)" },
    ],
  );
});

test("promotion sets the alias or the stage, of a version by number or by our name for it", async (t) => {
  const named = { ...VERSION, version: "7", tags: [{ key: "outrider.version", value: "1.4.2" }] };
  const server = await registryServer(t, fake({ 1: VERSION, 7: named }));
  assert.equal((await mlflow(server.url).promote("m", "1")).kind, "ok");
  assert.equal((await mlflow(server.url).promote("m", "1.4.2")).kind, "ok");
  assert.equal((await mlflow(server.url, { stage: "Production" }).promote("m", "1.4.2")).kind, "ok");
  const written = server.asked.filter(({ method }) => method === "POST");
  assert.deepEqual(
    written.map(({ body }) => body),
    [
      { name: "churn", alias: "champion", version: "1" },
      { name: "churn", alias: "champion", version: "7" },
      { name: "churn", version: "7", stage: "Production", archive_existing_versions: true },
    ],
  );
  assert.equal((await mlflow(server.url).promote("m", "9")).kind, "none");
  assert.equal((await mlflow(server.url).promote("m", "it's")).kind, "none");
});

test("a version is registered once: the model is made when it is missing, an unheard success is not repeated", async (t) => {
  const versions: Record<string, Record<string, unknown>> = {};
  let modelThere = false;
  const known = fake(versions);
  const server = await registryServer(t, (asked) => {
    if (asked.path.endsWith("/registered-models/create")) {
      modelThere = true;
      return {};
    }
    if (!asked.path.endsWith("/model-versions/create")) return known(asked);
    if (!modelThere)
      return { status: 404, json: { error_code: "RESOURCE_DOES_NOT_EXIST", message: "no model" } };
    versions["1"] = { version: "1", ...(asked.body as object) };
    // It has happened, and the answer is lost.
    return { status: 504, text: "gateway" };
  });
  const note = {
    version: "1.4.2",
    artifactUri: "runs:/abc/model",
    description: "d",
    tags: { git: "4f2" },
  };
  assert.equal((await mlflow(server.url).register("m", note)).kind, "failed");
  assert.equal((await mlflow(server.url).register("m", note)).kind, "ok");
  const created = server.asked.filter(({ path }) => path.endsWith("/model-versions/create"));
  assert.equal(created.length, 2, "one before the model was there, one after");
  assert.deepEqual(created[1]?.body, {
    name: "churn",
    source: "runs:/abc/model",
    tags: [
      { key: "git", value: "4f2" },
      { key: "outrider.version", value: "1.4.2" },
    ],
    description: "d",
    run_id: "abc",
  });
});

/** Assessments as MLflow keeps them: `honours` overrides (feedback), or not (expectations, up to 3.17 at least). */
function assessments(honours: boolean) {
  type Held = { assessment_id: string; valid: boolean; overrides?: string; expectation: { value: unknown } };
  const held: Held[] = [];
  const answer = ({ method, path, body }: Asked): Said => {
    const at = held.findIndex(({ assessment_id }) => path.endsWith(`/${assessment_id}`));
    if (method === "DELETE" && at >= 0) {
      const [gone] = held.splice(at, 1);
      const restored = held.find(({ assessment_id }) => assessment_id === gone?.overrides);
      if (restored !== undefined) restored.valid = true;
      return {};
    }
    if (method === "GET") return { json: { trace: { trace_info: { assessments: held } } } };
    const { overrides, ...given } = (body as { assessment: Omit<Held, "assessment_id" | "valid"> })
      .assessment;
    const old = honours ? held.find(({ assessment_id }) => assessment_id === overrides) : undefined;
    if (old !== undefined) old.valid = false;
    const made = {
      ...given,
      assessment_id: `a-${Math.random()}`,
      valid: true,
      ...(old === undefined ? {} : { overrides }),
    };
    held.push(made as Held);
    return { json: { assessment: made } };
  };
  const valid = (): unknown[] => held.filter((one) => one.valid).map(({ expectation }) => expectation.value);
  return { held, answer, valid };
}

for (const honours of [true, false]) {
  test(`one ground truth is valid after corrections, none after a retraction (overrides ${honours ? "honoured" : "ignored"})`, async (t) => {
    const kept = assessments(honours);
    const server = await registryServer(t, kept.answer);
    const registry = mlflow(server.url);
    for (const value of [1, 1, 0, "2", 0]) {
      await registry.writeLabel("m", { ...LABEL, value });
      assert.deepEqual(kept.valid(), [value]);
    }
    assert.equal(server.asked.filter(({ method }) => method === "POST").length, 4);
    await registry.writeLabel("m", { ...LABEL, predictionId: "p-1:1", value: 5 });
    await registry.writeLabel("m", { ...LABEL, value: null });
    assert.deepEqual(kept.valid(), [5], "another row of the same trace is left alone");
    assert.equal(kept.held.length, 1);
    assert.equal(server.asked[0]?.path, `/api/3.0/mlflow/traces/tr-${LABEL.traceId}`);
  });
}

test("a strange answer about a trace makes no doubles, and other programs' assessments are left alone", async (t) => {
  const server = await registryServer(t, () => ({}));
  const registry = mlflow(server.url);
  server.answer = () => ({ text: "<html>" });
  assert.equal((await registry.writeLabel("m", LABEL)).kind, "failed", "no doubles after a strange answer");
  assert.equal(server.asked.length, 1);
  server.answer = () => recorded("mlflow-assessments", "get trace");
  await registry.writeLabel("m", LABEL);
  assert.equal(server.asked.at(-1)?.method, "POST", "assessments of other programs are left alone");
});
