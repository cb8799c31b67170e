// The Databricks adapter: the calls that Databricks' own SDK and MLflow's client make (recorded on the wire).

import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/kernel/clock.ts";
import { authoriseOf } from "../../src/versions/registry-auth.ts";
import { createRegistryHttp } from "../../src/versions/registry-http.ts";
import { Databricks } from "../../src/versions/registries/databricks.ts";
import { http, NOTE } from "./adapter-support.ts";
import { registryServer, type Asked } from "./registry-server.ts";

const NAME = "main.risk.churn_pat";
const UC = `/api/2.1/unity-catalog/models/${NAME}`;

function databricks(url: string, parts: { endpoint?: string; writes?: string[] } = {}): Databricks {
  const { endpoint = null, writes = ["metrics"] } = parts;
  const options = { alias: "champion", registeredName: () => NAME, endpoint, writes: new Set(writes) };
  return new Databricks(http(url), options);
}

const lineOf = ({ method, path, query, text }: Asked): string =>
  [method, path, new URLSearchParams(query).toString(), text].join(" ").trim();

test("the alias is read and set as its own clients do", async (t) => {
  const server = await registryServer(t, () => ({ json: { version: 2, status: "READY", comment: "c" } }));
  const registry = databricks(server.url);
  const current = await registry.current("m");
  assert.equal(current.kind === "ok" && current.value.version, "2");
  assert.equal((await registry.promote("m", "2")).kind, "ok");
  assert.deepEqual(server.asked.map(lineOf), [
    `GET ${UC}/aliases/champion include_aliases=true`,
    `PUT ${UC}/aliases/champion  {"version_num":2}`,
  ]);
  const wrong = await registry.promote("m", "1.4.2");
  assert.match(wrong.kind === "failed" ? wrong.message : "", /whole numbers/);
});

test("a missing alias is none; an API that is not there is trouble", async (t) => {
  const server = await registryServer(t, () => ({
    status: 404,
    json: { error_code: "RESOURCE_DOES_NOT_EXIST", message: "Alias champion does not exist" },
  }));
  assert.equal((await databricks(server.url).current("m")).kind, "none");
  server.answer = () => ({
    status: 404,
    json: { error_code: "ENDPOINT_NOT_FOUND", message: "No API found" },
  });
  assert.equal((await databricks(server.url).current("m")).kind, "failed");
});

test("a serving endpoint tells the split of the traffic, and cannot be promoted to", async (t) => {
  const entity = (name: string, entity_version: string, entity_name = NAME): object => ({
    name,
    entity_name,
    entity_version,
  });
  const config = {
    served_entities: [entity("a", "3"), entity("b", "4"), entity("c", "9", "other.model.here")],
    traffic_config: {
      routes: [
        { served_model_name: "a", traffic_percentage: 10 },
        { served_model_name: "b", served_entity_name: "b", traffic_percentage: 85 },
        { served_model_name: "c", traffic_percentage: 5 },
      ],
    },
  };
  const server = await registryServer(t, () => ({ json: { config } }));
  const registry = databricks(server.url, { endpoint: "churn" });
  const current = await registry.current("m");
  assert.ok(current.kind === "ok");
  assert.equal(current.value.version, "4");
  assert.deepEqual(current.value.split, [
    { version: "4", percent: 85 },
    { version: "3", percent: 10 },
  ]);
  assert.equal(server.asked[0]?.path, "/api/2.0/serving-endpoints/churn");
  assert.equal(registry.can.has("promotion"), false);
  assert.equal((await registry.promote("m", "4")).kind, "unsupported");
  server.answer = () => ({ json: { config: { served_entities: [entity("a", "3")] } } });
  const alone = await registry.current("m");
  assert.deepEqual(alone.kind === "ok" && alone.value.split, [{ version: "3", percent: 100 }]);
  server.answer = () => ({ json: { config: {} } });
  assert.equal((await registry.current("m")).kind, "none");
});

