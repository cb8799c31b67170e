// When the store is swept: soon after a start, then every minute.

import assert from "node:assert/strict";
import { test } from "node:test";

import { silentLog } from "../../src/kernel/log.ts";
import { createStateBook } from "../../src/observer/state-book.ts";
import { createStoreKeeper } from "../../src/observer/store-keeper.ts";
import { createLedger } from "../../src/ledger/ledger.ts";
import { DAY_MS, NOW, exchange, normalise, openBench, tempFolder } from "../ledger/support.ts";
import { handClock } from "../support/hand-clock.ts";

test("what is too old when the store is opened is swept within seconds, what gets too old later within a minute", async (t) => {
  const path = tempFolder(t);
  const before = openBench(path);
  const old = Array.from({ length: 5000 }, (_, i) => exchange(`old${i}`, { ts: NOW - 3 * DAY_MS }));
  await before.record(
    ...old,
    exchange("young", { ts: NOW }),
    exchange("soon", { ts: NOW - 2 * DAY_MS + 30_000 }),
  );
  await before.ledger.close();

  const clock = handClock(NOW);
  const ledger = createLedger(
    { path, retentionMs: 2 * DAY_MS, labelHorizonMs: DAY_MS, groupCommitMs: 25 },
    { clock, log: silentLog, normalise, onChanges: () => undefined },
  );
  const states = createStateBook(clock, () => undefined);
  const keeper = createStoreKeeper({ clock, log: silentLog, ledger, states, onOpen: () => undefined });
  await keeper.start();
  assert.equal(ledger.stats().rows, 5002, "a start does not wait for it");
  clock.advance(10_000);
  assert.equal(ledger.stats().rows, 2);
  clock.advance(80_000);
  assert.equal(ledger.stats().rows, 1);
  await keeper.stop(0);
  await ledger.close();
});
