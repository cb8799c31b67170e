import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import type { LedgerOptions } from "../../src/ledger/ledger.ts";
import { handClock } from "../support/hand-clock.ts";
import type { Bench } from "./support.ts";
import { DAY_MS, NOW, exchange, label, openBench, tempFolder } from "./support.ts";

const SMALL: Partial<LedgerOptions> = { segmentRows: 8, residentSegments: 1 };

/** Sweeps until nothing is left to do. */
function settle({ ledger }: Bench, now = NOW): void {
  for (let steps = 0; steps < 1000; steps++) if (!ledger.sweep(now).more) return;
  throw new Error("the sweep does not end");
}

function count(path: string, table: string): number {
  const db = new DatabaseSync(join(path, "ledger.db"), { readOnly: true });
  const row = db.prepare(`SELECT count(*) AS n FROM ${table}`).get();
  db.close();
  return Number(row?.["n"]);
}

const singles = (from: number, to: number): ReturnType<typeof exchange>[] =>
  Array.from({ length: to - from }, (_, i) => exchange(`e${from + i}`, { aliases: [`alias-${from + i}`] }));

test("labels find sealed rows by id, by row and by alias, also across a border of segments and a restart", async (t) => {
  const path = tempFolder(t);
  let bench = openBench(path, SMALL);
  await bench.record(...singles(0, 6), exchange("border", { values: [1, 2, 3, 4] }), ...singles(6, 40));
  await bench.say(label("e1", 5, { ts: NOW - 2 }));
  settle(bench);
  const check = async (offset: number): Promise<void> => {
    assert.deepEqual(await bench.say(label("e0", offset, { ts: NOW + offset })), [
      offset === 0 ? "joined" : "corrected",
    ]);
    const border = offset === 0 ? "joined" : "corrected";
    assert.deepEqual(await bench.say(label("border:3", offset, { ts: NOW + offset })), [border]);
    assert.deepEqual(await bench.say(label("border:0", offset, { ts: NOW + offset })), [border]);
    assert.deepEqual(await bench.say(label("alias-2", offset, { ts: NOW + offset })), [border]);
    assert.deepEqual(await bench.say(label("e1", 9, { ts: NOW - 3 })), ["stale"]);
    assert.equal(bench.listener.truths()["m/1/border:3"], offset);
    assert.equal(bench.listener.truths()["m/1/e2"], offset);
  };
  await check(0);
  await bench.ledger.close();
  assert.ok(count(path, "sealed") >= 3);
  bench = openBench(path, SMALL);
  await check(1);
  assert.equal(bench.ledger.labelsOf("e0").length, 2);
  assert.equal(bench.ledger.find("alias-3")[0]?.id, "e3");
  const before = bench.listener.truths();
  await bench.ledger.close();
  bench = openBench(path, SMALL);
  assert.deepEqual(bench.listener.truths(), before);
  await bench.ledger.close();
});

test("a prediction that a sealed segment knows is a duplicate or a conflict, before and after a restart", async (t) => {
  const path = tempFolder(t);
  let bench = openBench(path, SMALL);
  await bench.record(...singles(0, 40));
  settle(bench);
  for (let round = 0; round < 2; round++) {
    const { accepted, duplicates, conflicts } = await bench.record(
      exchange("e3", { aliases: ["alias-3"] }),
      exchange("e4", { values: [7] }),
      exchange(`new-${round}`),
    );
    assert.deepEqual([accepted, duplicates, conflicts], [1, 1, 1]);
    await bench.ledger.close();
    bench = openBench(path, SMALL);
  }
  await bench.ledger.close();
});

test("a sealed segment that is too old is forgotten, and nothing of it stays on disk", async (t) => {
  const path = tempFolder(t);
  const bench = openBench(path, { ...SMALL, retentionMs: 2 * DAY_MS });
  const old = singles(0, 32).map((one) => exchange(one.id, { aliases: one.aliases, ts: NOW - 3 * DAY_MS }));
  await bench.record(...old, ...singles(32, 48));
  await bench.say(...old.map((one) => label(one.id, 1)));
  settle(bench);
  assert.equal(bench.ledger.stats().rows, 16);
  assert.deepEqual(bench.ledger.find("e3"), []);
  assert.deepEqual(bench.ledger.find("alias-3"), []);
  assert.deepEqual(await bench.say(label("e3", 1)), ["waiting"]);
  assert.equal((await bench.record(exchange("e4"))).accepted, 1);
  await bench.ledger.close();
  assert.deepEqual([count(path, "head"), count(path, "label")], [0, 0]);
  assert.ok(count(path, "bucket") <= 2);
  const again = openBench(path, SMALL);
  assert.equal(again.ledger.stats().rows, 17);
  await again.ledger.close();
});

test("sealing that a restart cuts short begins anew and loses no label that came in between", async (t) => {
  const path = tempFolder(t);
  const clock = handClock(NOW);
  // Time passes whenever it is asked for: every step ends by its limit.
  const ticking = {
    ...clock,
    wallMs: () => clock.wallMs(),
    monotonicMs: () => {
      clock.advance(2);
      return clock.monotonicMs();
    },
  };
  let bench = openBench(path, SMALL, ticking);
  await bench.record(...singles(0, 40));
  await bench.say(...Array.from({ length: 40 }, (_, i) => label(`e${i}`, 1, { ts: NOW })));
  for (let round = 2; round < 12; round++) {
    bench.ledger.sweep(NOW);
    const said = await bench.say(
      ...Array.from({ length: 40 }, (_, i) => label(`e${i}`, round, { ts: NOW + round })),
    );
    assert.ok(said.every((word) => word === "corrected"));
    await bench.ledger.close();
    bench = openBench(path, SMALL, ticking);
    assert.ok(Object.values(bench.listener.truths()).every((truth) => truth === round));
  }
  await bench.ledger.close();
});

const CHECKPOINT_TABLES = ["filter", "live", "name", "checkpoint", "piece", "forgotten"];

test("a file of the first schema is taken forward and keeps what it holds", async (t) => {
  const path = tempFolder(t);
  let bench = openBench(path);
  await bench.record(...singles(0, 5));
  await bench.say(label("e1", 3));
  await bench.ledger.close();
  const db = new DatabaseSync(join(path, "ledger.db"));
  for (const table of ["span", "sealed", "bucket", "head", "pack", ...CHECKPOINT_TABLES])
    db.exec(`DROP TABLE ${table}`);
  db.exec("ALTER TABLE meta DROP COLUMN seed; PRAGMA user_version = 1");
  db.close();
  bench = openBench(path, SMALL);
  assert.equal(bench.listener.truths()["m/1/e1"], 3);
  await bench.record(...singles(5, 40));
  settle(bench);
  assert.deepEqual(await bench.say(label("e1", 4, { ts: NOW + 1 })), ["corrected"]);
  await bench.ledger.close();
  bench = openBench(path, SMALL);
  assert.equal(bench.listener.truths()["m/1/e1"], 4);
  assert.equal(bench.ledger.stats().rows, 40);
  await bench.ledger.close();
});
