import assert from "node:assert/strict";
import { test } from "node:test";

import type { SavedStates } from "../../src/ledger/ledger.ts";
import { DAY_MS, HOUR_MS, NOW, exchange, label, openBench, tempFolder } from "./support.ts";

test("the first prediction of an id stays; a repeat is a duplicate when equal and a conflict when not", async (t) => {
  const { record, listener, ledger } = openBench(tempFolder(t));
  assert.equal((await record(exchange("a"), exchange("b", { values: [1, 2] }))).accepted, 3);
  const again = await record(
    exchange("a"),
    exchange("a", { values: [2] }),
    exchange("b", { values: [1, 5] }),
  );
  assert.deepEqual(again, { kind: "kept", accepted: 0, duplicates: 2, conflicts: 2, invalid: 0 });
  assert.equal(ledger.find("a")[0]?.prediction, 1);
  assert.equal(listener.rows.size, 3);
  assert.equal((await record(exchange("a", { version: "2", values: [9] }))).accepted, 1);
  await ledger.close();
});

test("a repeat is recognised after a restart, whatever it holds", async (t) => {
  const path = tempFolder(t);
  const full = exchange("a", { values: ["yes"], aliases: ["req", "model-id"] });
  const [prediction] = full.predictions;
  assert.ok(prediction);
  const scores = JSON.parse('{"yes":0.7,"no":0.3,"__proto__":0}') as Record<string, number>;
  const rich = {
    ...full,
    predictions: [{ ...prediction, score: -0, scores, slice: { region: "eu", tier: "x" } }],
  };
  const first = openBench(path);
  await first.record(rich, exchange("n", { values: [1.5, -2, 0] }));
  await first.ledger.close();
  const second = openBench(path);
  assert.deepEqual(
    [...second.listener.rows.values()].map((row) => row.prediction),
    [...rich.predictions, ...exchange("n", { values: [1.5, -2, 0] }).predictions],
  );
  const again = await second.record(rich, exchange("n", { values: [1.5, -2, 0] }));
  assert.deepEqual(again, { kind: "kept", accepted: 0, duplicates: 4, conflicts: 0, invalid: 0 });
  await second.ledger.close();
});

test("a row id is one id, whether its exchange has one row or several", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  await record(exchange("a", { values: [1, 2] }));
  const lone = exchange("a:1", { values: [2] });
  assert.equal((await record(lone)).duplicates, 1);
  await record(exchange("b:1", { values: [5] }));
  const rows = await record(
    exchange("b", { values: [4, 5] }),
    exchange("b", { version: "2", values: [4, 5] }),
  );
  assert.deepEqual(rows, { kind: "kept", accepted: 3, duplicates: 1, conflicts: 0, invalid: 0 });
  assert.deepEqual(await say(label("b:1", 8)), ["joined"]);
  assert.deepEqual(listener.truths(), {
    "m/1/a:0": null,
    "m/1/a:1": null,
    "m/1/b:0": null,
    "m/1/b:1": 8,
    "m/2/b:0": null,
    "m/2/b:1": 8,
  });
  await ledger.close();
});

test("a row without a prediction leaves a gap that labels step over", async (t) => {
  const path = tempFolder(t);
  const whole = exchange("a", { values: [1, 2, 3] });
  const gaps = { ...whole, predictions: whole.predictions.filter((one) => one.id === "a:1") };
  const first = openBench(path);
  assert.equal((await first.record(gaps)).accepted, 1);
  assert.deepEqual(await first.say(label("a:1", 7), label("a:0", 7)), ["joined", "no_prediction"]);
  assert.deepEqual(await first.say(label("a", [8, 9], { ts: NOW + 1 })), ["corrected"]);
  await first.ledger.close();
  const second = openBench(path);
  assert.deepEqual(second.listener.truths(), { "m/1/a:1": 9 });
  assert.equal((await second.record(gaps)).duplicates, 1);
  await second.ledger.close();
});

test("what breaks the contract of the fact is counted as invalid and not kept", async (t) => {
  const { record, listener, ledger } = openBench(tempFolder(t));
  const good = exchange("a");
  const [prediction] = good.predictions;
  assert.ok(prediction);
  const bad = [
    { ...prediction, id: "other" },
    { ...prediction, ts: Number.NaN },
    { ...prediction, value: Number.POSITIVE_INFINITY },
    { ...prediction, model: "other" },
    { ...prediction, scores: { a: Number.NaN } },
  ];
  const kept = await record(
    ...bad.map((one) => ({ ...good, predictions: [one] })),
    exchange("x".repeat(600)),
  );
  assert.equal(kept.invalid, 6);
  assert.equal(listener.rows.size, 0);
  await ledger.close();
});

