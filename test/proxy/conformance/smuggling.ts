// Requests whose end, or whose lines, can be read in two ways. They are refused, or leave the proxy in one reading only.

import type { Case, Stage } from "./case.ts";
import { Failed, PATIENCE_MS, expectThat, statusOf } from "./client.ts";

/** Stands behind what is odd: whoever misreads its end, or goes on after refusing it, forwards this. */
const behind = (token: string, name: string): string => `GET /t/${token}/${name} HTTP/1.1\r\nHost: h\r\n\r\n`;

interface Odd {
  readonly name: string;
  /** The whole bytes; TOKEN stands for the case's path. */
  readonly bytes: string;
  /** "refuse": answered with an error or closed, never forwarded whole. "never-whole": nor that. "either": refused, or forwarded with `body`. */
  readonly wanted: "refuse" | "never-whole" | "either";
  readonly body?: string;
}

async function playOdd(stage: Stage, odd: Odd): Promise<void> {
  const client = await stage.open();
  const next = odd.wanted === "either" ? "after" : "smuggled";
  client.send(odd.bytes.replaceAll("TOKEN", stage.path) + behind(stage.token, next));
  const answer = await client.answerOrEnd("POST", odd.wanted === "never-whole" ? 300 : PATIENCE_MS);
  await stage.settle();
  stage.checkOrigin();
  const whole = stage.asked().filter((one) => one.message.complete && !one.target.endsWith("/after"));
  const status = statusOf(answer);
  if (odd.wanted !== "either") {
    expectThat(whole.length === 0, `forwarded as ${JSON.stringify(whole[0]?.message.start)}`);
    expectThat(status === 0 || (status >= 400 && status !== 404), `answered ${status}`);
    expectThat(odd.wanted === "never-whole" || status !== 0 || client.ended, "neither refused nor closed");
    return;
  }
  if (whole.length === 0) {
    expectThat(status >= 400 || client.ended, `not forwarded, answered ${status}`);
    expectThat(stage.asked().length === 0, "what stood behind it was forwarded");
    return;
  }
  const body = whole[0]?.message.body ?? "";
  if (body !== (odd.body ?? "hello"))
    throw new Failed(`forwarded with the body ${JSON.stringify(body.slice(0, 80))}`);
}

const HEAD = "POST TOKEN HTTP/1.1\r\nHost: h\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const CHUNKS = "5\r\nhello\r\n0\r\n\r\n";

type Row = readonly [name: string, what: string, wanted?: Odd["wanted"]];

/** One line with an odd Content-Length before a body of five bytes. */
const LENGTHS: readonly Row[] = [
  ["plus", "+5"],
  ["minus", "-5"],
  ["hex", "0x5"],
  ["empty", ""],
  ["blank", " \t "],
  ["text", "five"],
  ["trailing-letter", "5a"],
  ["inner-blank", "5 5"],
  ["float", "5.0"],
  ["exponent", "5e0"],
  ["quoted", '"5"'],
  ["list-equal", "5, 5", "either"],
  ["list-differ", "5, 6"],
  ["list-leading-comma", ",5"],
  ["list-trailing-comma", "5,"],
  ["overflow-64", "18446744073709551621"],
  ["overflow-63", "9223372036854775808"],
  ["overflow-long", "9".repeat(60)],
  ["vertical-tab", "\x0b5"],
  ["form-feed", "5\x0c"],
  ["nul", "5\x00"],
  ["nbsp", "\xa05"],
  ["underscore", "0_5"],
  ["semicolon", "5;a=b"],
  ["bare-cr", "5\r"],
  ["leading-zeros", "0005", "either"],
];

const lengthCases = LENGTHS.map(([name, value, wanted = "refuse"]): Odd => ({
  name: `cl-${name}`,
  bytes: `${HEAD}Content-Length: ${value}\r\n\r\nhello`,
  wanted,
}));

