import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createDice } from "../../../bench/compare.ts";
import type { Task } from "../../../src/facts/model.ts";
import type { Change, Truth } from "../../../src/facts/pair.ts";
import type { Prediction } from "../../../src/facts/prediction.ts";
import { ArchiveReader, ArchiveWriter } from "../../../src/kernel/archive.ts";
import { Comparisons, VERSIONS_MAX } from "../../../src/measure/compare/comparisons.ts";
import { parseSavedComparisons } from "../../../src/measure/compare/parse-saved.ts";
import { binarySpec, specFor } from "../../support/models.ts";

const HOUR = 3_600_000;
const START = 480_000 * HOUR;
const LAG = 10_000;

interface Row {
  readonly version: string;
  readonly id: string;
  readonly ts: number;
  readonly value: number;
  readonly score?: number;
  readonly truth: number;
  readonly delay?: number;
}

interface Table {
  now: number;
  production: string | null;
  readonly rows: { prediction: Prediction; truth: Truth | null }[];
  readonly comparisons: Comparisons;
}

function predictionOf({ version, id, ts, value, score }: Row): Prediction {
  return { model: "m", version, id, ts, value, score: score ?? null, scores: null, slice: null };
}

function createTable(task: Task = "binary", rows: Table["rows"] = []): Table {
  const table: Table = {
    now: START,
    production: null,
    rows,
    comparisons: new Comparisons({
      specOf: () => (task === "binary" ? binarySpec("m") : specFor("m", { task })),
      now: () => table.now,
      productionOf: () => table.production,
      lagOf: () => LAG,
      scan: ({ version }, visit) => {
        for (const [i, { prediction, truth }] of rows.entries())
          if (prediction.version === version) visit(i, prediction, truth);
      },
      versionsOf: () => new Set(rows.map(({ prediction }) => prediction.version)),
    }),
  };
  return table;
}

/** Predicts and labels each row `delay` ms after its prediction (default 1 s). */
function feed(table: Table, rows: readonly Row[]): void {
  for (const row of rows) {
    const prediction = predictionOf(row);
    const at = table.rows.length;
    table.comparisons.apply({ kind: "predicted", row: at, prediction });
    const received = row.ts + (row.delay ?? 1000);
    const after = { value: String(row.truth), ts: received, firstReceivedAt: received };
    table.rows.push({ prediction, truth: after });
    table.now = Math.max(table.now, received);
    table.comparisons.apply({ kind: "truth", row: at, prediction, before: null, after });
  }
}

/** `wrong[version]`: share of its answers that are wrong. */
function traffic(count: number, wrong: Readonly<Record<string, number>>, seed = 1): Row[] {
  const dice = createDice(seed);
  const versions = Object.keys(wrong);
  return Array.from({ length: count }, (_, i) => {
    // The first rows show the versions in their order.
    const version = versions[i < versions.length ? i : Math.floor(dice() * versions.length)] ?? "";
    const truth = dice() < 0.5 ? 1 : 0;
    const errs = dice() < (wrong[version] ?? 0);
    return { version, id: `r${i}`, ts: START + i * 20_000, value: errs ? 1 - truth : truth, truth };
  });
}

function finish(table: Table): void {
  table.now += 2 * HOUR;
}

test("a version that is wrong twice as often is called worse, its predecessor better", () => {
  const table = createTable();
  feed(table, traffic(4000, { v1: 0.1, v2: 0.25 }));
  finish(table);
  const [pair, ...others] = table.comparisons.all();
  assert.deepEqual(others, []);
  assert.equal(pair?.baseline, "v1");
  const [rate] = pair?.metrics ?? [];
  assert.equal(rate?.metric, "error_rate");
  assert.equal(rate?.verdict, "worse");
  assert.ok((rate?.p ?? 1) < 0.001);
  assert.ok((rate?.lower ?? 0) > 0 && (rate?.upper ?? 1) < 0.3);
  assert.equal(rate?.paired, false);
  const back = table.comparisons.between("m", { baseline: "v2", candidate: "v1" })?.metrics[0];
  assert.equal(back?.verdict, "better");
  assert.equal(back?.lower, -(rate?.upper ?? 0));
});

