// Heads that have come before: whatever is taken for one of them is what a reader that knows none would have read.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { headerFilter } from "../../src/facts/header-filter.ts";
import { KnownHeads } from "../../src/proxy/known-heads.ts";
import { PlainAnswerReader, type PlainAnswer } from "../../src/proxy/plain-answer.ts";
import { PlainRequestReader, type PlainRequest } from "../../src/proxy/plain-request.ts";
import { fuzzRun } from "../support/fuzz.ts";

const LIMITS = { headBytesMax: 4096, headLinesMax: 32 };
const FILTER = headerFilter(["x-tenant"]);
/** Reads until one of them must have been kept. */
const UNTIL_KNOWN = 8;

type Head = PlainRequest | PlainAnswer;

const reads = {
  request: (filter = FILTER as typeof FILTER | null) => {
    const known = new KnownHeads<PlainRequest>(filter);
    return { known, reader: () => new PlainRequestReader(LIMITS, known) };
  },
  answer: (filter = FILTER as typeof FILTER | null) => {
    const known = new KnownHeads<PlainAnswer>(filter);
    return { known, reader: () => new PlainAnswerReader(known) };
  },
};

interface Reader {
  read(bytes: Buffer, from: number, to: number): Head | null;
}

/** All that a head says. */
function said(head: Head | null): unknown {
  if (head === null) return null;
  const { text, kept, length, closes, hasConnection, extended, lines, observed } = head;
  const alike = { text, kept, length, closes, hasConnection, extended, lines, observed };
  if ("target" in head) {
    const { method, target, host, predictionId, traceparent, tracestate } = head;
    return { ...alike, method, target, host, predictionId, traceparent, tracestate };
  }
  const { status, reason, chunked, keepAliveMs, hasDate } = head;
  return { ...alike, status, reason, chunked, keepAliveMs, hasDate };
}

/** `text` from `from` on in memory that goes on behind it. */
function readAt(reader: Reader, text: string, from: number): Head | null {
  const bytes = Buffer.from(`${"x".repeat(from)}${text}: stale\r\n\r\n`, "latin1");
  return reader.read(bytes, from, from + text.length);
}

const extraLine = fc.constantFrom(
  "",
  "Connection: keep-alive\r\n",
  "content-type: application/json\r\n",
  "X-Tenant: a\r\n",
  "X-Request-Id: 0123-4567\r\n",
  "x-prediction-id: p1\r\n",
  "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
  "Via: 1.0 x\r\n",
  "X-Forwarded-For: 192.0.2.1\r\n",
  "Date: Fri, 27 Nov 2026 02:00:00 GMT\r\n",
  "Keep-Alive: timeout=5\r\n",
);
const lengthLine = fc.oneof(
  fc.integer({ min: 0, max: 1e6 }).map((bytes) => `Content-Length: ${bytes}\r\n`),
  fc.constantFrom("", "content-length: 007\r\n", "Transfer-Encoding: chunked\r\n"),
);
const lines = fc
  .tuple(fc.array(extraLine, { maxLength: 3 }), lengthLine, fc.array(extraLine, { maxLength: 3 }))
  .map(([before, length, behind]) => `${before.join("")}${length}${behind.join("")}\r\n`);
const requests = fc
  .tuple(fc.constantFrom("POST /v2/models/m/infer", "GET /a?b=c"), lines)
  .map(([start, rest]) => `${start} HTTP/1.1\r\nHost: model:80\r\n${rest}`);
const answers = fc
  .tuple(fc.constantFrom("200 OK", "503 "), lines)
  .map(([start, rest]) => `HTTP/1.1 ${start}\r\n${rest}`);

/** A change of one byte, of the digits, or of the end; mostly of the same length. */
const change = fc.oneof(
  fc.constant((text: string) => text),
  fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })).map(
    ([at, byte]) =>
      (text: string) =>
        text.slice(0, at % text.length) + String.fromCharCode(byte) + text.slice((at % text.length) + 1),
  ),
  fc.tuple(fc.stringMatching(/^[0-9 ,.+\-a\r\n]{1,7}$/), fc.boolean()).map(
    ([digits, padded]) =>
      (text: string) =>
        text.replace(/(?<=content-length: )\d+/i, (old) =>
          padded ? digits.padEnd(old.length, "7").slice(0, old.length) : digits,
        ),
  ),
  fc.nat({ max: 30 }).map((cut) => (text: string) => text.slice(0, -1 - cut)),
  fc.constant((text: string) => `${text}GET / HTTP/1.1\r\n`),
);

