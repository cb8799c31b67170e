// Heads that arrive byte by byte: read whole, and with work that grows with their length, not with its square.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { AnswerReader } from "../../src/proxy/answer-reader.ts";
import { HeldBytes } from "../../src/proxy/held-bytes.ts";
import { RequestReader } from "../../src/proxy/request-reader.ts";

const LINES = Array.from({ length: 600 }, (_, i) => `x-${i}: ${"v".repeat(90)}\r\n`).join("");

/** Characters that are made of bytes from now on. */
function countDecoded(t: TestContext): () => number {
  const decode = t.mock.method(Buffer.prototype, "toString");
  return () =>
    decode.mock.calls.reduce((sum: number, call: { result?: string }) => sum + (call.result?.length ?? 0), 0);
}

test("a request's head of 60 KB in reads of one byte is decoded a few times, not at each byte", (t) => {
  const text = `GET /a HTTP/1.1\r\nHost: h\r\n${LINES}\r\n`;
  const heads: number[] = [];
  const reader = new RequestReader(
    {
      onRequestHead: (head) => heads.push(head.lines.length / 2),
      onRequestBody: () => {},
      onRequestWhole: () => {},
    },
    { headBytesMax: 64 * 1024, headLinesMax: 8192 },
  );
  const bytes = Buffer.from(text, "latin1");
  const decoded = countDecoded(t);
  for (let at = 0; at < bytes.length; at++) assert.equal(reader.read(bytes.subarray(at, at + 1)), 1);
  assert.deepEqual(heads, [601]);
  assert.ok(decoded() < text.length * 2, `${decoded()} characters for ${text.length} bytes`);
});

test("an answer's head of 60 KB in reads of one byte is decoded a few times, not at each byte", (t) => {
  const text = `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${LINES}\r\nok`;
  const heads: number[] = [];
  let body = "";
  const reader = new AnswerReader({
    onInterim: () => {},
    onAnswerHead: (head) => heads.push(head.lines.length / 2),
    onBody: (bytes, start, end) => (body += bytes.toString("latin1", start, end)),
  });
  reader.expect("GET");
  const bytes = Buffer.from(text, "latin1");
  const one = Buffer.alloc(1);
  const decoded = countDecoded(t);
  for (const byte of bytes) {
    one[0] = byte;
    assert.equal(reader.read(one, 1), null);
  }
  assert.deepEqual(heads, [601]);
  assert.equal(body, "ok");
  assert.ok(decoded() < text.length * 2, `${decoded()} characters for ${text.length} bytes`);
});

test("held bytes move to a larger place a few times only, and are what came", () => {
  const held = new HeldBytes();
  const places = new Set<ArrayBufferLike>();
  const one = Buffer.alloc(1);
  for (let i = 0; i < 65_536; i++) {
    one[0] = i & 255;
    const all = held.append(one, 1);
    places.add(all.buffer);
    held.keep(all, 0, all.length);
  }
  assert.ok(places.size <= 8, `${places.size} places`);
  const all = held.append(one, 0);
  assert.equal(all.length, 65_536);
  assert.equal(
    all.findIndex((byte, i) => byte !== (i & 255)),
    -1,
  );
  held.keep(all, 65_530, 65_536);
  assert.deepEqual([...held.append(one, 0)], [250, 251, 252, 253, 254, 255]);
  held.clear();
  assert.equal(held.length, 0);
});
