// Heads that have come before: whatever is taken for one of them is what a reader that knows none would have read.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { headerFilter } from "../../src/facts/header-filter.ts";
import { KnownHeads } from "../../src/proxy/known-heads.ts";
import { PlainAnswerReader, type PlainAnswer } from "../../src/proxy/plain-answer.ts";
import { PlainRequestReader, type PlainRequest } from "../../src/proxy/plain-request.ts";
import { newRecall } from "../../src/proxy/recall.ts";
import { ownLinesOf, plainRequestHead, plainTracing } from "../../src/proxy/request-head.ts";
import { fuzzRun } from "../support/fuzz.ts";

const LIMITS = { headBytesMax: 4096, headLinesMax: 32 };
const FILTER = headerFilter(["x-tenant"]);
/** Reads until one of them must have been kept. */
const UNTIL_KNOWN = 8;
/** Reads of heads that say something new each time until it must have been found out what that is. */
const UNTIL_LEARNT = 17;

type Head = PlainRequest | PlainAnswer;

const reads = {
  request: (filter = FILTER as typeof FILTER | null) => {
    const recall = newRecall();
    const known = new KnownHeads<PlainRequest>(filter, recall);
    return { known, recall, reader: () => new PlainRequestReader(LIMITS, known) };
  },
  answer: (filter = FILTER as typeof FILTER | null) => {
    const recall = newRecall();
    const known = new KnownHeads<PlainAnswer>(filter, recall);
    return { known, recall, reader: () => new PlainAnswerReader(known) };
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
    return { ...alike, method, target, host, predictionId, traceparent, tracestate, ...goesOn(head) };
  }
  const { status, reason, chunked, keepAliveMs, hasDate } = head;
  return { ...alike, status, reason, chunked, keepAliveMs, hasDate };
}

const OWN = ownLinesOf("model:80", { peer: "192.0.2.1", scheme: "http" });

/** What goes on to the model, but for the ids that are ours. */
function goesOn(head: PlainRequest): object {
  const { text, tracing } = plainRequestHead(head, { own: OWN, tracing: plainTracing(head, 0) });
  const { traceId, parentSpanId, sampled, spanId } = tracing.trace;
  const sent = text?.replace(spanId, "").replace(parentSpanId === null ? traceId : "", "");
  return { sent, traceId: parentSpanId === null ? null : traceId, parentSpanId, sampled };
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
  "X-Prediction-Id: 0f1e2d3c\r\n",
  "tracestate: vendor=0123456789abcdef\r\n",
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

/** Values in `text` that are new each time, in the same form. */
const IDS =
  /(?<=\r\n(?:traceparent: 00-|X-Request-Id: |X-Prediction-Id: |tracestate: vendor=|X-Forwarded-For: |Via: ))[\da-f]+(?:-[\da-f]{4,})*/g;

/** With others, made of `seed`. */
function renewed(text: string, seed: number): string {
  let state = seed;
  const digit = (): string => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 28).toString(16);
  };
  return text.replace(IDS, (id) => id.replace(/[\da-f]/g, digit));
}

/** What may go wrong with such a value; `at` is anywhere in it. */
const spoil = fc
  .tuple(
    fc.nat(),
    // The first, the last, or any.
    fc.oneof(fc.constantFrom(0, -1), fc.nat()),
    fc.constantFrom(
      "\r",
      "\n",
      "\r\n",
      "\t",
      " ",
      "\0",
      "\x1f",
      "\x7f",
      "\x80",
      "\xff",
      "A",
      "g",
      ":",
      "~",
      "/",
    ),
  )
  .map(([which, where, byte]) => (text: string): string => {
    const ids = [...text.matchAll(IDS)];
    const id = ids[which % Math.max(1, ids.length)];
    if (id === undefined) return text;
    const at = id.index + (where < 0 ? id[0].length - byte.length : where % id[0].length);
    return (text.slice(0, at) + byte + text.slice(at + byte.length)).slice(0, text.length);
  });
