import assert from "node:assert/strict";
import { test } from "node:test";
import type { BodyCopy, EndedFact, Exchange, RawHeaders } from "../../src/facts/exchange.ts";
import { decodeExchange, encodeExchange } from "../../src/facts/exchange-wire.ts";
import { ByteReader, ByteWriter } from "../../src/kernel/wire.ts";
import { exchangeOf } from "../support/exchange.ts";
import { random } from "../support/random.ts";

/** One of them, by chance. */
function oneOf<T>(chance: () => number, values: readonly [T, ...T[]]): T {
  return values[Math.floor(chance() * values.length)] ?? values[0];
}

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

test("words that the exchange before has, too, cross once", () => {
  const words = {
    requestHeaders: ["content-type", "a"],
    responseHeaders: ["x", "y"],
    target: "/long/target",
  };
  const all = [
    exchangeOf({ ...words, id: "1" }),
    exchangeOf({ ...words, id: "2", status: 500, outcome: "server_error" }),
    exchangeOf({ ...words, id: "3", announcedVersion: "7" }),
    exchangeOf({ ...words, id: "4", announcedVersion: "7", responseTrailers: ["grpc-status", "0"] }),
    exchangeOf({ ...words, id: "5", announcedVersion: "7", responseTrailers: ["grpc-status", "0"] }),
    exchangeOf({ ...words, id: "6", announcedVersion: "7", requestHeaders: ["content-type", "b"] }),
  ];
  const out = new ByteWriter();
  const lengths: number[] = [];
  let before: EndedFact | null = null;
  for (const exchange of all) {
    const from = out.length;
    encodeExchange(out, exchange, { ...WHOLE, before });
    lengths.push(out.length - from);
    before = exchange;
  }
  assert.ok((lengths[1] ?? 0) < (lengths[0] ?? 0) - "/long/target".length, lengths.join());
  const bytes = out.take();
  const from = new ByteReader(bytes);
  let read: Exchange | null = null;
  for (const exchange of all) {
    read = decodeExchange(from, read);
    const { request, response, ...rest } = exchange;
    assert.deepEqual({ ...read, request: null, response: null }, { ...rest, request: null, response: null });
    assert.deepEqual([read.request.total, read.response.total], [request.total, response.total]);
  }
  assert.ok(from.done);
  const second = new ByteReader(bytes.subarray(lengths[0]));
  assert.throws(() => decodeExchange(second), /wire: texts again/);
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

test("a short body that is still latin-1 text crosses byte for byte; shed, it stays behind", () => {
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const body = {
    bytes: new Uint8Array(0),
    text: every.toString("latin1"),
    total: 256,
    kept: "whole",
  } as const;
  const exchange = { ...exchangeOf({}), request: body, response: body };
  // So small that it has to grow for them.
  const out = new ByteWriter(16);
  encodeExchange(out, exchange, WHOLE);
  encodeExchange(out, exchange, { ...WHOLE, shedBodies: true });
  const from = new ByteReader(out.take());
  for (const kept of ["whole", "shed"] as const) {
    const { request, response } = decodeExchange(from);
    for (const copy of [request, response]) {
      assert.deepEqual([copy.kept, copy.total], [kept, 256]);
      assert.deepEqual(Buffer.from(copy.bytes), kept === "whole" ? every : Buffer.alloc(0));
    }
  }
});

test("of a document that was copied in part only the beginning crosses; what is read in parts crosses as far as it goes", () => {
  const response = {
    bytes: Buffer.alloc(5000, "a"),
    total: 6000,
    kept: "truncated",
    tail: Buffer.alloc(9),
  } as const;
  const crossed = (responseHeaders: readonly string[], body: Partial<BodyCopy> = {}): (number | string)[] => {
    const out = new ByteWriter();
    encodeExchange(out, exchangeOf({ responseHeaders, response: { ...response, ...body } }), WHOLE);
    const { bytes, total, kept, tail } = decodeExchange(new ByteReader(out.take())).response;
    return [bytes.length, total, kept, tail?.length ?? 0];
  };
  for (const type of ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"])
    assert.deepEqual(crossed(["Content-Type", type]), [1024, 6000, "truncated", 0], type);
  for (const type of [
    "text/event-stream",
    "application/x-ndjson",
    "application/grpc",
    "application/json-seq",
    "",
  ])
    assert.deepEqual(crossed(["content-type", type]), [5000, 6000, "truncated", 9], type);
  assert.deepEqual(crossed([]), [5000, 6000, "truncated", 9]);
  const binary = ["Inference-Header-Content-Length", "300", "content-type", "application/json"];
  assert.deepEqual(crossed(binary), [5000, 6000, "truncated", 9]);
  assert.deepEqual(crossed(["content-type", "application/json"], { total: 5000, kept: "whole" }), [
    5000,
    5000,
    "whole",
    9,
  ]);
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

test("read after another one, an exchange says what it says by itself, and shares the words that are the same", () => {
  const chance = random(7);
  const lists: readonly [RawHeaders, ...RawHeaders[]] = [
    [],
    ["content-type", "a"],
    ["content-type", "b"],
    ["a", "content-type"],
  ];
  const out = new ByteWriter();
  const count = 2000;
  for (let i = 0; i < count; i++) {
    const exchange = exchangeOf({
      id: String(i),
      method: oneOf(chance, ["GET", "POST"]),
      target: oneOf(chance, ["/a", "/a?b", "/caf\u00e9", "/\u20ac"]),
      httpVersion: oneOf(chance, ["1.1", "2"]),
      announcedVersion: oneOf(chance, [null, "1"]),
      requestHeaders: oneOf(chance, lists),
      responseHeaders: oneOf(chance, lists),
      responseTrailers: oneOf(chance, lists),
    });
    // Twice in a row, as most come.
    encodeExchange(out, exchange, WHOLE);
    encodeExchange(out, exchange, WHOLE);
  }
  const bytes = out.take();
  const [alone, after] = [new ByteReader(bytes), new ByteReader(bytes)];
  const reads: Exchange[] = [];
  for (let i = 0; i < 2 * count; i++) {
    const before = reads.at(-1) ?? null;
    const read = decodeExchange(after, before);
    assert.deepEqual(read, decodeExchange(alone));
    if (i % 2 === 1) assert.equal(read.requestHeaders, before?.requestHeaders);
    reads.push(read);
  }
  assert.ok(after.done);
});
