import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Batches } from "../../src/app/batches.ts";
import { addLosses, createLossBook, type LossBook } from "../../src/app/loss.ts";
import { decodeExchange } from "../../src/facts/exchange-wire.ts";
import { ByteReader } from "../../src/kernel/wire.ts";
import { exchangeOf } from "../support/exchange.ts";

const droppedFacts = (loss: LossBook): number =>
  [...loss.dropped].filter(([key]) => key.endsWith("/fact")).reduce((sum, [, n]) => sum + n, 0);

test("secrets in headers stay in the traffic process", () => {
  const batches = new Batches(createLossBook(), { extraHeaders: ["X-Region"], queueBytesMax: 1e6 });
  batches.add(
    exchangeOf({
      requestHeaders: [
        "Authorization",
        "Bearer s3cret",
        "X-Request-Id",
        "r1",
        "x-region",
        "eu",
        "Cookie",
        "c",
      ],
    }),
  );
  batches.seal();
  const batch = batches.take();
  assert.ok(batch);
  assert.equal(batch.bytes.includes("s3cret"), false);
  const from = new ByteReader(batch.bytes.subarray(5));
  from.u32();
  assert.equal(from.u32(), 1);
  assert.deepEqual(decodeExchange(from).requestHeaders, ["X-Request-Id", "r1", "x-region", "eu"]);
});

test("a filling queue sheds bodies first, then facts, and counts both", () => {
  const loss = createLossBook();
  const batches = new Batches(loss, { extraHeaders: [], queueBytesMax: 64 * 1024 });
  const body = { bytes: Buffer.alloc(8 * 1024), total: 8 * 1024, kept: "whole" } as const;
  for (let i = 0; i < 400; i++) batches.add(exchangeOf({ request: body, response: body }));
  assert.ok((loss.dropped.get("observer/body") ?? 0) > 0);
  assert.ok((loss.dropped.get("observer/fact") ?? 0) > 0);
  assert.ok(batches.queuedBytes <= 64 * 1024);
  assert.equal(loss.seen, loss.recorded + droppedFacts(loss) + batches.queuedFacts);
});

test("seen = recorded + dropped + queued, whatever happens to the observer", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("add" as const), n: fc.integer({ min: 1, max: 40 }) }),
    fc.record({
      do: fc.constantFrom("send" as const, "ack" as const, "seal" as const),
      n: fc.integer({ min: 0, max: 2 }),
    }),
    fc.record({ do: fc.constant("die" as const), n: fc.integer({ min: 0, max: 30 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const loss = createLossBook();
      const batches = new Batches(loss, { extraHeaders: [], queueBytesMax: 20_000 });
      const onWire: { number: number; facts: number }[] = [];
      for (const { do: what, n } of steps) {
        if (what === "add") for (let i = 0; i < n; i++) batches.add(exchangeOf());
        else if (what === "seal") batches.seal();
        else if (what === "send") {
          const batch = batches.take();
          if (batch) onWire.push(batch);
        } else if (what === "ack") {
          const batch = onWire.shift();
          if (batch) batches.acknowledge(batch.number, Math.min(n, batch.facts));
        } else {
          batches.requeueSent(n === 0 ? null : n);
          onWire.length = 0;
        }
        assert.equal(loss.seen, loss.recorded + droppedFacts(loss) + batches.queuedFacts);
      }
      batches.dropRest();
      assert.equal(batches.queuedFacts, 0);
      assert.equal(batches.queuedBytes, 0);
      assert.equal(loss.seen, loss.recorded + droppedFacts(loss));
    }),
  );
});

test("a batch that two observers did not survive is dropped, not sent a third time", () => {
  const loss = createLossBook();
  const batches = new Batches(loss, { extraHeaders: [], queueBytesMax: 1e6 });
  batches.add(exchangeOf());
  batches.seal();
  assert.ok(batches.take());
  batches.requeueSent(null);
  assert.ok(batches.take());
  batches.requeueSent(null);
  assert.equal(batches.take(), null);
  assert.equal(loss.dropped.get("observer/fact"), 1);
});

/** A sealed batch of `count` facts, as it leaves. */
function batchOf(count: number): Buffer {
  const there = new Batches(createLossBook(), { extraHeaders: [], queueBytesMax: 1e7 });
  for (let i = 0; i < count; i++) there.add(exchangeOf({}));
  there.seal();
  return there.take()?.bytes ?? Buffer.alloc(0);
}

test("a batch of another process is taken whole under our next number, or dropped whole and counted", () => {
  const loss = createLossBook();
  const batches = new Batches(loss, { extraHeaders: [], queueBytesMax: 20_000 });
  const foreign = batchOf(7).subarray(5);
  batches.add(exchangeOf({}));
  batches.adopt(foreign);
  const [own, taken] = [batches.take(), batches.take()];
  assert.deepEqual([own?.number, own?.facts, taken?.number, taken?.facts], [1, 1, 2, 7]);
  assert.equal(taken?.bytes.readUInt32LE(5), 2);
  assert.deepEqual(taken?.bytes.subarray(9), foreign.subarray(4));
  let adopted = 1;
  while (batches.queuedBytes + foreign.length <= 20_000) {
    batches.adopt(foreign);
    adopted++;
  }
  batches.adopt(foreign);
  assert.equal(droppedFacts(loss), 7);
  assert.equal(loss.seen, 1 + 7 * (adopted + 1));
  assert.equal(loss.seen, droppedFacts(loss) + batches.queuedFacts);
});

test("the memory of an adopted batch is not used again: it was never ours", () => {
  const batches = new Batches(createLossBook(), { extraHeaders: [], queueBytesMax: 1e7 });
  batches.adopt(batchOf(1).subarray(5));
  const taken = batches.take();
  assert.ok(taken !== null);
  const before = Buffer.from(taken.bytes);
  batches.acknowledge(taken.number, 0);
  for (let i = 0; i < 600; i++) batches.add(exchangeOf({}));
  batches.seal();
  for (let i = 0; i < 600; i++) batches.add(exchangeOf({}));
  assert.deepEqual(taken.bytes, before);
});

test("what waits behind us counts as if it waited here: bodies are shed, then facts dropped, at the source", () => {
  const loss = createLossBook();
  const batches = new Batches(loss, { extraHeaders: [], queueBytesMax: 100_000 });
  const body = { bytes: Buffer.alloc(1024), total: 1024, kept: "whole" } as const;
  batches.add(exchangeOf({ request: body }));
  batches.heldBehindBytes = 60_000;
  batches.add(exchangeOf({ request: body }));
  batches.heldBehindBytes = 100_000;
  batches.add(exchangeOf({ request: body }));
  assert.deepEqual(Object.fromEntries(loss.dropped), { "observer/body": 1, "observer/fact": 1 });
  batches.heldBehindBytes = 0;
  batches.add(exchangeOf({ request: body }));
  assert.equal(batches.queuedFacts, 3);
});

test("losses that another process counted are taken over, and its lost facts were seen", () => {
  const loss = createLossBook();
  addLosses(loss, { "observer/fact": 3, "observer/body": 5, "worker/fact": 2 });
  addLosses(loss, { "observer/fact": 1 });
  assert.deepEqual(Object.fromEntries(loss.dropped), {
    "observer/fact": 4,
    "observer/body": 5,
    "worker/fact": 2,
  });
  assert.equal(loss.seen, 6);
});
