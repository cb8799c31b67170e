import assert from "node:assert/strict";
import { test } from "node:test";

import { judge } from "../../src/ledger/judge.ts";
import { NOW, exchange, label, openBench, tempFolder } from "./support.ts";

test("a label joins the prediction it names, and the change carries both", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  await record(exchange("a"));
  assert.deepEqual(await say(label("a", 3)), ["joined"]);
  assert.deepEqual(listener.truths(), { "m/1/a": 3 });
  await ledger.close();
});

test("a label may come before its prediction, and with or without a model", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  assert.deepEqual(await say(label("a", 3), label("b", 4, { model: null })), ["waiting", "waiting"]);
  assert.equal(ledger.stats().waiting, 2);
  await record(exchange("a"), exchange("b"));
  assert.deepEqual(listener.truths(), { "m/1/a": 3, "m/1/b": 4 });
  assert.equal(ledger.stats().waiting, 0);
  await ledger.close();
});

test("the greatest ts holds; at equal ts the later arrival", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  await record(exchange("a"));
  assert.deepEqual(
    await say(
      label("a", 1, { ts: 100 }),
      label("a", 2, { ts: 300 }),
      label("a", 3, { ts: 200 }),
      label("a", 4, { ts: 300 }),
      label("a", 4, { ts: 50 }),
    ),
    ["joined", "corrected", "stale", "corrected", "duplicate"],
  );
  assert.deepEqual(listener.truths(), { "m/1/a": 4 });
  await ledger.close();
});

test("a newer revision with the same value is a duplicate, and its ts holds from then on, also after a restart", async (t) => {
  const path = tempFolder(t);
  const first = openBench(path);
  await first.record(exchange("a"));
  await first.say(label("a", 1, { ts: 100 }), label("a", 1, { ts: 500 }));
  await first.ledger.close();
  const second = openBench(path);
  assert.deepEqual(await second.say(label("a", 2, { ts: 300 })), ["stale"]);
  assert.deepEqual(second.listener.truths(), { "m/1/a": 1 });
  await second.ledger.close();
});

test("null retracts, and a newer label joins again", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  await record(exchange("a"));
  assert.deepEqual(await say(label("a", 1, { ts: 1 }), label("a", null, { ts: 2 })), ["joined", "retracted"]);
  assert.deepEqual(listener.truths(), { "m/1/a": null });
  assert.equal(ledger.stats().labelled, 0);
  assert.deepEqual(await say(label("a", 1, { ts: 3 })), ["corrected"]);
  assert.deepEqual(listener.truths(), { "m/1/a": 1 });
  await ledger.close();
});

test("revisions of a waiting label follow the same rules and reach the prediction as one history", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  assert.deepEqual(
    await say(
      label("a", 1, { ts: 100 }),
      label("a", 1, { ts: 100 }),
      label("a", 2, { ts: 300 }),
      label("a", 3, { ts: 200 }),
      label("a", null, { ts: 400 }),
      label("a", 5, { ts: 500 }),
    ),
    ["waiting", "duplicate", "corrected", "stale", "retracted", "corrected"],
  );
  assert.deepEqual(new Set(ledger.labelsOf("a").map((one) => one.state)), new Set(["waiting"]));
  await record(exchange("a"));
  assert.deepEqual(listener.truths(), { "m/1/a": 5 });
  const states = ledger.labelsOf("a").map((one) => [one.label, one.state]);
  assert.deepEqual(states[0], [5, "current"]);
  assert.equal(states.length, 5);
  await ledger.close();
});

test("a label reaches the prediction in all versions, before and after, as one outcome", async (t) => {
  const { record, say, label: send, listener, ledger } = openBench(tempFolder(t));
  await record(exchange("a", { version: "1" }), exchange("a", { version: "2" }));
  assert.deepEqual(await say(label("a", 7)), ["joined"]);
  await record(exchange("a", { version: "3" }));
  assert.deepEqual(listener.truths(), { "m/1/a": 7, "m/2/a": 7, "m/3/a": 7 });
  const [outcome] = await send(label("a", 8, { ts: NOW + 1 }));
  assert.equal(outcome?.result, "corrected");
  assert.deepEqual(listener.truths(), { "m/1/a": 8, "m/2/a": 8, "m/3/a": 8 });
  await ledger.close();
});

test("two models may share an id: each label keeps to its model, and one without a model is ambiguous", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  await record(exchange("a", { model: "m" }), exchange("a", { model: "n" }));
  assert.deepEqual(await say(label("a", 1), label("a", 2, { model: "n" }), label("a", 3, { model: null })), [
    "joined",
    "joined",
    "ambiguous_model",
  ]);
  assert.deepEqual(listener.truths(), { "m/1/a": 1, "n/1/a": 2 });
  await ledger.close();
});

