// Retention by size through the whole program: what a store above `store.maxSize` forgets, and that its numbers are then
// those of the rows that are left.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startModelServer } from "../support/model-server.ts";
import { outrider } from "../support/program.ts";
import { getJson, postJson, sampleSum, startSidecar, until, type Sidecar } from "../support/sidecar.ts";

const EXCHANGES = 120;
const ROWS = 200;
/** Of what the store takes, it may keep so much: a checkpoint stays whatever goes. */
const KEPT = 0.75;
const STILL_SECONDS = 8;
const REGIONS = ["north", "south"];

/** Whole numbers, so that sums are exact whatever their order; the answer of the model is off by `errorOf`. */
const errorOf = (x: number): number => (x % 7) - 2;
const xOf = (exchange: number, row: number): number => exchange * ROWS + row;

interface Group {
  readonly slice: string;
  readonly window: string;
  readonly n_predictions: number;
  readonly n_labeled: number;
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly extra: Readonly<Record<string, unknown>>;
}

async function groupsOf(sidecar: Sidecar): Promise<readonly Group[]> {
  const { body } = await getJson(`${sidecar.api}/v1/quality?window=all`);
  return (body["groups"] ?? []) as Group[];
}

/** What is known of these exchanges and nothing else: every third row of each has no label. */
function recomputed(exchanges: readonly number[]): Omit<Group, "window" | "slice"> {
  const rows = exchanges.flatMap((at) => Array.from({ length: ROWS }, (_, row) => xOf(at, row)));
  const errors = rows.filter((x) => x % 3 !== 0).map(errorOf);
  const sum = (of: (error: number) => number): number => errors.reduce((total, each) => total + of(each), 0);
  const mse = sum((error) => error * error) / errors.length;
  return {
    n_predictions: rows.length,
    n_labeled: errors.length,
    metrics: { mse, mae: sum(Math.abs) / errors.length },
    extra: { me: (0 - sum((error) => error)) / errors.length },
  };
}

function assertEqual(group: Group | undefined, expected: Omit<Group, "window" | "slice">): void {
  assert.ok(group);
  assert.equal(group.n_predictions, expected.n_predictions);
  assert.equal(group.n_labeled, expected.n_labeled);
  for (const name of ["mse", "mae"]) assert.equal(group.metrics[name], expected.metrics[name], name);
  assert.equal(group.extra["me"], expected.extra["me"]);
}

/** Exchanges of which anything is left, in order; each is there whole or not at all. */
async function survivors(sidecar: Sidecar): Promise<number[]> {
  const left: number[] = [];
  for (let at = 0; at < EXCHANGES; at++) {
    const [first, last] = await Promise.all(
      [0, ROWS - 1].map((row) => getJson(`${sidecar.api}/v1/predictions/b${at}:${row}`)),
    );
    assert.equal(first?.status, last?.status, `b${at}`);
    if (first?.status === 200) left.push(at);
  }
  return left;
}

async function send(sidecar: Sidecar): Promise<void> {
  for (let at = 0; at < EXCHANGES; at++) {
    const instances = Array.from({ length: ROWS }, (_, row) => xOf(at, row));
    const headers = { "x-prediction-id": `b${at}`, "x-region": REGIONS[at % 2] ?? "" };
    const answer = await postJson(`${sidecar.traffic}/invocations`, { instances }, headers);
    assert.equal(answer.status, 200);
  }
  await sidecar.metricIs("outrider_predictions_total", EXCHANGES * ROWS);
  for (let at = 0; at < EXCHANGES; at++) {
    const labels = Array.from({ length: ROWS }, (_, row) => xOf(at, row)).flatMap((x, row) =>
      x % 3 === 0 ? [] : [{ id: `b${at}:${row}`, label: x }],
    );
    const answer = await postJson(`${sidecar.api}/v1/labels`, labels);
    assert.equal(answer.body["joined"], labels.length, JSON.stringify(answer.body));
  }
}

test(
  "above store.maxSize the oldest exchanges go, whole and counted; the numbers are those of the rest, after kill -9 too",
  { timeout: 800_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "outrider-retention-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const model = await startModelServer(({ instances }) => ({
      predictions: ((instances ?? []) as number[]).map((x) => x + errorOf(x)),
      model_version: "1",
    }));
    t.after(() => model.close());
    const config = join(folder, "outrider.yaml");
    const store = join(folder, "data");
    const start = (maxSize: string): Promise<Sidecar> => {
      const models = `[{ name: default, task: regression, slices: [{ name: region, header: x-region }] }]`;
      writeFileSync(config, `upstream: ${model.url}\nstore: { maxSize: ${maxSize} }\nmodels: ${models}\n`);
      return startSidecar({ upstream: null, store, args: ["--config", config] });
    };
    let sidecar = await start("1GiB");
    t.after(() => sidecar.stop("SIGKILL"));
    await send(sidecar);
    assert.equal(await sidecar.stop(), 0);

    // A store that is too large is swept soon after a start; the steps of a sweep follow each other until there is room.
    sidecar = await start(`${Math.ceil((statSync(join(store, "ledger.db")).size * KEPT) / 1024)}KiB`);
    let forgotten = 0;
    let text = "";
    const labels = { reason: "size" };
    let still = 0;
    let left: number[] = [];
    await until(async () => {
      const before = forgotten;
      text = await sidecar.metrics();
      forgotten = sampleSum(text, "outrider_store_forgotten_total", labels);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      // Between two deletions a checkpoint may be written, in steps.
      still = forgotten > 0 && forgotten === before ? still + 1 : 0;
      if (still < STILL_SECONDS) return false;
      left = await survivors(sidecar);
      text = await sidecar.metrics();
      return sampleSum(text, "outrider_store_forgotten_total", labels) === forgotten;
    }, 300_000);
    assert.ok(left.length > 0 && left.length < EXCHANGES, `${left.length} exchanges are left`);
    assert.deepEqual(
      left,
      Array.from({ length: left.length }, (_, i) => EXCHANGES - left.length + i),
      "the oldest went",
    );
    assert.equal(forgotten, (EXCHANGES - left.length) * ROWS);
    assert.equal(sampleSum(text, "outrider_store_forgotten_total", { reason: "age" }), 0);

    const check = async (): Promise<void> => {
      const groups = await groupsOf(sidecar);
      assertEqual(
        groups.find(({ slice }) => slice === ""),
        recomputed(left),
      );
      for (const [i, region] of REGIONS.entries()) {
        assertEqual(
          groups.find(({ slice }) => slice === `region=${region}`),
          recomputed(left.filter((at) => at % 2 === i)),
        );
      }
    };
    await check();
    const late = await postJson(`${sidecar.api}/v1/labels`, [{ id: "b0:1", label: 5 }]);
    assert.equal(
      late.body["waiting"],
      1,
      "a label of what is forgotten waits for a prediction like any other",
    );

    await sidecar.stop("SIGKILL");
    sidecar = await start("1GiB");
    await check();
    assert.equal(await sidecar.stop(), 0);
    const { code, out, err } = await outrider(["verify", "--config", config, "--store", store]);
    assert.equal(code, 0, `${out}${err}`);
    assert.match(out, new RegExp(`^ok: ${left.length * ROWS} rows`));
  },
);
