// An exchange that is over waits until its fact is made: nothing of it changes meanwhile.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Draft } from "../../src/proxy/draft.ts";
import { BodyTap, CopyBudget } from "../../src/proxy/tap.ts";
import { heldClock } from "./support.ts";

test("what the ends of a tunnel still say after it was closed is not in its fact", () => {
  const clock = heldClock();
  const tap = (): BodyTap => new BodyTap(new CopyBudget(), { bodyBytesMax: null, totalBytesMax: 0 });
  const draft = new Draft({
    clock,
    method: "GET",
    target: "/ws",
    httpVersion: "1.1",
    requestHead: { observed: [] },
    predictionId: "p",
    trace: { traceId: "0".repeat(32), spanId: "0".repeat(16), parentSpanId: null, sampled: false },
    request: tap(),
    response: tap(),
  });
  clock.pass(1);
  draft.tunnelRequestBytes(3);
  draft.tunnelResponseBytes(4);
  clock.pass(1);
  const ended = draft.close("reset");
  clock.pass(5);
  assert.equal(draft.tunnelRequestBytes(30), 2);
  assert.equal(draft.tunnelResponseBytes(40), 2);
  const { request, response, clocks } = ended.seal();
  assert.deepEqual([request.total, response.total], [3, 4]);
  assert.deepEqual([clocks.lastByteMs, clocks.endMs, clocks.longestGapMs], [1, 2, 0]);
});