test("nothing is said below a hundred labelled rows of each version", () => {
  const table = createTable();
  feed(table, traffic(150, { v1: 0, v2: 1 }));
  finish(table);
  const [rate] = table.comparisons.all()[0]?.metrics ?? [];
  assert.equal(rate?.verdict, "undecided");
  assert.equal(rate?.p, 1);
  assert.equal(rate?.lower, null);
  assert.ok((rate?.difference ?? 0) === 1);
});

test("a row counts once its time is older than the watermark, not before", () => {
  const table = createTable();
  feed(table, [
    { version: "v1", id: "a", ts: START, value: 1, truth: 1 },
    { version: "v2", id: "b", ts: START, value: 1, truth: 1 },
  ]);
  const counted = (): number => table.comparisons.all()[0]?.metrics[0]?.rows.baseline ?? -1;
  assert.equal(counted(), 0);
  table.now = START + LAG + 999;
  assert.equal(counted(), 0);
  table.now = START + LAG + 1000;
  assert.equal(counted(), 1);
});

test("corrections, retractions and second labels do not move a comparison", () => {
  const table = createTable();
  const rows = traffic(1000, { v1: 0.1, v2: 0.2 });
  feed(table, rows);
  finish(table);
  const before = table.comparisons.all();
  for (const [row, { prediction, truth }] of table.rows.entries()) {
    assert.ok(truth);
    const other = { ...truth, value: "0" };
    const changes: Change[] = [
      { kind: "truth", row, prediction, before: truth, after: other },
      { kind: "truth", row, prediction, before: other, after: null },
      { kind: "truth", row, prediction, before: null, after: other },
      { kind: "forgotten", row, prediction, before: other },
    ];
    for (const change of changes) table.comparisons.apply(change);
  }
  assert.deepEqual(table.comparisons.all(), before);
});

test("a label that comes after its time was counted is left out, and counted as late", () => {
  const table = createTable();
  feed(table, traffic(1000, { v1: 0.1, v2: 0.2 }));
  finish(table);
  const before = table.comparisons.all()[0]?.metrics;
  feed(table, [{ version: "v2", id: "late", ts: START, value: 1, truth: 0, delay: 5 * HOUR }]);
  assert.deepEqual(table.comparisons.all()[0]?.metrics, before);
  assert.equal(table.comparisons.counters().late, 1);
});

test("the order in which labels arrive does not matter, as long as they come in time", () => {
  const rows = traffic(300, { v1: 0.2, v2: 0.4 }).map((row, i) => ({ ...row, ts: START + 20 * i }));
  const expected = createTable();
  feed(expected, rows);
  finish(expected);
  const [first] = expected.comparisons.all();
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const dice = createDice(seed);
      const shuffled = rows.map((row) => ({ row, at: dice() })).toSorted((a, b) => a.at - b.at);
      const table = createTable();
      // Versions are known in the order of their first prediction.
      for (const [row, version] of ["v1", "v2"].entries()) {
        const some = rows.find((each) => each.version === version);
        assert.ok(some);
        table.comparisons.apply({ kind: "predicted", row, prediction: predictionOf(some) });
      }
      feed(
        table,
        shuffled.map(({ row }) => row),
      );
      finish(table);
      const [other] = table.comparisons.all();
      assert.equal(other?.metrics[0]?.rows.candidate, first?.metrics[0]?.rows.candidate);
      assert.ok(
        Math.abs((other?.metrics[0]?.difference ?? 9) - (first?.metrics[0]?.difference ?? 0)) < 1e-12,
      );
      assert.ok(Math.abs((other?.metrics[0]?.lower ?? 9) - (first?.metrics[0]?.lower ?? 0)) < 1e-9);
    }),
    { numRuns: 20 },
  );
});

