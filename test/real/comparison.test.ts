// Versions compared, as a real Prometheus has them: each series is the API's own answer, and both are what the rows say.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { ComparisonAnswer } from "../../src/cli/parse-comparison.ts";
import { startModelServer } from "../support/model-server.ts";
import { outrider } from "../support/program.ts";
import { getJson, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";
import { startPrometheus, type Prometheus } from "./support/prometheus.ts";

const ROWS = 150;
const HOUR_MS = 3_600_000;
const ALPHA = 0.05;
const LOSSES: Readonly<Record<string, (error: number) => number>> = {
  mae: Math.abs,
  mse: (error) => error * error,
};

interface Row {
  readonly id: string;
  readonly version: 1 | 2;
  readonly error: number;
  ts: number;
}

type Metric = ComparisonAnswer["metrics"][number];

/** "apart": each request is answered by one version; "both": by both, under the same id. */
const MODELS = ["apart", "both"] as const;

function rowsOf(model: (typeof MODELS)[number]): Row[] {
  return Array.from({ length: 2 * ROWS }, (_, i): Row => {
    const version = i % 2 === 0 ? 1 : 2;
    const id = model === "apart" ? `a${i}` : `b${Math.floor(i / 2)}`;
    // Multiples of a sixteenth: what the model says is exactly so far off.
    return { id, version, error: ((i * 7) % 40) / 16 + (version === 2 ? 0.75 : 0), ts: Number.NaN };
  });
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, each) => sum + each, 0) / values.length;
const spread = (values: readonly number[]): number => {
  const middle = mean(values);
  return values.reduce((sum, each) => sum + (each - middle) ** 2, 0);
};

/** Bounds of a difference with so much variance that hold at every look, tightest at 500 rows (or pairs) of each. */
function bounds(difference: number, variance: number, atTightest: number): [number, number] {
  const v = 1 / variance;
  const a = -2 * Math.log(ALPHA);
  const tau2 = (a + Math.log(a + 1)) / atTightest;
  const half = Math.sqrt(2 * (v + 1 / tau2) * Math.log(Math.sqrt(1 + tau2 * v) / ALPHA)) / v;
  return [difference - half, difference + half];
}

/** The hours that both had, weighted by Mantel and Haenszel. */
function apart(
  rows: readonly Row[],
  loss: (error: number) => number,
): { value: number; ends: [number, number] } {
  const hours = Map.groupBy(rows, ({ ts }) => Math.ceil(ts / HOUR_MS));
  let [weights, sum, pooled, alone] = [0, 0, 0, 0];
  for (const hour of hours.values()) {
    const of = (version: number): number[] =>
      hour.filter((row) => row.version === version).map(({ error }) => loss(error));
    const [zero, one] = [of(1), of(2)];
    if (zero.length === 0 || one.length === 0) continue;
    const weight = (zero.length * one.length) / (zero.length + one.length);
    weights += weight;
    sum += weight * (mean(one) - mean(zero));
    pooled += (weight * spread([...zero, ...one])) / (zero.length + one.length - 1);
    for (const arm of [zero, one])
      alone += arm.length > 1 ? ((weight * weight) / arm.length) * (spread(arm) / (arm.length - 1)) : 0;
  }
  const variance = Math.max(pooled, alone);
  const value = sum / weights;
  return { value, ends: bounds(value, variance / weights ** 2, 250 / (variance / weights)) };
}

function paired(
  rows: readonly Row[],
  loss: (error: number) => number,
): { value: number; ends: [number, number] } {
  const differences = [...Map.groupBy(rows, ({ id }) => id).values()].map((pair) => {
    const of = (version: number): number =>
      loss(pair.find((row) => row.version === version)?.error ?? Number.NaN);
    return of(2) - of(1);
  });
  const value = mean(differences);
  const variance = spread(differences) / (differences.length - 1);
  return { value, ends: bounds(value, variance / differences.length, 500 / variance) };
}

async function send(sidecar: Sidecar, model: string, rows: readonly Row[]): Promise<void> {
  for (const [x, row] of rows.entries()) {
    const url = `${sidecar.traffic}/v2/models/${model}/infer`;
    const body = { x, error: row.error, version: String(row.version), model };
    const answer = await postJson(url, body, { "x-prediction-id": row.id });
    assert.equal(answer.status, 200);
  }
  for (const row of rows) {
    const query = `model=${model}&version=${row.version}`;
    await until(async () => {
      const { status, body } = await getJson(`${sidecar.api}/v1/predictions/${row.id}?${query}`);
      row.ts = Date.parse(String(body["ts"]));
      return status === 200;
    });
  }
  const labels = new Map(rows.map(({ id }, x) => [id, model === "apart" ? x : Math.floor(x / 2) * 2]));
  const answer = await postJson(
    `${sidecar.api}/v1/labels`,
    [...labels].map(([id, label]) => ({ id, label, model })),
  );
  assert.equal(answer.body["rejected"], 0, JSON.stringify(answer.body));
}

