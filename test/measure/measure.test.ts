// The measuring room as a whole: undefined metrics, counters by arrival, components, limits, and reading a model again.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Group } from "../../src/facts/group.ts";
import type { ModelSpec } from "../../src/facts/model.ts";
import type { Truth } from "../../src/facts/pair.ts";
import type { Prediction, Value } from "../../src/facts/prediction.ts";
import { createMeasure, type Measure, type MeasureOptions, SCORE_BOUNDS } from "../../src/measure/measure.ts";
import { binarySpec, predictionOf, specFor } from "../support/models.ts";

const NOW = 1_767_571_200_000;

/** A measure over rows that stay where they are. */
function world(spec: ModelSpec | null, options: MeasureOptions = {}) {
  const rows: { prediction: Prediction; truth: Truth | null }[] = [];
  const known = { spec };
  const measure: Measure = createMeasure(options, {
    specOf: () => known.spec,
    scan: ({ version, fromTs, toTs }, visit) => {
      for (const [row, { prediction, truth }] of rows.entries()) {
        const { ts } = prediction;
        if (prediction.version === version && ts > fromTs && ts <= toTs) visit(row, prediction, truth);
      }
    },
  });
  const predict = (change: Partial<Prediction>): number => {
    const row = rows.length;
    const prediction = predictionOf({ id: `r${row}`, ts: NOW - 1000, ...change });
    rows.push({ prediction, truth: null });
    measure.apply({ kind: "predicted", row, prediction });
    return row;
  };
  const label = (row: number, value: Value | null): void => {
    const found = rows[row];
    assert.ok(found);
    const { prediction, truth: before } = found;
    const after = value === null ? null : { value, ts: NOW, firstReceivedAt: NOW + row };
    found.truth = after;
    measure.apply({ kind: "truth", row, prediction, before, after });
  };
  const forget = (row: number): void => {
    const found = rows[row];
    assert.ok(found);
    const { prediction, truth: before } = found;
    rows.splice(row, 1);
    measure.apply({ kind: "forgotten", row, prediction, before });
  };
  const all = (): Group => {
    const group = measure.groups(NOW, { window: "all", slice: "" })[0];
    assert.ok(group);
    return group;
  };
  return { measure, known, predict, label, forget, all };
}

test("errors beyond the doubles leave the metrics when they are corrected", () => {
  const { predict, label, all } = world(specFor("m"));
  label(predict({ value: 1 }), 2);
  const glitch = predict({ value: -1e200 });
  label(glitch, 1e200);
  assert.deepEqual(all().undefined, { mse: "overflow", rmse: "overflow", r2: "overflow" });
  assert.equal(all().metrics["mae"], (2e200 + 1) / 2);
  label(glitch, -1e200 + 0);
  assert.equal(all().metrics["mse"], 0.5);
  label(glitch, null);
  assert.equal(all().metrics["mse"], 1);
});

test("a relative error whose square is no double has a mean all the same, only no interval", () => {
  const { predict, label, all } = world(specFor("m"));
  label(predict({ value: 1 }), 2);
  const glitch = predict({ value: 1e200 });
  label(glitch, 3);
  assert.equal(all().extra["mape"], (0.5 + 1e200 / 3) / 2);
  assert.equal(all().undefined["mape"], undefined);
  assert.equal(all().intervals?.["mape"], null);
  label(glitch, 2e200);
  assert.equal(all().extra["mape"], 0.5);
  assert.notEqual(all().intervals?.["mape"], null);
});

test("a constant target has no R2, however it rounds; huge and tiny targets have theirs", () => {
  const constant = world(specFor("m"));
  for (let i = 0; i < 59; i++) constant.label(constant.predict({ value: i }), 0.1);
  assert.equal(constant.all().undefined["r2"], "constant_target");
  for (const size of [1e-170, 1, 1e9, 1e150, 1e250]) {
    const { predict, label, all } = world(specFor("m"));
    for (const [said, is] of [
      [1, 1],
      [2, 2],
      [3, 3],
    ] as const) {
      label(predict({ value: said * size }), is * size);
    }
    assert.equal(all().metrics["r2"], 1);
  }
});

test("each undefined binary metric tells its own reason", () => {
  const { predict, label, all } = world(binarySpec("m"));
  const first = predict({ score: 0.1 });
  assert.deepEqual(new Set(Object.values(all().undefined)), new Set(["no_labels"]));
  label(first, "0");
  assert.deepEqual(all().undefined, {
    precision: "no_predicted_positive",
    recall: "no_actual_positive",
    f1: "no_positive",
    roc_auc: "single_class",
  });
  label(predict({ value: "0" }), "1");
  assert.equal(all().metrics["f1"], 0);
  assert.equal(all().undefined["roc_auc"], "single_class");
});

