// The reader of the upstream's answers: what it takes, what it refuses, and that no cut of the bytes changes either.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AnswerReader } from "../../src/proxy/answer-reader.ts";

interface Read {
  readonly interim: number[];
  readonly heads: { status: number; reason: string; headers: readonly string[] }[];
  readonly body: string;
  readonly trailers: readonly string[];
  readonly done: boolean;
  readonly persistent: boolean;
  readonly defect: string | null;
}

/** Reads `pieces` as the answer to `method`, as one buffer that is overwritten between reads. */
function read(pieces: readonly string[], method = "POST"): Read {
  const interim: number[] = [];
  const heads: Read["heads"] = [];
  let body = "";
  const reader = new AnswerReader({
    onInterim: (status) => interim.push(status),
    onAnswerHead: ({ status, reason, lines }) => heads.push({ status, reason, headers: lines }),
    onBody: (bytes, start, end) => (body += bytes.toString("latin1", start, end)),
  });
  reader.expect(method);
  const shared = Buffer.alloc(Math.max(1, ...pieces.map((piece) => piece.length)));
  let defect: string | null = null;
  for (const piece of pieces) {
    if (piece === "" || defect !== null) continue;
    defect = reader.read(shared, shared.write(piece, "latin1"));
  }
  const { done, persistent, trailers } = reader;
  return { interim, heads, body, trailers, done, persistent, defect };
}

function cut(text: string, at: readonly number[]): string[] {
  const places = at.map((share) => Math.floor(share * text.length)).toSorted((a, b) => a - b);
  return [0, ...places].map((from, i) => text.slice(from, places[i] ?? text.length));
}

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 8 });
const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/).map((name) => `x-${name}`);
const value = fc.stringMatching(
  /^(?:[\x21-\x7e\x80-\xff](?:[\t \x21-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?$/,
);
const content = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
});

test("lines, body and trailers come out as they were written, however the bytes are cut", () => {
  const lines = fc.array(fc.tuple(token, value), { maxLength: 6 });
  fc.assert(
    fc.property(
      fc.tuple(lines, lines),
      fc.array(content, { maxLength: 6 }),
      cuts,
      ([head, trailers], chunks, at) => {
        const written = (list: readonly (readonly [string, string])[]): string =>
          list.map(([name, text]) => `${name}:  ${text}\t\r\n`).join("");
        const body = chunks
          .filter((chunk) => chunk !== "")
          .map((chunk) => `${chunk.length.toString(16)};x="y"\r\n${chunk}\r\n`)
          .join("");
        const message = `HTTP/1.1 200 OK\r\n${written(head)}Transfer-Encoding: chunked\r\n\r\n${body}0\r\n${written(trailers)}\r\n`;
        const got = read(cut(message, at));
        assert.equal(got.defect, null);
        assert.deepEqual(got.heads[0]?.headers, [...head.flat(), "Transfer-Encoding", "chunked"]);
        assert.equal(got.body, chunks.join(""));
        assert.deepEqual([...got.trailers], trailers.flat());
        assert.deepEqual([got.done, got.persistent], [true, true]);
      },
    ),
  );
});

test("whatever comes, the verdict and the body do not depend on how it is cut", () => {
  const part = fc.oneof(
    content,
    fc.constantFrom(
      "HTTP/1.1 200 OK\r\n",
      "HTTP/1.0 200\r\n",
      "HTTP/1.1 103 Early\r\n\r\n",
      "Content-Length: 3\r\n",
      "Transfer-Encoding: chunked\r\n",
      "\r\n",
      "abc",
      "3\r\nabc\r\n",
      "0\r\n\r\n",
      ";ext",
      "\n",
      " ",
    ),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 10 }), cuts, (parts, at) => {
      const message = parts.join("");
      const whole = read([message]);
      const pieces = read(cut(message, at));
      assert.deepEqual(pieces.heads, whole.heads);
      assert.equal(pieces.defect === null, whole.defect === null);
      if (whole.defect === null) assert.deepEqual(pieces, whole);
    }),
    { numRuns: 500 },
  );
});

const head = (...lines: string[]): string => ["HTTP/1.1 200 OK", ...lines, "", ""].join("\r\n");