for (const [kind, heads] of [
  ["request", requests],
  ["answer", answers],
] as const) {
  suite(`known ${kind} heads`, () => {
    test("are read as a reader reads them that knows none", (t) => {
      let same = 0;
      fc.assert(
        fc.property(
          heads,
          fc.array(fc.tuple(change, fc.nat({ max: 5 })), { maxLength: 20 }),
          (text, changes) => {
            const { known, reader } = reads[kind]();
            const one: Reader = reader();
            for (let i = 0; i < UNTIL_KNOWN; i++) readAt(one, text, i % 3);
            for (const [changed, from] of changes) {
              const other = changed(text);
              const { reader: fresh } = reads[kind]();
              const before = known.size;
              assert.deepEqual(said(readAt(one, other, from)), said(readAt(fresh(), other, from)));
              if (before > 0 && other === text) same++;
            }
          },
        ),
        fuzzRun(t, 400),
      );
      assert.ok(same > 50, `${same} known ones`);
    });

    test("are the same object when they say the same, on another connection too", () => {
      const text =
        kind === "request"
          ? "POST /v2/models/m/infer HTTP/1.1\r\nHost: model:80\r\nContent-Length: 120\r\nX-Tenant: a\r\n\r\n"
          : "HTTP/1.1 200 OK\r\nContent-Length: 120\r\nX-Tenant: a\r\n\r\n";
      const { reader } = reads[kind]();
      const one: Reader = reader();
      for (let i = 0; i < UNTIL_KNOWN; i++) readAt(one, text, 0);
      const known = readAt(one, text, 0);
      const another: Reader = reader();
      assert.equal(readAt(another, text, 7), known);
      const longer = readAt(another, text.replace("120", "997"), 1);
      assert.deepEqual([longer?.length, longer?.observed], [997, ["x-tenant", "a"]]);
      assert.ok(
        longer?.kept.includes("\r\nContent-Length: 997\r\n") ||
          longer?.kept.startsWith("Content-Length: 997\r\n"),
      );
      assert.equal(known?.length, 120);
    });
  });
}

test("where all lines are told to the observer, or the length is, a head is known with its length alone", () => {
  const text = "POST / HTTP/1.1\r\nHost: model:80\r\nContent-Length: 120\r\n\r\n";
  for (const filter of [null, headerFilter(["content-length"])]) {
    const { reader } = reads.request(filter);
    const one = reader();
    for (let i = 0; i < UNTIL_KNOWN; i++) readAt(one, text, 0);
    const other = readAt(one, text.replace("120", "121"), 0);
    assert.ok(other?.observed.includes("121"));
  }
});

/** What the heads cost that come once: none is kept for long, and looking for them stops. */
test("a connection whose heads are always new takes recognition from no other", () => {
  const { reader } = reads.request();
  const one = reader();
  const other = reader();
  const text = "GET / HTTP/1.1\r\nHost: model:80\r\n\r\n";
  for (let i = 0; i < UNTIL_KNOWN; i++) readAt(one, text, 0);
  const known = readAt(one, text, 0);
  for (let i = 0; i < 300; i++) {
    readAt(other, text.replace("/", `/${i}`), 0);
    if (i % 10 === 0) assert.equal(readAt(one, text, 0), known);
  }
});

test("no more than 64 heads are kept, and no long one", () => {
  const { known, reader } = reads.request();
  const one = reader();
  const head = (i: number, filler = ""): string =>
    `GET /${i} HTTP/1.1\r\nHost: model:80\r\nX-Filler: a${filler}\r\n\r\n`;
  for (let i = 0; i < 100; i++) readAt(one, head(i, "b".repeat(1024)), 0);
  assert.equal(known.size, 0);
  for (let i = 0; i < 20_000; i++) assert.equal(readAt(one, head(i), 0)?.text, head(i));
  assert.ok(known.size <= 64, String(known.size));
});