test("a restart goes on from the saved sums to the same numbers, also when the old rows are forgotten", () => {
  const rows = traffic(3000, { v1: 0.1, v2: 0.14 });
  const straight = createTable();
  feed(straight, rows.slice(0, 2000));
  straight.comparisons.all();
  const saved = JSON.stringify(straight.comparisons.save());
  const cut = straight.now - 3 * HOUR;
  const kept = straight.rows.filter(({ prediction }) => prediction.ts > cut);
  const restarted = createTable("binary", kept);
  restarted.now = straight.now;
  restarted.comparisons.load(parseSavedComparisons(saved));
  restarted.comparisons.rebuild("m");
  feed(straight, rows.slice(2000));
  feed(restarted, rows.slice(2000));
  finish(straight);
  finish(restarted);
  const expected = straight.comparisons.all()[0];
  const found = restarted.comparisons.all()[0];
  assert.deepEqual(found?.metrics[0]?.rows, expected?.metrics[0]?.rows);
  assert.ok(Math.abs((found?.metrics[0]?.difference ?? 9) - (expected?.metrics[0]?.difference ?? 0)) < 1e-12);
  assert.equal(found?.watermark, expected?.watermark);
});

test("without saved sums a restart counts the retained rows", () => {
  const table = createTable();
  feed(table, traffic(2000, { v1: 0.1, v2: 0.2 }));
  finish(table);
  const restarted = createTable("binary", table.rows);
  restarted.now = table.now;
  restarted.comparisons.rebuild("m");
  assert.deepEqual(
    restarted.comparisons.all()[0]?.metrics[0]?.rows,
    table.comparisons.all()[0]?.metrics[0]?.rows,
  );
});

test("saved sums that are broken, or of another model or task, are left out", () => {
  assert.deepEqual(parseSavedComparisons(null), []);
  assert.deepEqual(parseSavedComparisons("no json"), []);
  assert.deepEqual(parseSavedComparisons('[{"name":"m","delays":[1],"pairs":[{}]}]'), []);
  const table = createTable();
  feed(table, traffic(600, { v1: 0.1, v2: 0.2 }));
  finish(table);
  table.comparisons.all();
  const other = createTable("regression", table.rows);
  other.comparisons.load(parseSavedComparisons(JSON.stringify(table.comparisons.save())));
  other.comparisons.rebuild("m");
  assert.equal(other.comparisons.all()[0]?.metrics[0]?.metric, "mae");
  assert.equal(other.comparisons.all()[0]?.metrics[0]?.rows.baseline, 0);
});

test("requests that both versions answered are compared pair by pair", () => {
  const table = createTable();
  const dice = createDice(4);
  const rows: Row[] = Array.from({ length: 1500 }, (_, i) => {
    const truth = i % 2;
    const draw = dice();
    const says = (wrong: boolean): number => (wrong ? 1 - truth : truth);
    const common = { id: `r${i}`, ts: START + i * 20_000, truth };
    return [
      { ...common, version: "v1", value: says(draw < 0.2) },
      { ...common, version: "v2", value: says(draw < 0.18 || (draw > 0.2 && draw < 0.24)) },
    ];
  }).flat();
  feed(table, rows);
  finish(table);
  const [rate] = table.comparisons.all()[0]?.metrics ?? [];
  assert.equal(rate?.paired, true);
  // The first request was labelled before the second version was known.
  assert.deepEqual(rate?.rows, { baseline: 1499, candidate: 1499 });
  const losses = (version: string): number[] =>
    rows
      .slice(2)
      .filter((row) => row.version === version)
      .map(({ value, truth }) => (value === truth ? 0 : 1));
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  assert.ok(Math.abs((rate?.difference ?? 9) - (mean(losses("v2")) - mean(losses("v1")))) < 1e-12);
  const back = table.comparisons.between("m", { baseline: "v2", candidate: "v1" })?.metrics[0];
  assert.equal(back?.difference, -(rate?.difference ?? 0));
});

test("any two versions can be compared, the ones in between left aside", () => {
  const table = createTable();
  feed(table, traffic(6000, { v1: 0.1, v2: 0.1, v3: 0.3 }));
  finish(table);
  assert.equal(table.comparisons.all().length, 2);
  assert.equal(
    table.comparisons.between("m", { baseline: "v1", candidate: "v3" })?.metrics[0]?.verdict,
    "worse",
  );
  assert.equal(table.comparisons.between("m", { baseline: "v1", candidate: "v1" }), null);
  assert.equal(table.comparisons.between("m", { baseline: "v1", candidate: "v9" }), null);
  assert.equal(table.comparisons.between("x", { baseline: "v1", candidate: "v2" }), null);
});

