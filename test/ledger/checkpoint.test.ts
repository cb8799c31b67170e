import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import { handClock } from "../support/hand-clock.ts";
import type { Unused } from "../../src/ledger/checkpoint-tally.ts";
import type { BenchOptions } from "./support.ts";
import { DAY_MS, NOW, exchange, label, openBench, tempFolder } from "./support.ts";
import type { Bench } from "./support.ts";

const SMALL: BenchOptions = { segmentRows: 8, residentSegments: 1, checkpointChanges: 1, checkpoints: "one" };

function settle({ ledger, clock }: Bench): void {
  for (let steps = 0; steps < 1000; steps++) if (!ledger.sweep(clock.wallMs()).more) return;
  throw new Error("the sweep does not end");
}

function edit(path: string, statement: string): void {
  const db = new DatabaseSync(join(path, "ledger.db"));
  db.exec(statement);
  db.close();
}

const singles = (from: number, to: number): ReturnType<typeof exchange>[] =>
  Array.from({ length: to - from }, (_, i) => exchange(`e${from + i}`, { aliases: [`alias-${from + i}`] }));

/** A store of 60 labelled rows, most of them sealed, that was stopped cleanly. */
async function stopped(path: string): Promise<Record<string, unknown>> {
  const bench = openBench(path, SMALL);
  await bench.record(...singles(0, 60));
  await bench.label(...Array.from({ length: 60 }, (_, i) => label(`e${i}`, i)));
  settle(bench);
  const truths = bench.listener.truths();
  await bench.ledger.close();
  return truths;
}

test("after a clean stop a start tells nothing again, and names of old and young rows are found", async (t) => {
  const path = tempFolder(t);
  const truths = await stopped(path);
  const bench = openBench(path, SMALL);
  assert.deepEqual([bench.unchecked, bench.told], [null, 0]);
  assert.deepEqual(bench.listener.truths(), truths);
  assert.equal(bench.ledger.stats().labelled, 60);
  for (const at of [0, 30, 59]) {
    assert.deepEqual(await bench.say(label(`alias-${at}`, at + 100, { ts: NOW + 1 })), ["corrected"]);
    assert.equal((await bench.record(exchange(`e${at}`, { aliases: [`alias-${at}`] }))).duplicates, 1);
  }
  assert.equal(bench.listener.truths()["m/1/e30"], 130);
  await bench.ledger.close();
});

test("labels of sealed rows that came after the checkpoint are told, each once and with what it said before", async (t) => {
  const path = tempFolder(t);
  await stopped(path);
  let bench = openBench(path, { ...SMALL, checkpointChanges: 1000 });
  await bench.label(label("e3", 7, { ts: NOW + 1 }), label("e3", 8, { ts: NOW + 2 }));
  await bench.label(label("e4", null, { ts: NOW + 1 }), label("e5", 1, { ts: NOW - 1 }));
  await bench.record(exchange("new"));
  const truths = bench.listener.truths();
  await bench.ledger.close();
  // The listener checks what was said before.
  bench = openBench(path, { ...SMALL, checkpointChanges: 1000 });
  assert.deepEqual([bench.unchecked, bench.told], [null, 3]);
  assert.deepEqual(bench.listener.truths(), truths);
  await bench.ledger.close();
});

/** A checkpoint; then labels, and then the labelled rows are forgotten. Gives the truths that are left. */
async function forgetLate(path: string, late: BenchOptions): Promise<Record<string, unknown>> {
  let bench = openBench(path, { ...SMALL, retentionMs: 2 * DAY_MS });
  await bench.record(...singles(0, 20).map((one) => ({ ...one, ts: NOW - DAY_MS })), exchange("young"));
  await bench.label(label("e1", 1), label("e2", 2));
  settle(bench);
  await bench.ledger.close();
  bench = openBench(path, late);
  bench.ledger.sweep(NOW);
  await bench.label(label("e2", 5, { ts: NOW + 1 }), label("e3", 6), label("e1", null, { ts: NOW + 1 }));
  for (let hours = 0; hours < 47; hours++) {
    bench.clock.advance(3_600_000);
    bench.ledger.sweep(bench.clock.wallMs());
  }
  settle(bench);
  const truths = bench.listener.truths();
  assert.ok(!("m/1/e1" in truths), "they are forgotten");
  await bench.ledger.close();
  return truths;
}

