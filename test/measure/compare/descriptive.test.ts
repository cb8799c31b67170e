import assert from "node:assert/strict";
import { test } from "node:test";
import { createMeasure } from "../../../src/measure/measure.ts";
import { describeDifferences, withAccuracy } from "../../../src/measure/compare/descriptive.ts";
import { emptyMetric } from "../../../src/measure/compare/pair-test.ts";
import type { Group } from "../../../src/facts/group.ts";
import { createDice } from "../../../bench/compare.ts";
import { binarySpec, predictionOf, specFor } from "../../support/models.ts";

function groupOf(sharpness: number, seed: number): Group {
  const measure = createMeasure({}, { specOf: () => binarySpec("m"), scan: () => {} });
  const dice = createDice(seed);
  for (let row = 0; row < 500; row++) {
    const truth = dice() < 0.4 ? 1 : 0;
    const score = Math.min(1, Math.max(0, 0.5 + sharpness * (truth - 0.5) + 0.5 * (dice() - 0.5)));
    const prediction = predictionOf({ id: `r${row}`, score });
    measure.apply({ kind: "predicted", row, prediction });
    const after = { value: String(truth), ts: 1, firstReceivedAt: 1 };
    measure.apply({ kind: "truth", row, prediction, before: null, after });
  }
  const [group] = measure.groups(10, { window: "all" });
  assert.ok(group);
  return group;
}

test("AUC, precision, recall and F1 are described with a fixed-horizon interval and no p-value", () => {
  const baseline = groupOf(0.2, 1);
  const candidate = groupOf(0.4, 2);
  const found = new Map(describeDifferences(baseline, candidate).map((each) => [each.metric, each]));
  assert.deepEqual([...found.keys()], ["precision", "recall", "f1", "roc_auc"]);
  for (const [metric, { difference, lower, upper, p, interval, verdict }] of found) {
    assert.equal(difference, (candidate.metrics[metric] ?? 0) - (baseline.metrics[metric] ?? 0));
    assert.ok(lower !== null && upper !== null && difference !== null, metric);
    assert.ok(lower < difference && difference < upper, metric);
    assert.deepEqual([p, interval, verdict], [null, "fixed-horizon", "undecided"]);
  }
  const auc = found.get("roc_auc");
  const errors = [baseline, candidate].map(({ extra }) => Number(extra["auc_delong_se"]));
  const half = 1.959963984540054 * Math.hypot(errors[0] ?? 0, errors[1] ?? 0);
  assert.ok(Math.abs((auc?.upper ?? 0) - (auc?.difference ?? 0) - half) < 1e-12);
});

test("a metric that a version does not have has no difference; one without an interval has no bounds", () => {
  const measure = createMeasure({}, { specOf: () => specFor("m"), scan: () => {} });
  for (const [row, version] of ["1", "2", "2"].entries()) {
    const prediction = predictionOf({ id: `r${row}`, version, value: row });
    measure.apply({ kind: "predicted", row, prediction });
    const after = { value: 2 * row, ts: 1, firstReceivedAt: 1 };
    measure.apply({ kind: "truth", row, prediction, before: null, after });
  }
  const [baseline, candidate] = measure.groups(10, { window: "all" });
  assert.ok(baseline && candidate);
  const r2 = describeDifferences(baseline, candidate).find(({ metric }) => metric === "r2");
  assert.equal(r2?.difference, null);
  const rmse = describeDifferences(baseline, candidate).find(({ metric }) => metric === "rmse");
  assert.ok(rmse?.difference !== null);
});

test("accuracy is the error rate from the other side", () => {
  const rate = { ...emptyMetric("error_rate"), difference: 0.2, lower: 0.1, upper: 0.3, p: 0.01 };
  const rows = { baseline: 500, candidate: 300 };
  const [, accuracy] = withAccuracy([{ ...rate, rows, verdict: "worse" }]);
  assert.deepEqual(
    [accuracy?.difference, accuracy?.lower, accuracy?.upper, accuracy?.p, accuracy?.verdict, accuracy?.rows],
    [-0.2, -0.3, -0.1, 0.01, "worse", rows],
  );
});