test("a prediction is found under its id, its row id and its aliases, with everything about it", async (t) => {
  const { record, say, ledger } = openBench(tempFolder(t));
  await record(
    exchange("a", {
      aliases: ["req"],
      traceId: "0af7",
      status: 201,
      ttfbMs: null,
      route: "/v2/models/m/infer",
    }),
  );
  await say(label("a", 4, { ts: 1 }), label("req", 5, { ts: 2 }));
  const [found] = ledger.find("req");
  assert.deepEqual(ledger.find("a"), ledger.find("req"));
  assert.deepEqual(ledger.find("a:0"), ledger.find("req"));
  assert.deepEqual(found, {
    row: 1,
    id: "a",
    exchangeId: "a",
    aliases: ["req"],
    model: "m",
    version: "1",
    slice: { region: "eu" },
    ts: NOW - HOUR_MS,
    prediction: 1,
    score: 0.25,
    scores: null,
    traceId: "0af7",
    exchange: { method: "POST", route: "/v2/models/m/infer", status: 201, durationMs: 12.5, ttfbMs: null },
    labels: [
      { id: "a", model: "m", label: 5, ts: 2, receivedAt: NOW, state: "current" },
      { id: "a", model: "m", label: 4, ts: 1, receivedAt: NOW, state: "superseded" },
    ],
  });
  assert.deepEqual(ledger.find("unknown"), []);
  await ledger.close();
});

test("predictions wait for company, labels do not, and a mark is kept with its batch", async (t) => {
  const path = tempFolder(t);
  const first = openBench(path);
  let kept = false;
  const pending = first.ledger.record([exchange("a")], { session: "s", batch: 7 }).then(() => (kept = true));
  await new Promise(setImmediate);
  assert.equal(kept, false);
  assert.equal(first.ledger.lastMark("s"), null);
  first.clock.advance(25);
  await pending;
  assert.equal(first.ledger.lastMark("s"), 7);
  const together = first.ledger.record([exchange("b")], { session: "s", batch: 8 });
  assert.deepEqual(await first.say(label("b", 1)), ["joined"]);
  await together;
  await first.ledger.close();
  const second = openBench(path);
  assert.equal(second.ledger.lastMark("s"), 8);
  assert.equal(second.ledger.lastMark("t"), null);
  await second.ledger.close();
});

test("only so many sessions are remembered", async (t) => {
  const path = tempFolder(t);
  const { ledger } = openBench(path);
  for (let i = 0; i < 40; i++) {
    void ledger.record([], { session: `s${i}`, batch: i });
    ledger.flushNow();
  }
  assert.equal(ledger.lastMark("s0"), null);
  assert.equal(ledger.lastMark("s39"), 39);
  await ledger.close();
  const again = openBench(path);
  assert.equal(again.ledger.lastMark("s39"), 39);
  assert.equal(again.ledger.lastMark("s20"), null);
  await again.ledger.close();
});

test("a full queue refuses as busy and says so in the stats; what it took is kept", async (t) => {
  const { ledger } = openBench(tempFolder(t), { queueItemsMax: 10 });
  const results = await Promise.all(
    Array.from({ length: 5 }, (_, i) => ledger.label([1, 2, 3].map((n) => label(`${i}-${n}`, 1)))),
  );
  assert.deepEqual(
    results.map((one) => (one.kind === "refused" ? one.cause : one.kind)),
    ["kept", "kept", "busy", "busy", "busy"],
  );
  assert.equal(ledger.stats().busy, 3);
  assert.equal(ledger.stats().queuedItems, 0);
  assert.equal(ledger.stats().queuedBytes, 0);
  assert.equal(ledger.stats().waiting, 6);
  await ledger.close();
});

test("a large batch of labels is cut into several transactions and answered once", async (t) => {
  const { label: send, ledger } = openBench(tempFolder(t));
  const outcomes = await send(...Array.from({ length: 10_000 }, (_, i) => label(`x${i}`, i)));
  assert.equal(outcomes.length, 10_000);
  assert.ok(outcomes.every((one) => one.result === "waiting"));
  await ledger.close();
});

