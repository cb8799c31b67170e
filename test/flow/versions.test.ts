// The version ledger through the whole program: registered, promoted and rolled back over the API and the command line, kept over kill -9.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { startModelServer } from "../support/model-server.ts";
import { getJson, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";

const main = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "src", "main.ts");

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function outrider(sidecar: Sidecar, args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, OUTRIDER_API: sidecar.api },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stdout, stderr })));
}

async function setUp(t: TestContext): Promise<{ sidecar: Sidecar; store: string; upstream: string }> {
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5], model_version: "7" }));
  const store = mkdtempSync(join(tmpdir(), "outrider-flow-"));
  const sidecar = await startSidecar({ upstream: model.url, store });
  t.after(async () => {
    await sidecar.stop("SIGKILL");
    await model.close();
    rmSync(store, { recursive: true, force: true });
  });
  return { sidecar, store, upstream: model.url };
}

interface Served {
  readonly models: readonly {
    readonly name: string;
    readonly declared: { readonly version: string; readonly source: string } | null;
    readonly mismatch: boolean;
  }[];
}

async function served(sidecar: Sidecar): Promise<Served["models"][number] | undefined> {
  const { body } = await getJson(`${sidecar.telemetry}/version`);
  return (body as unknown as Served).models.find((model) => model.name === "default");
}

test("registered, promoted, mismatched and rolled back; history and decisions survive kill -9", async (t) => {
  const { sidecar, store, upstream } = await setUp(t);
  const versions = `${sidecar.api}/v1/models/default/versions`;
  await postJson(`${sidecar.traffic}/invocations`, { x: 1 });
  await until(async () => (await getJson(`${versions}/7`)).status === 200);
  const seen = await getJson(`${versions}/7`);
  assert.equal(seen.body["registered"], false);
  for (const version of ["7", "8"]) {
    const registered = await postJson(versions, { version, evaluation: { rmse: 0.4 }, actor: "ci" });
    assert.deepEqual([registered.status, registered.body["changed"]], [200, true]);
  }
  const clash = await postJson(versions, { version: "8", evaluation: { rmse: 0.3 } });
  assert.deepEqual([clash.status, clash.body["code"]], [409, "version_exists"]);
  const wrong = await postJson(versions, { version: "9", evalution: {} });
  assert.equal(wrong.status, 400);
  assert.match(String(wrong.body["detail"]), /evalution/);
  await postJson(`${versions}/7/promote`, { stage: "production", actor: "ada", ifCurrent: null });
  await until(async () => {
    const now = await served(sidecar);
    return now?.declared?.version === "7" && !now.mismatch;
  });
  await postJson(`${versions}/8/promote`, { stage: "production", actor: "ada", reason: "better" });
  await until(async () => (await served(sidecar))?.mismatch === true);
  await sidecar.metricIs("outrider_version_mismatch", 1, { model: "default" });
  const stale = await postJson(`${versions}/7/promote`, { stage: "production", ifCurrent: "7" });
  assert.deepEqual([stale.status, stale.body["code"], stale.body["current"]], [409, "not_current", "8"]);
  const back = await postJson(`${sidecar.api}/v1/models/default/rollback`, { actor: "ada" });
  assert.deepEqual([back.status, back.body["production"]], [200, "7"]);
  const history = await getJson(`${sidecar.api}/v1/models/default/history`);
  await sidecar.stop("SIGKILL");
  const again = await startSidecar({ upstream, store });
  try {
    assert.deepEqual((await getJson(`${again.api}/v1/models/default/history`)).body, history.body);
    const production = await getJson(`${again.api}/v1/models/default/production`);
    assert.equal(production.body["version"], "7");
  } finally {
    await again.stop();
  }
});

test("fifty promotions at one time with compare-and-set: exactly one wins each round", async (t) => {
  const { sidecar } = await setUp(t);
  const versions = `${sidecar.api}/v1/models/default/versions`;
  for (let i = 0; i < 50; i++) await postJson(versions, { version: `v${i}` });
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      postJson(`${versions}/v${i}/promote`, { stage: "production", ifCurrent: null }),
    ),
  );
  assert.equal(answers.filter((answer) => answer.status === 200).length, 1);
  assert.equal(answers.filter((answer) => answer.body["code"] === "not_current").length, 49);
});

