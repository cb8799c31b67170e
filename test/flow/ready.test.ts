// Readiness and versions that somebody else tells: no traffic is called for before they are known, and none is kept away for long.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { startModelServer } from "../support/model-server.ts";
import { getJson, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";
import { registryServer } from "../versions/registry-server.ts";

interface Readiness {
  readonly status: number;
  readonly why: unknown;
  readonly versions: { readonly state: string; readonly why: string | null } | undefined;
}

async function readiness(sidecar: Sidecar): Promise<Readiness> {
  const { status, body } = await getJson(`${sidecar.telemetry}/readyz`);
  const parts = body["parts"] as Record<string, NonNullable<Readiness["versions"]>>;
  return { status, why: body["why"], versions: parts["served_versions"] };
}

/** Starts sidecars, one after the other on one store, with a configuration of its own. */
function place(t: TestContext, upstream: string, config: string): () => Promise<Sidecar> {
  const folder = mkdtempSync(join(tmpdir(), "outrider-flow-"));
  const file = join(folder, "outrider.yaml");
  writeFileSync(file, config);
  const running: Sidecar[] = [];
  t.after(async () => {
    for (const sidecar of running) await sidecar.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  return async () => {
    const sidecar = await startSidecar({ upstream, store: join(folder, "store"), args: ["--config", file] });
    running.push(sidecar);
    return sidecar;
  };
}

async function announced(sidecar: Sidecar): Promise<unknown> {
  const { status, headers } = await postJson(`${sidecar.traffic}/invocations`, { x: 1 });
  assert.equal(status, 200);
  return headers["x-model-version"];
}

test("ready means that a polled version is known; requests that come sooner pass, and an observer started again forgets none", async (t) => {
  const waiting: ServerResponse[] = [];
  let said: string | null = null;
  const model = createServer((request, response) => {
    response.setHeader("content-type", "application/json");
    if (request.url === "/meta" && said === null) waiting.push(response);
    else if (request.url === "/meta") response.end(said);
    else response.end('{"predictions":[1.5]}');
  });
  await new Promise<void>((resolve) => model.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    model.closeAllConnections();
    model.close();
  });
  const { port } = model.address() as AddressInfo;
  const start = place(
    t,
    `http://127.0.0.1:${port}`,
    "models: [{ name: credit, task: regression, version: { poll: { path: /meta, every: 1s, at: $.version } } }]\n",
  );
  const sidecar = await start();
  await until(() => waiting.length > 0);
  const early = await readiness(sidecar);
  // On a machine that stood still meanwhile, the time to wait may be over.
  if (early.status === 503) {
    assert.match(String(early.why), /credit|the observer has not told yet/);
    assert.match(String(early.why), /waiting until 20.*Z, then ready without/);
    assert.equal(early.versions?.state, "degraded");
  }
  assert.equal(await announced(sidecar), undefined, "traffic does not wait");
  said = '{"version":"7"}';
  for (const response of waiting.splice(0)) response.end(said);
  await until(async () => (await readiness(sidecar)).status === 200);
  await until(async () => (await readiness(sidecar)).versions?.state === "ok");
  assert.equal(await announced(sidecar), "7");
  said = null;
  process.kill(sidecar.observerPid(), "SIGKILL");
  await sidecar.metricIs("outrider_observer_restarts_total", 1);
  await sidecar.metricIs("outrider_observer_up", 1);
  await until(async () => (await readiness(sidecar)).versions?.state === "degraded");
  assert.equal((await readiness(sidecar)).status, 200, "it is waited once");
  assert.equal(await announced(sidecar), "7");
  await until(async () => (await sidecar.metric("outrider_predictions_total", { version: "7" })) >= 1);
  const unknown = await sidecar.metric("outrider_predictions_total", { version: "unknown" });
  assert.ok(unknown <= 1, "the first one alone");
});

test("a registry that is silent since the start keeps no traffic away, and what it declared before is the version", async (t) => {
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  t.after(() => model.close());
  const registry = await registryServer(t, () => ({
    json: { model_version: { version: "4", run_id: "r" }, run: { data: {} }, model_versions: [] },
  }));
  const start = place(
    t,
    model.url,
    `models: [{ name: default, task: regression, version: { registry: mlflow } }]
registries: [{ type: mlflow, url: "${registry.url}", model: default, every: 1s }]
`,
  );
  const first = await start();
  await until(async () => (await readiness(first)).versions?.state === "ok");
  assert.equal((await readiness(first)).status, 200);
  assert.equal(await announced(first), "4");
  assert.equal(await first.stop(), 0);
  registry.answer = () => ({ silent: true });
  const second = await start();
  await until(async () => (await announced(second)) === "4");
  await until(async () => (await readiness(second)).status === 200);
  const { versions } = await readiness(second);
  assert.match(versions?.why ?? "", /of default; the last one noted is taken/);
  await until(() => /ready without a version/.test(second.log()));
});
