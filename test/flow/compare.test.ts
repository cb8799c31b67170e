import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { startModelServer } from "../support/model-server.ts";
import { getJson, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";

const main = join(import.meta.dirname, "..", "..", "src", "main.ts");
const ROWS = 240;

interface Metric {
  readonly metric: string;
  readonly difference: number | null;
  readonly lower: number | null;
  readonly p: number | null;
  readonly rows: { readonly baseline: number; readonly candidate: number };
  readonly interval: string;
  readonly verdict: string;
}

async function metricsOf(sidecar: Sidecar, query = ""): Promise<readonly Metric[]> {
  const answer = await getJson(`${sidecar.api}/v1/compare${query}`);
  return answer.status === 200 ? (answer.body["metrics"] as Metric[]) : [];
}

/** Errors of 1.25 to 1.75 by version 1, of 3.25 to 3.75 by version 2. */
async function predictAndLabel(sidecar: Sidecar): Promise<void> {
  const labels: { id: string; label: number }[] = [];
  for (let from = 0; from < ROWS; from += 40) {
    const xs = Array.from({ length: 40 }, (_, i) => from + i);
    const ask = (x: number): ReturnType<typeof postJson> => postJson(`${sidecar.traffic}/invocations`, { x });
    // The very first goes alone: version 1 must be the one that is seen first.
    const answers = [await ask(xs[0] ?? 0), ...(await Promise.all(xs.slice(1).map(ask)))];
    for (const [i, { headers }] of answers.entries())
      labels.push({ id: String(headers["x-prediction-id"]), label: xs[i] ?? 0 });
  }
  const kept = await postJson(`${sidecar.api}/v1/labels`, labels);
  assert.equal(kept.body["rejected"], 0);
}

test("two versions behind one sidecar are compared: by the API, as series, on the command line, also after a restart", async () => {
  const model = await startModelServer(({ x }) => {
    const version = Number(x) % 2 === 0 ? 1 : 2;
    const error = (version === 1 ? 1.25 : 3.25) + (Number(x) % 7) / 14;
    return { predictions: [Number(x) + error], model_version: String(version) };
  });
  const store = mkdtempSync(join(tmpdir(), "outrider-compare-"));
  let sidecar = await startSidecar({ upstream: model.url, store });
  try {
    await predictAndLabel(sidecar);
    await until(async () => (await metricsOf(sidecar))[0]?.verdict === "worse");
    const pair = "?model=default&baseline=1&candidate=2";
    const all = async (): Promise<boolean> => {
      const [first] = await metricsOf(sidecar, pair);
      return first?.rows.candidate === ROWS / 2 && first.rows.baseline === ROWS / 2;
    };
    await until(all);
    const metrics = await metricsOf(sidecar, pair);
    const mae = metrics.find(({ metric }) => metric === "mae");
    assert.ok(Math.abs((mae?.difference ?? 0) - 2) < 0.1, `${mae?.difference}`);
    assert.ok((mae?.lower ?? 0) > 1.5 && (mae?.p ?? 1) < 1e-6);
    const r2 = metrics.find(({ metric }) => metric === "r2");
    assert.equal(r2?.interval, "fixed-horizon");
    assert.equal(r2?.p, null);
    await until(async () => (await metricsOf(sidecar, "?baseline=2&candidate=1"))[0]?.verdict === "better");
    const labels = { model: "default", metric: "mae", baseline: "1", candidate: "2" };
    await until(async () => (await sidecar.metric("outrider_comparison_lower", labels)) > 1.5);
    await sidecar.metricIs("outrider_comparison_rows", ROWS / 2, { ...labels, version: "2" });

    const said = promisify(execFile)(process.execPath, [main, "compare", "--api", sidecar.api]);
    assert.match((await said).stdout, /default: 2 against 1.*\nmetric .*\nmae .*worse\nmse .*worse\n/);
    const json = await promisify(execFile)(process.execPath, [
      main,
      "compare",
      "--api",
      sidecar.api,
      "--json",
    ]);
    assert.equal((JSON.parse(json.stdout) as { candidate: string }).candidate, "2");

    assert.equal((await getJson(`${sidecar.api}/v1/compare?candidate=9`)).body["code"], "unknown_version");
    assert.equal((await getJson(`${sidecar.api}/v1/compare?model=other`)).body["code"], "unknown_model");
    assert.equal((await getJson(`${sidecar.api}/v1/compare?baseline=1&candidate=1`)).status, 400);

    assert.equal(await sidecar.stop(), 0);
    sidecar = await startSidecar({ upstream: model.url, store });
    await until(all);
    const again = (await metricsOf(sidecar, pair)).find(({ metric }) => metric === "mae");
    assert.deepEqual(again?.rows, mae?.rows);
    assert.ok(Math.abs((again?.difference ?? 0) - (mae?.difference ?? 9)) < 1e-9);
  } finally {
    await sidecar.stop();
    await model.close();
    rmSync(store, { recursive: true, force: true });
  }
});