test("an exchange of several rows takes an array, or a label for each row", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  await record(exchange("a", { values: [1, 2, 3] }), exchange("b"));
  assert.deepEqual(
    await say(label("a", [7, 8]), label("a", 7), label("a", [7, 8, 9]), label("a:1", 5, { ts: NOW + 1 })),
    ["label_count_mismatch", "label_count_mismatch", "joined", "corrected"],
  );
  assert.deepEqual(await say(label("b:0", 4), label("b", [4]), label("b:1", 4)), [
    "joined",
    "duplicate",
    "waiting",
  ]);
  assert.deepEqual(listener.truths(), { "m/1/a:0": 7, "m/1/a:1": 5, "m/1/a:2": 9, "m/1/b": 4 });
  assert.deepEqual(await say(label("a", null, { ts: NOW + 2 })), ["retracted"]);
  assert.deepEqual(listener.truths(), { "m/1/a:0": null, "m/1/a:1": null, "m/1/a:2": null, "m/1/b": 4 });
  await ledger.close();
});

test("an early array waits whole; one of the wrong length is kept as invalid and harms nothing", async (t) => {
  const path = tempFolder(t);
  const { record, say, listener, ledger } = openBench(path);
  await say(label("a", [7, 8]), label("b", [7, 8, 9]), label("b:0", 4, { ts: NOW - 1 }));
  await record(exchange("a", { values: [1, 2] }), exchange("b", { values: [1, 2] }));
  assert.deepEqual(listener.truths(), { "m/1/a:0": 7, "m/1/a:1": 8, "m/1/b:0": 4, "m/1/b:1": null });
  assert.equal(ledger.stats().waitingInvalid, 1);
  const invalid = ledger.labelsOf("b").find((one) => one.state === "invalid");
  assert.deepEqual(invalid?.label, [7, 8, 9]);
  await ledger.close();
  const again = openBench(path);
  assert.deepEqual(again.listener.truths(), { "m/1/a:0": 7, "m/1/a:1": 8, "m/1/b:0": 4, "m/1/b:1": null });
  await again.ledger.close();
});

test("a label that does not fit the model is refused and leaves no trace; an early one is invalid at the join", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  await record(exchange("a"));
  assert.deepEqual(await say(label("a", "x"), label("a", 1, { model: "unknown" }), label("w", "x")), [
    "invalid_label",
    "unknown_model",
    "invalid_label",
  ]);
  assert.deepEqual(ledger.labelsOf("a"), []);
  assert.deepEqual(await say(label("w", 5, { model: null })), ["waiting"]);
  await record(exchange("w", { model: "words" }));
  assert.equal(listener.truths()["words/1/w"], null);
  assert.equal(ledger.find("w")[0]?.labels[0]?.state, "invalid");
  assert.deepEqual(await say(label("w", "yes", { model: "words", ts: 1 })), ["joined"]);
  assert.deepEqual(
    ledger.find("w")[0]?.labels.map((one) => one.state),
    ["current", "invalid"],
  );
  await ledger.close();
});

test("an early value that is only a class waits as one: no number at the join, and plain where it is shown", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  const digits = "9007199254740993";
  const early = { model: null };
  assert.deepEqual(
    await say(
      label("text", { className: digits }, early),
      label("number", digits, early),
      label("rows", [{ className: "1" }, 2], early),
    ),
    ["waiting", "waiting", "waiting"],
  );
  assert.deepEqual(
    ["text", "number", "rows"].flatMap((id) => ledger.labelsOf(id).map((one) => one.label)),
    [digits, digits, ["1", 2]],
  );
  await record(exchange("text"), exchange("number"), exchange("rows", { values: [0, 0] }));
  assert.deepEqual(listener.truths()["m/1/number"], 9007199254740992);
  assert.deepEqual(
    ["text", "number", "rows"].map((id) => ledger.find(id)[0]?.labels[0]?.state),
    ["invalid", "current", "invalid"],
  );
  assert.equal(ledger.find("text")[0]?.labels[0]?.label, digits);
  await ledger.close();
});

test("values that are no labels, ids that are none and times that are none are refused", async (t) => {
  const { say, ledger } = openBench(tempFolder(t));
  assert.deepEqual(
    await say(
      label("a", Number.NaN, { model: null }),
      label("a", Number.POSITIVE_INFINITY, { model: null }),
      label("", 1),
      label("x".repeat(513), 1),
      label("a", 1, { ts: Number.NaN }),
      label("a", []),
      label("a", "x".repeat(5000), { model: null }),
      label("a", { className: "x".repeat(5000) }, { model: null }),
    ),
    [
      "invalid_label",
      "invalid_label",
      "invalid_id",
      "invalid_id",
      "invalid_ts",
      "invalid_label",
      "invalid_label",
      "invalid_label",
    ],
  );
  await ledger.close();
});

test("an alias names its prediction, early and late, with a row number too", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  await say(label("early", 1));
  await record(
    exchange("a", { aliases: ["early", "req-1", "line\nfeed"] }),
    exchange("b", { aliases: ["req-2"], values: [1, 2] }),
  );
  assert.deepEqual(
    await say(label("req-1", 2, { ts: NOW + 1 }), label("req-2:1", 5), label("line\nfeed", 2)),
    ["corrected", "joined", "duplicate"],
  );
  assert.deepEqual(listener.truths(), { "m/1/a": 2, "m/1/b:0": null, "m/1/b:1": 5 });
  await ledger.close();
});

