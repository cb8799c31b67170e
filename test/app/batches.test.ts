import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Batches } from "../../src/app/batches.ts";
import { createLossBook, type LossBook } from "../../src/app/loss.ts";
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
