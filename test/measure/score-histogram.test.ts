// Counts per score: AUC by its definition, rows that go again, and bounds that hold once buckets are shared.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { areaUnderRoc, type RankedCounts } from "../../src/measure/auc.ts";
import { averagePrecisionOf } from "../../src/measure/average-precision.ts";
import { KeyIndex } from "../../src/measure/key-index.ts";
import { largestOf, medianOf, spreadOf } from "../../src/measure/order-statistics.ts";
import { ScoreHistogram } from "../../src/measure/score-histogram.ts";

interface Row {
  readonly score: number;
  readonly side: 0 | 1;
}

const SHAPE = { sides: 2, mirrored: true };
const MARGINS = { sides: 2, mirrored: false };
const roomy = () => ({ exact: 50_000, buckets: 4096, purse: { left: 100_000 } });
const tight = () => ({ exact: 16, buckets: 16, purse: { left: 0 } });

const side = fc.constantFrom<0 | 1>(0, 1);
const probability = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.constantFrom(0, -0, 1, 0.5, 0.25, 1e-300, 1 - 2 ** -53, 5e-324),
  fc.integer({ min: 0, max: 10 }).map((n) => n / 10),
);
const probabilities = fc.array(fc.record({ score: probability, side }), { maxLength: 80 });
const margin = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer({ min: -3, max: 3 }));
const margins = fc.array(fc.record({ score: margin, side }), { maxLength: 80 });

function ranked(histogram: ScoreHistogram): RankedCounts {
  const { scores, counts, mixed } = histogram.columns();
  const [negatives, positives] = counts;
  assert.ok(negatives && positives);
  return { scores, positives, negatives, mixed };
}

function filled(rows: readonly Row[], limits = roomy(), shape = SHAPE): ScoreHistogram {
  const histogram = new ScoreHistogram(shape, limits);
  for (const row of rows) histogram.add(row.score, row.side, 1);
  return histogram;
}

/** Every positive against every negative. */
function byDefinition(rows: readonly Row[]): number | null {
  let wins = 0;
  let pairs = 0;
  for (const positive of rows) {
    for (const negative of rows) {
      if (positive.side !== 1 || negative.side !== 0) continue;
      pairs++;
      if (positive.score > negative.score) wins++;
      else if (positive.score === negative.score) wins += 0.5;
    }
  }
  return pairs === 0 ? null : wins / pairs;
}

for (const [shape, rows] of [
  [SHAPE, probabilities],
  [MARGINS, margins],
] as const) {
  const what = shape.mirrored ? "probabilities" : "margins";

  test(`AUC of ${what} is the share of pairs in the right order, ties counted half`, () => {
    fc.assert(
      fc.property(rows, (list) => {
        const area = areaUnderRoc(ranked(filled(list, roomy(), shape)));
        const expected = byDefinition(list);
        if (expected === null) assert.equal(area, null);
        else assert.ok(area !== null && area.bound === 0 && Math.abs(area.value - expected) < 1e-12);
      }),
    );
  });

  test(`with few buckets for ${what} the exact AUC lies within the told bound`, () => {
    fc.assert(
      fc.property(rows, (list) => {
        const area = areaUnderRoc(ranked(filled(list, tight(), shape)));
        const expected = byDefinition(list);
        if (expected === null) assert.equal(area, null);
        else assert.ok(area !== null && Math.abs(area.value - expected) <= area.bound + 1e-12);
      }),
    );
  });

  test(`rows of ${what} that go leave the counts of those that stay, also across merges`, () => {
    fc.assert(
      fc.property(rows, rows, (stay, go) => {
        for (const limits of [roomy, tight]) {
          const histogram = filled(go, limits(), shape);
          histogram.merge(filled(stay, limits(), shape), 1);
          histogram.columns();
          for (const row of go) histogram.add(row.score, row.side, -1);
          const { positives, negatives, scores } = ranked(histogram);
          const count = (column: Float64Array): number => column.reduce((sum, each) => sum + each, 0);
          assert.equal(count(positives), stay.filter((row) => row.side === 1).length);
          assert.equal(count(negatives), stay.filter((row) => row.side === 0).length);
          assert.deepEqual(
            [...scores],
            [...scores].sort((a, b) => a - b),
          );
          if (limits === roomy) {
            const fresh = ranked(filled(stay, roomy(), shape));
            assert.deepEqual(
              { positives, negatives, scores },
              {
                positives: fresh.positives,
                negatives: fresh.negatives,
                scores: fresh.scores,
              },
            );
          }
          histogram.merge(filled(stay, limits(), shape), -1);
          assert.equal(histogram.size, 0);
          assert.ok(histogram.isExact);
        }
      }),
    );
  });
}

test("ties cost nothing: few distinct scores stay exact after the histogram was coarse for others", () => {
  const rows: Row[] = [];
  for (let i = 0; i < 3000; i++) rows.push({ score: (i % 11) / 10, side: i % 3 === 0 ? 1 : 0 });
  const histogram = filled(rows, tight());
  assert.ok(histogram.isExact);
  assert.equal(areaUnderRoc(ranked(histogram))?.bound, 0);
});

