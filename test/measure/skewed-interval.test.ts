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
  assert.deepEqual(shapeOfSquares(spreadOf([3, 3]), 9), { rows: 2, skewness: 0, kurtosis: 1 });
  assert.deepEqual(shapeOfSquares(spreadOf([0, 0]), 0), { rows: 2, skewness: 0, kurtosis: 1 });
});

test("without skewness it is Student's interval; with it, it reaches further up than down; it never ends below 0", () => {
  const of = (skewness: number, value = 100) =>
    skewedInterval(value, { standardError: 2, shape: { rows: 50, skewness, kurtosis: 3 } }, "m");
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
  assert.equal(
    skewedInterval(1, { standardError: null, shape: { rows: 9, skewness: 0, kurtosis: 3 } }, "m"),
    null,
  );
});
