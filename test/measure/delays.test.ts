// Label delays: Kaplan-Meier over labelled and open rows against what is known of the simulated delays, and against its own recount.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DelayBook, delayBucket } from "../../src/measure/delays.ts";
import { random } from "../support/random.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = 1_767_571_200_000;

/** `rows` predictions of the last `spanMs`, labelled when their delay has passed; null: never. */
function book(setup: {
  rows: number;
  spanMs: number;
  delay: () => number | null;
  horizonMs?: number;
}): DelayBook {
  const delays = new DelayBook(setup.horizonMs ?? 7 * DAY);
  for (let i = 0; i < setup.rows; i++) {
    const ts = NOW - Math.floor((setup.spanMs * i) / setup.rows);
    delays.predicted(ts, 1);
    const delayMs = setup.delay();
    if (delayMs !== null && ts + delayMs <= NOW) delays.labelled(ts, ts + delayMs, 1);
  }
  return delays;
}

function close(actual: number | null | undefined, expected: number, by: number): void {
  assert.ok(
    actual !== null && actual !== undefined && Math.abs(actual - expected) <= by,
    `${actual} is not ${expected} +- ${by}`,
  );
}

test("the median delay is right although most of the slow labels of the last day are missing", () => {
  const uniform = random(1);
  const meanMs = 10.6 * HOUR * Math.LOG2E;
  const delays = book({ rows: 50_000, spanMs: 5 * DAY, delay: () => -meanMs * Math.log(1 - uniform()) });
  const { percentiles, expectedCoverage, gap, lagMs } = delays.figures(NOW);
  assert.equal(gap, null);
  close(percentiles.get(50), 10.6 * HOUR, 0.3 * HOUR);
  close(percentiles.get(95), meanMs * Math.log(20), 3 * HOUR);
  close(expectedCoverage, 1, 0.01);
  assert.ok((lagMs ?? 0) >= meanMs * Math.log(18) && (lagMs ?? 0) <= meanMs * Math.log(20) * 1.25);
});

test("the share that will ever be labelled is told from those old enough, not from all", () => {
  const uniform = random(2);
  const delays = book({
    rows: 40_000,
    spanMs: 10 * DAY,
    delay: () => (uniform() < 0.4 ? (1 + uniform()) * DAY : null),
  });
  const { labels, open, expectedCoverage, percentiles } = delays.figures(NOW);
  assert.equal(labels + open, 40_000);
  assert.ok(labels / 40_000 < 0.36);
  close(expectedCoverage, 0.4, 0.01);
  close(percentiles.get(50), 1.5 * DAY, 0.05 * DAY);
});

test("labels after the horizon do not count as coming", () => {
  const setup = { rows: 10_000, spanMs: 30 * DAY, delay: () => 8 * DAY };
  assert.equal(book(setup).figures(NOW).gap, "too_early");
  assert.equal(book({ ...setup, horizonMs: 8 * DAY - 1 }).figures(NOW).gap, "too_early");
  for (const horizonMs of [8 * DAY, 9 * DAY]) {
    close(book({ ...setup, horizonMs }).figures(NOW).expectedCoverage, 1, 0.01);
  }
});

test("nothing is said with few labels, nor while labels may still be coming", () => {
  const few = book({ rows: 19, spanMs: DAY, delay: () => 1000 });
  assert.equal(few.figures(NOW).gap, "too_few_labels");
  const uniform = random(3);
  const young = book({ rows: 10_000, spanMs: 2 * HOUR, delay: () => uniform() * 2 * DAY });
  assert.equal(young.figures(NOW).gap, "too_early");
  assert.equal(young.figures(NOW).lagMs, null);
  const fast = book({ rows: 100, spanMs: HOUR, delay: () => 2000 });
  assert.deepEqual([fast.figures(NOW).gap, fast.figures(NOW).expectedCoverage], [null, 1]);
});

test("a delay falls into the first bucket whose bound is not below it", () => {
  for (const ms of [-5, 0, 1, 999, 1000]) assert.equal(delayBucket(ms), 0);
  assert.equal(delayBucket(1001), 1);
  assert.equal(delayBucket(2000), 8);
  assert.equal(delayBucket(2001), 9);
  assert.equal(delayBucket(400 * DAY), delayBucket(120 * DAY));
  assert.equal(delayBucket(Number.POSITIVE_INFINITY), delayBucket(120 * DAY));
});

test("rows and labels in any order, some taken back, give the figures of those that stay", () => {
  const row = fc.record({
    ageMs: fc.integer({ min: -HOUR, max: 40 * DAY }),
    delayMs: fc.option(fc.integer({ min: -1000, max: 10 * DAY })),
    stays: fc.boolean(),
    retracted: fc.boolean(),
    askedMs: fc.integer({ min: 0, max: DAY }),
  });
  fc.assert(
    fc.property(fc.array(row, { minLength: 30, maxLength: 200 }), (rows) => {
      const lived = new DelayBook(7 * DAY);
      const plain = new DelayBook(7 * DAY);
      let at = NOW - 40 * DAY;
      for (const { ageMs, delayMs, askedMs } of rows) {
        const ts = NOW - ageMs;
        lived.predicted(ts, 1);
        if (delayMs !== null) lived.labelled(ts, ts + delayMs, 1);
        at = Math.min(NOW, at + askedMs);
        lived.figures(at);
      }
      for (const { ageMs, delayMs, stays, retracted } of rows.toReversed()) {
        const ts = NOW - ageMs;
        const labelled = delayMs !== null && !retracted && stays;
        if (delayMs !== null && !labelled) lived.labelled(ts, ts + delayMs, -1);
        if (!stays) lived.predicted(ts, -1);
        else plain.predicted(ts, 1);
        if (labelled) plain.labelled(ts, ts + delayMs, 1);
      }
      const { lagMs: _, ...figures } = lived.figures(NOW);
      const { lagMs: __, ...expected } = plain.figures(NOW);
      assert.deepEqual(figures, expected);
    }),
    { numRuns: 200 },
  );
});

test("however many rows there are and however old or future, the bins stay few", () => {
  const delays = new DelayBook(7 * DAY);
  const uniform = random(4);
  for (let i = 0; i < 300_000; i++) delays.predicted(Math.floor(NOW - (uniform() - 0.1) * 1000 * DAY), 1);
  assert.ok(delays.bins < 5000, `${delays.bins} bins`);
  delays.figures(NOW);
  assert.equal(delays.figures(NOW).open, 300_000);
});
