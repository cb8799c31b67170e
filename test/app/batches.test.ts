import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Batches } from "../../src/app/batches.ts";
import { addLosses, createLossBook, type LossBook } from "../../src/app/loss.ts";
import { Outbox } from "../../src/app/outbox.ts";
import type { EndedBody, EndedExchange, EndedFact, Exchange } from "../../src/facts/exchange.ts";
import { decodeExchange } from "../../src/facts/exchange-wire.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { ByteReader } from "../../src/kernel/wire.ts";
import { handClock } from "../support/hand-clock.ts";
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

/** Throws while it is being encoded, when most of it has been written. */
function halfFact(): EndedFact {
  const response: EndedBody = {
    bytes: Buffer.alloc(0),
    total: 2,
    get kept(): "whole" {
      throw new Error("no body");
    },
  };
  return { ...exchangeOf({ id: "half" }), response };
}

function idsOf(batches: Batches): string[] {
  batches.seal();
  const ids: string[] = [];
  for (let batch = batches.take(); batch !== null; batch = batches.take()) {
    assert.equal(batch.bytes.readUInt32LE(0), batch.bytes.length - 4);
    const from = new ByteReader(batch.bytes.subarray(5));
    from.u32();
    const facts = from.u32();
    let read: Exchange | null = null;
    for (let i = 0; i < facts; i++) {
      read = decodeExchange(from, read);
      ids.push(read.id);
    }
    assert.ok(from.done);
  }
  return ids;
}

test("a fact that cannot be encoded is lost alone, wherever it stands in its batch", () => {
  for (const lost of [0, 1, 2]) {
    const loss = createLossBook();
    const batches = new Batches(loss, { extraHeaders: [], queueBytesMax: 1e6 });
    for (let i = 0; i < 3; i++) {
      if (i === lost) assert.throws(() => batches.add(halfFact()), /no body/);
      else batches.add(exchangeOf({ id: `whole-${i}` }));
    }
    assert.deepEqual(
      idsOf(batches),
      [0, 1, 2].filter((i) => i !== lost).map((i) => `whole-${i}`),
    );
    assert.deepEqual(Object.fromEntries(loss.dropped), { "observer/fact": 1 });
    assert.equal(loss.seen, 3);
  }
  const batches = new Batches(createLossBook(), { extraHeaders: [], queueBytesMax: 1e6 });
  assert.throws(() => batches.add(halfFact()), /no body/);
  batches.seal();
  assert.equal(batches.take(), null);
  assert.equal(batches.queuedBytes, 0);
});

test("an exchange whose fact cannot be made or encoded is counted as lost, said in the log, and takes no other with it", () => {
  const loss = createLossBook();
  const batches = new Batches(loss, { extraHeaders: [], queueBytesMax: 1e6 });
  const errors: object[] = [];
  const log = { ...silentLog, error: (fields: object) => void errors.push(fields) };
  const outbox = new Outbox(batches, { clock: handClock(), log, pump: () => {} });
  const ended = (seal: () => EndedFact): EndedExchange => ({ copiedBytes: 0, seal, recycle: () => {} });
  outbox.deliver(ended(() => exchangeOf({ id: "first" })));
  outbox.deliver(ended(halfFact));
  outbox.deliver(
    ended(() => {
      throw new Error("no fact");
    }),
  );
  outbox.deliver(ended(() => exchangeOf({ id: "last" })));
  outbox.push();
  assert.deepEqual(idsOf(batches), ["first", "last"]);
  assert.deepEqual(Object.fromEntries(loss.dropped), { "observer/fact": 2 });
  assert.equal(loss.seen, 4);
  assert.equal(errors.length, 2);
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
