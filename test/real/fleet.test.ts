// One stream of exchanges and labels over 1, 2, 4 and 8 sidecars: the recording rules in a real Prometheus give one set of numbers.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { startModelServer } from "../support/model-server.ts";
import { getJson, postJson, startSidecar, type Sidecar } from "../support/sidecar.ts";
import { seeded } from "./support/labelled.ts";
import {
  promtoolCheckRules,
  promtoolTestRules,
  startPrometheus,
  type Prometheus,
  type Sample,
} from "./support/prometheus.ts";

const owner = { after };
const rulesFile = join(import.meta.dirname, "..", "..", "deploy", "prometheus", "outrider.rules.yml");
const ROWS = 240;
const SIZES = [1, 2, 4, 8];
const MODELS = [
  { name: "house", task: "regression", match: { path: "/v2/models/house/**" } },
  {
    name: "credit",
    task: "binary",
    classes: ["0", "1"],
    positive: "1",
    match: { path: "/v2/models/credit/**" },
  },
];

interface Row {
  readonly model: "house" | "credit";
  readonly id: string;
  /** `null`: never labelled. */
  readonly label: number | null;
  /** A wrong label that is corrected by the next one. */
  readonly first: number | null;
  readonly body: unknown;
}

/** Labels of houses lie at a million, a few apart: naive sums would lose R2. */
function createRows(): Row[] {
  const chance = seeded(20);
  return Array.from({ length: ROWS }, (_, i): Row => {
    const model = i % 2 === 0 ? "house" : "credit";
    const version = chance() < 0.5 ? "1" : "2";
    const unlabelled = chance() < 0.1;
    const corrected = chance() < 0.1;
    const common = { model_name: model, model_version: version };
    if (model === "house") {
      const truth = 1_000_000 + Math.round(1000 * (6 * chance() - 3)) / 1000;
      const said = truth + 2 * chance() - 0.8;
      const outputs = [{ name: "predict", datatype: "FP64", shape: [1], data: [said] }];
      return {
        model,
        id: `h${i}`,
        label: unlabelled ? null : truth,
        first: corrected ? truth + 50 : null,
        body: { ...common, outputs },
      };
    }
    const truth = chance() < 0.3 ? 1 : 0;
    const score = Math.round(1e4 / (1 + Math.exp(-(2.4 * truth - 1.6 + 2 * (chance() - 0.5))))) / 1e4;
    const outputs = [
      { name: "predict", datatype: "INT64", shape: [1], data: [score >= 0.5 ? 1 : 0] },
      { name: "predict_proba", datatype: "FP64", shape: [1, 2], data: [1 - score, score] },
    ];
    const first = corrected ? 1 - truth : null;
    return { model, id: `c${i}`, label: unlabelled ? null : truth, first, body: { ...common, outputs } };
  });
}

async function sendAll(sidecars: readonly Sidecar[], rows: readonly Row[]): Promise<void> {
  for (let from = 0; from < rows.length; from += 16) {
    await Promise.all(
      rows.slice(from, from + 16).map(async ({ model, id }, i) => {
        const url = sidecars[(from + i) % sidecars.length]?.traffic ?? "";
        const answer = await postJson(`${url}/v2/models/${model}/infer`, { id }, { "x-prediction-id": id });
        assert.equal(answer.status, 200);
      }),
    );
  }
}

/** Each sidecar gets the labels of its own rows, corrections behind the first ones. */
async function labelAll(sidecars: readonly Sidecar[], rows: readonly Row[]): Promise<void> {
  for (const [at, sidecar] of sidecars.entries()) {
    const own = rows.filter((row, i) => i % sidecars.length === at && row.label !== null);
    const wrong = own.flatMap(({ id, first }) => (first === null ? [] : [{ id, label: first, ts: 1000 }]));
    const right = own.map(({ id, label }) => ({ id, label, ts: 2000 }));
    for (const batch of [wrong, right]) {
      if (batch.length === 0) continue;
      const answer = await postJson(`${sidecar.api}/v1/labels`, batch);
      assert.equal(answer.body["rejected"], 0, JSON.stringify(answer.body));
    }
  }
}

