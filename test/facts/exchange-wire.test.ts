import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeExchange, encodeExchange } from "../../src/facts/exchange-wire.ts";
import { ByteReader, ByteWriter } from "../../src/kernel/wire.ts";
import { exchangeOf } from "../support/exchange.ts";

test("an exchange survives the road unchanged", () => {
  const exchange = exchangeOf({
    target: "/v2/models/größe/infer?x=%00",
    requestHeaders: ["X-Request-Id", "caf\u00e9", "x-empty", ""],
    outcome: "reset",
    ownError: "connection_reset",
    abortedBy: "upstream",
    status: null,
    announcedVersion: "1.4.2",
    clocks: {
      requestEndMs: 1,
      headMs: null,
      firstByteMs: null,
      lastByteMs: null,
      endMs: 7.25,
      longestGapMs: 0,
    },
  });
  const out = new ByteWriter();
  encodeExchange(out, exchange, false);
  const back = decodeExchange(new ByteReader(out.take()));
  assert.deepEqual(
    { ...back, request: { ...back.request, bytes: Buffer.from(back.request.bytes) } },
    { ...exchange, response: { ...exchange.response, bytes: back.response.bytes } },
  );
});

test("shed bodies keep their size and say why they are gone", () => {
  const out = new ByteWriter();
  encodeExchange(out, exchangeOf(), true);
  const back = decodeExchange(new ByteReader(out.take()));
  assert.equal(back.response.kept, "shed");
  assert.equal(back.response.total, 2);
  assert.equal(back.response.bytes.length, 0);
});
