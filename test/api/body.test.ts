import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { suite, test } from "node:test";
import { bodySlices } from "../../src/api/body.ts";

suite("the body of a request", () => {
  test("is cut into small slices, and others get their turn while a slow consumer works through it", async () => {
    const chunks = Array.from({ length: 16 }, () => Buffer.alloc(64 * 1024));
    const request = Object.assign(Readable.from(chunks), { headers: {} });
    let now = 0;
    const clock = { wallMs: () => now, monotonicMs: () => now, after: never, every: never };
    const watch = {
      request: request as unknown as IncomingMessage,
      response: {} as ServerResponse,
      clock,
      idleMs: 1000,
    };
    let turns = 0;
    let reading = true;
    const count = (): void => {
      turns++;
      if (reading) setImmediate(count);
    };
    setImmediate(count);
    let slices = 0;
    for await (const slice of bodySlices(watch)) {
      assert.ok(slice.length <= 16 * 1024);
      slices++;
      now += 6;
    }
    reading = false;
    assert.equal(slices, 64);
    assert.ok(turns >= 30, `${turns} turns`);
  });
});

function never(): { cancel(): void } {
  return { cancel() {} };
}
