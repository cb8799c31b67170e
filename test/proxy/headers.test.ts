// What the relay does to the lines of a message, seen from both ends of the wire and as a property of the filters.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addConnectionTokens } from "../../src/proxy/field-names.ts";
import { readRequestHead } from "../../src/proxy/request-head.ts";
import { readResponseHead } from "../../src/proxy/response-head.ts";
import { OK, ask, get, post, rawClient, scriptedOrigin, startProxy, valuesOf } from "./support.ts";

test("a request arrives with its lines in order, and with what the relay appends", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port } = await startProxy(t, origin.url);
  await ask(t, port, post("/p", "hello", "X-One: 1", "x-two: 2", "X-ONE: 3", "Empty:", "X-Latin: caf\xe9"));
  const [request = ""] = origin.requests;
  assert.match(request, /^POST \/p HTTP\/1\.1\r\n/);
  assert.ok(request.endsWith("\r\n\r\nhello"));
  const mine = request.split("\r\n").filter((line) => /^(x-one|x-two|empty|x-latin)/i.test(line));
  assert.deepEqual(mine, ["X-One: 1", "x-two: 2", "X-ONE: 3", "Empty: ", "X-Latin: caf\xe9"]);
  assert.deepEqual(valuesOf(request, "host"), ["model.example"]);
  assert.deepEqual(valuesOf(request, "via"), ["1.1 outrider"]);
  assert.deepEqual(valuesOf(request, "x-forwarded-for"), ["127.0.0.1"]);
  assert.deepEqual(valuesOf(request, "x-forwarded-proto"), ["http"]);
  assert.deepEqual(valuesOf(request, "x-forwarded-host"), ["model.example"]);
});

test("Via and X-Forwarded-* of earlier proxies are appended to, never replaced", async (t) => {
  const origin = await scriptedOrigin(t, "HTTP/1.1 200 OK\r\nVia: 1.0 inner\r\nContent-Length: 0\r\n\r\n");
  const { port } = await startProxy(t, origin.url);
  const answer = await ask(
    t,
    port,
    get(
      "/",
      "Via: 1.1 edge",
      "X-Forwarded-For: 10.0.0.9",
      "X-Forwarded-Proto: https",
      "X-Forwarded-Host: a.example",
    ),
  );
  const [request = ""] = origin.requests;
  assert.deepEqual(valuesOf(request, "via"), ["1.1 edge, 1.1 outrider"]);
  assert.deepEqual(valuesOf(request, "x-forwarded-for"), ["10.0.0.9, 127.0.0.1"]);
  assert.deepEqual(valuesOf(request, "x-forwarded-proto"), ["https, http"]);
  assert.deepEqual(valuesOf(request, "x-forwarded-host"), ["a.example, model.example"]);
  assert.deepEqual(valuesOf(answer, "via"), ["1.0 inner, 1.1 outrider"]);
});

test("hop-by-hop fields stop at the relay both ways, in any case and over several Connection lines", async (t) => {
  const origin = await scriptedOrigin(
    t,
    "HTTP/1.1 200 OK\r\nConnection: X-Private,,close\r\nCONNECTION: x-other\r\nX-PRIVATE: 1\r\nX-Other: 2\r\nKeep-Alive: timeout=9\r\nProxy-Connection: x\r\nContent-Length: 2\r\n\r\nok",
  );
  const { port } = await startProxy(t, origin.url);
  const answer = await ask(
    t,
    port,
    get(
      "/",
      "X-Secret: 1",
      "Connection: x-secret , ,TE",
      "connection: Keep-Alive, x-more",
      "X-More: 2",
      "TE: trailers",
      "Keep-Alive: 5",
      "Proxy-Connection: keep-alive",
    ),
  );
  const [request = ""] = origin.requests;
  for (const name of ["x-secret", "x-more", "te", "keep-alive", "proxy-connection"])
    assert.deepEqual(valuesOf(request, name), [], name);
  for (const name of ["x-private", "x-other", "proxy-connection"])
    assert.deepEqual(valuesOf(answer, name), [], name);
  assert.notDeepEqual(valuesOf(answer, "keep-alive"), ["timeout=9"]);
});