test("100,000 scores of rare events in 4,096 buckets give the AUC to 1e-4", () => {
  let seed = 42;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const rows: Row[] = [];
  for (let i = 0; i < 100_000; i++) {
    const positive = random() < 0.002;
    const score = 1e-3 * random() * random() + (positive ? 1e-3 * random() * random() : 0);
    rows.push({ score, side: positive ? 1 : 0 });
  }
  const coarse = areaUnderRoc(ranked(filled(rows, { exact: 50_000, buckets: 4096, purse: { left: 1e6 } })));
  const exact = areaUnderRoc(ranked(filled(rows, { exact: 1e6, buckets: 4096, purse: { left: 1e6 } })));
  assert.ok(coarse !== null && exact !== null);
  assert.equal(exact.bound, 0);
  assert.ok(coarse.bound > 0 && coarse.bound < 2e-3);
  assert.ok(Math.abs(coarse.value - exact.value) < 1e-4);
});

test("exact entries come from a common purse and go back to it", () => {
  const purse = { left: 10 };
  const limits = { exact: 100, buckets: 4, purse };
  const rows = Array.from({ length: 12 }, (_, i): Row => ({ score: i / 13, side: 1 }));
  const first = filled(rows, limits);
  assert.ok(first.isExact);
  assert.equal(purse.left, 2);
  const second = filled(rows, limits);
  assert.equal(second.isExact, false);
  assert.equal(purse.left, 2);
  first.release();
  assert.equal(purse.left, 10);
});

test("average precision of a perfect order is 1, of one tie the prevalence", () => {
  const perfect: Row[] = [
    { score: 0.9, side: 1 },
    { score: 0.1, side: 0 },
  ];
  assert.equal(averagePrecisionOf(ranked(filled(perfect)))?.value, 1);
  const tied = perfect.map((row): Row => ({ ...row, score: 0.4 }));
  assert.equal(averagePrecisionOf(ranked(filled(tied)))?.value, 0.5);
  assert.equal(averagePrecisionOf(ranked(filled([]))), null);
});

/** Average precision with each distinct score a step. */
function averagePrecisionByDefinition(rows: readonly Row[]): number {
  const positives = rows.filter((row) => row.side === 1);
  let sum = 0;
  for (const { score } of positives) {
    const above = rows.filter((row) => row.score >= score);
    sum += above.filter((row) => row.side === 1).length / above.length;
  }
  return sum / positives.length;
}

test("with few buckets the exact average precision lies within the told bound", () => {
  fc.assert(
    fc.property(probabilities, (list) => {
      const found = averagePrecisionOf(ranked(filled(list, tight())));
      if (!list.some((row) => row.side === 1)) return assert.equal(found, null);
      const exact = averagePrecisionByDefinition(list);
      assert.ok(found !== null && Math.abs(found.value - exact) <= found.bound + 1e-12);
    }),
  );
});

test("a positive just above a negative in one bucket: the bound reaches up to the perfect order", () => {
  const rows: Row[] = [
    { score: 0.25, side: 0 },
    { score: 0.25 + 2 ** -40, side: 1 },
  ];
  const one = { exact: 1, buckets: 1, purse: { left: 0 } };
  const found = averagePrecisionOf(ranked(filled(rows, one)));
  assert.ok(found !== null && found.bound > 0);
  assert.ok(found.value + found.bound >= 1 && found.value - found.bound <= 0.5);
});

const anyNumber = fc.oneof(margin, fc.double({ min: -10, max: 10, noNaN: true }));

test("with few buckets the exact median and the largest value lie within their bounds, and all values in their ranges", () => {
  fc.assert(
    fc.property(fc.array(anyNumber, { minLength: 1, maxLength: 80 }), fc.array(anyNumber), (list, go) => {
      const histogram = new ScoreHistogram({ sides: 1, mirrored: false }, tight());
      for (const each of [...go, ...list]) histogram.add(each, 0, 1);
      for (const each of go) histogram.add(each, 0, -1);
      const spread = spreadOf(histogram);
      const sorted = list.toSorted((a, b) => a - b);
      const half = sorted.length / 2;
      const [low = 0, high = 0] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]];
      const slack = (size: number): number => 1e-12 * Math.abs(size);
      const median = medianOf(spread);
      const exact = low / 2 + high / 2;
      assert.ok(median !== null && Math.abs(median.value - exact) <= median.bound + slack(exact) + 5e-324);
      const largest = largestOf(spread);
      const most = sorted.at(-1) ?? 0;
      assert.ok(largest !== null && Math.abs(largest.value - most) <= largest.bound + slack(most));
      for (const each of list) {
        assert.ok(
          spread.low.some((from, i) => from <= each && each <= (spread.high[i] ?? 0)),
          `${each}`,
        );
      }
    }),
  );
});

test("an index of keys finds what a map finds, whatever is added and removed", () => {
  const few = fc.oneof(fc.integer({ min: 0, max: 60 }), margin);
  fc.assert(
    fc.property(fc.array(few, { maxLength: 300 }), (list) => {
      const keys = new Float64Array(400).fill(Number.NaN);
      const index = new KeyIndex();
      const known = new Map<number, number>();
      let next = 0;
      for (const each of list) {
        const key = each + 0;
        const slot = known.get(key);
        assert.equal(index.find(keys, key), slot ?? -1);
        if (slot === undefined) {
          keys[next] = key;
          index.insert(keys, next);
          known.set(key, next++);
        } else {
          index.remove(keys, slot);
          keys[slot] = Number.NaN;
          known.delete(key);
        }
        assert.equal(index.size, known.size);
      }
      for (const [key, slot] of known) assert.equal(index.find(keys, key), slot);
    }),
  );
});