test("a head that leaves a doubt is refused", () => {
  const refused: Record<string, string> = {
    "another protocol": "SSH-2.0-OpenSSH",
    "HTTP/2 in text": "HTTP/2 200\r\n\r\n",
    "a minor version that does not exist": "HTTP/1.2 200 OK\r\n\r\n",
    "a status of two digits": "HTTP/1.1 20 OK\r\n\r\n",
    "a status of four digits": "HTTP/1.1 2000 OK\r\n\r\n",
    "a status below 100": "HTTP/1.1 099 OK\r\n\r\n",
    "two spaces before the status": "HTTP/1.1  200 OK\r\n\r\n",
    "a bare LF": "HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\r\n",
    "a bare CR": head("A: 1\rB: 2"),
    "a NUL": head("A: 1\0"),
    "a folded line": head("A: 1", " 2"),
    "a space before the colon": head("A : 1"),
    "a line without a colon": head("A"),
    "an empty name": head(": 1"),
    "a name with a byte above 0x7f": head("X-\xe9: 1"),
    "two lengths": head("Content-Length: 2", "Content-Length: 2"),
    "a list of lengths": head("Content-Length: 2, 2"),
    "a signed length": head("Content-Length: +2"),
    "a hexadecimal length": head("Content-Length: 0x2"),
    "an empty length": head("Content-Length:"),
    "a length beyond counting": head("Content-Length: 99999999999999999"),
    "a length and chunks": head("Content-Length: 2", "Transfer-Encoding: chunked"),
    "two codings": head("Transfer-Encoding: gzip, chunked"),
    "chunked twice": head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "chunks in HTTP/1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an unasked change of protocol": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "a head that is too long": head(`A: ${"a".repeat(70_000)}`),
    "interim heads without end": "HTTP/1.1 102 Processing\r\n\r\n".repeat(3000),
  };
  for (const [what, message] of Object.entries(refused)) assert.notEqual(read([message]).defect, null, what);
});

test("chunks that leave a doubt are refused", () => {
  const chunked = head("Transfer-Encoding: chunked");
  const refused: Record<string, string> = {
    "no size": "\r\nabc\r\n",
    "a size with a sign": "+3\r\nabc\r\n",
    "a size with 0x": "0x3\r\nabc\r\n",
    "a space behind the size": "3 \r\nabc\r\n",
    "a size beyond counting": "fffffffffffffffff\r\n",
    "a bare LF behind the size": "3\nabc\r\n",
    "a CR without LF behind the size": "3\rabc\r\n",
    "a chunk longer than its size": "3\r\nabcd\r\n",
    "a chunk closed by LF alone": "3\r\nabc\n",
    "an LF in an extension": "3;a\nb\r\nabc\r\n",
    "extensions without end": `3;${"a".repeat(20_000)}`,
    "a flood of short extensions": "1;aaaaaaaaaaaaaaa\r\na\r\n".repeat(2000),
    "a trailer that is no field line": "0\r\nbad trailer\r\n\r\n",
    "a control byte in a trailer": "0\r\nA: \x01\r\n\r\n",
    "trailers without end": `0\r\nA: ${"a".repeat(70_000)}`,
  };
  for (const [what, body] of Object.entries(refused))
    assert.notEqual(read([chunked + body]).defect, null, what);
});

test("the end of an answer is where its framing says, and what follows spoils the connection", () => {
  const cases: [string, string, string, Partial<Read>][] = [
    ["length", "POST", `${head("Content-Length: 2")}ok`, { body: "ok", done: true, persistent: true }],
    [
      "length, extra",
      "POST",
      `${head("Content-Length: 2")}okHTTP/1.1`,
      { body: "ok", done: true, persistent: false },
    ],
    ["length, short", "POST", `${head("Content-Length: 3")}ok`, { body: "ok", done: false }],
    ["until close", "POST", `${head()}ok`, { body: "ok", done: false, persistent: false }],
    ["HEAD", "HEAD", head("Content-Length: 5"), { body: "", done: true, persistent: false }],
    ["204", "POST", "HTTP/1.1 204 No Content\r\n\r\n", { body: "", done: true, persistent: true }],
    ["304", "GET", "HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", { body: "", done: true, persistent: true }],
    [
      "no reason",
      "POST",
      "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
      { body: "", done: true, persistent: true },
    ],
    ["close", "POST", head("Content-Length: 0", "Connection: Foo, Close"), { done: true, persistent: false }],
    ["1.0", "POST", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", { done: true, persistent: false }],
    [
      "1.0 kept",
      "POST",
      "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
      { done: true, persistent: true },
    ],
    [
      "interim",
      "POST",
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\n${head("Content-Length: 2")}ok`,
      { interim: [100, 102], body: "ok", done: true, persistent: true },
    ],
  ];
  for (const [what, method, message, wanted] of cases) {
    const got = read([message], method);
    assert.equal(got.defect, null, what);
    for (const [key, wish] of Object.entries(wanted)) {
      assert.deepEqual(got[key as keyof Read], wish, `${what}: ${key}`);
    }
  }
});
