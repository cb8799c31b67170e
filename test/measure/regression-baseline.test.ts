// The best constant by the definition of each error, against what is told of it from labels that share buckets.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createErrorPairs } from "../../src/measure/error-columns.ts";
import { spreadOf } from "../../src/measure/order-statistics.ts";
import { regressionBaseline } from "../../src/measure/regression-baseline.ts";
import { RegressionSums } from "../../src/measure/regression-sums.ts";
import { ScoreHistogram } from "../../src/measure/score-histogram.ts";
import type { Baseline } from "../../src/measure/totals.ts";

const BOUNDED = ["mae", "medae", "wape", "mape", "max_error"] as const;

function told(labels: readonly number[], buckets: number): Baseline {
  const histogram = new ScoreHistogram(
    { sides: 1, mirrored: false },
    { exact: buckets, buckets, purse: { left: 0 } },
  );
  const pairs = createErrorPairs(labels.length);
  for (const [at, label] of labels.entries()) {
    histogram.add(label, 0, 1);
    pairs.labels[at] = label;
    pairs.signs[at] = 1;
  }
  const sums = new RegressionSums(0);
  sums.add(pairs, labels.length);
  return regressionBaseline(labels.length, sums, spreadOf(histogram));
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const [low = 0, high = 0] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]];
  // Halves of the smallest doubles are 0, the sum of two large ones is no double.
  return Number.isFinite(low + high) ? (low + high) / 2 : low / 2 + high / 2;
}

/** From the rows themselves. */
function byDefinition(labels: readonly number[]): Record<(typeof BOUNDED)[number], number> {
  const median = medianOf(labels);
  const mean = (of: (label: number) => number): number =>
    labels.reduce((sum, label) => sum + of(label), 0) / labels.length;
  const mae = mean((label) => Math.abs(label - median));
  return {
    mae,
    medae: medianOf(labels.map((label) => Math.abs(label - median))),
    wape: mae / mean(Math.abs),
    mape: mean((label) => Math.abs((label - median) / label)),
    max_error: Math.max(...labels) / 2 - Math.min(...labels) / 2,
  };
}

function agrees(labels: readonly number[], buckets: number): void {
  const found = told(labels, buckets);
  const exact = byDefinition(labels);
  const slack = 1e-15 * Math.max(...labels.map(Math.abs)) + 1e-323;
  for (const name of BOUNDED) {
    const value = found[name] ?? null;
    // Nothing is told where there is no number, nor a bound where labels may be as near to 0 as can be.
    if (value === null) continue;
    const bound = found[`${name}_bound`] ?? 0;
    const rounding = 1e-12 * exact[name] + (name === "wape" || name === "mape" ? 1e-15 : slack);
    assert.ok(
      Math.abs(value - exact[name]) <= bound + rounding,
      `${name} ${value} +- ${bound}, is ${exact[name]}`,
    );
  }
}

/** Means of the very smallest doubles are rounded by up to half of themselves, whoever works them out. */
const normal = (value: number): number => (Math.abs(value) < 2 ** -1000 ? 0 : value);

const around = (centre: number, spread: number): fc.Arbitrary<number> =>
  fc.double({ min: centre - spread, max: centre + spread, noNaN: true }).map(normal);

const labelsOf = fc.oneof(
  fc.array(around(0, 10), { minLength: 1, maxLength: 80 }),
  fc.array(around(1e9, 1e-3), { minLength: 1, maxLength: 80 }),
  fc.array(fc.oneof(around(0, 1e-300), around(3, 1), around(-1e300, 1e299)), { minLength: 1, maxLength: 80 }),
  fc.array(
    fc.double({ min: -6, max: 6, noNaN: true }).map((x) => Math.exp(x)),
    { minLength: 1, maxLength: 80 },
  ),
);

test("with few buckets each score of the best constant lies within its bound", () => {
  fc.assert(
    fc.property(labelsOf, fc.constantFrom(4, 16, 64), (labels, buckets) => agrees(labels, buckets)),
    { numRuns: 600 },
  );
});

test("labels that are counted apart have no bound", () => {
  const found = told([3, 1, 2, 2.5], 8);
  assert.deepEqual(found, {
    mse: 0.546875,
    rmse: Math.sqrt(0.546875),
    r2: 0,
    me: 0,
    mae: 0.625,
    medae: 0.5,
    wape: 0.625 / 2.125,
    mape: (0.75 / 3 + 1.25 / 1 + 0.25 / 2 + 0.25 / 2.5) / 4,
    max_error: 1,
  });
});

test("of fifty thousand labels the bounds are a hundredth of the score, and what is told is within a thousandth", () => {
  let state = 1;
  const dice = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  const labels = Array.from({ length: 50_000 }, () => 100 * Math.exp(dice() + dice() + dice()));
  const found = told(labels, 2048);
  const exact = byDefinition(labels);
  for (const name of BOUNDED) {
    const off = Math.abs((found[name] ?? Number.NaN) - exact[name]);
    const bound = found[`${name}_bound`] ?? Number.NaN;
    assert.ok(off <= bound, `${name} off by ${off}, bound ${bound}`);
    assert.ok(bound < 0.01 * exact[name], `${name} ${exact[name]} +- ${bound}`);
    assert.ok(off < 1e-3 * exact[name], `${name} off by ${off}`);
  }
});
