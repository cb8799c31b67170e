// AUC beyond 50,000 rows on the shapes of scores that models really give: close to exact, and never outside the told bound.

import assert from "node:assert/strict";
import { test } from "node:test";
import { areaUnderRoc, type Auc } from "../../src/measure/auc.ts";
import { ScoreHistogram } from "../../src/measure/score-histogram.ts";
import { createRandom, type Random } from "../support/random.ts";

const ROWS = 100_000;

interface Row {
  readonly score: number;
  readonly positive: boolean;
}

interface Shape {
  readonly mirrored: boolean;
  draw(random: Random): Row;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Beta(2, 2): the middle one of three uniform numbers. */
function middleOfThree(random: Random): number {
  const [, middle = 0.5] = [random.next(), random.next(), random.next()].sort((a, b) => a - b);
  return middle;
}

const SHAPES: Readonly<Record<string, Shape>> = {
  "calibrated, beta(2, 2)": {
    mirrored: true,
    draw: (random) => {
      const score = middleOfThree(random);
      return { score, positive: random.next() < score };
    },
  },
  "fraud: 0.2 % positive, scores below 1e-3": {
    mirrored: true,
    draw: (random) => {
      const positive = random.next() < 0.002;
      const score = 1e-3 * random.next() ** 2 + (positive ? 4e-4 * random.next() : 0);
      return { score, positive };
    },
  },
  "saturated near 1": {
    mirrored: true,
    draw: (random) => {
      const positive = random.next() < 0.6;
      return { score: 1 - sigmoid(-14 + 2 * random.gauss() - (positive ? 2 : 0)), positive };
    },
  },
  "naive Bayes: 1e-300 to 1": {
    mirrored: true,
    draw: (random) => {
      const positive = random.next() < 0.1;
      const power = positive ? -40 * random.next() ** 2 : -300 * random.next();
      return { score: 10 ** power, positive };
    },
  },
  "narrow: 0.5 +- 2e-4": {
    mirrored: true,
    draw: (random) => {
      const positive = random.next() < 0.5;
      return { score: 0.5 + 5e-5 * random.gauss() + (positive ? 2e-5 : -2e-5), positive };
    },
  },
  "eleven levels": {
    mirrored: true,
    draw: (random) => {
      const level = Math.floor(11 * random.next()) / 10;
      return { score: level, positive: random.next() < 0.1 + 0.7 * level };
    },
  },
  "margins around -3 and 3": {
    mirrored: false,
    draw: (random) => {
      const positive = random.next() < 0.3;
      return { score: (positive ? 3 : -3) + 5 * random.gauss(), positive };
    },
  },
};

/** Mann-Whitney on sorted rows, ties counted half. */
function exactly(rows: readonly Row[]): number {
  const sorted = rows.toSorted((a, b) => a.score - b.score);
  let [wins, negatives, positives, at] = [0, 0, 0, 0];
  while (at < sorted.length) {
    const { score = 0 } = sorted[at] ?? {};
    let [pos, neg] = [0, 0];
    for (; sorted[at]?.score === score; at++) {
      if (sorted[at]?.positive === true) pos++;
      else neg++;
    }
    wins += pos * (negatives + neg / 2);
    negatives += neg;
    positives += pos;
  }
  return wins / (positives * negatives);
}

function sketched(rows: readonly Row[], mirrored: boolean): { area: Auc; bits: number; size: number } {
  const limits = { exact: 50_000, buckets: 4096, purse: { left: 1_000_000 } };
  const histogram = new ScoreHistogram({ sides: 2, mirrored }, limits);
  for (const { score, positive } of rows) histogram.add(score, positive ? 1 : 0, 1);
  const { scores, counts, mixed } = histogram.columns();
  const [negatives, positives] = counts;
  assert.ok(negatives && positives);
  const area = areaUnderRoc({ scores, positives, negatives, mixed });
  assert.ok(area);
  return { area, bits: histogram.bits, size: histogram.size };
}

for (const [name, { mirrored, draw }] of Object.entries(SHAPES)) {
  test(`${name}: 100,000 rows come within 1e-4 of the exact AUC and inside the bound, 50,000 are exact`, () => {
    const random = createRandom(20_260_101);
    const rows = Array.from({ length: ROWS }, () => draw(random));
    const exact = exactly(rows);
    const { area, size } = sketched(rows, mirrored);
    assert.ok(size <= 4096, `${size} buckets`);
    const off = Math.abs(area.value - exact);
    assert.ok(off <= 1e-4, `off by ${off}`);
    assert.ok(off <= area.bound + 1e-12, `off by ${off}, bound ${area.bound}`);
    assert.ok(area.bound < 5e-3, `bound ${area.bound}`);
    const half = rows.slice(0, ROWS / 2);
    const small = sketched(half, mirrored).area;
    assert.equal(small.bound, 0);
    assert.ok(Math.abs(small.value - exactly(half)) < 1e-12);
  });
}
