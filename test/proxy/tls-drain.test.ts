// The drain of HTTP/2 over TLS, where only the second notice can be given (leaving.ts): what is under way comes to its end, and no more.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect, type ClientHttp2Session } from "node:http2";
import test, { type TestContext } from "node:test";
import { certificate } from "../support/certificates.ts";
import { streamOrigin, valuesOf, wholeAnswer } from "./http2-support.ts";
import { eventually, httpOrigin, startProxy } from "./support.ts";

const HOST = await certificate("localhost");
const INTERNAL_ERROR = 2;

async function connectSecure(t: TestContext, port: number): Promise<ClientHttp2Session> {
  const session = connect(`https://localhost:${port}`, { ca: HOST.cert });
  session.on("error", () => {});
  t.after(() => session.destroy());
  await once(session, "connect");
  return session;
}

test("over TLS a drain tells clients to go, ends what is under way well, and takes no new connection", async (t) => {
  const bodies = new Map<string, string>();
  const held: ServerResponse[] = [];
  const origin = await httpOrigin(t, (request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => bodies.set(request.url ?? "", body));
    if (request.url === "/flowing") response.write("some");
    held.push(response);
  });
  const running = await startProxy(t, origin.url, { certificate: HOST });
  const session = await connectSecure(t, running.port);
  const idle = await connectSecure(t, running.port);
  let goaways = 0;
  session.on("goaway", () => goaways++);
  const waiting = wholeAnswer(session.request({ ":path": "/waiting" }));
  const flowing = session.request({ ":path": "/flowing" });
  const flowed = wholeAnswer(flowing);
  const upload = session.request({ ":path": "/upload", ":method": "POST" });
  const uploaded = wholeAnswer(upload);
  upload.write("some");
  await once(flowing, "data");
  await eventually(() => held.length === 3);

  let over = false;
  const stopped = running.proxy.stop(600_000).then(() => (over = true));
  await eventually(() => goaways > 0 && idle.destroyed);
  const late = connect(`https://localhost:${running.port}`, { ca: HOST.cert });
  const [refused] = await once(late, "error");
  assert.equal(refused.code, "ECONNREFUSED");
  assert.equal((await wholeAnswer(session.request({ ":path": "/new" }))).status, 0);
  assert.equal(over, false);
  upload.end("thing");
  await eventually(() => bodies.get("/upload") === "something");
  for (const response of held) response.end("thing");
  const answers = await Promise.all([waiting, flowed, uploaded]);
  assert.deepEqual(
    answers.map(({ status, body, rstCode }) => [status, body.toString(), rstCode]),
    [
      [200, "thing", 0],
      [200, "something", 0],
      [200, "thing", 0],
    ],
  );
  await stopped;
  assert.equal(held.length, 3);
  const { activeRequests, heldBytes } = running.proxy.stats();
  assert.deepEqual([activeRequests, heldBytes], [0, 0]);
  await eventually(() => running.proxy.stats().openConnections === 0);
  assert.deepEqual(
    running.exchanges.map(({ outcome }) => outcome),
    ["ok", "ok", "ok"],
  );
  await eventually(() => session.destroyed);
});

test("over TLS what the deadline cuts hears so: 503, a status of gRPC, or a reset behind a head", async (t) => {
  const word = Buffer.from([0, 0, 0, 0, 2, 0x68, 0x69]);
  let asked = 0;
  const origin = await streamOrigin(t, (stream, raw) => {
    asked++;
    if (valuesOf(raw, ":path")[0] === "/waiting") return;
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.write(word);
  });
  const running = await startProxy(t, origin.url, { certificate: HOST });
  const session = await connectSecure(t, running.port);
  const waiting = wholeAnswer(session.request({ ":path": "/waiting" }));
  const call = session.request({ ":path": "/call", ":method": "POST", "content-type": "application/grpc" });
  const flowing = session.request({ ":path": "/flowing" });
  const answering = [wholeAnswer(call), wholeAnswer(flowing)] as const;
  await Promise.all([once(call, "data"), once(flowing, "data")]);
  await eventually(() => asked === 3);
  await running.proxy.stop(0);
  assert.equal((await waiting).status, 503);
  const [told, reset] = await Promise.all(answering);
  assert.deepEqual([told.rstCode, valuesOf(told.trailers, "grpc-status")[0]], [0, "14"]);
  assert.deepEqual([reset.rstCode, reset.body], [INTERNAL_ERROR, word]);
  await eventually(() => running.proxy.stats().openConnections === 0);
});