const otherTrace = fc
  .constantFrom(
    ["00-", "ff-"],
    ["00-", "01-"],
    ["00-", "0A-"],
    [/00-[\da-f]{32}/, `00-${"0".repeat(32)}`],
    [/-[\da-f]{16}-/, `-${"0".repeat(16)}-`],
    [/-01(?=\r\n)/, "-00"],
    [/-01(?=\r\n)/, "-fe"],
    [/-01(?=\r\n)/, "-0x"],
    [/-01(?=\r\n)/, "_01"],
  )
  .map(
    ([from, to]) =>
      (text: string): string =>
        text.replace(from ?? "", String(to)),
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

    test("that say something new each time are read as a reader reads them that knows none", (t) => {
      let found = 0;
      const anyChange = fc.oneof(
        fc.constant((text: string) => text),
        change,
        spoil,
        otherTrace,
      );
      fc.assert(
        fc.property(
          heads,
          fc.array(fc.tuple(anyChange, fc.nat({ max: 5 }), fc.nat()), { maxLength: 20 }),
          (text, changes) => {
            const { recall, reader } = reads[kind]();
            const one: Reader = reader();
            for (let i = 0; i < UNTIL_LEARNT; i++) readAt(one, renewed(text, i), i % 3);
            for (const [changed, from, seed] of changes) {
              const { misses } = recall;
              const other = changed(renewed(text, seed));
              const { reader: fresh } = reads[kind]();
              assert.deepEqual(said(readAt(one, other, from)), said(readAt(fresh(), other, from)));
              if (recall.misses === misses && renewed(text, 1) !== renewed(text, 2)) found++;
            }
          },
        ),
        fuzzRun(t, 400),
      );
      assert.ok(found > 50, `${found} found`);
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

test("of a head that is known the observer is told the length, and any other line, as it is this time", () => {
  const text = "POST / HTTP/1.1\r\nHost: model:80\r\nContent-Length: 120\r\n\r\n";
  for (const filter of [null, headerFilter(["content-length"])]) {
    const { reader } = reads.request(filter);
    const one = reader();
    for (let i = 0; i < UNTIL_KNOWN; i++) readAt(one, text, 0);
    const other = readAt(one, text.replace("120", "121"), 0);
    assert.ok(other?.observed.includes("121"));
  }
});

test("a head with a new id and a new trace is known after a few, on all connections, with any path and length", () => {
  const recall = newRecall();
  const known = new KnownHeads<PlainRequest>(FILTER, recall);
  const connections = [0, 1, 2].map(() => new PlainRequestReader(LIMITS, known));
  const head = (path: string, length: number, seed: number): string =>
    renewed(
      `POST ${path} HTTP/1.1\r\nHost: m\r\nX-Request-Id: 0123-4567-89ab\r\ntraceparent: 00-${"a".repeat(32)}-${"b".repeat(16)}-01\r\nX-Prediction-Id: 0f1e2d3c\r\nContent-Length: ${length}\r\n\r\n`,
      seed,
    );
  const read = (seed: number, path = "/a", length = 120): PlainRequest | null => {
    const bytes = Buffer.from(head(path, length, seed), "latin1");
    return connections[seed % 3]?.read(bytes, 0, bytes.length) ?? null;
  };
  for (let i = 0; i < 200; i++) {
    const one = read(i, "/a", 100 + i);
    const text = head("/a", 100 + i, i);
    const line = (name: string): string => new RegExp(`${name}: ([^\r]*)`).exec(text)?.[1] ?? "";
    assert.ok(one);
    assert.deepEqual(
      [one.traceparent, one.predictionId, one.length],
      [line("traceparent"), line("X-Prediction-Id"), 100 + i],
    );
    assert.deepEqual(one.observed, [
      "x-request-id",
      line("X-Request-Id"),
      "x-prediction-id",
      line("X-Prediction-Id"),
    ]);
  }
  const { misses } = recall;
  assert.ok(misses <= 100, `${misses} misses`);
  // What is new each time is known by its name: another path is kept once.
  for (let i = 0; i < 200; i++) read(i, "/another", 1000);
  assert.ok(recall.misses - misses <= 3 * UNTIL_KNOWN, `${recall.misses - misses} misses`);
});

test("a gRPC call is not taken for what came before, however often its content type was another one", () => {
  const { reader, recall } = reads.request();
  const one = reader();
  const head = (type: string): string =>
    `POST / HTTP/1.1\r\nHost: m\r\nContent-Type: application/${type}\r\n\r\n`;
  for (let i = 0; i < UNTIL_LEARNT; i++) readAt(one, head(String(1000 + i)), 0);
  assert.equal(readAt(one, head("grpc"), 0), null);
  assert.ok(recall.misses >= UNTIL_LEARNT);
});

test("what a client says anew once in a while is no id: its heads are the same object in between", () => {
  const { reader } = reads.request();
  const one = reader();
  const head = (token: number): string =>
    `GET / HTTP/1.1\r\nHost: m\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  for (let token = 1000; token < 1020; token++) {
    for (let i = 0; i < 2 * UNTIL_KNOWN; i++) readAt(one, head(token), 0);
    assert.equal(readAt(one, head(token), 1), readAt(one, head(token), 2));
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
