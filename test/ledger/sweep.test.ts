import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import type { Bench } from "./support.ts";
import { DAY_MS, HOUR_MS, NOW, exchange, label, openBench, tempFolder } from "./support.ts";

/** Sweeps until nothing is left to do; gives what was forgotten. */
function sweepAll({ ledger, clock }: Bench): number {
  let forgotten = 0;
  for (let steps = 0; steps < 1000; steps++) {
    const step = ledger.sweep(clock.wallMs());
    forgotten += step.forgotten;
    if (!step.more) return forgotten;
  }
  throw new Error("the sweep does not end");
}

/** Time as a running program sees it: a sweep every hour. */
function pass({ ledger, clock }: Bench, ms: number): void {
  for (let left = ms; left > 0; left -= HOUR_MS) {
    clock.advance(Math.min(HOUR_MS, left));
    ledger.sweep(clock.wallMs());
  }
}

test("predictions older than the retention are forgotten with their labels, younger ones stay", async (t) => {
  const path = tempFolder(t);
  const bench = openBench(path, { retentionMs: 2 * DAY_MS });
  const { record, say, listener, ledger } = bench;
  await record(
    exchange("old", { ts: NOW - 3 * DAY_MS, aliases: ["x"] }),
    exchange("rows", { ts: NOW - 3 * DAY_MS, values: [1, 2] }),
  );
  await record(exchange("young", { aliases: ["y"] }));
  await say(label("old", 1, { ts: 1 }), label("old", 2, { ts: 2 }), label("young", 5));
  assert.equal(sweepAll(bench), 3);
  assert.deepEqual(listener.truths(), { "m/1/young": 5 });
  assert.deepEqual(ledger.find("old"), []);
  assert.deepEqual(ledger.find("x"), []);
  assert.equal(ledger.stats().rows, 1);
  assert.equal(ledger.stats().labelled, 1);
  assert.deepEqual(await say(label("old", 1)), ["waiting"]);
  await ledger.close();
  const again = openBench(path, { retentionMs: 2 * DAY_MS });
  assert.deepEqual(again.listener.truths(), { "m/1/young": 5 });
  assert.equal(again.ledger.labelsOf("old").length, 1);
  await again.ledger.close();
});

test("many rows are forgotten in short steps that leave nothing behind", async (t) => {
  const bench = openBench(tempFolder(t), { retentionMs: 2 * DAY_MS });
  const old = Array.from({ length: 9000 }, (_, i) =>
    exchange(`e${i}`, { ts: NOW - 3 * DAY_MS, values: i % 3 === 0 ? [1, 2] : [1] }),
  );
  await bench.record(exchange("first"), ...old, exchange("last"));
  const first = bench.ledger.sweep(NOW);
  assert.ok(first.more && first.forgotten > 0 && first.forgotten <= 4096 + 256, JSON.stringify(first));
  sweepAll(bench);
  assert.deepEqual(Object.keys(bench.listener.truths()), ["m/1/first", "m/1/last"]);
  assert.equal(bench.ledger.find("first").length, 1);
  assert.equal(bench.ledger.sweep(NOW).more, false);
  await bench.ledger.close();
});

test("early labels are given up after the horizon; a revision keeps its label waiting", async (t) => {
  const path = tempFolder(t);
  const bench = openBench(path, { labelHorizonMs: 2 * DAY_MS });
  const { say, ledger, clock } = bench;
  await say(label("a", 1, { ts: 1 }), label("b", 1));
  pass(bench, DAY_MS);
  await say(label("a", 2, { ts: 2, receivedAt: clock.wallMs() }));
  pass(bench, DAY_MS + HOUR_MS);
  assert.equal(ledger.stats().waiting, 1);
  assert.equal(ledger.stats().waitingExpired, 1);
  assert.deepEqual(
    ledger.labelsOf("a").map((one) => one.label),
    [2],
  );
  await ledger.close();
  const again = openBench(path, { labelHorizonMs: 2 * DAY_MS });
  assert.equal(again.ledger.stats().waiting, 1);
  await again.record(exchange("a"), exchange("b"));
  assert.deepEqual(again.listener.truths(), { "m/1/a": 2, "m/1/b": null });
  await again.ledger.close();
});

