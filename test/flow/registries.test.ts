// A registry in trouble, seen through the whole program: traffic and metrics go on, the last answer stays and is told to be old,
// and after recovery nothing is written twice.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startModelServer } from "../support/model-server.ts";
import { getJson, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";
import { registryServer, type Said } from "../versions/registry-server.ts";

interface Part {
  readonly state: string;
  readonly why: string | null;
}

async function registriesPart(sidecar: Sidecar): Promise<Part | undefined> {
  const { status, body } = await getJson(`${sidecar.telemetry}/readyz`);
  assert.equal(status, 200, "a registry that was heard once never turns readiness red");
  return (body["parts"] as Record<string, Part>)["registries"];
}

const TROUBLES: readonly (readonly [name: string, said: Said])[] = [
  ["refuses", { status: 401, json: { message: "no" } }],
  ["limits", { status: 429, headers: { "retry-after": "1" } }],
  ["fails", { status: 500, text: "<html>" }],
  ["babbles", { text: "not json" }],
  ["hangs", { silent: true }],
];

test("a registry that refuses, limits, fails, babbles or hangs costs no request and doubles no write", async (t) => {
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  const good = ({ path }: { readonly path: string }): Said =>
    path.endsWith("/log-batch")
      ? {}
      : { json: { model_version: { version: "4", run_id: "r" }, run: { data: {} }, model_versions: [] } };
  const registry = await registryServer(t, good);
  const folder = mkdtempSync(join(tmpdir(), "outrider-flow-"));
  const config = join(folder, "outrider.yaml");
  writeFileSync(
    config,
    `models: [{ name: default, task: regression, version: { registry: mlflow } }]
registries: [{ type: mlflow, url: "${registry.url}", model: default, every: 1s, writeEvery: 1s, write: [metrics] }]
`,
  );
  const sidecar = await startSidecar({ upstream: model.url, args: ["--config", config] });
  t.after(async () => {
    await sidecar.stop();
    await model.close();
    rmSync(folder, { recursive: true, force: true });
  });
  let version = "";
  const predict = async (): Promise<string> => {
    const { status, headers } = await postJson(`${sidecar.traffic}/invocations`, { x: 1 });
    assert.equal(status, 200);
    version = String(headers["x-model-version"]);
    return String(headers["x-prediction-id"]);
  };
  await until(async () => (await getJson(`${sidecar.telemetry}/readyz`)).status === 200);
  await until(async () => (await registriesPart(sidecar))?.state === "ok");
  // What is announced on answers is in the other process than what /readyz tells of.
  await until(async () => {
    await predict();
    return version === "4";
  });
  const id = await predict();
  await until(async () => (await getJson(`${sidecar.api}/v1/predictions/${id}`)).status === 200);
  await postJson(`${sidecar.api}/v1/labels`, { id, label: 1 });
  const writes = (): number => registry.asked.filter(({ path }) => path.endsWith("/log-batch")).length;
  await until(() => writes() === 1);
  for (const [name, said] of TROUBLES.slice(0, 4)) {
    registry.answer = () => said;
    await until(async () => (await registriesPart(sidecar))?.state === "degraded");
    assert.match((await registriesPart(sidecar))?.why ?? "", /mlflow, default: .*last answer/, name);
    await predict();
    assert.equal(version, "4", name);
    await sidecar.metricIs("outrider_observer_up", 1);
    registry.answer = good;
    await until(async () => (await registriesPart(sidecar))?.state === "ok");
  }
  registry.answer = () => TROUBLES[4]?.[1] ?? {};
  await predict();
  assert.equal(version, "4");
  assert.equal(writes(), 1, "the figures had not changed");
});