test("the threshold itself is positive; a given decision goes before the score", () => {
  const { predict, label, all } = world(binarySpec("m", { threshold: 0.3 }));
  label(predict({ score: 0.3 }), "1");
  label(predict({ score: 0.9, value: "0" }), "1");
  assert.deepEqual(all().confusion, { tp: 1, fp: 0, fn: 1, tn: 0 });
});

test("class names from outside are only names: __proto__ is a class like any other", () => {
  const { predict, label, all, measure } = world(specFor("m", { task: "multiclass", classes: ["a", "b"] }));
  label(predict({ value: "a", scores: { a: 1, b: 0 } }), "__proto__");
  label(predict({ value: "constructor", scores: { a: 0, b: 1 } }), "a");
  const { confusion, metrics, undefined: reasons } = all();
  assert.equal(JSON.stringify(confusion), '{"__proto__":{"a":1},"a":{"constructor":1}}');
  assert.equal(metrics["accuracy"], 0);
  assert.equal(reasons["roc_auc_ovr_macro"], "single_class");
  assert.equal(Object.getPrototypeOf({}), Object.prototype);
  assert.equal(measure.arrival("m", "1")?.confusion.get("__proto__")?.get("a"), 1);
});

test("class names beyond a limit share one name", () => {
  const { predict, label, all, measure } = world(specFor("m", { task: "multiclass", maxClasses: 5 }));
  for (let i = 0; i < 1000; i++) label(predict({ value: "a" }), `class ${i}`);
  const confusion = all().confusion ?? {};
  assert.ok(Object.keys(confusion).length <= 258);
  assert.equal(all().n_labeled, 1000);
  const arrival = measure.arrival("m", "1");
  assert.ok(arrival && arrival.confusion.size <= 6);
  let pairs = 0;
  for (const row of arrival.confusion.values()) for (const count of row.values()) pairs += count;
  assert.equal(pairs, 1000);
});

test("a model whose task is unknown is counted, and measured once it is known", () => {
  const { predict, label, all, measure, known } = world(null);
  for (let i = 0; i < 10; i++) label(predict({ value: i % 2, score: i / 10 }), String(i % 2));
  const before = all();
  assert.deepEqual([before.n_predictions, before.n_labeled, before.metrics], [10, 10, {}]);
  assert.deepEqual(before.undefined, { any: "unresolved_task" });
  assert.equal(measure.arrival("m", "1"), null);
  known.spec = binarySpec("m");
  measure.rebuild("m");
  assert.equal(all().metrics["accuracy"], 1);
  assert.equal(measure.arrival("m", "1")?.pairs, 0);
  label(predict({ score: 0.9 }), "0");
  assert.equal(measure.arrival("m", "1")?.pairs, 1);
});

test("arrival totals count first joins only, never fall, and exist with zeros before the first label", () => {
  const { predict, label, measure } = world(binarySpec("m"));
  const row = predict({ score: 0.2 });
  const zeros = measure.arrival("m", "1");
  assert.deepEqual(zeros?.confusion.get("1")?.get("0"), 0);
  label(row, "1");
  label(row, "0");
  label(row, null);
  const arrival = measure.arrival("m", "1");
  assert.equal(arrival?.pairs, 1);
  assert.equal(arrival?.confusion.get("1")?.get("0"), 1);
  assert.equal(
    arrival?.scoresPositive.reduce((sum, count) => sum + count, 0),
    1,
  );
  assert.ok(Math.abs((arrival?.squaredScoreError ?? 0) - 0.64) < 1e-15);
  measure.rebuild("m");
  assert.equal(measure.arrival("m", "1")?.pairs, 1);
});

test("regression arrival totals tell the direction of errors and the deviation from the offset", () => {
  const { predict, label, measure } = world(specFor("m", { labelOffset: 10 }));
  label(predict({ value: 12 }), 11);
  label(predict({ value: 5 }), 8);
  label(predict({ value: 1e200 }), -1e200);
  const arrival = measure.arrival("m", "1");
  assert.ok(arrival);
  const { pairs, squaredError, absoluteErrorOver, absoluteErrorUnder } = arrival;
  assert.deepEqual([pairs, squaredError, absoluteErrorOver, absoluteErrorUnder], [2, 10, 1, 3]);
  const { labelDeviationPositive, labelDeviationNegative, labelSquaredDeviation } = arrival;
  assert.deepEqual([labelDeviationPositive, labelDeviationNegative, labelSquaredDeviation], [1, 2, 5]);
});

test("33 score bounds, none of them whole, symmetrical around a half", () => {
  assert.equal(SCORE_BOUNDS.length, 33);
  assert.equal(SCORE_BOUNDS[16], 0.5);
  assert.equal(SCORE_BOUNDS[0], 0.000335);
  assert.deepEqual(
    [...SCORE_BOUNDS].sort((a, b) => a - b),
    [...SCORE_BOUNDS],
  );
});

