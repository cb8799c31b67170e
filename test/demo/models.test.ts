// The demo's models are what the training script says they are.

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadDemo, readDemoData } from "../../src/demo/models.ts";
import { parseDemoData } from "../../src/demo/parse-data.ts";

const demo = loadDemo();

function rowsOf(name: string) {
  const set = demo.dataSets.find((each) => each.name === name);
  assert.ok(set);
  return set.rows;
}

function assertClose(actual: number, expected: number, what: string): void {
  assert.ok(
    Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected)),
    `${what}: ${actual}, expected ${expected}`,
  );
}

test("every model answers what scikit-learn answered, to 1e-9", () => {
  const trained = readDemoData().models;
  assert.equal(trained.length, 4);
  for (const { name, version, reference } of trained) {
    const model = demo.models.find((each) => each.name === name && each.version === version);
    assert.ok(model);
    assert.ok(reference.length >= 10);
    for (const [i, expected] of reference.entries()) {
      const answer = model.predict(rowsOf(name)[i]?.features ?? []);
      assertClose(answer.value, expected.value, `${name} ${version} row ${i}`);
      if (expected.probability === null) assert.equal(answer.probability, null);
      else assertClose(answer.probability ?? Number.NaN, expected.probability, `${name} ${version} row ${i}`);
    }
  }
});

test("the evaluation on the shipped rows is the one that scikit-learn recorded", () => {
  for (const model of demo.models) {
    const rows = rowsOf(model.name);
    const pairs = rows.map((row) => ({ y: row.target, p: model.predict(row.features).value }));
    if (model.task === "regression") {
      const mean = pairs.reduce((sum, { y }) => sum + y, 0) / pairs.length;
      const squares = pairs.reduce((sum, { y, p }) => sum + (y - p) ** 2, 0);
      const total = pairs.reduce((sum, { y }) => sum + (y - mean) ** 2, 0);
      assertClose(Math.sqrt(squares / pairs.length), model.evaluation["rmse"] ?? 0, "rmse");
      assertClose(1 - squares / total, model.evaluation["r2"] ?? 0, "r2");
    } else {
      const right = pairs.filter(({ y, p }) => y === p).length;
      assertClose(right / pairs.length, model.evaluation["accuracy"] ?? 0, "accuracy");
    }
  }
});

test("the later version of each model is clearly better, so that the demo has something to show", () => {
  const metric = (name: string, version: string, key: string): number =>
    demo.models.find((each) => each.name === name && each.version === version)?.evaluation[key] ?? Number.NaN;
  assert.ok(metric("diabetes", "1.1.0", "rmse") < 0.9 * metric("diabetes", "1.0.0", "rmse"));
  assert.ok(metric("breast-cancer", "2", "roc_auc") > metric("breast-cancer", "1", "roc_auc") + 0.1);
});

test("the bundle says where its data comes from, and is refused when it is cut", () => {
  assert.match(demo.provenance.trainedWith, /^scikit-learn \d/);
  for (const set of demo.dataSets) {
    assert.ok(set.source.length > 10 && set.licence.length > 10);
    assert.ok(set.rows.every((row) => row.features.length === set.features.length));
  }
  assert.throws(() => parseDemoData({ provenance: {} }), TypeError);
  assert.throws(() => parseDemoData(null), TypeError);
});
