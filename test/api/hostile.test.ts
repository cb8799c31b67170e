// What somebody who means harm may send: each answer is a refusal with a code, and the API goes on.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { gzipSync } from "node:zlib";
import { CSV, JSON_TYPE, NDJSON, call, running } from "./harness.ts";

/** Sends the text as it is; gives all that comes back until the connection ends. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    let out = "";
    socket.setTimeout(60_000, () => socket.destroy(new Error("no end within a minute")));
    socket.on("data", (chunk) => (out += chunk.toString()));
    socket.on("close", () => resolve(out));
    socket.on("error", reject);
  });
}

const flood = (pieces: number): Buffer[] => Array.from({ length: pieces }, () => Buffer.alloc(65_536, 0x61));

suite("hostile clients", () => {
  test("bodies that would grow are refused without being held", async (t) => {
    const { port, store } = await running(t);
    const bomb = gzipSync(Buffer.alloc(20_000_000));
    const packed = { ...JSON_TYPE, "content-encoding": "gzip" };
    assert.equal(
      (await call(port, { headers: packed, body: bomb })).json.code,
      "unsupported_content_encoding",
    );
    const transfer = { ...NDJSON, "transfer-encoding": "gzip, chunked" };
    assert.equal(
      (await call(port, { headers: transfer, body: "{}" })).json.code,
      "unsupported_content_encoding",
    );
    const line = await call(port, { headers: NDJSON, body: flood(400) });
    assert.deepEqual([line.status, line.json.errors[0]?.code], [422, "line_too_long"]);
    const field = await call(port, { headers: CSV, body: ["id,label\n", ...flood(40)] });
    assert.deepEqual([field.status, field.json.code], [400, "invalid_csv"]);
    const header = await call(port, { headers: CSV, body: ['"', ...flood(40)] });
    assert.deepEqual([header.status, header.json.code], [400, "invalid_csv"]);
    const deep = `{"id":"a","label":${"[".repeat(100_000)}${"]".repeat(100_000)}}\n`;
    assert.equal((await call(port, { headers: NDJSON, body: deep })).status, 422);
    assert.deepEqual(store.events, []);
  });

  test("names of object members are names like any other", async (t) => {
    const { port, store } = await running(t);
    const ids = ["__proto__", "constructor", "toString", "hasOwnProperty"];
    const sent = await call(port, {
      headers: JSON_TYPE,
      body: JSON.stringify(ids.map((id) => ({ id, label: 1 }))),
    });
    assert.equal(sent.json.waiting, ids.length);
    assert.deepEqual(
      store.events.map(({ id }) => id),
      ids,
    );
    for (const id of ids) {
      assert.equal((await call(port, { path: `/v1/predictions/${id}` })).json.code, "unknown_prediction");
      assert.equal((await call(port, { path: `/v1/models/${id}/versions` })).json.code, "unknown_model");
      assert.equal((await call(port, { path: `/v1/quality?${id}=1` })).json.code, "invalid_parameter");
    }
    const inherited = '{"__proto__":{"id":"x","label":1}}';
    assert.equal(
      (await call(port, { headers: JSON_TYPE, body: inherited })).json.errors[0]?.code,
      "invalid_id",
    );
  });

  test("paths and names from outside reach no header, no other path and no log line unescaped", async (t) => {
    const asked: string[] = [];
    const prediction = (id: string): readonly [] => {
      asked.push(id);
      return [];
    };
    const { port } = await running(t, { needs: { prediction } });
    for (const id of ["a%2Fb", "a%252Fb", "..%2f..%2fetc", "a%0d%0aset-cookie:x", "a%00b"]) {
      const { status, headers, text } = await call(port, { path: `/v1/predictions/${id}` });
      assert.deepEqual([status, headers["set-cookie"]], [404, undefined]);
      assert.ok(!text.includes("set-cookie"));
    }
    assert.deepEqual(asked, ["a/b", "a%2Fb", "../../etc", "a\r\nset-cookie:x", "a\0b"]);
    for (const path of ["/v1/predictions/%zz", "/v1/predictions/%ff"])
      assert.equal((await call(port, { path })).json.code, "invalid_path");
  });

  test("a request that two programs could read in two ways is refused", async (t) => {
    const { port, store } = await running(t);
    const hosts =
      "GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert.match(await raw(port, hosts), /^HTTP\/1\.1 403 [^]*host_not_allowed/);
    const lengths =
      "POST /v1/labels HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
      "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert.match(await raw(port, lengths), /^HTTP\/1\.1 400 [^]*"code":"invalid_request"/);
    const large = `GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: ${"a".repeat(20_000)}\r\n\r\n`;
    assert.match(await raw(port, large), /^HTTP\/1\.1 431 [^]*"code":"headers_too_large"/);
    const expects =
      "POST /v1/labels HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
      "Expect: a-miracle\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    const answer = await raw(port, expects);
    assert.match(answer, /^HTTP\/1\.1 422 [^]*invalid_id/);
    assert.deepEqual(store.events, []);
  });
});