test("window components add up to the metrics", () => {
  const { predict, label, measure } = world(specFor("m"));
  for (const [said, is] of [
    [3, 1],
    [2, 5],
    [1, 6],
  ] as const) {
    label(predict({ value: said }), is);
  }
  const stats = measure.windowStats(NOW, { window: "1h" })[0];
  assert.deepEqual(stats?.regression, {
    squaredError: 38,
    absoluteErrorOver: 2,
    absoluteErrorUnder: 8,
    labelMean: 4,
    labelM2: 14,
  });
  assert.deepEqual([stats.predictions, stats.pairs, stats.window], [3, 3, "1h"]);
  const binary = world(binarySpec("m"));
  binary.label(binary.predict({ score: 0.5 }), "1");
  binary.label(binary.predict({ score: 0.50001 }), "0");
  const scores = binary.measure.windowStats(NOW, { window: "1h" })[0]?.classification?.scores;
  assert.deepEqual([scores?.positive[16], scores?.negative[17]], [1, 1]);
});

test("beyond the limit slices go first, then new versions are not begun; both are counted", () => {
  const { predict, measure } = world(specFor("m"), { seriesMax: 4 });
  for (const region of ["a", "a", "b", "b", "c", "d"]) predict({ value: 1, slice: { region } });
  const slices = (): string[] => measure.groups(NOW, { window: "all" }).map((g) => `${g.version} ${g.slice}`);
  assert.deepEqual(slices(), ["1 ", "1 region=a", "1 region=b", "1 region=c"]);
  assert.equal(measure.counters().droppedSlices, 1);
  predict({ value: 1, version: "2" });
  assert.deepEqual(slices(), ["1 ", "1 region=a", "1 region=b", "2 "]);
  predict({ value: 1, slice: { region: "c" } });
  assert.equal(slices().includes("1 region=c"), false);
  for (const version of ["3", "4", "5", "5", "6"]) predict({ value: 1, version });
  assert.deepEqual(slices(), ["1 ", "2 ", "3 ", "4 "]);
  const { series, refusedVersions, droppedSlices } = measure.counters();
  assert.deepEqual([series, refusedVersions, droppedSlices], [4, 2, 4]);
});

test("at the start a model's stored rows are read by version, and none of it counts as arrived", () => {
  const rows = ["1", "2", "2"].map((version, i) =>
    predictionOf({ id: `r${i}`, version, ts: NOW - i, value: i }),
  );
  const truth = { value: 1, ts: NOW, firstReceivedAt: NOW };
  const measure = createMeasure(
    { asOf: NOW + 0.7 },
    {
      specOf: () => specFor("m"),
      versionsOf: () => ["1", "2", "3"],
      scan: ({ version }, visit) => {
        for (const [row, each] of rows.entries()) if (each.version === version) visit(row, each, truth);
      },
    },
  );
  measure.rebuild("m");
  measure.rebuild("m");
  const groups = measure.groups(NOW + 0.9, { window: "1h" });
  assert.deepEqual(
    groups.map(({ version, n_predictions, n_labeled }) => [version, n_predictions, n_labeled]),
    [
      ["1", 1, 1],
      ["2", 2, 2],
    ],
  );
  assert.equal(measure.arrival("m", "2")?.pairs, 0);
  assert.equal(measure.counters().series, 2);
});

test("a version without retained rows is gone", () => {
  const { predict, label, forget, measure } = world(specFor("m"));
  label(predict({ value: 1, slice: { region: "eu" } }), 2);
  assert.equal(measure.counters().series, 2);
  forget(0);
  assert.deepEqual(measure.groups(NOW), []);
  assert.deepEqual(measure.series(), []);
  assert.equal(measure.counters().series, 0);
});

test("labels that do not fit the task are counted apart and measured nowhere", () => {
  const { predict, label, all, measure } = world(binarySpec("m"));
  const row = predict({ score: 0.9 });
  label(row, "maybe");
  assert.equal(all().n_labeled, 0);
  assert.equal(measure.counters().unfitLabels, 1);
  label(row, "1");
  assert.deepEqual([all().n_labeled, measure.counters().unfitLabels], [1, 0]);
});

test("series tell when a version was seen and labelled", () => {
  const { predict, label, measure } = world(specFor("m"));
  label(predict({ value: 1, ts: NOW - 5000 }), 2);
  predict({ value: 1, ts: NOW - 1000 });
  assert.deepEqual(measure.series(), [
    {
      model: "m",
      version: "1",
      firstTs: NOW - 5000,
      lastTs: NOW - 1000,
      lastPredictionTs: NOW - 1000,
      lastLabelReceivedAt: NOW,
      predictions: 2,
      labels: 1,
    },
  ]);
});