test("an alias that several exchanges share is ambiguous, however many there are", async (t) => {
  const { record, say, ledger } = openBench(tempFolder(t));
  await record(...Array.from({ length: 100 }, (_, i) => exchange(`e${i}`, { aliases: ["same"] })));
  assert.deepEqual(await say(label("same", 1)), ["ambiguous_id"]);
  await ledger.close();
});

test("an alias stands for the id: the versions that do not bear it are labelled too", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  await record(exchange("a", { version: "1" }), exchange("a", { version: "2", aliases: ["req"] }));
  assert.deepEqual(await say(label("req", 9)), ["joined"]);
  assert.deepEqual(listener.truths(), { "m/1/a": 9, "m/2/a": 9 });
  await ledger.close();
});

test("the same batch sent again changes nothing", async (t) => {
  const { record, say, listener, ledger } = openBench(tempFolder(t));
  await record(exchange("a"), exchange("b", { values: [1, 2] }));
  const batch = [label("a", 1, { ts: 1 }), label("a", 2, { ts: 2 }), label("b", [3, 4]), label("c", 5)];
  await say(...batch);
  const before = [listener.changes, ledger.find("a")[0]?.labels.length, ledger.stats().waiting];
  assert.deepEqual(await say(...batch), ["stale", "duplicate", "duplicate", "duplicate"]);
  await say(...batch);
  assert.deepEqual([listener.changes, ledger.find("a")[0]?.labels.length, ledger.stats().waiting], before);
  await ledger.close();
});

test("a stale revision is shown once, behind the one that holds", async (t) => {
  const path = tempFolder(t);
  const { record, say, ledger } = openBench(path);
  await record(exchange("a"));
  await say(
    label("a", 2, { ts: 200 }),
    label("a", 1, { ts: 100 }),
    label("a", 1, { ts: 100 }),
    label("a", 3, { ts: 300 }),
  );
  const shown = ledger.labelsOf("a").map((one) => [one.label, one.state]);
  assert.deepEqual(shown, [
    [3, "current"],
    [2, "superseded"],
    [1, "superseded"],
  ]);
  await ledger.close();
  const again = openBench(path);
  assert.deepEqual(
    again.ledger.labelsOf("a").map((one) => [one.label, one.state]),
    shown,
  );
  await again.ledger.close();
});

test("ids that look like attacks are plain ids", async (t) => {
  const path = tempFolder(t);
  const ids = [
    "__proto__",
    "constructor",
    "'; DROP TABLE label; --",
    "../../etc/passwd",
    "a\u0000b",
    "\ud800",
    "€𝄞",
    "a:1:0",
  ];
  const { record, say, listener, ledger } = openBench(path);
  assert.deepEqual(
    await say(...ids.map((id) => label(id, 1))),
    ids.map(() => "waiting"),
  );
  const sent = ids.map((id) => id.toWellFormed());
  await record(...sent.map((id) => exchange(id)));
  assert.deepEqual(
    Object.values(listener.truths()),
    sent.map(() => 1),
  );
  await ledger.close();
  const again = openBench(path);
  assert.deepEqual(
    await again.say(...ids.map((id) => label(id, 1))),
    ids.map(() => "duplicate"),
  );
  assert.deepEqual(again.listener.truths(), listener.truths());
  await again.ledger.close();
});

test("at the cap a new early label is rejected, and an earlier one can still be corrected", async (t) => {
  const { say, record, listener, ledger } = openBench(tempFolder(t), { waitingMax: 2 });
  assert.deepEqual(await say(label("a", 1), label("b", 1), label("c", 1), label("a", 2)), [
    "waiting",
    "waiting",
    "waiting_full",
    "corrected",
  ]);
  await record(exchange("a"), exchange("b"), exchange("c"));
  assert.deepEqual(listener.truths(), { "m/1/a": 2, "m/1/b": 1, "m/1/c": null });
  assert.deepEqual(await say(label("z", 1)), ["waiting"]);
  await ledger.close();
});

test("the delay counts to the first label ever heard for a row", async (t) => {
  const { record, say, ledger } = openBench(tempFolder(t));
  await say(label("a", 1, { ts: 1, receivedAt: NOW - 50 }));
  await record(exchange("a"));
  await say(label("a", 2, { ts: 2, receivedAt: NOW - 20 }));
  const firsts: (number | undefined)[] = [];
  const range = { model: "m", version: "1", fromTs: 0, toTs: NOW };
  ledger.scan(range, (_row, _prediction, truth) => firsts.push(truth?.firstReceivedAt));
  assert.deepEqual(firsts, [NOW - 50]);
  await ledger.close();
});

test("the verdict on a revision depends on ts and value alone", () => {
  assert.equal(judge(null, { value: 1, ts: 5 }).result, "joined");
  assert.deepEqual(judge({ value: 1, ts: 5 }, { value: 1, ts: 5 }), {
    result: "duplicate",
    takes: false,
    shown: false,
  });
  assert.equal(judge({ value: 1, ts: 5 }, { value: 2, ts: 5 }).result, "corrected");
  assert.equal(judge({ value: null, ts: 5 }, { value: null, ts: 6 }).result, "duplicate");
});
