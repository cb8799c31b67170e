// The standard errors behind the intervals, against the jackknife: each row left out once, the metric taken again from its definition.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Group, MetricInterval } from "../../src/facts/group.ts";
import type { ModelSpec } from "../../src/facts/model.ts";
import type { Prediction, Value } from "../../src/facts/prediction.ts";
import { bucketEnd, truncate } from "../../src/measure/float-bits.ts";
import { effectiveWilson } from "../../src/measure/intervals.ts";
import { createMeasure } from "../../src/measure/measure.ts";
import { shapeOfSquares, skewedInterval } from "../../src/measure/skewed-interval.ts";
import { binarySpec, predictionOf, specFor } from "../support/models.ts";
import { createRandom } from "../support/random.ts";

const ROWS = 400;
const Z95 = 1.959963984540054;

interface Row {
  readonly prediction: Partial<Prediction>;
  readonly label: Value;
}

/** A measure of all rows, from which each is taken out and put back. */
function jackknife(spec: ModelSpec, rows: readonly Row[]): { whole: Group; deviation(name: string): number } {
  const measure = createMeasure({}, { specOf: () => ({ ...spec, windows: ["all"] }), scan: () => undefined });
  const after = (value: Value) => ({ value, ts: 1, firstReceivedAt: 1 });
  const group = (): Group => {
    const [found] = measure.groups(1);
    assert.ok(found);
    return found;
  };
  const told = rows.map(({ prediction, label }, row) => {
    const whole = predictionOf({ id: `r${row}`, ...prediction });
    measure.apply({ kind: "predicted", row, prediction: whole });
    measure.apply({ kind: "truth", row, prediction: whole, before: null, after: after(label) });
    return { row, prediction: whole, truth: after(label) };
  });
  const whole = group();
  const without = told.map(({ row, prediction, truth }) => {
    measure.apply({ kind: "truth", row, prediction, before: truth, after: null });
    const { metrics, extra } = group();
    measure.apply({ kind: "truth", row, prediction, before: null, after: truth });
    return { ...extra, ...metrics } as Record<string, unknown>;
  });
  const deviation = (name: string): number => {
    const values = without.map((figures) => Number(figures[name]));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return Math.sqrt((squares * (values.length - 1)) / values.length);
  };
  return { whole, deviation };
}

const intervalOf = (group: Group, name: string): MetricInterval => {
  const interval = group.intervals?.[name];
  assert.ok(interval, `${name} has no interval`);
  return interval;
};

function assertNear(found: number, wanted: number, what: string): void {
  assert.ok(Math.abs(found / wanted - 1) < 0.03, `${what}: ${found}, the jackknife says ${wanted}`);
}

test("regression: the standard errors of all means, of WAPE and of R2 are the jackknife's", () => {
  const random = createRandom(5);
  const rows = Array.from({ length: ROWS }, (): Row => {
    const value = 20 + 5 * random.gauss();
    return { prediction: { value }, label: value + (1 + 0.1 * value) * random.gauss() };
  });
  const { whole, deviation } = jackknife(specFor("m"), rows);
  for (const name of ["mae", "me", "mape", "wape"]) {
    const { lower, upper } = intervalOf(whole, name);
    assertNear((upper - lower) / 2 / Z95, deviation(name), name);
  }
  // These lean as the squared errors do.
  const errors = rows.map(({ prediction, label }) => Math.abs(Number(label) - Number(prediction.value)));
  const sorted = Float64Array.from(errors).sort();
  const counts = new Float64Array(ROWS).fill(1);
  const mse = whole.metrics["mse"] ?? 0;
  const shape = shapeOfSquares({ rows: ROWS, low: sorted, high: sorted, counts }, mse);
  const leaning = (value: number, name: string): MetricInterval => {
    const wanted = skewedInterval(value, { standardError: deviation(name), shape }, name);
    assert.ok(wanted);
    return wanted;
  };
  const ofMse = intervalOf(whole, "mse");
  const wantedOfMse = leaning(mse, "mse");
  assertNear(ofMse.upper - mse, wantedOfMse.upper - mse, "mse");
  assertNear(mse - ofMse.lower, mse - wantedOfMse.lower, "mse");
  const { lower, upper } = intervalOf(whole, "r2");
  const share = 1 - (whole.metrics["r2"] ?? 0);
  const wanted = leaning(share, "r2");
  assertNear(1 - lower - share, wanted.upper - share, "r2");
  assertNear(share - (1 - upper), share - wanted.lower, "r2");
});

