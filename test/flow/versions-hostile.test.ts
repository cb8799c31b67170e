// The calls of the version ledger in the hands of somebody odd or ill-meaning, through the whole program.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { request } from "undici";
import { getJson, postJson, startSidecar, type JsonAnswer, type Sidecar } from "../support/sidecar.ts";

async function setUp(t: TestContext, config = ""): Promise<Sidecar> {
  const folder = mkdtempSync(join(tmpdir(), "outrider-flow-"));
  const file = join(folder, "outrider.yaml");
  writeFileSync(file, `store: { path: ${folder} }\n${config}`);
  const sidecar = await startSidecar({ upstream: "http://127.0.0.1:9", args: ["--config", file] });
  t.after(async () => {
    await sidecar.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  return sidecar;
}

const codeOf = ({ status, body }: JsonAnswer): string =>
  typeof body["code"] === "string" ? `${status} ${body["code"]}` : String(status);

test("names of any kind are kept apart, and impossible ones are refused", async (t) => {
  const { api } = await setUp(t);
  const models = [
    "a/b",
    "../etc",
    "模型 🚀",
    "__proto__",
    "constructor",
    "a%2Fb",
    "m".repeat(256),
    " ",
    "a?b#c",
  ];
  const versions = ["1/2", "__proto__", "ñ 1", "v".repeat(128), "%2e%2e", "1;2", "toString"];
  for (const [index, model] of models.entries()) {
    const base = `${api}/v1/models/${encodeURIComponent(model)}`;
    const version = versions[index % versions.length] ?? "";
    const body = { version, parameters: { n: index }, evaluation: { rmse: index } };
    assert.equal(codeOf(await postJson(`${base}/versions`, body)), "200", model);
    const promote = `${base}/versions/${encodeURIComponent(version)}/promote`;
    assert.equal(codeOf(await postJson(promote, { stage: "production" })), "200", model);
    const shown = await getJson(`${base}/versions/${encodeURIComponent(version)}`);
    assert.deepEqual((shown.body["metadata"] as { parameters: unknown }).parameters, { n: index });
    assert.equal((await getJson(`${base}/production`)).body["version"], version);
    assert.equal(((await getJson(`${base}/history`)).body["history"] as unknown[]).length, 2);
  }
  const { body: all } = await getJson(`${api}/v1/models`);
  assert.deepEqual(new Set((all["models"] as { name: string }[]).map(({ name }) => name)), new Set(models));
  for (const [model, expected] of [
    ["m".repeat(257), "400 invalid_path"],
    ["m".repeat(512), "400 invalid_path"],
    ["a%00b", "400 invalid_path"],
    ["a%0d%0ab", "400 invalid_path"],
    ["%zz", "400 invalid_path"],
    ["%ed%a0%80", "400 invalid_path"],
  ])
    assert.equal(codeOf(await postJson(`${api}/v1/models/${model}/versions`, { version: "1" })), expected);
  for (const version of ["", "v".repeat(129), "1\r\nx: y", "\u0000", "\ud800", 7, null, ["1"], {}])
    assert.equal(
      codeOf(await postJson(`${api}/v1/models/m/versions`, { version })),
      "400 invalid_body",
      JSON.stringify(version),
    );
});

test("metadata that is huge, deep or of a wrong type is refused; odd member names are kept", async (t) => {
  const { api } = await setUp(t);
  const send = async (parts: object): Promise<string> =>
    codeOf(await postJson(`${api}/v1/models/m/versions`, { version: "1", ...parts }));
  assert.equal(await send({ description: "x".repeat(300_000) }), "413 body_too_large");
  assert.equal(await send({ description: "x".repeat(65_537) }), "400 invalid_body");
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`k${i}`, 1]));
  assert.equal(await send({ parameters: many }), "400 invalid_body");
  let deep: unknown = 1;
  for (let i = 0; i < 40; i++) deep = [deep];
  assert.equal(await send({ trainingData: deep }), "400 invalid_json");
  for (const parts of [
    { evaluation: { rmse: "50" } },
    { evaluation: { rmse: null } },
    { evaluation: [1] },
    { tags: { a: 1 } },
    { artifact: "s3://x" },
    { artifact: { uri: "s3://x", sha256: "zz" } },
    { actor: "a\nb" },
    { actor: "" },
    { stage: "production" },
  ])
    assert.equal(await send(parts), "400 invalid_body", JSON.stringify(parts));
  const odd =
    '{"version":"1","parameters":{"__proto__":{"polluted":1},"constructor":2},"tags":{"__proto__":"x"}}';
  const headers = { "content-type": "application/json" };
  const answer = await request(`${api}/v1/models/m/versions`, { method: "POST", body: odd, headers });
  assert.equal(answer.statusCode, 200, await answer.body.text());
  const text = JSON.stringify((await getJson(`${api}/v1/models/m/versions/1`)).body["metadata"]);
  assert.match(text, /"constructor":2/);
  const again = await postJson(`${api}/v1/models/m/versions`, {
    version: "1",
    parameters: { constructor: 3 },
  });
  assert.equal(codeOf(again), "409 version_exists");
});