const pairs: readonly Odd[] = [
  {
    name: "cl-cl-differ",
    bytes: `${HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
    wanted: "refuse",
  },
  {
    name: "cl-cl-differ-far",
    bytes: `${HEAD}Content-Length: 5\r\nX: y\r\nCONTENT-LENGTH: 0\r\n\r\nhello`,
    wanted: "refuse",
  },
  {
    name: "cl-cl-equal",
    bytes: `${HEAD}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`,
    wanted: "either",
  },
  {
    name: "cl-cl-empty",
    bytes: `${HEAD}Content-Length: 5\r\nContent-Length:\r\n\r\nhello`,
    wanted: "refuse",
  },
  { name: "cl-te", bytes: `${HEAD}Content-Length: 5\r\n${CHUNKED}\r\n${CHUNKS}`, wanted: "either" },
  { name: "te-cl", bytes: `${HEAD}${CHUNKED}Content-Length: 5\r\n\r\n${CHUNKS}`, wanted: "either" },
  { name: "cl-zero-te", bytes: `${HEAD}Content-Length: 0\r\n${CHUNKED}\r\n${CHUNKS}`, wanted: "either" },
  {
    name: "cl-te-empty",
    bytes: `${HEAD}Content-Length: 5\r\nTransfer-Encoding:\r\n\r\nhello`,
    wanted: "refuse",
  },
  {
    name: "cl-te-identity",
    bytes: `${HEAD}Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello`,
    wanted: "refuse",
  },
  {
    name: "cl-te-bad",
    bytes: `${HEAD}Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\nhello`,
    wanted: "refuse",
  },
];

const ENCODINGS: readonly Row[] = [
  ["identity", "identity"],
  ["gzip", "gzip"],
  ["gzip-chunked", "gzip, chunked"],
  ["chunked-gzip", "chunked, gzip"],
  ["chunked-chunked", "chunked, chunked"],
  ["chunked-identity", "chunked, identity"],
  ["xchunked", "xchunked"],
  ["chunkedx", "chunkedx"],
  ["chunk", "chunk"],
  ["empty", ""],
  ["quoted", '"chunked"'],
  ["parameter", "chunked;q=1"],
  ["leading-comma", ",chunked"],
  ["trailing-comma", "chunked,"],
  ["vertical-tab", "\x0bchunked"],
  ["nul", "chunked\x00"],
  ["bare-cr", "chunked\r"],
  ["bare-lf", "\nchunked"],
  ["nbsp", "\xa0chunked"],
  ["two-words", "chunked chunked"],
  ["folded", "\r\n chunked"],
  ["case", "cHuNkEd", "either"],
  ["tab", "\tchunked\t", "either"],
];

const encodingCases = ENCODINGS.map(([name, value, wanted = "refuse"]): Odd => ({
  name: `te-${name}`,
  bytes: `${HEAD}Transfer-Encoding: ${value}\r\n\r\n${CHUNKS}`,
  wanted,
}));

const encodingLines: readonly Odd[] = [
  { name: "te-twice", bytes: `${HEAD}${CHUNKED}${CHUNKED}\r\n${CHUNKS}`, wanted: "refuse" },
  {
    name: "te-identity-then-chunked",
    bytes: `${HEAD}Transfer-Encoding: identity\r\n${CHUNKED}\r\n${CHUNKS}`,
    wanted: "refuse",
  },
  {
    name: "te-chunked-then-identity",
    bytes: `${HEAD}${CHUNKED}Transfer-Encoding: identity\r\n\r\n${CHUNKS}`,
    wanted: "refuse",
  },
  { name: "te-space-colon", bytes: `${HEAD}Transfer-Encoding : chunked\r\n\r\n${CHUNKS}`, wanted: "refuse" },
  { name: "te-tab-colon", bytes: `${HEAD}Transfer-Encoding\t: chunked\r\n\r\n${CHUNKS}`, wanted: "refuse" },
  {
    name: "te-leading-space",
    bytes: `${HEAD} Transfer-Encoding: chunked\r\n\r\n${CHUNKS}`,
    wanted: "refuse",
  },
  { name: "te-cr-name", bytes: `${HEAD}X: y\rTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`, wanted: "refuse" },
  { name: "te-http10", bytes: `POST TOKEN HTTP/1.0\r\nHost: h\r\n${CHUNKED}\r\n${CHUNKS}`, wanted: "refuse" },
  {
    name: "te-http10-cl",
    bytes: `POST TOKEN HTTP/1.0\r\nHost: h\r\n${CHUNKED}Content-Length: 5\r\n\r\nhello`,
    wanted: "refuse",
  },
  {
    name: "te-underscore",
    bytes: `${HEAD}Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello`,
    wanted: "either",
  },
];

/** A chunked body as it stands behind the head. */
const CHUNK_BODIES: readonly Row[] = [
  ["negative", "-5\r\nhello\r\n0\r\n\r\n"],
  ["plus", "+5\r\nhello\r\n0\r\n\r\n"],
  ["hex-prefix", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["empty-size", "\r\nhello\r\n0\r\n\r\n"],
  ["no-size-extension", ";a\r\nhello\r\n0\r\n\r\n"],
  ["leading-blank", " 5\r\nhello\r\n0\r\n\r\n"],
  ["trailing-blank", "5 \r\nhello\r\n0\r\n\r\n", "either"],
  ["trailing-tab", "5\t\r\nhello\r\n0\r\n\r\n", "either"],
  ["not-hex", "5g\r\nhello\r\n0\r\n\r\n"],
  ["underscore", "0_5\r\nhello\r\n0\r\n\r\n"],
  ["comma", "5,5\r\nhello\r\n0\r\n\r\n"],
  ["overflow-17", "10000000000000005\r\nhello\r\n0\r\n\r\n"],
  ["overflow-16", "fffffffffffffffb\r\nhello\r\n0\r\n\r\n"],
  ["size-4-gib", "100000005\r\nhello\r\n0\r\n\r\n", "never-whole"],
  ["overflow-long", `${"0".repeat(40)}5${"0".repeat(40)}\r\nhello\r\n0\r\n\r\n`],
  ["size-bare-lf", "5\nhello\r\n0\r\n\r\n"],
  ["size-bare-cr", "5\rhello\r\n0\r\n\r\n"],
  ["size-cr-cr-lf", "5\r\r\nhello\r\n0\r\n\r\n"],
  ["size-nul", "5\x00\r\nhello\r\n0\r\n\r\n"],
  ["extension-bare-lf", "5;a\nhello\r\n0\r\n\r\n"],
  ["extension-bare-cr", "5;a\rb\r\nhello\r\n0\r\n\r\n"],
  ["extension-nul", "5;a\x00b\r\nhello\r\n0\r\n\r\n"],
  ["extension-lf-inside", "5;a\nb\r\nhello\r\n0\r\n\r\n"],
  ["data-bare-lf", "5\r\nhello\n0\r\n\r\n"],
  ["data-bare-cr", "5\r\nhello\r0\r\n\r\n"],
  ["data-no-end", "5\r\nhello0\r\n\r\n"],
  ["data-wrong-end", "5\r\nhelloXX0\r\n\r\n"],
  ["data-longer", "5\r\nhello!\r\n0\r\n\r\n"],
  ["data-shorter", "5\r\nhell\r\n0\r\n\r\n"],
  ["last-bare-lf", "5\r\nhello\r\n0\n\n"],
  ["last-lf-after", "5\r\nhello\r\n0\r\n\n"],
  ["last-cr-only", "5\r\nhello\r\n0\r\r\n\r\n"],
  ["leading-zeros", "00000005\r\nhello\r\n0\r\n\r\n", "either"],
  ["many-zeros", "5\r\nhello\r\n000\r\n\r\n", "either"],
  ["extension", '5;a=b;c="d e"\r\nhello\r\n0;x\r\n\r\n', "either"],
  ["upper-hex", "5\r\nhello\r\n0\r\n\r\n", "either"],
  ["trailer-bare-lf", "5\r\nhello\r\n0\r\nX: y\n\r\n"],
  ["trailer-space-colon", "5\r\nhello\r\n0\r\nX : y\r\n\r\n"],
  ["trailer-no-colon", "5\r\nhello\r\n0\r\nX\r\n\r\n"],
  ["trailer-empty-name", "5\r\nhello\r\n0\r\n: y\r\n\r\n"],
  ["trailer-folded", "5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"],
  ["trailer-nul", "5\r\nhello\r\n0\r\nX: y\x00\r\n\r\n"],
  ["trailer-bare-cr", "5\r\nhello\r\n0\r\nX: y\rZ: a\r\n\r\n"],
  ["trailer-request", "5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n"],
  [
    "trailer-framing",
    "5\r\nhello\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n",
    "either",
  ],
];

const chunkCases = CHUNK_BODIES.map(([name, body, wanted = "refuse"]): Odd => ({
  name: `chunk-${name}`,
  bytes: `${HEAD}${CHUNKED}\r\n${body}`,
  wanted,
}));

/** One odd line in the head of a request without a body. */
const LINES: readonly Row[] = [
  ["name-space-colon", "X-A : b\r\n"],
  ["name-tab-colon", "X-A\t: b\r\n"],
  ["name-empty", ": b\r\n"],
  ["name-only-blank", " : b\r\n"],
  ["name-inner-space", "X A: b\r\n"],
  ["name-nul", "X\x00A: b\r\n"],
  ["name-control", "X\x01A: b\r\n"],
  ["name-obs-text", "X\xe9: b\r\n"],
  ["name-paren", "X(A): b\r\n"],
  ["name-slash", "X/A: b\r\n"],
  ["name-bare-cr", "X\rA: b\r\n"],
  ["name-no-colon", "X-A\r\n"],
  ["name-folded", "X-A: b\r\n c\r\n"],
  ["name-folded-tab", "X-A: b\r\n\tc\r\n"],
  ["name-folded-empty", "X-A:\r\n \r\n"],
  ["val-bare-cr", "X-A: b\rc\r\n"],
  ["val-cr-end", "X-A: b\r\r\n"],
  ["val-nul", "X-A: b\x00c\r\n"],
  ["val-bare-lf", "X-A: b\nX-B: c\r\n", "either"],
  ["val-lf-cr", "X-A: b\n\rX-B: c\r\n"],
  ["val-control", "X-A: b\x01c\r\n", "either"],
  ["val-delete", "X-A: b\x7fc\r\n", "either"],
  ["val-vertical-tab", "X-A: b\x0bc\r\n", "either"],
];

const lineCases = LINES.map(([name, line, wanted = "refuse"]): Odd => ({
  name,
  bytes: `GET TOKEN HTTP/1.1\r\nHost: h\r\n${line}\r\n`,
  wanted,
  body: "",
}));

/** A first header line that is folded, and request lines that are not exactly one. */
const STARTS: readonly Row[] = [
  ["name-first-folded", "GET TOKEN HTTP/1.1\r\n Host: h\r\nHost: h\r\n\r\n"],
  ["version-lower", "GET TOKEN http/1.1\r\nHost: h\r\n\r\n"],
  ["version-2", "GET TOKEN HTTP/2.0\r\nHost: h\r\n\r\n"],
  ["version-0-9", "GET TOKEN\r\n\r\n"],
  ["version-3", "GET TOKEN HTTP/3.0\r\nHost: h\r\n\r\n"],
  ["version-minus", "GET TOKEN HTTP/-1.1\r\nHost: h\r\n\r\n"],
  ["version-comma", "GET TOKEN HTTP/1,1\r\nHost: h\r\n\r\n"],
  ["version-no-dot", "GET TOKEN HTTP/11\r\nHost: h\r\n\r\n"],
  ["version-long", "GET TOKEN HTTP/1.10\r\nHost: h\r\n\r\n"],
  ["version-wide", "GET TOKEN HTTP/01.1\r\nHost: h\r\n\r\n"],
  ["version-trailing-text", "GET TOKEN HTTP/1.1x\r\nHost: h\r\n\r\n"],
  ["version-other", "GET TOKEN HTTPS/1.1\r\nHost: h\r\n\r\n"],
  ["version-trailing-blank", "GET TOKEN HTTP/1.1 \r\nHost: h\r\n\r\n", "either"],
  ["version-1-2", "GET TOKEN HTTP/1.2\r\nHost: h\r\n\r\n", "either"],
  ["version-bare-lf", "GET TOKEN HTTP/1.1\nHost: h\r\n\r\n", "either"],
  ["version-bare-cr", "GET TOKEN HTTP/1.1\rHost: h\r\n\r\n"],
  ["version-cr-cr-lf", "GET TOKEN HTTP/1.1\r\r\nHost: h\r\n\r\n"],
  ["version-two-blanks", "GET  TOKEN HTTP/1.1\r\nHost: h\r\n\r\n", "either"],
  ["version-tab", "GET\tTOKEN\tHTTP/1.1\r\nHost: h\r\n\r\n", "either"],
  ["version-leading-blank", " GET TOKEN HTTP/1.1\r\nHost: h\r\n\r\n", "either"],
  ["version-leading-lines", "\r\n\r\nGET TOKEN HTTP/1.1\r\nHost: h\r\n\r\n", "either"],
  ["version-target-blank", "GET TOKEN /x HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["version-target-cr", "GET TOKEN\r/x HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["version-target-nul", "GET TOKEN\x00 HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["version-target-control", "GET TOKEN\x01 HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["version-target-delete", "GET TOKEN\x7f HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["version-no-target", "GET  HTTP/1.1\r\nHost: h\r\nX-T: TOKEN\r\n\r\n"],
  ["version-method-control", "G\x01T TOKEN HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["version-method-colon", "G:T TOKEN HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["version-method-obs", "G\xe9T TOKEN HTTP/1.1\r\nHost: h\r\n\r\n"],
  ["version-no-host", "GET TOKEN HTTP/1.1\r\nX: y\r\n\r\n"],
  ["version-two-hosts", "GET TOKEN HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"],
  ["version-two-hosts-differ", "GET TOKEN HTTP/1.1\r\nHost: h\r\nhost: i\r\n\r\n"],
  ["version-bad-host", "GET TOKEN HTTP/1.1\r\nHost: h i\r\n\r\n"],
  ["version-host-path", "GET TOKEN HTTP/1.1\r\nHost: h/t/x\r\n\r\n"],
  ["version-host-user", "GET TOKEN HTTP/1.1\r\nHost: a@h\r\n\r\n"],
  ["version-host-list", "GET TOKEN HTTP/1.1\r\nHost: a, h\r\n\r\n"],
];

const startCases = STARTS.map(([name, bytes, wanted = "refuse"]): Odd => ({ name, bytes, wanted, body: "" }));

/** RFC 9112 lets a recipient choose how strict it is with these; refusing is the choice that cannot go wrong. */
const SHOULD_REFUSE = new Set([
  "version-bad-host",
  "version-host-path",
  "version-host-user",
  "version-host-list",
]);

export const smugglingCases: readonly Case[] = [
  ...lengthCases,
  ...pairs,
  ...encodingCases,
  ...encodingLines,
  ...chunkCases,
  ...lineCases,
  ...startCases,
].map((odd) => ({
  id: `smug-${odd.name}`,
  level: SHOULD_REFUSE.has(odd.name) ? "should" : "must",
  rule: "RFC 9112 §2.2, §3, §5, §6, §7.1",
  play: (stage) => playOdd(stage, odd),
}));
