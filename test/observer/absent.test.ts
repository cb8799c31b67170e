// Silence as an answer, with a real ledger on disk: when it speaks, what holds against it, and what a restart leaves of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { silentLog } from "../../src/kernel/log.ts";
import { createSilence } from "../../src/observer/absent.ts";
import {
  type Bench,
  DAY_MS,
  exchange,
  HOUR_MS,
  label,
  NOW,
  openBench,
  tempFolder,
} from "../ledger/support.ts";

const AFTER = 2 * DAY_MS;

function silenceOf(bench: Bench) {
  const counted = { rows: 0 };
  const silence = createSilence([{ model: "m", value: 0, afterMs: AFTER }], {
    clock: bench.clock,
    log: silentLog,
    versionsOf: (model) => bench.ledger.stats().series.filter((series) => series.model === model),
    scan: (of, visit) => bench.ledger.scan(of, visit),
    label: (events) => bench.ledger.label(events),
    count: (_model, _version, rows) => {
      counted.rows += rows;
    },
  });
  /** So much time, with turns for what is awaited. */
  const pass = async (ms: number): Promise<void> => {
    bench.clock.advance(ms);
    for (let i = 0; i < 60; i++) {
      await turn();
      bench.ledger.flushNow();
      bench.clock.advance(60);
    }
  };
  return { silence, counted, pass };
}

test("a row without a label gets the value when its time has come, not before, and says that nobody said it", async (t) => {
  const bench = openBench(tempFolder(t));
  t.after(() => bench.ledger.close());
  await bench.record(exchange("old", { ts: NOW - AFTER - 5000 }), exchange("young", { ts: NOW - HOUR_MS }));
  const { silence, counted, pass } = silenceOf(bench);
  t.after(() => silence.stop(0));
  await silence.start();
  await pass(100);
  assert.deepEqual(bench.listener.truths(), { "m/1/old": 0, "m/1/young": null });
  const due = NOW - 5000;
  const [revision] = bench.ledger.labelsOf("old");
  assert.deepEqual(
    { ...revision },
    { id: "old", model: "m", label: 0, ts: due, receivedAt: due, state: "current", absent: true },
  );
  await pass(AFTER - HOUR_MS);
  await pass(30_000);
  assert.deepEqual([bench.listener.truths()["m/1/young"], counted.rows], [0, 2]);
});

test("whatever is said holds against silence, also when it was established earlier, and stays over a restart", async (t) => {
  const folder = tempFolder(t);
  const bench = openBench(folder);
  const old = { ts: NOW - AFTER - DAY_MS };
  await bench.record(
    ...["said", "late", "backdated", "withdrawn", "silent", "taken"].map((id) => exchange(id, old)),
  );
  await bench.label(
    label("said", 1),
    label("withdrawn", 1, { ts: NOW - 2 }),
    label("withdrawn", null, { ts: NOW - 1 }),
  );
  const { silence, counted, pass } = silenceOf(bench);
  await silence.start();
  await pass(100);
  assert.equal(counted.rows, 4);
  assert.deepEqual(await bench.say(label("late", 1), label("backdated", 1, { ts: NOW - 3 * DAY_MS })), [
    "corrected",
    "corrected",
  ]);
  assert.deepEqual(await bench.say(label("taken", null)), ["retracted"]);
  const truths = {
    "m/1/backdated": 1,
    "m/1/late": 1,
    "m/1/said": 1,
    "m/1/silent": 0,
    "m/1/taken": null,
    "m/1/withdrawn": null,
  };
  assert.deepEqual(bench.listener.truths(), truths);
  await silence.stop(0);
  await bench.ledger.close();
  const again = openBench(folder, {}, bench.clock);
  t.after(() => again.ledger.close());
  assert.deepEqual(again.listener.truths(), truths);
  const second = silenceOf(again);
  t.after(() => second.silence.stop(0));
  const before = again.listener.changes;
  await second.silence.start();
  await second.pass(100);
  assert.deepEqual([second.counted.rows, again.listener.changes], [0, before]);
  assert.deepEqual(again.ledger.labelsOf("silent").length, 1);
});

test("a prediction that comes long after it was made is not passed over", async (t) => {
  const bench = openBench(tempFolder(t));
  t.after(() => bench.ledger.close());
  await bench.record(exchange("first", { ts: NOW - AFTER - DAY_MS }));
  const { silence, pass } = silenceOf(bench);
  t.after(() => silence.stop(0));
  await silence.start();
  await pass(100);
  const late = exchange("second", { ts: NOW - AFTER - HOUR_MS });
  await bench.record(late);
  for (const prediction of late.predictions) silence.predicted(prediction);
  await pass(60_000);
  assert.equal(bench.listener.truths()["m/1/second"], 0);
});

test("the same id in a younger version waits for its own time", async (t) => {
  const bench = openBench(tempFolder(t));
  t.after(() => bench.ledger.close());
  await bench.record(
    exchange("a", { ts: NOW - AFTER - 1 }),
    exchange("a", { version: "2", ts: NOW - HOUR_MS }),
  );
  const { silence, pass } = silenceOf(bench);
  t.after(() => silence.stop(0));
  await silence.start();
  await pass(100);
  assert.deepEqual(bench.listener.truths(), { "m/1/a": 0, "m/2/a": null });
  await pass(AFTER);
  await pass(30_000);
  assert.equal(bench.listener.truths()["m/2/a"], 0);
});