test("pages of other sites, foreign hosts and other content types may not decide", async (t) => {
  const { api } = await setUp(t);
  const url = `${api}/v1/models/m/versions`;
  const send = async (headers: Record<string, string>): Promise<string> =>
    codeOf(await postJson(url, { version: "1" }, headers));
  assert.equal(await send({ origin: "https://evil.example" }), "403 cross_site");
  assert.equal(await send({ origin: "null" }), "403 cross_site");
  assert.equal(await send({ "sec-fetch-site": "cross-site" }), "403 cross_site");
  assert.equal(await send({ host: "evil.example" }), "403 host_not_allowed");
  assert.equal(await send({ "content-type": "text/plain" }), "415 unsupported_media_type");
  assert.equal(codeOf(await getJson(`${api}/v1/models/m/history`)), "404 unknown_model");
});

test("a token proves who called; what the caller says of itself is written beside it", async (t) => {
  const digest = (token: string): string => createHash("sha256").update(token).digest("hex");
  const { api } = await setUp(
    t,
    `api:
  tokens:
    - { name: ci, sha256: "${digest("t-ci")}", scopes: [versions:write, read] }
    - { name: eyes, sha256: "${digest("t-eyes")}", scopes: [read] }
    - { name: labels, sha256: "${digest("t-labels")}", scopes: ["labels:write"] }
`,
  );
  const url = `${api}/v1/models/m/versions`;
  const as = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
  assert.equal(codeOf(await postJson(url, { version: "1" })), "401 unauthorized");
  assert.equal(codeOf(await postJson(url, { version: "1" }, as("t-eyes"))), "403 insufficient_scope");
  assert.equal(codeOf(await postJson(url, { version: "1" }, as("t-labels"))), "403 insufficient_scope");
  assert.equal(codeOf(await postJson(url, { version: "1" }, as("t-ci"))), "200");
  const spoofed = { stage: "production", actor: "mlflow alias champion" };
  assert.equal(codeOf(await postJson(`${url}/1/promote`, spoofed, as("t-ci"))), "200");
  const answer = await request(`${api}/v1/models/m/history`, { headers: as("t-eyes") });
  const { history } = (await answer.body.json()) as { history: { actor: string; via: string }[] };
  assert.deepEqual(
    history.map(({ actor, via }) => [actor, via]),
    [
      ["ci", "token:ci"],
      ["mlflow alias champion", "token:ci"],
    ],
  );
});

test("nobody comes in by a webhook that is not configured or not signed", async (t) => {
  const { api } = await setUp(
    t,
    "registries: [{ type: mlflow, url: http://127.0.0.1:9, model: m, webhookSecret: s }, { type: langfuse, url: http://127.0.0.1:9 }]\n",
  );
  const send = async (registry: string, headers: Record<string, string> = {}): Promise<string> =>
    codeOf(await postJson(`${api}/v1/registries/${registry}/webhook`, {}, headers));
  assert.equal(await send("mlflow"), "403 invalid_signature");
  const forged = {
    "x-mlflow-delivery-id": "d",
    "x-mlflow-timestamp": String(Math.floor(Date.now() / 1000)),
    "x-mlflow-signature": `v1,${Buffer.alloc(32).toString("base64")}`,
  };
  assert.equal(await send("mlflow", forged), "403 invalid_signature");
  assert.equal(await send("langfuse"), "404 not_found");
  assert.equal(await send("__proto__"), "404 not_found");
});