test("killed amid fifty promotions, five times: what was answered is in the history, and the history is one line of succession", async (t) => {
  const { sidecar: first, store, upstream } = await setUp(t);
  const answered: string[] = [];
  let sidecar = first;
  for (let i = 0; i < 50; i++)
    await postJson(`${sidecar.api}/v1/models/default/versions`, { version: `v${i}` });
  for (let round = 0; round < 5; round++) {
    const versions = `${sidecar.api}/v1/models/default/versions`;
    const before = answered.length;
    const calls = Array.from({ length: 50 }, async (_, i) => {
      const reason = `${round}/${i}`;
      try {
        const { status, body } = await postJson(`${versions}/v${i}/promote`, { stage: "production", reason });
        if (status === 200 && body["changed"] === true) answered.push(reason);
      } catch {
        // Killed before it answered: then it may have happened or not.
      }
    });
    await until(() => answered.length >= before + 5);
    const observer = sidecar.observerPid();
    await sidecar.stop("SIGKILL");
    try {
      process.kill(observer, "SIGKILL");
    } catch {
      // It ended with its parent.
    }
    await Promise.all(calls);
    sidecar = await startSidecar({ upstream, store });
  }
  const told = await getJson(`${sidecar.api}/v1/models/default/history`);
  const history = told.body["history"] as {
    seq: number;
    version: string;
    from: string;
    to: string;
    reason: string;
  }[];
  await sidecar.stop();
  const kept = new Set(history.map(({ reason }) => reason));
  assert.deepEqual(
    answered.filter((reason) => !kept.has(reason)),
    [],
  );
  let production: string | null = null;
  for (const [at, { seq, version, from, to }] of history.entries()) {
    assert.equal(seq, (history[0]?.seq ?? 0) + at);
    if (from === "production" && to !== "production") {
      assert.equal(version, production);
      production = null;
    } else if (to === "production" && from !== "production") {
      assert.equal(production, null);
      production = version;
    }
  }
});

test("a gate refuses a promotion that the comparison does not support, with its figures", async (t) => {
  const model = await startModelServer(({ x, v }) => ({
    predictions: [Number(x) + (v === "2" ? 3 : 0.5) + (Number(x) % 7) / 10],
    model_version: String(v),
  }));
  const folder = mkdtempSync(join(tmpdir(), "outrider-flow-"));
  const config = join(folder, "outrider.yaml");
  writeFileSync(
    config,
    "models: [{ name: default, task: regression, gate: { metric: mae, tolerance: 0.2 } }]\n",
  );
  const sidecar = await startSidecar({ upstream: model.url, args: ["--config", config] });
  t.after(async () => {
    await sidecar.stop();
    await model.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const labels: { id: string; label: number }[] = [];
  for (let x = 0; x < 400; x++) {
    for (const v of ["1", "2", "3"]) {
      const { headers } = await postJson(`${sidecar.traffic}/invocations`, { x, v });
      labels.push({ id: String(headers["x-prediction-id"]), label: x });
    }
  }
  await sidecar.metricIs("outrider_predictions_total", labels.length);
  await postJson(`${sidecar.api}/v1/labels`, labels);
  const versions = `${sidecar.api}/v1/models/default/versions`;
  const promote = async (version: string): ReturnType<typeof postJson> =>
    await postJson(`${versions}/${version}/promote`, { stage: "production" });
  assert.equal((await promote("1")).status, 200, "nothing is in production: nothing to be worse than");
  // Rows are compared once their labels can be expected to be in: here, after a few seconds.
  await until(async () => {
    const compared = await getJson(`${sidecar.api}/v1/compare?baseline=1&candidate=2`);
    const metrics = compared.body["metrics"] as { metric: string; upper: number | null }[] | undefined;
    return metrics?.some(({ metric, upper }) => metric === "mae" && upper !== null) === true;
  });
  const worse = await promote("2");
  assert.deepEqual([worse.status, worse.body["code"]], [409, "gate_closed"]);
  assert.equal(typeof (worse.body["figures"] as { upper: unknown }).upper, "number");
  assert.match(String(worse.body["detail"]), /may be worse by up to/);
  await until(async () => (await promote("3")).status === 200);
});

test("the command line registers, promotes, shows, exports and imports", async (t) => {
  const { sidecar, store } = await setUp(t);
  const file = join(store, "registration.json");
  writeFileSync(file, JSON.stringify({ version: "1", evaluation: { rmse: 0.4 }, tags: { git: "abc" } }));
  const registered = await outrider(sidecar, ["versions", "register", "default", file, "--actor", "ci"]);
  assert.equal(registered.code, 0, registered.stderr);
  assert.equal((await outrider(sidecar, ["versions", "register", "default", file])).code, 0);
  const promoted = await outrider(sidecar, ["versions", "promote", "default", "1", "--reason", "first"]);
  assert.equal(promoted.code, 0, promoted.stderr);
  const list = await outrider(sidecar, ["versions", "list", "default"]);
  assert.match(list.stdout, /1 +production/);
  const shown = await outrider(sidecar, ["versions", "show", "default", "1", "--json"]);
  assert.equal(
    (JSON.parse(shown.stdout) as { metadata: { tags: { git: string } } }).metadata.tags.git,
    "abc",
  );
  const unknown = await outrider(sidecar, ["versions", "promote", "default", "nope"]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /neither registered nor seen/);
  const exported = await outrider(sidecar, ["versions", "export", "default"]);
  assert.equal(exported.code, 0, exported.stderr);
  const copy = join(store, "copy.json");
  writeFileSync(copy, exported.stdout);
  const imported = await outrider(sidecar, ["versions", "import", "other", copy]);
  assert.equal(imported.code, 0, imported.stderr);
  const other = await getJson(`${sidecar.api}/v1/models/other/versions/1`);
  assert.equal(other.body["registered"], true);
  const rolled = await outrider(sidecar, ["versions", "rollback", "default"]);
  assert.equal(rolled.code, 1);
  assert.match(rolled.stderr, /no version was in production before/);
});