test("rows forgotten after the checkpoint are told as it knew them, whatever was labelled in between", async (t) => {
  const path = tempFolder(t);
  const late: BenchOptions = { ...SMALL, checkpointChanges: 1e6, retentionMs: 2 * DAY_MS };
  const truths = await forgetLate(path, late);
  const bench = openBench(path, late, handClock(NOW + 2 * DAY_MS));
  assert.equal(bench.unchecked, null);
  assert.ok(bench.told > 0);
  assert.deepEqual(bench.listener.truths(), truths);
  assert.equal(bench.ledger.stats().rows, Object.keys(truths).length);
  await bench.ledger.close();
});

test("when the notes of rows forgotten since are damaged, all rows are read", async (t) => {
  const path = tempFolder(t);
  const late: BenchOptions = { ...SMALL, checkpointChanges: 1e6, retentionMs: 2 * DAY_MS };
  const truths = await forgetLate(path, late);
  edit(path, "UPDATE forgotten SET rows = zeroblob(length(rows))");
  let bench = openBench(path, late, handClock(NOW + 2 * DAY_MS));
  assert.match(bench.unchecked ?? "used", /none/);
  assert.deepEqual(bench.listener.truths(), truths);
  await bench.ledger.close();
  bench = openBench(path, late, handClock(NOW + 2 * DAY_MS));
  assert.deepEqual(bench.listener.truths(), truths);
  await bench.ledger.close();
});

const REASONS: readonly [string, string, RegExp, Unused][] = [
  ["a byte of it is another", "UPDATE piece SET bytes = zeroblob(length(bytes))", /damaged/, "damaged"],
  [
    "a byte of a part is another",
    "UPDATE piece SET bytes = zeroblob(length(bytes)) WHERE key = (SELECT max(key) FROM piece)",
    /damaged/,
    "unreadable",
  ],
  ["a piece of it is missing", "DELETE FROM piece", /damaged/, "damaged"],
  ["it is missing", "DELETE FROM checkpoint", /none/, "none"],
  ["it is younger than the store", "UPDATE checkpoint SET commits = commits + 1000", /younger/, "younger"],
];
for (const [what, statement, why, reason] of REASONS) {
  test(`all rows are read when the checkpoint cannot be used: ${what}`, async (t) => {
    const path = tempFolder(t);
    const truths = await stopped(path);
    edit(path, statement);
    let bench = openBench(path, SMALL);
    assert.match(bench.unchecked ?? "used", why);
    assert.deepEqual(bench.ledger.stats().checkpoints, [{ result: "not_used", reason, count: 1 }]);
    assert.equal(bench.told, 120);
    assert.deepEqual(bench.listener.truths(), truths);
    settle(bench);
    await bench.ledger.close();
    bench = openBench(path, SMALL);
    assert.deepEqual([bench.unchecked, bench.told], [null, 0], "the next one is whole");
    assert.deepEqual(bench.ledger.stats().checkpoints, [{ result: "used", reason: "", count: 1 }]);
    assert.deepEqual(bench.listener.truths(), truths);
    await bench.ledger.close();
  });
}

test("a checkpoint that was written by other rules is not read, and still holds for those who wrote it", async (t) => {
  const path = tempFolder(t);
  const truths = await stopped(path);
  let bench = openBench(path, { ...SMALL, checkpoints: "another", checkpointChanges: 1e9 });
  assert.match(bench.unchecked ?? "used", /other rules/);
  assert.deepEqual(bench.listener.truths(), truths);
  await bench.label(label("e9", 77, { ts: NOW + 1 }));
  await bench.ledger.close();
  bench = openBench(path, SMALL);
  assert.deepEqual([bench.unchecked, bench.told], [null, 1]);
  assert.deepEqual(bench.listener.truths(), { ...truths, "m/1/e9": 77 });
  await bench.ledger.close();
});

