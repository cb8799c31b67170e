// `Max-Forwards` of OPTIONS and TRACE over HTTP/2 (RFC 9110 §7.6.2), as over HTTP/1.1.

import assert from "node:assert/strict";
import test from "node:test";
import { ask, connectStreams } from "./http2-support.ts";
import { httpOrigin, startProxy } from "./support.ts";

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