test("a clock that jumps a year ahead deletes nothing, and nothing is lost when it comes back", async (t) => {
  const bench = openBench(tempFolder(t));
  await bench.record(exchange("a"));
  assert.equal(bench.ledger.sweep(NOW).held, false);
  const jumped = NOW + 365 * DAY_MS;
  assert.equal(bench.ledger.sweep(jumped).held, true);
  bench.clock.advance(60_000);
  assert.equal(bench.ledger.sweep(jumped + 60_000).held, true);
  bench.clock.advance(60_000);
  assert.equal(bench.ledger.sweep(NOW + 120_000).held, false);
  assert.equal(bench.ledger.stats().rows, 1);
  await bench.ledger.close();
});

test("a clock that stays where it jumped is believed after five minutes", async (t) => {
  const bench = openBench(tempFolder(t));
  await bench.record(exchange("a"));
  bench.ledger.sweep(NOW);
  const jumped = NOW + 365 * DAY_MS;
  assert.equal(bench.ledger.sweep(jumped).held, true);
  bench.clock.advance(300_000);
  const step = bench.ledger.sweep(jumped + 300_000);
  assert.deepEqual([step.held, step.forgotten], [false, 1]);
  await bench.ledger.close();
});

test("a start with a clock far from the newest row waits before it deletes", async (t) => {
  const path = tempFolder(t);
  const first = openBench(path);
  await first.record(exchange("a"));
  await first.ledger.close();
  const second = openBench(path);
  assert.equal(second.ledger.sweep(NOW + 60 * DAY_MS).held, true);
  assert.equal(second.ledger.stats().rows, 1);
  await second.ledger.close();
});

test("above its size limit the store forgets its oldest rows", async (t) => {
  const bench = openBench(tempFolder(t), { sizeMaxBytes: 400_000 });
  await bench.record(...Array.from({ length: 6000 }, (_, i) => exchange(`e${i}`)));
  sweepAll(bench);
  const { rows } = bench.ledger.stats();
  assert.ok(rows > 0 && rows < 6000, String(rows));
  assert.equal(bench.ledger.find("e0").length, 0);
  assert.equal(bench.ledger.find("e5999").length, 1);
  const left = Object.keys(bench.listener.truths()).map((key) => Number(key.slice("m/1/e".length)));
  assert.equal(Math.min(...left), 6000 - rows, "the oldest went, and no others");
  const { forgottenBySize, forgottenByAge } = bench.ledger.stats();
  assert.deepEqual([forgottenBySize, forgottenByAge], [6000 - rows, 0]);
  await bench.ledger.close();
});

test("the size limit counts the write-ahead log, and a log that one large transaction made long costs no rows", async (t) => {
  const path = tempFolder(t);
  const sizeMaxBytes = 4 * 1024 * 1024;
  const bench = openBench(path, { sizeMaxBytes });
  await bench.record(...Array.from({ length: 100_000 }, (_, i) => exchange(`e${i}`)));
  assert.ok(bench.ledger.stats().walBytes > sizeMaxBytes, "one transaction, larger than the store may be");
  sweepAll(bench);
  const { rows, walBytes } = bench.ledger.stats();
  assert.ok(rows > 20_000, String(rows));
  assert.ok(walBytes > 0 && walBytes < sizeMaxBytes / 8, String(walBytes));
  await bench.ledger.close();
  const db = new DatabaseSync(join(path, "ledger.db"));
  const [used] = Object.values(
    db
      .prepare(
        "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
      )
      .get() ?? {},
  );
  db.close();
  assert.ok(
    Number(used) <= sizeMaxBytes - sizeMaxBytes / 16,
    `${Number(used)} bytes beside a log of ${walBytes}`,
  );
});
