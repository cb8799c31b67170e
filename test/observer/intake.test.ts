// A batch of exchanges is worked off in pieces, with pauses in which the traffic process has the machine.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Exchange } from "../../src/facts/exchange.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createIntake, type Intake, type ReadExchange } from "../../src/observer/intake.ts";
import { exchangeOf } from "../support/exchange.ts";
import { handClock, type HandClock } from "../support/hand-clock.ts";

const NOTHING: ReadExchange = {
  kind: "none",
  model: "",
  version: "",
  route: "",
  aliases: [],
  predictions: [],
  failure: null,
  generation: null,
};

interface Bench {
  readonly intake: Intake;
  readonly clock: HandClock;
  /** Targets, in the order in which they were read. */
  readonly read: string[];
  readonly recorded: string[][];
  readonly acknowledged: number[];
}

/** Targets that begin with "/p" are predictions, others are none. To read one takes `readMs`. */
function open(readMs = 0.125): Bench {
  const clock = handClock();
  let workedMs = 0;
  const read: string[] = [];
  const recorded: string[][] = [];
  const acknowledged: number[] = [];
  const intake = createIntake({
    clock: { ...clock, monotonicMs: () => clock.monotonicMs() + workedMs },
    log: silentLog,
    read: ({ target }) => {
      workedMs += readMs;
      read.push(target);
      return target.startsWith("/p") ? { ...NOTHING, kind: "predictions", route: target } : NOTHING;
    },
    learn: () => {},
    count: () => {},
    countUnreadable: () => {},
    record: (records) => {
      recorded.push(records.map(({ route }) => route));
      return Promise.resolve({ kind: "kept", conflicts: 0 });
    },
    acknowledge: (batch) => void acknowledged.push(batch),
    inputs: { expect: () => {}, settle: () => {} },
  });
  return { intake, clock, read, recorded, acknowledged };
}

function batchOf(size: number, prefix: string): Exchange[] {
  return Array.from({ length: size }, (_, i) => exchangeOf({ target: `${prefix}${i}` }));
}

test("a few exchanges are read and acknowledged at once", () => {
  const { intake, read, acknowledged } = open();
  intake.facts(1, batchOf(8, "/x"));
  assert.equal(read.length, 8);
  intake.facts(2, []);
  assert.deepEqual(acknowledged, [1, 2]);
});

test("a batch that takes less than 2 ms is read in one piece", () => {
  const { intake, read, recorded } = open(0.02);
  intake.facts(1, batchOf(80, "/p"));
  assert.equal(read.length, 80);
  assert.equal(recorded.length, 1);
});

test("one of 20 ms at 4,000 requests a second that takes longer is through before the next one, in pieces of 2 ms or a quarter, in order", async () => {
  const { intake, clock, read, recorded, acknowledged } = open();
  const batch = batchOf(80, "/p");
  intake.facts(1, batch);
  const pieces = [read.length];
  for (let ms = 0; ms < 15; ms++) {
    const before = read.length;
    clock.advance(1);
    pieces.push(read.length - before);
  }
  assert.ok(Math.max(...pieces) <= 24, pieces.join());
  const targets = batch.map(({ target }) => target);
  assert.deepEqual(read, targets);
  assert.deepEqual(recorded, [targets], "recorded as one batch, under one number");
  await intake.idle();
  assert.deepEqual(acknowledged, [1]);
});

test("batches are ended in the order in which they came, each once", async () => {
  const { intake, clock, read, recorded, acknowledged } = open();
  intake.facts(1, batchOf(30, "/x"));
  intake.facts(2, batchOf(30, "/p"));
  intake.facts(3, []);
  intake.facts(4, batchOf(1, "/x"));
  assert.deepEqual(acknowledged, []);
  clock.advance(100);
  await intake.idle();
  assert.equal(read.length, 61);
  assert.deepEqual(
    recorded.map((routes) => routes.length),
    [30],
  );
  assert.deepEqual(
    acknowledged.toSorted((a, b) => a - b),
    [1, 2, 3, 4],
  );
});

test("whoever asks finds everything that was handed in before, and nothing is read twice", async () => {
  const { intake, clock, read, acknowledged } = open();
  intake.facts(1, batchOf(200, "/x"));
  assert.ok(read.length < 200);
  intake.catchUp();
  assert.equal(read.length, 200);
  assert.deepEqual(acknowledged, [1]);
  clock.advance(100);
  intake.facts(2, batchOf(100, "/x"));
  await intake.idle();
  clock.advance(100);
  assert.equal(read.length, 300);
  assert.deepEqual(acknowledged, [1, 2]);
});

test("more than four batches are not put off: they are worked off where they arrive", () => {
  const { intake, read, acknowledged } = open();
  for (let batch = 1; batch <= 4; batch++) intake.facts(batch, batchOf(256, "/x"));
  assert.ok(read.length < 256);
  intake.facts(5, batchOf(256, "/x"));
  assert.equal(read.length, 5 * 256);
  assert.deepEqual(acknowledged, [1, 2, 3, 4, 5]);
});
