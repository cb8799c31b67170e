// The interval of a mean of squares: its parts against known figures.

import assert from "node:assert/strict";
import { test } from "node:test";
import { shapeOfSquares, skewedInterval, studentQuantile } from "../../src/measure/skewed-interval.ts";

const near = (actual: number, expected: number, within: number): void => {
  assert.ok(Math.abs(actual - expected) <= within * Math.abs(expected), `${actual} is not ${expected}`);
};

test("the quantile of Student's t is the tables'", () => {
  const tables = [
    [1, 12.706204736174694],
    [2, 4.302652729749462],
    [2.5, 3.5746548420036817],
    [3, 3.1824463052837078],
    [5, 2.5705818356363146],
    [7.3, 2.345066736547703],
    [30, 2.0422724563012378],
    [1000, 1.9623390808264083],
    [1e6, 1.959966356814107],
  ] as const;
  for (const [degrees, expected] of tables) near(studentQuantile(degrees), expected, 5e-4);
});

/** Each value once. */
const spreadOf = (values: readonly number[]) => {
  const sorted = Float64Array.from(values).sort();
  return { rows: values.length, low: sorted, high: sorted, counts: new Float64Array(values.length).fill(1) };
};

test("skewness and kurtosis are those of the squares, whatever their size", () => {
  for (const scale of [1, 1e-60, 1e60]) {
    // Squares 0, 0, 0, 4 in units of the scale: mean 1, moments 3, 6, 21.
    const shape = shapeOfSquares(spreadOf([0, 0, 0, 2 * scale]), scale * scale);
    near(shape.skewness, 6 / 3 ** 1.5, 1e-12);
    near(shape.kurtosis, 21 / 9, 1e-12);
  }
  assert.deepEqual(shapeOfSquares(spreadOf([3, 3]), 9), { rows: 2, skewness: 0, kurtosis: 1, tail: 0 });
  assert.deepEqual(shapeOfSquares(spreadOf([0, 0]), 0), { rows: 2, skewness: 0, kurtosis: 1, tail: 0 });
});

test("without skewness it is Student's interval; with it, it reaches further up than down; it never ends below 0", () => {
  const of = (skewness: number, value = 100, tail = 0) =>
    skewedInterval(value, { standardError: 2, shape: { rows: 50, skewness, kurtosis: 3, tail } }, "m");
  const plain = of(0);
  assert.ok(plain);
  near(plain.upper - 100, 2 * 2.0095752371292397, 1e-3);
  near(100 - plain.lower, 2 * 2.0095752371292397, 1e-3);
  const nearly = of(1e-7);
  assert.ok(nearly);
  near(nearly.upper, plain.upper, 1e-6);
  const leaning = of(2);
  assert.ok(leaning && leaning.upper - 100 > 1.2 * (100 - leaning.lower));
  assert.equal(of(2, 1)?.lower, 0);
  const tailed = of(0, 100, 0.5);
  assert.ok(tailed);
  near(tailed.upper - 100, 2.5 * (plain.upper - 100), 1e-9);
  assert.equal(tailed.lower, plain.lower);
  assert.equal(
    skewedInterval(1, { standardError: null, shape: { rows: 9, skewness: 0, kurtosis: 3, tail: 0 } }, "m"),
    null,
  );
});

test("the tail is what the largest squares have beyond squared exponential values; without a tail, or too few rows, it is 0", () => {
  const rows = 10_000;
  const quantiles = (of: (upper: number) => number): number[] =>
    Array.from({ length: rows }, (_, i) => of((i + 0.5) / rows));
  const tailOf = (values: readonly number[]): number => shapeOfSquares(spreadOf(values), 1).tail;
  // 200 of 10,000 are looked at. Of squared exponential values their mean logarithm is 0.4205 (2 e^u E1(u), u = ln 50).
  near(tailOf(quantiles((upper) => upper ** (-1 / 3))), 0.96 * (2 / 3 - 0.4205), 0.01);
  assert.ok(tailOf(quantiles((upper) => -Math.log(upper))) < 0.01);
  assert.equal(tailOf(quantiles((upper) => 1 - upper)), 0);
  // Mostly zeros, few rows, and one value over and over have no tail to speak of.
  assert.equal(tailOf(quantiles((upper) => (upper < 0.01 ? 1 / upper : 0))), 0);
  assert.equal(tailOf([1, 2, 3, 1e9]), 0);
  assert.equal(tailOf(quantiles(() => 5)), 0);
});

test("values that share buckets have the tail of their buckets", () => {
  const low = Float64Array.from({ length: 60 }, (_, i) => 2 ** (i / 4));
  const counts = low.map((_, i) => Math.ceil(5000 / 1.5 ** i));
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const apart = Array.from(low).flatMap((value, i) => Array.from({ length: counts[i] ?? 0 }, () => value));
  const together = shapeOfSquares({ rows, low, high: low, counts }, 1).tail;
  near(together, shapeOfSquares(spreadOf(apart), 1).tail, 1e-12);
  assert.ok(together > 0);
});
