// The reader of clients' requests against an independent reading of the same bytes, over any cut of them, valid and spoiled.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readRequestHead } from "../../src/proxy/request-head.ts";
import type { ReadHead } from "../../src/proxy/request-line.ts";
import { RequestReader, type RequestSink } from "../../src/proxy/request-reader.ts";
import { readMessage } from "./conformance/message.ts";

interface Came {
  readonly start: string;
  readonly lines: readonly string[];
  body: string;
  whole: boolean;
}

interface Outcome {
  readonly requests: Came[];
  /** Refused by the reader, or by the reading of the head. */
  refused: boolean;
}

const CONTEXT = {
  httpVersion: "1.1",
  peer: "127.0.0.1",
  upstreamHost: null,
  targetHost: null,
  upstreamAuthority: "model:80",
  traceSampleRatio: 0,
  scheme: "http" as const,
  bodyFollows: null,
};

/** Reads `text` cut at `cuts`, as a connection would: request after request, until one is refused. */
function readAll(text: string, cuts: readonly number[]): Outcome {
  const outcome: Outcome = { requests: [], refused: false };
  const last = (): Came | undefined => outcome.requests.at(-1);
  const sink: RequestSink = {
    onRequestHead: (head: ReadHead) => {
      const start = `${head.method} ${head.target} HTTP/${head.httpVersion}`;
      outcome.requests.push({ start, lines: head.lines, body: "", whole: false });
      const { framing, bodyBytes, refusal } = readRequestHead(head.lines, {
        ...CONTEXT,
        httpVersion: head.httpVersion,
      });
      if (refusal !== null) outcome.refused = true;
      else if (framing !== "none") reader.expectBody(framing === "length" ? bodyBytes : null);
    },
    onRequestBody: (bytes, start, end) => {
      const came = last();
      if (came !== undefined) came.body += bytes.toString("latin1", start, end);
    },
    onRequestWhole: () => {
      const came = last();
      if (came !== undefined) came.whole = !outcome.refused;
    },
  };
  const reader = new RequestReader(sink, { headBytesMax: 64 * 1024, headLinesMax: 8192 });
  const ends = [...cuts.map((cut) => cut % (text.length + 1)).toSorted((a, b) => a - b), text.length];
  let from = 0;
  for (const to of ends) {
    let rest = Buffer.from(text.slice(from, to), "latin1");
    from = to;
    while (rest.length > 0 && !outcome.refused) {
      const end = reader.read(rest);
      if (typeof end !== "number") outcome.refused = true;
      else {
        assert.ok(end > 0 && end <= rest.length, "it goes on");
        rest = rest.subarray(end);
        if (reader.done && !outcome.refused) reader.next();
      }
    }
  }
  return outcome;
}

const token = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/);
const value = fc.stringMatching(/^[!-~\x80-\xff]([\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?$/);
const target = fc.stringMatching(/^\/[!-~\x80-\xff]{0,20}$/);
const KNOWN = /^(?:content-length|transfer-encoding|host|connection|expect|upgrade)$/i;
const field = fc.tuple(
  token.filter((name) => !KNOWN.test(name)),
  fc.oneof(value, fc.constant("")),
);
const body = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 40,
});

const request = fc
  .record({ method: token, target, fields: fc.array(field, { maxLength: 6 }), body, chunked: fc.boolean() })
  .map((one) => {
    const lines = ["Host: h", ...one.fields.map(([name, text]) => `${name}: ${text}`)];
    const chunks = one.body === "" ? "" : `${one.body.length.toString(16)};x=y\r\n${one.body}\r\n`;
    lines.push(one.chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${one.body.length}`);
    const wire = one.chunked ? `${chunks}0\r\n\r\n` : one.body;
    return `${one.method} ${one.target} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n${wire}`;
  });
const cuts = fc.array(fc.nat({ max: 4000 }), { maxLength: 12 });

/** What an accepted request must be, by the other reading. */
function agrees(text: string, came: Came): number {
  const reading = readMessage(text.replace(/^(?:\r\n){0,4}/, ""), { answerTo: null, ended: false });
  assert.equal(reading.kind, "message", `accepted, though ${JSON.stringify(reading)}`);
  if (reading.kind !== "message") return 0;
  const { message } = reading;
  assert.equal(came.start, message.start);
  assert.deepEqual(came.lines, message.fields.flat());
  assert.equal(came.body, message.body);
  assert.equal(came.whole, message.complete);
  return text.length - text.replace(/^(?:\r\n){0,4}/, "").length + message.size;
}

test("requests one behind the other are read alike however they are cut, and as another reading reads them", () => {
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 4 }), cuts, (requests, at) => {
      const { requests: came, refused } = readAll(requests.join(""), at);
      assert.equal(refused, false);
      assert.equal(came.length, requests.length);
      came.forEach((one, i) => agrees(requests[i] ?? "", one));
    }),
    { numRuns: 400 },
  );
});

const NASTY = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "0",
  "f",
  "\x0b",
  "\xa0",
  "\x85",
  "chunked",
  "\r\n\r\n",
  "+",
  "-",
  "_",
  "\x7f",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
];
const spoiling = fc.array(
  fc.record({ at: fc.nat({ max: 4000 }), remove: fc.nat({ max: 3 }), insert: fc.constantFrom("", ...NASTY) }),
  { minLength: 1, maxLength: 4 },
);

test("spoiled bytes are refused, or read as another reading reads them, and alike however they are cut", () => {
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 3 }), spoiling, cuts, (requests, spoils, at) => {
      let text = requests.join("");
      for (const { at: where, remove, insert } of spoils) {
        const from = where % (text.length + 1);
        text = text.slice(0, from) + insert + text.slice(from + remove);
      }
      const whole = readAll(text, []);
      let from = 0;
      for (const came of whole.requests) if (came.whole) from += agrees(text.slice(from), came);
      const cut = readAll(text, at);
      const told = ({ requests: list }: Outcome): unknown =>
        list.filter((one) => one.whole).map(({ start, lines, body: bytes }) => ({ start, lines, bytes }));
      assert.deepEqual(told(cut), told(whole));
      assert.equal(cut.refused, whole.refused);
    }),
    { numRuns: 3000 },
  );
});

test("any bytes at all neither throw nor are held beyond a head", () => {
  const bytes = fc.string({
    unit: fc.constantFrom(...NASTY, "GET ", "/", " HTTP/1.1\r\n", "Host: h\r\n", "a"),
    maxLength: 60,
  });
  fc.assert(
    fc.property(bytes, cuts, (text, at) => {
      const whole = readAll(text, []);
      assert.equal(readAll(text, at).refused, whole.refused);
    }),
    { numRuns: 2000 },
  );
});