test("newer versions are compared with the one in production too, as long as it is", () => {
  const table = createTable();
  feed(table, traffic(4000, { v1: 0.1, v2: 0.1, v3: 0.3 }));
  finish(table);
  const pairs = (): string[] =>
    table.comparisons.all().map(({ baseline, candidate }) => `${baseline} ${candidate}`);
  assert.deepEqual(pairs(), ["v1 v2", "v2 v3"]);
  table.production = "v1";
  assert.deepEqual(pairs(), ["v1 v2", "v2 v3", "v1 v3"]);
  const asked = table.comparisons.between("m", { baseline: "v1", candidate: "v3" });
  assert.deepEqual(table.comparisons.all()[2], asked);
  assert.equal(asked?.metrics[0]?.verdict, "worse");
  table.production = "v3";
  assert.deepEqual(pairs(), ["v1 v2", "v2 v3"]);
});

test("the p-value only ever falls", () => {
  const table = createTable();
  const rows = traffic(3000, { v1: 0.1, v2: 0.13 });
  let last = 1;
  for (let at = 0; at < rows.length; at += 50) {
    feed(table, rows.slice(at, at + 50));
    const p = table.comparisons.all()[0]?.metrics[0]?.p ?? 1;
    assert.ok(p <= last);
    last = p;
  }
});

test("scores give log loss and Brier, numbers give MAE and MSE", () => {
  const scored = createTable();
  const rows = traffic(1000, { v1: 0.1, v2: 0.4 }).map((row) => ({
    ...row,
    score: row.value === 1 ? 0.9 : 0.1,
  }));
  feed(scored, rows);
  finish(scored);
  assert.deepEqual(
    scored.comparisons.all()[0]?.metrics.map(({ metric, verdict }) => [metric, verdict]),
    [
      ["error_rate", "worse"],
      ["log_loss", "worse"],
      ["brier", "worse"],
    ],
  );
});

test("more versions than there is room for push out the quietest", () => {
  const table = createTable();
  const rows = Array.from({ length: VERSIONS_MAX + 5 }, (_, i) => {
    return { version: `v${i}`, id: `r${i}`, ts: START + i, value: 1, truth: 1 };
  });
  feed(table, rows);
  assert.equal(table.comparisons.counters().versions, VERSIONS_MAX);
  assert.equal(table.comparisons.counters().droppedVersions, 5);
  assert.equal(table.comparisons.all().length, VERSIONS_MAX - 1);
  assert.equal(table.comparisons.between("m", { baseline: "v0", candidate: "v50" }), null);
});

test("from a checkpoint it goes on as if it had not stopped, in the middle of an hour and of shadow answers", () => {
  const rows = traffic(3000, { v1: 0.1, v2: 0.2 });
  // Every third request is answered by both versions.
  const both = rows.flatMap((row, i) =>
    i % 3 === 0 ? [row, { ...row, version: row.version === "v1" ? "v2" : "v1" }] : [row],
  );
  const whole = createTable();
  feed(whole, both.slice(0, 2500));
  whole.comparisons.all();
  const writer = new ArchiveWriter(1e9);
  whole.comparisons.archive(writer);
  const resumed = createTable("binary", [...whole.rows]);
  resumed.now = whole.now;
  const reader = new ArchiveReader(writer.finish());
  resumed.comparisons.archive(reader);
  reader.end();
  assert.deepEqual(resumed.comparisons.all(), whole.comparisons.all());
  for (const table of [whole, resumed]) {
    feed(table, both.slice(2500));
    finish(table);
  }
  assert.deepEqual(resumed.comparisons.all(), whole.comparisons.all());
  assert.deepEqual(resumed.comparisons.save(), whole.comparisons.save());
});

test("a checkpoint of a model that is measured otherwise by now is refused", () => {
  const table = createTable();
  feed(table, traffic(100, { v1: 0.1, v2: 0.2 }));
  const writer = new ArchiveWriter(1e9);
  table.comparisons.archive(writer);
  const other = createTable("regression");
  assert.throws(() => other.comparisons.archive(new ArchiveReader(writer.finish())), /is compared/);
});