const LEVEL = "job_model_version_window";
const WHOLE = ["mse", "rmse", "mae", "bias", "r2", "accuracy", "f1_macro", "auc", "auc_bound"];
const RECORDS = [
  ...[
    "predictions:sum",
    "pairs:sum",
    "label_coverage",
    "label_mean",
    "label_m2",
    "log_loss",
    "brier",
    ...WHOLE,
  ].map((name) => `${LEVEL}:outrider_${name}`),
  ...["precision", "recall", "f1"].map((name) => `${LEVEL}_class:outrider_${name}`),
];
const ARRIVAL = ["mse", "rmse", "mae", "bias", "r2", "accuracy", "f1_macro", "auc", "log_loss", "brier"].map(
  (name) => `job_model_version:outrider_${name}:1h`,
);

const keyOf = (record: string, labels: Readonly<Record<string, string>>): string =>
  `${record} ${Object.keys(labels)
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((name) => `${name}=${labels[name]}`)
    .join(",")}`;

type Numbers = ReadonlyMap<string, number>;

/** Record and labels -> value, of the windows that hold everything. */
async function numbersOf(prometheus: Prometheus, records: readonly string[]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const record of records) {
    for (const { labels, value } of await prometheus.query(`{__name__="${record}",basis=~"all|"}`)) {
      const { __name__: _name, job: _job, ...rest } = labels;
      found.set(keyOf(record, rest), value);
    }
  }
  return found;
}

interface Fleet {
  readonly window: Numbers;
  readonly arrival: Numbers;
  readonly groups: readonly Group[];
}

interface Group {
  readonly model: string;
  readonly version: string;
  readonly window: string;
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly extra: Readonly<Record<string, unknown>>;
}

/** By arrival, increases are extrapolated over the scrapes: they come to rest only about. */
const AT_REST = 0.01;
/** Between two looks at the numbers: several scrapes. */
const LOOK_MS = 3000;
const SETTLED_MS = 300_000;

interface Rest {
  readonly replicas: number;
  readonly records: readonly string[];
  /** Relative; default: not at all. */
  readonly within?: number;
}

/**
 * Every rule has seen every replica's last scrape: several evaluations on, the numbers are the same. A replica that was too slow
 * for a scrape is left out of the numbers until its next one.
 */
async function settled(prometheus: Prometheus, { replicas, records, within = 0 }: Rest): Promise<Numbers> {
  const whole = async (): Promise<boolean> => {
    const up = await prometheus.query(`min_over_time(up{job="outrider"}[${2 * LOOK_MS}ms])`);
    return up.length === replicas && up.every(({ value }) => value === 1);
  };
  let before: Numbers = new Map();
  const until = performance.now() + SETTLED_MS;
  while (performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const now = await numbersOf(prometheus, records);
    const same = now.size === before.size && [...now.keys()].every((key) => before.has(key));
    if (now.size > 0 && same && farthest(now, before).off <= within && (await whole())) return now;
    before = now;
  }
  throw new Error("the numbers do not come to rest");
}

