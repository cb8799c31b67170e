// What each adapter asks and how it takes the answers: recorded answers of real servers, requests checked against published descriptions.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { systemClock } from "../../src/kernel/clock.ts";
import { authoriseOf } from "../../src/versions/registry-auth.ts";
import { createRegistryHttp, type RegistryHttp } from "../../src/versions/registry-http.ts";
import type { QualityNote } from "../../src/versions/registry.ts";
import { Databricks } from "../../src/versions/registries/databricks.ts";
import { Langfuse } from "../../src/versions/registries/langfuse.ts";
import { Mlflow } from "../../src/versions/registries/mlflow.ts";
import { UnityCatalog, withBlock } from "../../src/versions/registries/unity-catalog.ts";
import { registryServer, type Asked } from "./registry-server.ts";

const VERSION = {
  name: "churn",
  version: "1",
  creation_timestamp: 1795455332820,
  current_stage: "Production",
  description: "first version",
  source: "models:/m-88457e8bac20401eaf351cd58f691145",
  run_id: "df98d02944db4f719006ab45bf9471a7",
  status: "READY",
  tags: [{ key: "outrider.env", value: "prod" }],
  run_link: "",
  aliases: ["champion"],
};
const NOTE: QualityNote = {
  version: "1",
  at: Date.UTC(2026, 0, 14, 12),
  figures: [
    { window: "24h", metric: "rmse", value: 51.5, samples: 100 },
    { window: "7d", metric: "rmse", value: 52.5, samples: 700 },
  ],
};
const LABEL = { predictionId: "p-1:0", traceId: "c".repeat(32), value: 1, at: NOTE.at };

function http(url: string): RegistryHttp {
  return createRegistryHttp(url, () => Promise.resolve({ kind: "ok", value: {} }));
}

function mlflow(url: string): Mlflow {
  return new Mlflow(http(url), { alias: "champion", registeredName: () => "churn" });
}

/** OpenAPI 3.0 says `nullable` beside a reference; JSON Schema wants a choice. */
function plainNulls(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(plainNulls);
  if (typeof node !== "object" || node === null) return node;
  const { nullable, ...rest } = Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, plainNulls(value)]),
  );
  return nullable === true ? { anyOf: [rest, { type: "null" }] } : rest;
}

