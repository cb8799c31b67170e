// Heads that go on in the pieces they came in: whatever is taken for one is read the other way with the same result.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { headerFilter } from "../../src/facts/header-filter.ts";
import { plainAnswerLines } from "../../src/proxy/answer-head.ts";
import { AnswerReader, type AnswerHead } from "../../src/proxy/answer-reader.ts";
import { KnownHeads } from "../../src/proxy/known-heads.ts";
import { PlainAnswerReader } from "../../src/proxy/plain-answer.ts";
import { PlainRequestReader } from "../../src/proxy/plain-request.ts";
import { ownLinesOf, plainRequestHead, plainTracing, readRequestHead } from "../../src/proxy/request-head.ts";
import { readRequestLine } from "../../src/proxy/request-line.ts";
import { readResponseHead } from "../../src/proxy/response-head.ts";
import { OPENING_SNAPSHOT, compileRules } from "../../src/proxy/rules.ts";
import { fuzzRun } from "../support/fuzz.ts";

const LIMITS = { headBytesMax: 4096, headLinesMax: 32 };
const FILTER = headerFilter(["x-tenant"]);
const CONTEXT = {
  httpVersion: "1.1",
  peer: "192.0.2.7",
  upstreamHost: null,
  targetHost: null,
  upstreamAuthority: "model:8080",
  traceSampleRatio: 0,
  scheme: "http" as const,
  bodyFollows: null,
};

/** Random case. */
const spelled = (...names: string[]): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(...names), fc.infiniteStream(fc.boolean()))
    .map(([name, upper]) =>
      name.replace(/[a-z]/g, (char) => (upper.next().value === true ? char.toUpperCase() : char)),
    );