async function compared(sidecar: Sidecar, model: string): Promise<readonly Metric[]> {
  const { status, body } = await getJson(`${sidecar.api}/v1/compare?model=${model}&baseline=1&candidate=2`);
  return status === 200 ? (body["metrics"] as Metric[]) : [];
}

const near = (a: number | null, b: number): boolean =>
  a !== null && Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));

async function assertSeries(prometheus: Prometheus, model: string, metric: Metric): Promise<void> {
  const pair = `model="${model}",metric="${metric.metric}",baseline="1",candidate="2"`;
  const wanted = {
    difference: metric.difference,
    lower: metric.lower,
    upper: metric.upper,
    p_value: metric.p,
  };
  for (const [name, value] of Object.entries(wanted)) {
    const query = `outrider_comparison_${name}{${pair}}`;
    await prometheus.queryUntil(query, ([sample]) => sample !== undefined && sample.value === value);
  }
  for (const [version, count] of [
    ["1", metric.rows.baseline],
    ["2", metric.rows.candidate],
  ] as const) {
    const query = `outrider_comparison_rows{${pair},version="${version}"}`;
    await prometheus.queryUntil(query, ([sample]) => sample?.value === count);
  }
}

test(
  "two versions, apart and answering the same requests: series, API and command line are what the rows say",
  { timeout: 600_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "outrider-comparison-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const model = await startModelServer(({ x, error, version, model: name }) => ({
      model_name: name,
      model_version: version,
      outputs: [
        {
          name: "predict",
          datatype: "FP64",
          shape: [1],
          data: [(name === "apart" ? Number(x) : Math.floor(Number(x) / 2) * 2) + Number(error)],
        },
      ],
    }));
    t.after(() => model.close());
    const config = join(folder, "outrider.yaml");
    const models = MODELS.map((name) => ({
      name,
      task: "regression",
      labelHorizon: "2s",
      match: { path: `/v2/models/${name}/**` },
    }));
    writeFileSync(config, JSON.stringify({ upstream: model.url, models }));
    const sidecar = await startSidecar({ upstream: null, args: ["--config", config] });
    t.after(() => sidecar.stop("SIGKILL"));
    const prometheus = await startPrometheus(t, {
      scrapeUrl: `${sidecar.telemetry}/metrics`,
      intervalMs: 2000,
    });

    for (const name of MODELS) {
      const rows = rowsOf(name);
      await send(sidecar, name, rows);
      await until(async () => (await compared(sidecar, name))[0]?.rows.candidate === ROWS);
      const metrics = await compared(sidecar, name);
      for (const [metric, loss] of Object.entries(LOSSES)) {
        const found = metrics.find((each) => each.metric === metric);
        assert.ok(found);
        assert.equal(found.paired, name === "both");
        assert.deepEqual(found.rows, { baseline: ROWS, candidate: ROWS });
        const expected = name === "both" ? paired(rows, loss) : apart(rows, loss);
        assert.ok(
          near(found.difference, expected.value),
          `${metric}: ${found.difference}, ${expected.value}`,
        );
        assert.ok(near(found.lower, expected.ends[0]), `${metric}: ${found.lower}, ${expected.ends[0]}`);
        assert.ok(near(found.upper, expected.ends[1]), `${metric}: ${found.upper}, ${expected.ends[1]}`);
        assert.equal(found.verdict, (found.lower ?? 0) > 0 ? "worse" : "undecided");
        await assertSeries(prometheus, name, found);
      }
      assert.ok(metrics.some(({ interval, p }) => interval === "fixed-horizon" && p === null));
      const said = await outrider(["compare", "--api", sidecar.api, "--model", name, "--json"]);
      assert.equal(said.code, 0, said.err);
      assert.deepEqual((JSON.parse(said.out) as { metrics: unknown }).metrics, metrics);
    }
    const worse = await prometheus.query("outrider_comparison_lower > 0");
    assert.ok(worse.some(({ labels }) => labels["model"] === "both" && labels["metric"] === "mae"));
  },
);
