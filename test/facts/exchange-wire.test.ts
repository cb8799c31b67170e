import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeExchange, encodeExchange } from "../../src/facts/exchange-wire.ts";
import { ByteReader, ByteWriter } from "../../src/kernel/wire.ts";
import { exchangeOf } from "../support/exchange.ts";

const WHOLE = { shedBodies: false, keeps: () => true };

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
  encodeExchange(out, exchange, WHOLE);
  const back = decodeExchange(new ByteReader(out.take()));
  assert.deepEqual(
    { ...back, request: { ...back.request, bytes: Buffer.from(back.request.bytes) } },
    { ...exchange, response: { ...exchange.response, bytes: back.response.bytes } },
  );
});

test("the arrival of a body's chunks and its last bytes cross too; shed, they stay behind", () => {
  const response = {
    bytes: Buffer.from("ab"),
    total: 9,
    kept: "truncated",
    marks: [1, 2.5, 2, Number.NaN],
    tail: Buffer.from("yz"),
  } as const;
  const exchange = exchangeOf({ response });
  const out = new ByteWriter();
  encodeExchange(out, exchange, WHOLE);
  encodeExchange(out, exchange, { ...WHOLE, shedBodies: true });
  const from = new ByteReader(out.take());
  const whole = decodeExchange(from).response;
  assert.deepEqual(whole.marks, response.marks);
  assert.equal(Buffer.from(whole.tail ?? []).toString(), "yz");
  const shed = decodeExchange(from).response;
  assert.deepEqual([shed.kept, shed.marks, shed.tail], ["shed", undefined, undefined]);
});

test("what passed over a WebSocket crosses, and what was none stays none", () => {
  const webSocket = {
    requestMessages: 2,
    responseMessages: 5e9,
    firstMessageMs: null,
    closedBy: "upstream",
    closeCode: 1001,
    measured: false,
  } as const;
  const out = new ByteWriter();
  encodeExchange(out, exchangeOf({ upgraded: true, webSocket }), WHOLE);
  encodeExchange(out, exchangeOf(), WHOLE);
  const from = new ByteReader(out.take());
  assert.deepEqual(decodeExchange(from).webSocket, webSocket);
  assert.equal("webSocket" in decodeExchange(from), false);
});

test("shed bodies keep their size and say why they are gone", () => {
  const out = new ByteWriter();
  encodeExchange(out, exchangeOf(), { ...WHOLE, shedBodies: true });
  const back = decodeExchange(new ByteReader(out.take()));
  assert.equal(back.response.kept, "shed");
  assert.equal(back.response.total, 2);
  assert.equal(back.response.bytes.length, 0);
});
