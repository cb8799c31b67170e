// Distances between distributions: worked examples, what they are without any change, and what the sketches may cost.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareSpreads, quantileEdges } from "../../../src/measure/drift/compare.ts";
import {
  jensenShannon,
  kolmogorovSmirnov,
  populationStability,
  populationStabilityNoise,
  wasserstein,
} from "../../../src/measure/drift/distances.ts";
import {
  CategorySpread,
  createSpread,
  type Spread,
  type StreamKind,
} from "../../../src/measure/drift/spread.ts";
import { normal, randomFrom } from "../estimate/support.ts";

function spreadOf(values: readonly number[], buckets: number, kind: StreamKind = "number"): Spread {
  const spread = createSpread(kind, buckets, { left: 1e6 });
  for (const value of values) spread.add(value, 1);
  return spread;
}

/** The statistics over all values as they are, by their definitions. */
function exact(reference: readonly number[], current: readonly number[]): { ks: number; w1: number } {
  const values = [...new Set([...reference, ...current])].toSorted((a, b) => a - b);
  const below = (of: readonly number[], value: number): number =>
    of.filter((each) => each <= value).length / of.length;
  let ks = 0;
  let w1 = 0;
  for (const [i, value] of values.entries()) {
    const gap = Math.abs(below(reference, value) - below(current, value));
    ks = Math.max(ks, gap);
    w1 += gap * ((values[i + 1] ?? value) - value);
  }
  return { ks, w1 };
}

test("the distances of small examples are those worked out by hand", () => {
  const pair = { reference: [50, 50], current: [75, 25] };
  assert.ok(Math.abs(populationStability(pair) - (0.25 * Math.log(1.5) - 0.25 * Math.log(0.5))) < 1e-15);
  assert.equal(populationStabilityNoise(pair), 2 / 100);
  assert.equal(jensenShannon({ reference: [1, 0], current: [0, 1] }), 1);
  assert.equal(jensenShannon({ reference: [3, 7], current: [6, 14] }), 0);
  const empty = populationStability({ reference: [100, 0], current: [0, 100] });
  assert.ok(Math.abs(empty - 2 * (1 - 1e-4) * Math.log(1e4)) < 1e-9, "empty bins count as 1e-4");
  const shifted = { values: [0, 1, 2], reference: [1, 1, 0], current: [0, 1, 1], merged: false };
  assert.equal(kolmogorovSmirnov(shifted).value, 0.5);
  assert.equal(wasserstein(shifted), 1);
});

test("while values are counted apart, KS and Wasserstein are exact", () => {
  const values = fc.array(
    fc.integer({ min: -20, max: 20 }).map((i) => i / 4),
    { minLength: 1, maxLength: 60 },
  );
  fc.assert(
    fc.property(values, values, (reference, current) => {
      const against = { kind: "rows", spread: spreadOf(reference, 256) } as const;
      const found = compareSpreads(against, spreadOf(current, 256));
      const { ks, w1 } = exact(reference, current);
      assert.ok(found?.ks);
      assert.ok(Math.abs(found.ks.value - ks) < 1e-12);
      assert.equal(found.ks.upper, found.ks.value);
      assert.ok(Math.abs((found.wasserstein ?? Number.NaN) - w1) < 1e-9);
    }),
  );
});

test("with values counted together, the exact KS lies between the value and its upper bound", () => {
  const random = randomFrom(4);
  for (let run = 0; run < 20; run++) {
    const shift = run / 20;
    const reference = Array.from({ length: 1500 }, () => normal(random));
    const current = Array.from({ length: 1000 }, () => shift + normal(random));
    const against = { kind: "rows", spread: spreadOf(reference, 256) } as const;
    const found = compareSpreads(against, spreadOf(current, 256));
    const { ks, w1 } = exact(reference, current);
    assert.ok(found?.ks);
    assert.ok(found.ks.value <= ks + 1e-12 && ks <= found.ks.upper + 1e-12, `${ks} ${found.ks.upper}`);
    assert.ok(found.ks.upper - found.ks.value < 0.05);
    assert.ok(Math.abs((found.wasserstein ?? 0) - w1) < 0.02 + 0.02 * w1, `${found.wasserstein} ${w1}`);
  }
});

test("without any change the index is its noise level on average, far above the usual limits in small windows", () => {
  const random = randomFrom(9);
  for (const rows of [100, 1000]) {
    let mean = 0;
    let noise = 0;
    for (let run = 0; run < 300; run++) {
      const draw = (): Spread =>
        spreadOf(
          Array.from({ length: rows }, () => random()),
          2048,
          "probability",
        );
      const found = compareSpreads({ kind: "rows", spread: draw() }, draw());
      assert.ok(found);
      mean += found.psi / 300;
      noise = found.psiNoise;
    }
    assert.ok(Math.abs(noise - (9 * 2) / rows) < 1e-12);
    assert.ok(Math.abs(mean - noise) < 0.2 * noise, `${mean} against ${noise}`);
  }
});

test("bins hold a tenth of the reference each; ties make fewer bins", () => {
  const uniform = {
    values: Array.from({ length: 100 }, (_, i) => i),
    counts: Array.from({ length: 100 }, () => 1),
  };
  assert.deepEqual(quantileEdges(uniform), [9, 19, 29, 39, 49, 59, 69, 79, 89]);
  assert.deepEqual(quantileEdges({ values: [0, 1, 2], counts: [80, 15, 5] }), [0, 1]);
  assert.deepEqual(quantileEdges({ values: [7], counts: [10] }), []);
});

test("categories are compared by their shares, new ones included; kinds that differ are not compared", () => {
  const reference = new CategorySpread();
  for (const name of ["a", "a", "b", "b"]) reference.add(name, 1);
  const current = new CategorySpread();
  for (const name of ["a", "c"]) current.add(name, 1);
  const found = compareSpreads({ kind: "rows", spread: reference }, current);
  assert.equal(found?.ks, null);
  assert.ok(Math.abs(found.psi - 2 * (0.5 - 1e-4) * Math.log(5000)) < 1e-9);
  const baseline = { kind: "categories", counts: { a: 500, b: 500 } } as const;
  assert.ok((compareSpreads(baseline, current)?.jensenShannon ?? 0) > 0.5);
  assert.equal(compareSpreads(baseline, spreadOf([1], 64)), null);
});

test("a baseline given as bins serves as well as the rows it was made of, to the width of its bins", () => {
  const random = randomFrom(6);
  const edges = Array.from({ length: 21 }, (_, i) => i / 20);
  const counts = Array.from({ length: 20 }, () => 500);
  const current = Array.from({ length: 4000 }, () => random() ** 2);
  const found = compareSpreads({ kind: "bins", edges, counts }, spreadOf(current, 2048));
  assert.ok(found?.ks);
  assert.ok(Math.abs(found.ks.value - 0.25) < 0.03);
  assert.ok(Math.abs((found.wasserstein ?? 0) - 1 / 6) < 0.01);
  assert.equal(found.psiNoise, 19 * (1 / 10_000 + 1 / 4000));
});