test("a version is read with its tags and the metrics of its run", async (t) => {
  const server = await registryServer(t, ({ path }) => {
    if (path.endsWith("/model-versions/get"))
      return { json: { model_version: { tags: [{ key: "env", value: "prod" }] } } };
    if (path.endsWith("/runs/get"))
      return { json: { run: { data: { metrics: [{ key: "rmse", value: 50 }] } } } };
    return { json: { version: 1, run_id: "r-1", comment: "first", source: "dbfs:/m/1" } };
  });
  const version = await databricks(server.url).version("m", "1");
  assert.ok(version.kind === "ok");
  const { description, tags, evaluation, artifactUri } = version.value;
  assert.deepEqual(
    [description, tags, evaluation, artifactUri],
    ["first", { env: "prod" }, { rmse: 50 }, "dbfs:/m/1"],
  );
});

test("live quality goes to the run, and where wanted into tags and a block of the comment", async (t) => {
  const server = await registryServer(t, ({ path }) =>
    path.endsWith("/runs/get")
      ? { json: { run: { data: {} } } }
      : { json: { version: 1, run_id: "r-1", comment: "first" } },
  );
  const registry = databricks(server.url, { writes: ["metrics", "tags", "comment"] });
  assert.equal((await registry.writeQuality("m", NOTE)).kind, "ok");
  const written = server.asked.filter(({ method }) => method !== "GET");
  assert.deepEqual(
    written.map(({ method, path }) => `${method} ${path}`),
    [
      "POST /api/2.0/mlflow/runs/log-batch",
      `PATCH ${UC}/versions/1`,
      "POST /api/2.0/mlflow/unity-catalog/model-versions/set-tag",
      "POST /api/2.0/mlflow/unity-catalog/model-versions/set-tag",
    ],
  );
  assert.match(JSON.stringify(written[1]?.body), /^\{"comment":"first\\n<!-- outrider:/);
  const tag = { name: NAME, version: "1", key: "outrider_24h_rmse", value: "51.5 (n=100)" };
  assert.deepEqual(written[2]?.body, tag);
});

test("versions come from all pages", async (t) => {
  const server = await registryServer(t, ({ query }) => ({
    json:
      query["page_token"] === undefined
        ? { next_page_token: "x" }
        : { model_versions: [{ version: 2 }, { version: 1 }] },
  }));
  const reply = await databricks(server.url).versions("m");
  assert.deepEqual(reply.kind === "ok" && reply.value.map(({ version }) => version), ["1", "2"]);
});

test("a service principal's token is fetched once, and again when it is refused", async (t) => {
  let issued = 0;
  let valid = "";
  const server = await registryServer(t, ({ path, headers }) => {
    if (path === "/oidc/v1/token") {
      valid = `at-${++issued}`;
      return { json: { access_token: valid, expires_in: 3600 } };
    }
    return headers["authorization"] === `Bearer ${valid}` ? { json: { version: 1 } } : { status: 401 };
  });
  const headers = { "x-databricks-workspace-id": "123456" };
  const credentials = {
    type: "databricks",
    url: server.url,
    token: "secret",
    tokenFile: null,
    clientId: "sp",
    headers,
  } as const;
  const authorised = createRegistryHttp(server.url, authoriseOf(credentials, systemClock));
  const options = { alias: "a", registeredName: (m: string) => m, endpoint: null, writes: new Set<string>() };
  const registry = new Databricks(authorised, options);
  await registry.current("m");
  await registry.current("m");
  const asked = (): string[] =>
    server.asked.map(({ path }) => (path === "/oidc/v1/token" ? "token" : "call"));
  assert.deepEqual(asked(), ["token", "call", "call"]);
  assert.equal(server.asked[0]?.text, "grant_type=client_credentials&scope=all-apis");
  assert.equal(
    server.asked[0]?.headers["authorization"],
    `Basic ${Buffer.from("sp:secret").toString("base64")}`,
  );
  assert.equal(server.asked[1]?.headers["x-databricks-workspace-id"], "123456");
  valid = "revoked";
  assert.equal((await registry.current("m")).kind, "ok");
  assert.deepEqual(asked().slice(3), ["call", "token", "call"]);
});
