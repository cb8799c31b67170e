// The copy of a body as it passes: what is kept, when it came, and what it costs.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MARKS_MAX } from "../../src/facts/exchange.ts";
import { BodyTap, CopyBudget } from "../../src/proxy/tap.ts";

const limits = { bodyBytesMax: 100, totalBytesMax: 1000, tailBytes: 20 };

test("whatever chunks a body comes in, its beginning, its end and its arrival are kept within the limits", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 300 }), (chunks) => {
      const budget = new CopyBudget();
      const tap = new BodyTap(budget, limits);
      chunks.forEach((chunk, at) => tap.add(chunk, at));
      assert.ok(budget.heldBytes <= 100 + 20 + 60);
      const body = Buffer.concat(chunks);
      const copy = tap.seal();
      assert.deepEqual(Buffer.from(copy.bytes), body.subarray(0, 100));
      assert.equal(copy.total, body.length);
      assert.equal(copy.kept, body.length > 100 ? "truncated" : "whole");
      const rest = body.subarray(100);
      assert.deepEqual(Buffer.from(copy.tail ?? []), rest.subarray(Math.max(0, rest.length - 20)));
      const marks = copy.marks ?? [];
      assert.ok(marks.length <= 2 * MARKS_MAX);
      for (let at = 0; at < marks.length; at += 2) {
        const came = marks[at + 1] ?? 0;
        const before = Buffer.concat(chunks.slice(0, came)).length;
        if (!Number.isNaN(came)) assert.equal(marks[at], before, "bytes before the chunk that came then");
      }
      assert.equal(budget.heldBytes, 0);
      assert.equal(budget.refused, 0);
    }),
    { numRuns: 300 },
  );
});

test("arrivals beyond the cap are marked once as not kept", () => {
  const tap = new BodyTap(new CopyBudget(), { bodyBytesMax: 10_000, totalBytesMax: 10_000 });
  for (let at = 0; at < MARKS_MAX + 50; at++) tap.add(Buffer.from("x"), at);
  const marks = tap.seal().marks ?? [];
  assert.equal(marks.length, 2 * MARKS_MAX);
  assert.deepEqual([marks.at(-3), Number.isNaN(marks.at(-1))], [MARKS_MAX - 1, true]);
});

test("when the budget is spent the copy is given up whole, and counted", () => {
  const budget = new CopyBudget();
  const tap = new BodyTap(budget, { ...limits, totalBytesMax: 110 });
  tap.add(Buffer.alloc(100));
  tap.add(Buffer.alloc(30));
  assert.deepEqual(tap.seal(), { bytes: new Uint8Array(0), total: 130, kept: "not-captured" });
  assert.deepEqual([budget.heldBytes, budget.refused], [0, 1]);
});

test("of a document that will be longer than what is copied only the beginning is; of what is read in parts all that may be", () => {
  const copied = (length: number, headers: readonly string[]): number => {
    const budget = new CopyBudget();
    const tap = new BodyTap(budget, { bodyBytesMax: 4000, totalBytesMax: 100_000, tailBytes: 20 });
    tap.expect(length, { observed: headers });
    for (let sent = 0; sent < 10_000; sent += 1000) tap.add(new Uint8Array(1000), sent);
    const { kept, total, bytes } = tap.seal();
    assert.deepEqual([kept, total, budget.heldBytes], ["truncated", 10_000, 0]);
    return bytes.length;
  };
  assert.equal(copied(10_000, ["Content-Type", "application/json"]), 1024);
  assert.equal(copied(10_000, ["Content-Type", "text/event-stream"]), 4000);
  // It said less than it sent.
  assert.equal(copied(3000, ["Content-Type", "application/json"]), 4000);
});
