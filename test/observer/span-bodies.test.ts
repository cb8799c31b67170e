// Bodies on spans: what is redacted is on none of them, in whatever shape it comes; what is no whole JSON is left out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { spanBodies } from "../../src/observer/span-bodies.ts";
import { exchangeOf } from "../support/exchange.ts";

const CANARY = "canary-8e21";
const OPTIONS = {
  bytesMax: 1 << 20,
  redact: ["$.instances.ssn", "$.customer.name", "$.predictions.explained"],
};

function copyOf(body: unknown, encode: (text: string) => Buffer = Buffer.from) {
  const bytes = encode(typeof body === "string" ? body : JSON.stringify(body));
  return { bytes, total: bytes.length, kept: "whole" as const };
}

test("redacted places are gone from the request and the answer, in rows as in columns, and the rest is as it was", () => {
  const rows = {
    instances: [
      { age: 1, ssn: CANARY },
      { age: 2, ssn: CANARY },
    ],
    customer: { name: CANARY, tier: 3 },
  };
  const answer = { predictions: [{ value: 0.5, explained: { deep: [CANARY] } }] };
  const { input, output } = spanBodies(
    exchangeOf({ request: copyOf(rows), response: copyOf(answer) }),
    OPTIONS,
  );
  const gone = "[redacted]";
  assert.deepEqual(JSON.parse(input ?? ""), {
    instances: [
      { age: 1, ssn: gone },
      { age: 2, ssn: gone },
    ],
    customer: { name: gone, tier: 3 },
  });
  assert.deepEqual(JSON.parse(output ?? ""), { predictions: [{ value: 0.5, explained: gone }] });
});

test("a compressed body is redacted too", () => {
  const request = copyOf({ instances: [{ ssn: CANARY, age: 3 }] }, (text) => gzipSync(text));
  const exchange = exchangeOf({
    request,
    requestHeaders: ["Content-Type", "application/json", "Content-Encoding", "gzip"],
  });
  const { input } = spanBodies(exchange, OPTIONS);
  assert.ok(input !== null && !input.includes(CANARY) && input.includes('"age":3'), `${input}`);
});

test("what is not JSON, or was copied in part, is on no span: its places cannot be found", () => {
  const half = { ...copyOf({ instances: [{ ssn: CANARY }] }), kept: "truncated" as const, total: 1000 };
  for (const request of [half, copyOf(`ssn=${CANARY}`), copyOf(`{"ssn":"${CANARY}"`)])
    assert.equal(spanBodies(exchangeOf({ request }), OPTIONS).input, null);
});

test("a long body is cut after it was redacted", () => {
  const request = copyOf({ customer: { name: CANARY }, text: "x".repeat(20_000) });
  const { input } = spanBodies(exchangeOf({ request }), OPTIONS);
  assert.ok(input !== null && input.length < 8300 && !input.includes(CANARY));
  assert.equal(typeof JSON.parse(input), "string");
});