test("small values survive, and too large ones are refused", async (t) => {
  const path = tempFolder(t);
  const { ledger } = openBench(path);
  assert.equal(ledger.loadState("models"), null);
  assert.equal(ledger.saveState("models", "one"), true);
  assert.equal(ledger.saveState("models", "two"), true);
  assert.equal(ledger.saveState("big", "x".repeat(2_000_000)), false);
  await ledger.close();
  const again = openBench(path);
  assert.equal(again.ledger.loadState("models"), "two");
  await again.ledger.close();
});

test("several small values are saved or dropped together, and found by how their keys begin", async (t) => {
  const path = tempFolder(t);
  const found: (readonly [string, string])[][] = [];
  const onLoading = (saved: SavedStates): void => void found.push([...saved.under("a:")]);
  const { ledger } = openBench(path);
  const many = Array.from({ length: 250 }, (_, i) => [`a:${String(i).padStart(3, "0")}`, `${i}`] as const);
  assert.equal(ledger.saveStates([...many, ["a", "itself"], ["b:1", "other"]]), true);
  assert.equal(
    ledger.saveStates([
      ["a:new", "x"],
      ["a:big", "x".repeat(2_000_000)],
    ]),
    false,
  );
  assert.equal(
    ledger.saveStates([
      ["a:000", null],
      ["a:unknown", null],
    ]),
    true,
  );
  await ledger.close();
  const again = openBench(path, { onLoading });
  assert.deepEqual(found, [many.slice(1)]);
  assert.equal(again.ledger.loadState("a"), "itself");
  await again.ledger.close();
});

test("a scan visits exactly the rows of the range with their current truth", async (t) => {
  const { record, say, ledger } = openBench(tempFolder(t));
  const many = Array.from({ length: 9000 }, (_, i) =>
    exchange(`e${i}`, { ts: NOW - i, version: i % 2 === 0 ? "1" : "2" }),
  );
  await record(...many);
  await say(label("e2", 5), label("e4", 6), label("e4", null, { ts: NOW + 1 }));
  const seen: [string, unknown][] = [];
  ledger.scan({ model: "m", version: "1", fromTs: NOW - 6, toTs: NOW }, (_row, prediction, truth) => {
    seen.push([prediction.id, truth?.value ?? null]);
  });
  assert.deepEqual(seen, [
    ["e0", null],
    ["e2", 5],
    ["e4", null],
  ]);
  let all = 0;
  ledger.scan({ model: "m", version: "2", fromTs: 0, toTs: Number.MAX_VALUE }, () => all++);
  assert.equal(all, 4500);
  await ledger.close();
});

test("the stats tell rows, labels and what is open within the horizon", async (t) => {
  const { record, say, clock, ledger } = openBench(tempFolder(t), { retentionMs: 400 * DAY_MS });
  await record(
    exchange("a", { ts: NOW - 8 * DAY_MS }),
    exchange("b"),
    exchange("c"),
    exchange("d", { version: "2" }),
  );
  await say(label("b", 1), label("zzz", 1));
  const { rows, labelled, open, waiting, series } = ledger.stats();
  assert.deepEqual({ rows, labelled, open, waiting }, { rows: 4, labelled: 1, open: 2, waiting: 1 });
  assert.deepEqual(
    series.map((one) => [one.version, one.rows, one.labelled, one.pending, one.firstTs]),
    [
      ["1", 3, 1, 1, NOW - 8 * DAY_MS],
      ["2", 1, 0, 1, NOW - HOUR_MS],
    ],
  );
  ledger.sweep(clock.wallMs());
  for (let i = 0; i < 8; i++) {
    clock.advance(DAY_MS);
    ledger.sweep(clock.wallMs());
  }
  assert.deepEqual(
    ledger.stats().series.map((one) => [one.pending, one.expired]),
    [
      [0, 1],
      [0, 1],
    ],
  );
  await ledger.close();
});

test("before open and after close everything is refused or empty, and close may be called twice", async (t) => {
  const { ledger } = openBench(tempFolder(t));
  await ledger.close();
  await ledger.close();
  assert.deepEqual(await ledger.label([label("a", 1)]), {
    kind: "refused",
    cause: "closed",
    message: "the ledger is not open",
  });
  assert.equal((await ledger.record([exchange("a")], null)).kind, "refused");
  assert.deepEqual(ledger.find("a"), []);
  assert.equal(ledger.saveState("k", "v"), false);
  assert.equal(ledger.sweep(NOW).forgotten, 0);
  assert.equal(ledger.stats().rows, 0);
  ledger.flushNow();
});