test("two classes: average precision, AUC, losses and Matthews' coefficient", () => {
  const random = createRandom(5);
  const rows = Array.from({ length: ROWS }, (): Row => {
    const positive = random.next() < 0.3;
    const margin = (positive ? 0.6 : -1.4) + 1.4 * random.gauss();
    return { prediction: { score: 1 / (1 + Math.exp(-margin)) }, label: positive ? "1" : "0" };
  });
  const { whole, deviation } = jackknife(binarySpec("m"), rows);
  const logit = (share: number): number => Math.log(share / (1 - share));
  for (const name of ["average_precision", "roc_auc"]) {
    const value = Number({ ...whole.extra, ...whole.metrics }[name]);
    const { lower, upper } = intervalOf(whole, name);
    assertNear(((logit(upper) - logit(lower)) / 2 / Z95) * value * (1 - value), deviation(name), name);
  }
  for (const name of ["log_loss", "brier"]) {
    const { lower, upper } = intervalOf(whole, name);
    assertNear((Math.log(upper / lower) / 2 / Z95) * Number(whole.extra[name]), deviation(name), name);
  }
  const { lower, upper } = intervalOf(whole, "mcc");
  const mcc = Number(whole.extra["mcc"]);
  assertNear(((Math.atanh(upper) - Math.atanh(lower)) / 2 / Z95) * (1 - mcc * mcc), deviation("mcc"), "mcc");
});

test("several classes: macro and weighted averages and Matthews' coefficient", () => {
  const random = createRandom(5);
  const classes = ["a", "b", "c"];
  const rows = Array.from({ length: ROWS }, (): Row => {
    const label = classes[Math.floor(3 * random.next() ** 2)] ?? "a";
    const value = random.next() < 0.6 ? label : (classes[Math.floor(3 * random.next())] ?? "a");
    return { prediction: { value }, label };
  });
  const { whole, deviation } = jackknife(specFor("m", { task: "multiclass", classes }), rows);
  for (const kind of ["precision", "recall", "f1"]) {
    for (const average of ["macro", "weighted"]) {
      const name = `${kind}_${average}`;
      const wanted = effectiveWilson(whole.metrics[name] ?? 0, deviation(name) ** 2, ROWS);
      assert.ok(wanted);
      const { lower, upper } = intervalOf(whole, name);
      assertNear(upper - lower, wanted[1] - wanted[0], name);
    }
  }
  const { lower, upper } = intervalOf(whole, "mcc");
  const mcc = Number(whole.extra["mcc"]);
  assertNear(((Math.atanh(upper) - Math.atanh(lower)) / 2 / Z95) * (1 - mcc * mcc), deviation("mcc"), "mcc");
});

test("a bucket begins at its truncated value and ends where the next one begins, at any precision", () => {
  const random = createRandom(5);
  for (let i = 0; i < 2000; i++) {
    const value = Math.exp(40 * random.gauss());
    const bits = Math.floor(52 * random.next());
    const start = truncate(value, bits);
    const end = bucketEnd(start, bits);
    assert.ok(start <= value && value < end, `${value} at ${bits} bits: ${start} to ${end}`);
    assert.equal(truncate(end, bits), end);
    assert.equal(truncate(start + (end - start) / 2, bits), start);
  }
  // All bits that are kept are ones: the next bucket is that of the next power of two.
  for (const bits of [0, 1, 20, 21, 40, 51]) assert.equal(bucketEnd(truncate(2 - 2 ** -52, bits), bits), 2);
  assert.equal(bucketEnd(truncate(Number.MAX_VALUE, 10), 10), Number.MAX_VALUE);
});
