// `Max-Forwards` of OPTIONS and TRACE (RFC 9110 §7.6.2) over both versions, and spaces around a field's value over HTTP/2.

import assert from "node:assert/strict";
import test from "node:test";
import { bareLines, readRequestFields } from "../../src/proxy/http2/fields.ts";
import {
  PREFACE,
  TYPE,
  ask,
  connectStreams,
  frame,
  literals,
  rawStreams,
  streamOrigin,
  valuesOf,
  wholeAnswer,
} from "./http2-support.ts";
import { ask as askRaw, eventually, httpOrigin, startProxy } from "./support.ts";

test("OPTIONS and TRACE are answered here once their forwards are used up, and cost one of them otherwise", async (t) => {
  const asked: string[] = [];
  const { url } = await httpOrigin(t, (request, response) => {
    asked.push(`${request.method} ${String(request.headers["max-forwards"])}`);
    response.end("model");
  });
  const { port, exchanges, delivered } = await startProxy(t, url);
  const session = await connectStreams(t, port);
  const statuses: number[] = [];
  for (const [method, forwards] of [
    ["OPTIONS", "0"],
    ["TRACE", "0"],
    ["OPTIONS", "5"],
    ["TRACE", "1"],
    ["GET", "0"],
  ] as const) {
    const answer = await ask(session, { method, headers: { "max-forwards": forwards } });
    assert.equal(answer.rstCode, 0);
    if (forwards === "0" && method !== "GET") assert.equal(answer.headers["allow"], "OPTIONS");
    statuses.push(answer.status);
  }
  assert.deepEqual(statuses, [200, 405, 200, 200, 200]);
  assert.deepEqual(asked, ["OPTIONS 4", "TRACE 0", "GET 0"]);
  await delivered(5);
  assert.deepEqual(
    exchanges.map(({ outcome }) => outcome),
    ["rejected", "rejected", "ok", "ok", "ok"],
  );
});

test("OPTIONS with a body whose forwards are used up is answered, and leaves its connection to others", async (t) => {
  const { url } = await httpOrigin(t, (_, response) => void response.end("model"));
  const { port, proxy } = await startProxy(t, url);
  const session = await connectStreams(t, port);
  const body = Buffer.alloc(500_000);
  const answer = await ask(session, { method: "OPTIONS", headers: { "max-forwards": "0" }, body });
  assert.equal(answer.status, 200);
  assert.equal(answer.body.length, 0);
  assert.equal((await ask(session)).body.toString(), "model");
  assert.equal(proxy.stats().heldBytes, 0);
});

/** What a client says -> what the model hears; null: the model is not asked. */
const SPELLINGS: readonly (readonly [said: string, heard: string | null])[] = [
  [" 0 ", null],
  ["\t0", null],
  ["00", null],
  ["0".repeat(400), null],
  [" 3 ", "2"],
  ["007", "6"],
  ["1", "0"],
  ["9".repeat(400), "9".repeat(15)],
  // Not only digits: no such field.
  ["+0", "+0"],
  ["-1", "-1"],
  ["1e3", "1e3"],
  ["0x0", "0x0"],
  ["0.0", "0.0"],
  ["0, 0", "0, 0"],
  ["", ""],
];

for (const version of ["HTTP/1.1", "HTTP/2"] as const) {
  test(`forwards are counted in digits, however many, with spaces around them or without, over ${version}`, async (t) => {
    const heard: (string | null)[] = [];
    const { url } = await httpOrigin(t, (request, response) => {
      heard[Number(request.url?.slice(1))] = String(request.headers["max-forwards"]);
      response.end("model");
    });
    const { port } = await startProxy(t, url);
    for (const [k, [said]] of SPELLINGS.entries()) {
      if (version === "HTTP/1.1") {
        const lines = `Host: m\r\nMax-Forwards:${said}\r\nConnection: close`;
        assert.match(await askRaw(t, port, `OPTIONS /${k} HTTP/1.1\r\n${lines}\r\n\r\n`), /^HTTP\/1.1 200/);
        continue;
      }
      const client = await rawStreams(t, port);
      const payload = literals([
        [":method", "OPTIONS"],
        [":scheme", "http"],
        [":path", `/${k}`],
        [":authority", "m"],
        ["max-forwards", said],
      ]);
      const settings = frame(TYPE.settings, 0, { stream: 0 });
      client.socket.write(Buffer.concat([PREFACE, settings, frame(TYPE.headers, 5, { stream: 1, payload })]));
      await eventually(() => client.frames.some(({ stream, flags }) => stream === 1 && (flags & 1) === 1));
      client.socket.destroy();
    }
    assert.deepEqual(
      SPELLINGS.map(([said], k) => [said, heard[k] ?? null]),
      SPELLINGS,
    );
  });
}

test("a value with spaces around it goes on without them, from the client and from the model, in fields and in trailers", async (t) => {
  const heard: (readonly string[])[] = [];
  const origin = await streamOrigin(t, (stream, raw) => {
    heard.push(raw);
    stream.on("trailers", (_fields, _flags, lines: readonly string[]) => heard.push(lines));
    stream.resume().on("end", () => {
      stream.respond([":status", "200", "x-model", " a b\t"], { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": " 5 " }));
      stream.end("ok");
    });
  });
  const { port } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const headers = { ":method": "POST", "x-client": "\t a b ", "x-empty": "  " };
  const stream = session.request(headers, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-check": " 7" }));
  const answering = wholeAnswer(stream);
  stream.end("body");
  const answer = await answering;
  assert.equal(answer.headers["x-model"], "a b");
  assert.deepEqual(answer.trailers, ["x-sum", "5"]);
  const [fields = [], trailers] = heard;
  assert.deepEqual([valuesOf(fields, "x-client"), valuesOf(fields, "x-empty")], [["a b"], [""]]);
  assert.deepEqual(trailers, ["x-check", "7"]);
});

test("a value that begins with a space and has very many within costs no more than its length", () => {
  const value = `a${" ".repeat(200_000)}b`;
  const startedMs = performance.now();
  const { lines } = readRequestFields([":method", "GET", "x-spaces", ` ${value}\t`]);
  assert.deepEqual(valuesOf(lines, "x-spaces"), [value]);
  assert.deepEqual(bareLines(["x-none", " \t ".repeat(100_000)]), ["x-none", ""]);
  // Begun again at each space it would be minutes.
  assert.ok(performance.now() - startedMs < 20_000);
});

test("a trailer that HTTP/2 has no place for is left out on the way from HTTP/1.1, and the request is served", async (t) => {
  const trailers: (readonly string[])[] = [];
  const origin = await streamOrigin(t, (stream) => {
    stream.on("trailers", (_fields, _flags, lines: readonly string[]) => trailers.push(lines));
    stream.resume().on("end", () => {
      stream.respond({ ":status": 200, "content-length": "2" });
      stream.end("ok");
    });
  });
  const { port, errors } = await startProxy(t, origin.url);
  const head =
    "POST / HTTP/1.1\r\nHost: model.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n";
  for (const line of ["HTTP2-Settings: AAMAAABk", "TE: gzip", "Keep-Alive: 5", "Upgrade: h2c"])
    assert.match(await askRaw(t, port, `${head}${line}\r\nX-Sum: 7\r\n\r\n`), /^HTTP\/1\.1 200 [^]*\r\nok$/);
  assert.deepEqual(trailers, Array(4).fill(["x-sum", "7"]));
  const asking = "GET / HTTP/1.1\r\nHost: model.example\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
  assert.match(await askRaw(t, port, asking), /^HTTP\/1\.1 200 [^]*\r\nok$/);
  assert.deepEqual(errors, []);
});