async function runFleet(size: number, rows: readonly Row[], upstream: string): Promise<Fleet> {
  const folder = mkdtempSync(join(tmpdir(), "outrider-fleet-"));
  const config = join(folder, "outrider.yaml");
  writeFileSync(config, JSON.stringify({ models: MODELS }));
  const sidecars = await Promise.all(
    Array.from({ length: size }, (_, i) =>
      startSidecar({ upstream, store: join(folder, `store-${i}`), args: ["--config", config] }),
    ),
  );
  const prometheus = await startPrometheus(owner, {
    scrapeUrl: null,
    jobs: { outrider: sidecars.map(({ telemetry }) => telemetry) },
    intervalMs: 1000,
    ruleFiles: [rulesFile],
  });
  try {
    await sendAll(sidecars, rows);
    // Counters must be seen at 0 before the labels come.
    const total = (samples: readonly Sample[]): number => samples[0]?.value ?? 0;
    const all = `sum(${LEVEL}:outrider_predictions:sum{window="24h",basis="all"})`;
    await prometheus.queryUntil(all, (samples) => total(samples) === rows.length, 180_000);
    await labelAll(sidecars, rows);
    const labelled = rows.filter(({ label }) => label !== null).length;
    const pairs = `sum(${LEVEL}:outrider_pairs:sum{window="24h",basis="all"})`;
    await prometheus.queryUntil(pairs, (samples) => total(samples) === labelled, 180_000);
    const window = await settled(prometheus, { replicas: size, records: RECORDS });
    const quality = await getJson(`${sidecars[0]?.api ?? ""}/v1/quality?window=24h`);
    return {
      window,
      arrival: await settled(prometheus, { replicas: size, records: ARRIVAL, within: AT_REST }),
      groups: quality.body["groups"] as Group[],
    };
  } finally {
    await prometheus.process.stop();
    await Promise.all(sidecars.map((sidecar) => sidecar.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

const near = (a: number, b: number, relative: number): boolean =>
  Math.abs(a - b) <= relative * Math.max(Math.abs(a), Math.abs(b), 1e-9);

/** The largest relative difference. */
function farthest(fleet: Numbers, one: Numbers): { off: number; key: string } {
  let worst = { off: 0, key: "" };
  for (const [key, value] of fleet) {
    const expected = one.get(key) ?? Number.NaN;
    const off = Math.abs(value - expected) / Math.max(Math.abs(expected), 1e-9);
    if (!(off <= worst.off)) worst = { off, key };
  }
  return worst;
}

/** One sidecar's own exact answer against the rules over it. */
function compareWithQuality({ window, groups }: Fleet): void {
  const read = (metric: string, { model, version }: Group): number | undefined => {
    const labels = { basis: "all", model, version, window: "24h" };
    return window.get(keyOf(`${LEVEL}:outrider_${metric}`, labels));
  };
  let compared = 0;
  for (const group of groups) {
    const exact = new Map<string, unknown>([
      ...["mse", "rmse", "mae", "r2", "accuracy"].map((name) => [name, group.metrics[name]] as const),
      ["log_loss", group.extra["log_loss"]],
      ["brier", group.extra["brier"]],
    ]);
    for (const [name, value] of exact) {
      if (typeof value !== "number") continue;
      const rebuilt = read(name, group) ?? Number.NaN;
      assert.ok(near(rebuilt, value, 1e-9), `${group.model} ${group.version} ${name}: ${rebuilt}, ${value}`);
      compared++;
    }
    const auc = group.metrics["roc_auc"];
    if (typeof auc !== "number") continue;
    const off = Math.abs((read("auc", group) ?? Number.NaN) - auc);
    assert.ok(off <= (read("auc_bound", group) ?? 0) + 1e-12, `AUC off by ${off}`);
    compared++;
  }
  assert.ok(compared >= 2 * (4 + 4), `${compared} metrics compared`);
}

test("promtool has nothing against the recording rules", async () => {
  const { ok, output } = await promtoolCheckRules(rulesFile);
  assert.ok(ok, output);
});

/** A counter that stood at 0, then rose to `value` a quarter of an hour ago, scraped every minute. */
function counter(name: string, labels: Readonly<Record<string, string>>, value: number): unknown {
  const all = Object.entries({ model: "m", version: "1", ...labels });
  const series = `${name}{${all.map(([key, text]) => `${key}="${text}"`).join(",")}}`;
  return { series, values: `0x45 ${value}x15` };
}

/** What one replica counted of its share of the pairs. */
function countersOf(job: string, instance: string, pairs: readonly (readonly [number, number])[]): unknown[] {
  const labels = { job, instance };
  const sum = (of: (said: number, truth: number) => number): number =>
    pairs.reduce((total, [said, truth]) => total + of(said, truth), 0);
  const over = sum((said, truth) => Math.max(0, said - truth));
  const under = sum((said, truth) => Math.max(0, truth - said));
  const above = sum((_said, truth) => Math.max(0, truth));
  const below = sum((_said, truth) => Math.max(0, -truth));
  const of = (name: string): string => `outrider_regression_${name}_total`;
  return [
    counter(of("pairs"), labels, pairs.length),
    counter(
      of("squared_error"),
      labels,
      sum((said, truth) => (said - truth) ** 2),
    ),
    counter(of("absolute_error"), { ...labels, direction: "over" }, over),
    counter(of("absolute_error"), { ...labels, direction: "under" }, under),
    counter(of("label_deviation"), { ...labels, sign: "positive" }, above),
    counter(of("label_deviation"), { ...labels, sign: "negative" }, below),
    counter(
      of("label_squared_deviation"),
      labels,
      sum((_said, truth) => truth ** 2),
    ),
  ];
}

test("by arrival, too, replicas that are scraped alike give the exact numbers", async () => {
  const folder = mkdtempSync(join(tmpdir(), "outrider-rules-"));
  try {
    const chance = seeded(3);
    const pairs = Array.from({ length: 60 }, () => {
      const truth = Math.round(16 * (chance() - 0.4));
      return [truth + Math.round(8 * chance() - 3) / 4, truth] as const;
    });
    const mean = (of: (said: number, truth: number) => number): number =>
      pairs.reduce((total, [said, truth]) => total + of(said, truth), 0) / pairs.length;
    const mse = mean((said, truth) => (said - truth) ** 2);
    const average = mean((_said, truth) => truth);
    const expected = {
      mse,
      rmse: Math.sqrt(mse),
      mae: mean((said, truth) => Math.abs(said - truth)),
      bias: mean((said, truth) => said - truth),
      r2: 1 - mse / mean((_said, truth) => (truth - average) ** 2),
    };
    const replicas = [1, 2, 4, 8];
    const series = replicas.flatMap((size) =>
      Array.from({ length: size }, (_, at) =>
        countersOf(
          `f${size}`,
          `i${at}`,
          pairs.filter((_pair, i) => i % size === at),
        ),
      ).flat(),
    );
    const promqlTests = Object.entries(expected).map(([name, value]) => ({
      expr: `job_model_version:outrider_${name}:1h`,
      eval_time: "1h",
      exp_samples: replicas.map((size) => ({
        labels: `job_model_version:outrider_${name}:1h{job="f${size}",model="m",version="1"}`,
        value,
      })),
    }));
    const file = join(folder, "test.yml");
    const tests = [{ interval: "1m", input_series: series, promql_expr_test: promqlTests }];
    // JSON is YAML.
    writeFileSync(
      file,
      JSON.stringify({ rule_files: [rulesFile], evaluation_interval: "1m", fuzzy_compare: true, tests }),
    );
    const { ok, output } = await promtoolTestRules(file);
    assert.ok(ok, output);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("the fleet's numbers are those of one instance, for 1, 2, 4 and 8 replicas", async (t) => {
  const rows = createRows();
  const byId = new Map(rows.map((row) => [row.id, row.body]));
  const model = await startModelServer(({ id }) => byId.get(String(id)));
  try {
    const fleets: Fleet[] = [];
    for (const size of SIZES) fleets.push(await runFleet(size, rows, model.url));
    const [one, ...others] = fleets;
    assert.ok(one);
    // 2 models x 2 versions x windows 1h, 24h, 7d, all.
    assert.ok(one.window.size > 150, `${one.window.size} series`);
    assert.ok(one.arrival.size >= 16, `${one.arrival.size} series`);
    compareWithQuality(one);
    for (const [i, fleet] of others.entries()) {
      const size = SIZES[i + 1] ?? 0;
      assert.deepEqual(new Set(fleet.window.keys()), new Set(one.window.keys()), `${size} replicas`);
      const exact = farthest(fleet.window, one.window);
      assert.ok(exact.off <= 1e-9, `${size} replicas: ${exact.off} off in ${exact.key}`);
      // Increases are extrapolated over the scrape grid: near, not equal.
      const about = farthest(fleet.arrival, one.arrival);
      assert.ok(about.off <= 0.1, `${size} replicas: ${about.off} off in ${about.key}`);
      t.diagnostic(
        `${size} replicas, ${fleet.window.size} window series: at most ${exact.off} off; by arrival ${about.off}`,
      );
    }
  } finally {
    await model.close();
  }
});