test("a client cannot name away Host, the framing, or what the relay adds", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port } = await startProxy(t, origin.url);
  const names =
    "host, content-length, via, x-forwarded-for, x-forwarded-host, x-forwarded-proto, traceparent, x-prediction-id";
  await ask(
    t,
    port,
    post("/", "hello", `Connection: ${names}`, "x-prediction-id: mine", "X-Forwarded-For: 10.1.1.1"),
  );
  const [request = ""] = origin.requests;
  for (const name of names.split(", ")) assert.equal(valuesOf(request, name).length, 1, name);
  assert.deepEqual(valuesOf(request, "x-forwarded-for"), ["10.1.1.1, 127.0.0.1"]);
  assert.ok(request.endsWith("hello"));
});

test("two Set-Cookie lines stay two, and encodings, dates and tags are not touched", async (t) => {
  const lines = [
    "Date: Mon, 01 Jan 2024 00:00:00 GMT",
    'ETag: W/"abc"',
    "Content-Encoding: br",
    "Set-Cookie: a=1",
    "X-Odd: caf\xe9",
    "set-cookie: b=2",
  ];
  const origin = await scriptedOrigin(
    t,
    `HTTP/1.1 200 \r\n${lines.join("\r\n")}\r\nContent-Length: 2\r\n\r\nok`,
  );
  const { port } = await startProxy(t, origin.url);
  const answer = await ask(t, port, get("/"));
  assert.match(answer, /^HTTP\/1\.1 200 \r\n/, "an empty reason phrase stays empty");
  assert.deepEqual(
    answer.split("\r\n").filter((line) => lines.includes(line)),
    lines,
  );
  assert.equal(valuesOf(answer, "date").length, 1);
});

test("the target's bytes pass as they came", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port } = await startProxy(t, origin.url);
  const targets = [
    "/v1/models/x:predict",
    "/v1/models/x%3Apredict",
    "/a/../b/./c//d",
    "//evil.example/x",
    "/@evil.example/",
    "/?q=a%2Fb&c=%",
    '/{"a"}|^`',
  ];
  for (const target of targets) await ask(t, port, get(target));
  const seen = origin.requests.map((request) => /^GET (.*) HTTP\/1\.1/.exec(request)?.[1]);
  assert.deepEqual(seen, targets);
});

test("an absolute target never chooses where we connect, and CONNECT is refused", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port, delivered } = await startProxy(t, origin.url);
  await ask(t, port, "GET http://169.254.169.254/latest?x=1 HTTP/1.1\r\nHost: model.example\r\n\r\n");
  assert.match(origin.requests[0] ?? "", /^GET \/latest\?x=1 HTTP\/1\.1\r\n/);
  const refused = await ask(t, port, "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n");
  assert.match(refused, /^HTTP\/1\.1 400 /);
  assert.deepEqual(valuesOf(refused, "x-outrider-error"), ["bad_request"]);
  assert.equal(origin.requests.length, 1);
  const exchanges = await delivered(2);
  assert.deepEqual(
    exchanges.map((exchange) => exchange.outcome),
    ["ok", "rejected"],
  );
});

test("ambiguous requests are refused with 400 and never forwarded", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port, proxy, exchanges } = await startProxy(t, origin.url);
  const bad = [
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nAccept: x\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding:\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "nonsense\r\n\r\n",
  ];
  for (const message of bad) {
    const client = await rawClient(t, port);
    client.send(message);
    const answer = await client.closed();
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/, message);
    assert.deepEqual(valuesOf(answer, "x-outrider-error"), ["bad_request"], message);
    assert.deepEqual(valuesOf(answer, "content-type"), ["application/problem+json"], message);
  }
  assert.deepEqual(origin.requests, []);
  const { clientErrors } = proxy.stats();
  assert.equal(clientErrors, 4, "what is no request at all");
  assert.equal(exchanges.filter(({ outcome }) => outcome === "rejected").length, bad.length - clientErrors);
});