const anyName = fc.oneof(
  spelled(
    "host",
    "content-length",
    "connection",
    "traceparent",
    "x-prediction-id",
    "x-model-version",
    "tracestate",
  ),
  spelled("transfer-encoding", "keep-alive", "te", "upgrade", "trailer", "expect", "via"),
  spelled("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "proxy-connection"),
  spelled("content-type", "date", "x-request-id", "x-tenant", "authorization", "host-", "hos"),
  fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/),
);
const anyValue = fc.oneof(
  fc.constantFrom("keep-alive", "Close", "close, x-tenant", "chunked", "0", "12", "007", "1e3", "timeout=5"),
  fc.constantFrom(
    "model.example:80",
    "application/grpc",
    "application/json",
    "a b",
    "trailers",
    "1234567890123456",
  ),
  fc.constant("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
  fc.stringMatching(/^[\t -~\x80-\xff]{0,16}$/),
);
/** Nearly always as it should be. */
const odd = (usual: string, ...others: string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 60, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );
const line = fc
  .tuple(
    anyName,
    odd(": ", ":", " : ", ":  ", ":\t"),
    anyValue,
    odd("\r\n", "\n", "\r", " \r\n", "\0\r\n", "\r\n x\r\n"),
  )
  .map((parts) => parts.join(""));
const host = fc.oneof(
  { weight: 9, arbitrary: fc.constant("Host: model.example\r\n") },
  { weight: 1, arbitrary: fc.constant("") },
);
const requestHead = fc
  .tuple(
    fc.constantFrom("POST", "GET", "OPTIONS", "TRACE", "CONNECT", "x!", "PO ST", ""),
    odd(" ", "  ", "\t"),
    fc.oneof(
      fc.constantFrom("/", "/v1/a?b=c", "//x", "*", "http://other/x", "/\x80", "/a\x7f"),
      fc.stringMatching(/^\/[!-~]{0,20}$/),
    ),
    odd(" HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/2.0\r\n", "\r\n", " HTTP/1.1\n", " HTTP/1.1 \r\n"),
    host,
    fc.array(line, { maxLength: 6 }),
  )
  .map(
    ([method, blank, target, rest, first, lines]) =>
      `${method}${blank}${target}${rest}${first}${lines.join("")}\r\n`,
  );
const answerHead = fc
  .tuple(
    odd("HTTP/1.1 ", "HTTP/1.0 ", "HTTP/1.1  ", "http/1.1 "),
    fc.constantFrom("200", "404", "503", "204", "304", "100", "101", "20", "2000", "2x0"),
    odd(" OK\r\n", " \r\n", "\r\n", " \x80\r\n", " a\0\r\n", " OK\n"),
    fc.array(line, { maxLength: 6 }),
  )
  .map((parts) => `${parts[0]}${parts[1]}${parts[2]}${parts[3].join("")}\r\n`);

/** The names in lower case, as the list has them. */
function filtered(lines: readonly string[]): string[] {
  return lines.flatMap((name, i) =>
    i % 2 === 0 && FILTER.keeps(name) ? [name.toLowerCase(), lines[i + 1] ?? ""] : [],
  );
}

function textOf(lines: readonly string[]): string {
  return lines.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${lines[i + 1]}\r\n`] : [])).join("");
}

/** Without the one line that is new each time. */
function untraced(text: string): string {
  return text.replace(/traceparent: 00-([0-9a-f]{32})-[0-9a-f]{16}-0\d\r\n$/, "");
}

test("a plain request head goes on as it would have, had it been read line by line", (t) => {
  let plain = 0;
  let extended = 0;
  fc.assert(
    fc.property(requestHead, fc.string({ maxLength: 8 }), (text, behind) => {
      const head = new PlainRequestReader(LIMITS, new KnownHeads(FILTER)).read(
        Buffer.from(text + behind, "latin1"),
        0,
        text.length + behind.length,
      );
      if (head === null) return;
      plain++;
      if (head.extended !== null) extended++;
      const read = readRequestLine(text.slice(0, -2));
      assert.ok(!("status" in read), "taken, though it is no request");
      assert.equal(head.text.length, text.length);
      assert.deepEqual(
        [head.method, head.target, head.httpVersion],
        [read.method, read.target, read.httpVersion],
      );
      assert.deepEqual(head.lines, read.lines);
      assert.deepEqual(head.observed, filtered(read.lines));
      const slow = readRequestHead(read.lines, CONTEXT);
      const fast = plainRequestHead(head, {
        own: ownLinesOf(head.host, CONTEXT),
        tracing: plainTracing(head, 0),
      });
      const start = `${read.method} ${read.target} HTTP/1.1\r\n`;
      assert.equal(untraced(fast.text ?? ""), untraced(start + textOf(slow.lines)));
      assert.equal(slow.tracing.trace.parentSpanId, fast.tracing.trace.parentSpanId);
      for (const key of [
        "framing",
        "bodyBytes",
        "expectsContinue",
        "acceptsTrailers",
        "predictionId",
        "refusal",
      ] as const)
        assert.equal(fast[key], slow[key], key);
    }),
    fuzzRun(t, 4000),
  );
  assert.ok(plain > 100 && extended > 10, `${plain} plain ones, ${extended} with a list that goes on`);
});

test("no part of a request head is taken for a whole one", () => {
  const text = "POST /v2/models/m/infer HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nx-request-id: 7\r\n\r\n";
  const reader = new PlainRequestReader(LIMITS, new KnownHeads(FILTER));
  for (let bytes = 0; bytes < text.length; bytes++)
    assert.equal(reader.read(Buffer.from(text.slice(0, bytes)), 0, bytes), null);
  // What stands behind the bytes that came is of another connection.
  for (let bytes = 0; bytes < text.length; bytes++)
    assert.equal(reader.read(Buffer.from(text), 0, bytes), null);
  assert.equal(reader.read(Buffer.from(`\r\n${text}`), 2, text.length + 2)?.target, "/v2/models/m/infer");
});

test("a request head beyond the limits is not a plain one", () => {
  const lines = "a: b\r\n".repeat(31);
  const of = (text: string): boolean =>
    new PlainRequestReader(LIMITS, new KnownHeads(null)).read(Buffer.from(text), 0, text.length) !== null;
  assert.ok(of(`GET / HTTP/1.1\r\nHost: h\r\n${lines}\r\n`));
  assert.ok(!of(`GET / HTTP/1.1\r\nHost: h\r\n${lines}a: b\r\n\r\n`));
  assert.ok(!of(`GET /${"a".repeat(4096)} HTTP/1.1\r\nHost: h\r\n\r\n`));
});

/** Reads an answer's head with what stands in the same memory behind it. */
function readAnswer(text: string): { heads: AnswerHead[]; reader: AnswerReader; defect: string | null } {
  const heads: AnswerHead[] = [];
  const sink = {
    onInterim: () => {},
    onAnswerHead: (head: AnswerHead) => heads.push(head),
    onBody: () => {},
  };
  const reader = new AnswerReader(sink, new KnownHeads(FILTER));
  reader.expect("POST");
  const defect = reader.read(Buffer.from(`${text}: stale\r\n\r\n`, "latin1"), text.length);
  return { heads, reader, defect };
}

test("a plain answer head goes on as it would have, had it been read line by line", (t) => {
  let plain = 0;
  const rules = compileRules(OPENING_SNAPSHOT);
  fc.assert(
    fc.property(answerHead, (text) => {
      const { heads, reader, defect } = readAnswer(text);
      // The same with a line that no plain head has: read the other way.
      const other = readAnswer(text.replace("\r\n", "\r\nVia: 1.1 other\r\n"));
      assert.equal(defect, other.defect);
      assert.equal(heads.length, other.heads.length);
      const [head] = heads;
      const [slow] = other.heads;
      if (head?.plain !== true || slow === undefined) return;
      plain++;
      assert.equal(slow.plain, false);
      assert.deepEqual([head.status, head.reason], [slow.status, slow.reason]);
      assert.deepEqual(head.lines, slow.lines.slice(2));
      assert.deepEqual(head.observed, filtered(head.lines));
      assert.deepEqual(
        [reader.persistent, reader.keepAliveMs, reader.done],
        [other.reader.persistent, other.reader.keepAliveMs, other.reader.done],
      );
      const context = {
        status: head.status,
        headOnly: false,
        httpVersion: "1.1",
        receivedVersion: "1.1",
        versionHeader: null,
      };
      const kept = readResponseHead(head.lines, context);
      const draft = { id: "one", announcedVersion: null };
      const lines = plainAnswerLines(head, draft, { rules, route: null, target: "/" });
      assert.equal(lines.text, `${textOf(kept.lines)}x-prediction-id: one\r\n`);
      assert.equal(lines.hasLength, kept.hasLength);
      assert.equal(
        lines.hasDate,
        kept.lines.some((name, i) => i % 2 === 0 && name.toLowerCase() === "date"),
      );
    }),
    fuzzRun(t, 4000),
  );
  assert.ok(plain > 100, `${plain} plain ones`);
});

test("what stands behind the bytes that came is not taken for part of an answer's head", () => {
  const text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  const reader = new PlainAnswerReader(new KnownHeads(null));
  for (let bytes = 0; bytes < text.length; bytes++)
    assert.equal(reader.read(Buffer.from(text), 0, bytes), null);
  assert.equal(reader.read(Buffer.from(text), 0, text.length)?.length, 0);
});
