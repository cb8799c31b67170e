// Errors taken apart by the hundred add up to what they are one by one, whatever their size, and go as they came.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createErrorPairs, ERROR_PAIRS_MAX } from "../../src/measure/error-columns.ts";
import { RegressionSums } from "../../src/measure/regression-sums.ts";

interface Row {
  readonly label: number;
  readonly prediction: number;
  readonly sign: 1 | -1;
}

function add(sums: RegressionSums, rows: readonly Row[]): void {
  const pairs = createErrorPairs(rows.length);
  for (const [at, { label, prediction, sign }] of rows.entries()) {
    pairs.labels[at] = label;
    pairs.errors[at] = label - prediction;
    pairs.signs[at] = sign;
  }
  sums.add(pairs, rows.length);
}

const figuresOf = (sums: RegressionSums) => ({
  over: sums.over.units(),
  under: sums.under.units(),
  squared: sums.squared.units(),
  relative: sums.relative.units(),
  relativeSquared: sums.relativeSquared.units(),
  label: sums.label.units(),
  labelSize: sums.labelSize.units(),
  labelSquared: sums.labelSquared.units(),
  weighted: sums.weighted.units(),
  moments: sums.moments.map((moment) => moment.units()),
  counts: [
    sums.infinite,
    sums.overflow,
    sums.momentOverflow,
    sums.relativeOverflow,
    sums.relativeSquaredOverflow,
    sums.weightedOverflow,
    sums.zeroTargets,
  ],
});

const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(1.7e308, -1.7e308, 1e160, 1e-320, 2 ** -52, 0, -0),
);
/** Of the relative error, where the label is no 0. */
const isSquareInfinite = ({ error, label }: { readonly error: number; readonly label: number }): boolean =>
  Math.abs(label) >= 2 ** -52 && (error / label) ** 2 === Infinity;
const sign = fc.constantFrom(1 as const, -1 as const);
const rowsOf = fc.array(fc.record({ label: number, prediction: number, sign }), { maxLength: 60 });

test("at once, one by one, and by the definition of each sum: the same to the last bit", () => {
  fc.assert(
    fc.property(rowsOf, (rows) => {
      const atOnce = new RegressionSums(1);
      add(atOnce, rows);
      const oneByOne = new RegressionSums(1);
      for (const row of rows) add(oneByOne, [row]);
      assert.deepEqual(figuresOf(atOnce), figuresOf(oneByOne));
      const errors = rows.map((row) => ({ ...row, error: row.label - row.prediction }));
      const count = (of: (row: (typeof errors)[number]) => boolean): number =>
        errors.filter(of).reduce((sum, row) => sum + row.sign, 0);
      assert.deepEqual(figuresOf(atOnce).counts, [
        count(({ error }) => !Number.isFinite(error)),
        count(({ error }) => error * error === Infinity),
        count(({ error, label }) => Math.max(error ** 2, (label - 1) ** 2) ** 2 === Infinity),
        count(({ error, label }) => Math.abs(label) >= 2 ** -52 && !Number.isFinite(error / label)),
        count((row) => Number.isFinite(row.error / row.label) && isSquareInfinite(row)),
        count(({ error, label }) => Math.abs(error) * Math.abs(label) === Infinity),
        count(({ label }) => Math.abs(label) < 2 ** -52),
      ]);
    }),
  );
});

test("more rows than are taken apart at once, and all of them taken back", () => {
  const rows = Array.from({ length: 3 * ERROR_PAIRS_MAX + 7 }, (_, i): Row => {
    return { label: Math.sin(i) * 1000, prediction: Math.cos(i) * 1000, sign: 1 };
  });
  const sums = new RegressionSums(0);
  add(sums, rows);
  const oneByOne = new RegressionSums(0);
  for (const row of rows) add(oneByOne, [row]);
  assert.deepEqual(figuresOf(sums), figuresOf(oneByOne));
  add(
    sums,
    rows.map((row) => ({ ...row, sign: -1 })),
  );
  assert.deepEqual(figuresOf(sums), figuresOf(new RegressionSums(0)));
});