test("3,000 header lines pass whole, and a head of 300 KB is refused", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port } = await startProxy(t, origin.url);
  const many = Array.from({ length: 3000 }, (_, i) => `h${i}: 1`);
  await ask(t, port, post("/", "hello", ...many));
  assert.equal(origin.requests[0]?.split("\r\n").filter((line) => /^h\d+: 1$/.test(line)).length, 3000);
  const huge = await ask(t, port, get("/", `X-Huge: ${"a".repeat(300_000)}`));
  assert.match(huge, /^HTTP\/1\.1 431 /);
});

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/);
const value = fc.stringMatching(/^[\x21-\x7e\x80-\xff]{0,20}$/);
const hops = fc.constantFrom(
  "Connection",
  "keep-alive",
  "TE",
  "Upgrade",
  "Proxy-Connection",
  "Transfer-Encoding",
);
const line = fc.oneof({ weight: 4, arbitrary: fc.tuple(token, value) }, fc.tuple(hops, token));

const removed = new Set([
  "connection",
  "keep-alive",
  "te",
  "upgrade",
  "proxy-connection",
  "transfer-encoding",
]);
const special =
  /^(?:host|content-length|trailer|expect|via|x-forwarded-.*|traceparent|tracestate|x-prediction-id|x-model-version)$/i;

function expected(lines: readonly (readonly [string, string])[]): (readonly [string, string])[] {
  const named = new Set(
    lines
      .filter(([name]) => name.toLowerCase() === "connection")
      .flatMap(([, list]) => list.toLowerCase().split(",")),
  );
  return lines.filter(
    ([name]) => !removed.has(name.toLowerCase()) && !named.has(name.toLowerCase()) && !special.test(name),
  );
}

function others(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i] ?? "", flat[i + 1] ?? ""]);
  return pairs.filter(([name]) => !special.test(name));
}

test("whatever the lines, the filters drop exactly the hop-by-hop ones and keep order, spelling and count", () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 30 }), (lines) => {
      const request = readRequestHead(lines.flat(), {
        httpVersion: "1.1",
        peer: "10.0.0.1",
        upstreamHost: null,
        targetHost: null,
        upstreamAuthority: "model:80",
        traceSampleRatio: 0,
        scheme: "http",
        bodyFollows: null,
      });
      assert.deepEqual(others(request.lines), expected(lines));
      const response = readResponseHead(lines.flat(), {
        status: 200,
        headOnly: false,
        httpVersion: "1.1",
        receivedVersion: "1.1",
        versionHeader: null,
      });
      assert.deepEqual(others(response.lines), expected(lines));
    }),
    { numRuns: 500 },
  );
});

test("lines named like object internals are plain lines", async (t) => {
  const origin = await scriptedOrigin(
    t,
    "HTTP/1.1 200 OK\r\n__proto__: 1\r\nconstructor: 2\r\nContent-Length: 0\r\n\r\n",
  );
  const { port } = await startProxy(t, origin.url);
  const answer = await ask(t, port, get("/", "__proto__: 1", "constructor: 2", "Connection: __proto__x"));
  assert.deepEqual(valuesOf(origin.requests[0] ?? "", "__proto__"), ["1"]);
  assert.deepEqual(valuesOf(answer, "__proto__"), ["1"]);
  assert.deepEqual(valuesOf(answer, "constructor"), ["2"]);
});

test("the upstream gets its own name as Host when it is configured so", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port } = await startProxy(t, origin.url, { host: "upstream" });
  await ask(t, port, get("/"));
  assert.deepEqual(valuesOf(origin.requests[0] ?? "", "host"), [`127.0.0.1:${origin.port}`]);
  assert.deepEqual(valuesOf(origin.requests[0] ?? "", "x-forwarded-host"), ["model.example"]);
});

test("a Connection line with very many spaces within costs no more than its length", () => {
  const startedMs = performance.now();
  const named = addConnectionTokens(null, `a${" ".repeat(300_000)}b , close\t,\t x-one`);
  assert.equal(named?.has("x-one"), true);
  // Begun again at each space it would be minutes.
  assert.ok(performance.now() - startedMs < 20_000);
});