test("segments whose filter or names are damaged are read again, and nothing else is", async (t) => {
  const path = tempFolder(t);
  const truths = await stopped(path);
  edit(
    path,
    "UPDATE filter SET bits = zeroblob(length(bits)) WHERE segment = 2; DELETE FROM live WHERE segment = 3; UPDATE name SET pairs = zeroblob(length(pairs))",
  );
  const bench = openBench(path, SMALL);
  assert.deepEqual([bench.unchecked, bench.told], [null, 0]);
  assert.deepEqual(bench.listener.truths(), truths);
  for (let at = 0; at < 60; at++)
    assert.deepEqual(await bench.say(label(`e${at}`, at + 1, { ts: NOW + 1 })), ["corrected"], `e${at}`);
  await bench.ledger.close();
});

test("names of young rows are on disk once, also when a start could not use what was there", async (t) => {
  const path = tempFolder(t);
  const options = { ...SMALL, segmentRows: 64 };
  let bench = openBench(path, options);
  for (const from of [0, 10, 20]) {
    await bench.record(...singles(from, from + 10));
    settle(bench);
  }
  await bench.ledger.close();
  edit(path, "DELETE FROM checkpoint");
  bench = openBench(path, options);
  await bench.record(...singles(30, 33));
  settle(bench);
  await bench.ledger.close();
  const db = new DatabaseSync(join(path, "ledger.db"));
  const runs = db.prepare("SELECT key, until FROM name ORDER BY key").all();
  db.close();
  const ends = runs.map(({ until }) => until);
  assert.deepEqual([runs.map(({ key }) => key), ends.at(-1)], [[0, ...ends.slice(0, -1)], 34]);
});

test("a file of the schema before checkpoints is taken forward, read whole, and has one from then on", async (t) => {
  const path = tempFolder(t);
  const truths = await stopped(path);
  for (const table of ["filter", "live", "name", "checkpoint", "piece", "forgotten"])
    edit(path, `DROP TABLE ${table}`);
  edit(path, "PRAGMA user_version = 3");
  let bench = openBench(path, SMALL);
  assert.match(bench.unchecked ?? "used", /none/);
  assert.deepEqual(bench.listener.truths(), truths);
  settle(bench);
  await bench.ledger.close();
  bench = openBench(path, SMALL);
  assert.deepEqual([bench.unchecked, bench.told], [null, 0]);
  assert.deepEqual(await bench.say(label("alias-7", 1000, { ts: NOW + 1 })), ["corrected"]);
  await bench.ledger.close();
});

test("what is written while a checkpoint is, is not in it and not lost", async (t) => {
  const path = tempFolder(t);
  let bench = openBench(path, SMALL);
  await bench.record(...singles(0, 30));
  bench.ledger.sweep(NOW);
  await bench.label(label("e1", 1), label("e29", 2));
  await bench.record(exchange("between"));
  settle(bench);
  const truths = bench.listener.truths();
  await bench.ledger.close();
  bench = openBench(path, SMALL);
  assert.equal(bench.unchecked, null);
  assert.deepEqual(bench.listener.truths(), truths);
  await bench.ledger.close();
});

test("a clean stop keeps what was taken before the listener missed something, and nothing of what it says since", async (t) => {
  const path = tempFolder(t);
  let bench = openBench(path, { ...SMALL, checkpointBytes: 64 });
  await bench.record(...singles(0, 30));
  await bench.label(...Array.from({ length: 30 }, (_, i) => label(`e${i}`, i)));
  const truths = bench.listener.truths();
  // Begins to write one.
  for (let steps = 0; steps < 3; steps++) assert.equal(bench.ledger.sweep(NOW).more, true);
  const { listener } = bench;
  listener.settled = false;
  listener.archive = (): never => assert.fail("asked for what it does not know");
  await bench.ledger.close();
  bench = openBench(path, SMALL);
  assert.deepEqual([bench.unchecked, bench.listener.truths()], [null, truths]);
  await bench.ledger.close();
});

test("when no checkpoint can be taken any more the one before goes, and a start reads all rows", async (t) => {
  const path = tempFolder(t);
  await stopped(path);
  let bench = openBench(path, SMALL);
  bench.listener.archive = (): never => {
    throw new Error("too much");
  };
  await bench.label(label("e3", 7, { ts: NOW + 1 }));
  settle(bench);
  const truths = bench.listener.truths();
  await bench.ledger.close();
  bench = openBench(path, SMALL);
  assert.match(bench.unchecked ?? "used", /none/);
  assert.deepEqual(bench.listener.truths(), truths);
  await bench.ledger.close();
});