/** Holds requests against an OpenAPI description: the path, the method, and the body's schema. */
function contract(file: string, base: string): (asked: Asked) => void {
  const text = readFileSync(join(import.meta.dirname, "../specs", file), "utf8");
  const spec = plainNulls(JSON.parse(text)) as {
    paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: object }> } }>>;
  };
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(spec, "spec");
  return ({ method, path, body }) => {
    const below = path.slice(base.length);
    const found = Object.entries(spec.paths).find(([template]) =>
      new RegExp(`^${template.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(below),
    );
    const operation = found?.[1][method.toLowerCase()];
    assert.ok(operation, `${method} ${path} is not in ${file}`);
    const schema = operation.requestBody?.content["application/json"]?.schema;
    if (schema === undefined) return;
    const local = JSON.parse(JSON.stringify(schema).replaceAll("#/components", "spec#/components")) as object;
    assert.ok(ajv.validate(local, body), `${method} ${path}: ${ajv.errorsText()}`);
  };
}

test("mlflow: the alias says what is in production, with parameters and metrics of its run", async (t) => {
  const server = await registryServer(t, ({ path }) =>
    path.endsWith("/runs/get")
      ? {
          json: {
            run: {
              data: {
                metrics: [
                  { key: "rmse", value: 50.1 },
                  { key: "outrider/24h/rmse", value: 51 },
                ],
                params: [{ key: "alpha", value: "0.1" }],
              },
            },
          },
        }
      : { json: { model_version: VERSION } },
  );
  const reply = await mlflow(server.url).current("ours");
  assert.ok(reply.kind === "ok");
  assert.deepEqual(
    [reply.value.version, reply.value.evaluation, reply.value.parameters],
    ["1", { rmse: 50.1 }, { alpha: "0.1" }],
  );
  assert.deepEqual(server.asked[0]?.query, { name: "churn", alias: "champion" });
});

test("mlflow: an alias that is not set is an answer, not an outage", async (t) => {
  const server = await registryServer(t, () => ({
    status: 400,
    json: { error_code: "INVALID_PARAMETER_VALUE", message: "Registered model alias champion not found." },
  }));
  assert.equal((await mlflow(server.url).current("m")).kind, "none");
});

test("mlflow: live quality goes to the run of the version, once per figure", async (t) => {
  const server = await registryServer(t, ({ path }) =>
    path.endsWith("/model-versions/get") ? { json: { model_version: { ...VERSION, model_id: "m-1" } } } : {},
  );
  assert.equal((await mlflow(server.url).writeQuality("m", NOTE)).kind, "ok");
  const body = server.asked[1]?.body as { run_id: string; metrics: { key: string; model_id: string }[] };
  assert.equal(body.run_id, VERSION.run_id);
  assert.deepEqual(
    body.metrics.map(({ key }) => key),
    ["outrider/24h/rmse", "outrider/24h/rmse_samples", "outrider/7d/rmse", "outrider/7d/rmse_samples"],
  );
  assert.equal(body.metrics[0]?.model_id, "m-1");
});

test("mlflow: ground truth is written once, and a correction overrides it", async (t) => {
  const written: { assessment: { expectation: { value: unknown }; overrides?: string } }[] = [];
  const server = await registryServer(t, ({ method, body }) => {
    if (method === "POST") {
      written.push(body as (typeof written)[number]);
      return {};
    }
    const assessments = written.map(({ assessment }, i) => ({
      ...assessment,
      assessment_id: `a-${i}`,
      valid: i === written.length - 1,
    }));
    return { json: { trace: { trace_info: { assessments } } } };
  });
  const registry = mlflow(server.url);
  for (const value of [1, 1, 0]) await registry.writeLabel("m", { ...LABEL, value });
  assert.deepEqual(
    written.map(({ assessment }) => [assessment.expectation.value, assessment.overrides]),
    [
      [1, undefined],
      [0, "a-0"],
    ],
  );
  assert.equal(server.asked[0]?.path, `/api/3.0/mlflow/traces/tr-${LABEL.traceId}`);
});

test("databricks: alias read and set as its own clients do", async (t) => {
  const server = await registryServer(t, () => ({
    json: { version: 2, status: "READY", run_id: "r", comment: "c" },
  }));
  const name = "main.risk.churn_pat";
  const registry = new Databricks(http(server.url), {
    alias: "champion",
    registeredName: () => name,
    endpoint: null,
  });
  const current = await registry.current("m");
  assert.equal(current.kind === "ok" && current.value.version, "2");
  assert.equal((await registry.promote("m", "2")).kind, "ok");
  const lines = server.asked.map(({ method, path, query, text }) => [
    method,
    path,
    new URLSearchParams(query).toString(),
    text,
  ]);
  assert.deepEqual(lines, [
    ["GET", `/api/2.1/unity-catalog/models/${name}/aliases/champion`, "include_aliases=true", ""],
    ["PUT", `/api/2.1/unity-catalog/models/${name}/aliases/champion`, "", '{"version_num":2}'],
  ]);
  const wrong = await registry.promote("m", "1.4.2");
  assert.match(wrong.kind === "failed" ? wrong.message : "", /whole numbers/);
});

test("databricks: a serving endpoint tells which version gets most of the traffic", async (t) => {
  const server = await registryServer(t, ({ path }) =>
    path.startsWith("/api/2.0/serving-endpoints/")
      ? {
          json: {
            config: {
              served_entities: [
                { name: "a", entity_name: "c.s.m", entity_version: "3" },
                { name: "b", entity_name: "c.s.m", entity_version: "4" },
              ],
              traffic_config: {
                routes: [
                  { served_model_name: "a", traffic_percentage: 10 },
                  { served_model_name: "b", traffic_percentage: 90 },
                ],
              },
            },
          },
        }
      : { json: { version: 4 } },
  );
  const options = { alias: "champion", registeredName: () => "c.s.m", endpoint: "churn" };
  const current = await new Databricks(http(server.url), options).current("m");
  assert.equal(current.kind === "ok" && current.value.version, "4");
});

test("databricks: a service principal's token is fetched once and used", async (t) => {
  const server = await registryServer(t, ({ path }) =>
    path === "/oidc/v1/token" ? { json: { access_token: "at", expires_in: 3600 } } : { json: { version: 1 } },
  );
  const credentials = { type: "databricks", url: server.url, token: "secret", clientId: "sp" } as const;
  const authorised = createRegistryHttp(server.url, authoriseOf(credentials, systemClock));
  const registry = new Databricks(authorised, { alias: "a", registeredName: (m) => m, endpoint: null });
  await registry.current("m");
  await registry.current("m");
  assert.deepEqual(
    server.asked.map(({ path }) => path === "/oidc/v1/token"),
    [true, false, false],
  );
  assert.equal(server.asked[0]?.text, "grant_type=client_credentials&scope=all-apis");
  assert.equal(
    server.asked[0]?.headers["authorization"],
    `Basic ${Buffer.from("sp:secret").toString("base64")}`,
  );
  assert.equal(server.asked[1]?.headers["authorization"], "Bearer at");
});

test("unity catalog: every request fits its published description, and our block alone changes in the comment", async (t) => {
  let comment = "owned by risk\n<!-- outrider:{} --> keep";
  const server = await registryServer(t, ({ method, body }) => {
    if (method === "PATCH") ({ comment } = body as { comment: string });
    return { json: { version: 1, status: "READY", source: "file:///models/m1", comment } };
  });
  const registry = new UnityCatalog(http(`${server.url}/`), { registeredName: () => "unity.default.churn" });
  const version = await registry.version("m", "1");
  assert.equal(version.kind === "ok" && version.value.status, "READY");
  assert.equal((await registry.writeQuality("m", NOTE)).kind, "ok");
  assert.match(comment, /^owned by risk\n<!-- outrider:\{"at".* --> keep$/);
  await registry.writeQuality("m", NOTE);
  assert.equal(server.asked.filter(({ method }) => method === "PATCH").length, 1);
  server.asked.forEach(contract("unity-catalog.json", "/api/2.1/unity-catalog"));
  const promoted = await registry.promote("m", "1");
  assert.deepEqual(promoted, {
    kind: "unsupported",
    message: "promotion and rollback: unsupported by unity-catalog",
  });
  assert.equal((await registry.current("m")).kind, "unsupported");
  assert.equal(withBlock("", "x"), "<!-- outrider:x -->");
});

test("langfuse: every request fits its published description; the same day's scores keep their ids", async (t) => {
  const server = await registryServer(t, () => ({ json: { id: "x" } }));
  const registry = new Langfuse(http(server.url));
  await registry.writeQuality("m", NOTE);
  const scores = server.asked.filter(({ path }) => path === "/api/public/scores");
  assert.equal(scores.length, 2);
  await registry.writeQuality("m", { ...NOTE, at: NOTE.at + 1000 });
  const ids = server.asked
    .filter(({ path }) => path === "/api/public/scores")
    .map(({ body }) => (body as { id: string }).id);
  assert.equal(new Set(ids).size, 2);
  await registry.writeLabel("m", LABEL);
  await registry.writeLabel("m", { ...LABEL, value: "churned" });
  server.asked.forEach(contract("langfuse.json", ""));
  assert.equal((await registry.promote("m", "1")).kind, "unsupported");
});

test("401, 404, 429, 500, rubbish and silence become what they are", async (t) => {
  const server = await registryServer(t, () => ({ status: 401, json: { message: "no" } }));
  const registry = mlflow(server.url);
  const look = async (): Promise<unknown> => {
    const reply = await registry.version("m", "1");
    return reply.kind === "failed" ? [reply.retry, reply.retryAfterMs] : reply.kind;
  };
  assert.deepEqual(await look(), [false, null]);
  server.answer = () => ({ status: 404 });
  assert.equal(await look(), "none");
  server.answer = () => ({ status: 429, headers: { "retry-after": "7" } });
  assert.deepEqual(await look(), [true, 7000]);
  server.answer = () => ({ status: 500, text: "<html>" });
  assert.deepEqual(await look(), [true, null]);
  server.answer = () => ({ text: "not json" });
  assert.deepEqual(await look(), [true, null]);
  assert.equal((await mlflow("http://127.0.0.1:1").version("m", "1")).kind, "failed");
});
