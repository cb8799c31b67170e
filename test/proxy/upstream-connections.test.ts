// Each connection to the model is counted once, by how its opening ended; those that are used again are not counted again.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { CONNECT_SECONDS, bucketOf } from "../../src/kernel/bounds.ts";
import { movedClock } from "../support/hand-clock.ts";
import { ask as askStream, connectStreams, streamOrigin } from "./http2-support.ts";
import {
  OK,
  OK_KEPT,
  ageless,
  ask,
  eventually,
  get,
  rawClient,
  rawOrigin,
  scriptedOrigin,
  startProxy,
  type Running,
} from "./support.ts";

/** Those that are not 0, by `version/outcome`. */
const counted = ({ proxy }: Running): Record<string, number> =>
  Object.fromEntries(Object.entries(proxy.stats().upstreamConnections).filter(([, count]) => count > 0));

const timed = ({ proxy }: Running): number =>
  Object.entries(proxy.stats().upstreamConnectTimes)
    .filter(([key]) => !key.endsWith("/sum"))
    .reduce((sum, [, one]) => sum + one, 0);

const UPGRADE = get("/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k");
const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

test("a model that keeps its connections is dialled once, one that closes them each time, over HTTP/1.1", async (t) => {
  for (const [answer, opened] of [
    [OK_KEPT, 1],
    [OK.replace("\r\n", "\r\nConnection: close\r\n"), 5],
  ] as const) {
    const origin = await scriptedOrigin(t, answer);
    const running = await startProxy(t, origin.url, { clock: ageless });
    for (let i = 0; i < 5; i++) assert.match(await ask(t, running.port, get("/")), /ok$/);
    assert.deepEqual(counted(running), { "1.1/opened": opened });
    assert.deepEqual([origin.connections(), timed(running)], [opened, opened]);
  }
});

test("many calls of HTTP/2 take one connection, and gRPC has its own beside HTTP/1.1", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const calls = await streamOrigin(t, (stream) => {
    stream.respond({ ":status": 200 });
    stream.end("ok");
  });
  const running = await startProxy(t, origin.url, { grpcUrl: calls.url });
  const session = await connectStreams(t, running.port);
  const headers = { "content-type": "application/grpc", te: "trailers" };
  for (let i = 0; i < 5; i++) assert.equal((await askStream(session, { headers, body: "x" })).status, 200);
  assert.match(await ask(t, running.port, get("/")), /ok$/);
  // An answer's pieces are smaller where streams are many: each size has a connection.
  assert.deepEqual(counted(running), { "1.1/opened": 1, "2/opened": calls.sessions.length });
  assert.equal(timed(running), 1 + calls.sessions.length);
});

test("how long it took is counted in the bucket that holds it", () => {
  const [first = 0] = CONNECT_SECONDS;
  assert.deepEqual(
    [0, first, first * 1.01, 5, 6].map((seconds) => bucketOf(CONNECT_SECONDS, seconds)),
    [0, 0, 1, CONNECT_SECONDS.length - 1, CONNECT_SECONDS.length],
  );
});

/** What a model does with a connection of which it is to make one of the given kind, and how that ends. */
const FAILURES: Readonly<Record<string, readonly [scheme: string, does: (socket: Socket) => void, string]>> =
  {
    "closes within the TLS handshake": ["https", (socket) => socket.end(), "connection_reset"],
    "does not speak TLS": ["https", (socket) => socket.end("what?\r\n\r\n"), "tls_failure"],
    "closes before it has said anything of HTTP/2": ["h2c", (socket) => socket.end(), "connection_reset"],
    "speaks HTTP/1.1 where HTTP/2 is asked for": [
      "h2c",
      (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"),
      "invalid_response",
    ],
  };

for (const [what, [scheme, does, outcome]] of Object.entries(FAILURES)) {
  test(`a model that ${what}: ${outcome}`, async (t) => {
    const origin = await rawOrigin(t, does);
    const running = await startProxy(t, `${scheme}://127.0.0.1:${origin.port}`);
    assert.match(await ask(t, running.port, get("/")), /^HTTP\/1\.1 502 /);
    assert.deepEqual(counted(running), { [`${scheme === "h2c" ? "2" : "1.1"}/${outcome}`]: 1 });
    assert.equal(timed(running), 0);
  });
}

test("nobody there, for HTTP/1.1, HTTP/2 and a WebSocket: connection_refused", async (t) => {
  const nowhere = "unix:/tmp/outrider-no-such-socket";
  const running = await startProxy(t, nowhere, { grpcUrl: nowhere });
  await ask(t, running.port, get("/"));
  assert.deepEqual(counted(running), { "1.1/connection_refused": 1 });
  await ask(t, running.port, UPGRADE);
  assert.deepEqual(counted(running), { "1.1/connection_refused": 2 });
  const session = await connectStreams(t, running.port);
  await askStream(session, { headers: { "content-type": "application/grpc" }, body: "x" });
  assert.deepEqual(counted(running), { "1.1/connection_refused": 2, "2/connection_refused": 1 });
});

/** What is asked of a model that accepts the connection and says nothing. */
const ASKED: Readonly<Record<string, readonly [scheme: string, request: string, version: string]>> = {
  "HTTP/1.1 over TLS": ["https", get("/"), "1.1"],
  "HTTP/2": ["h2c", get("/"), "2"],
  "a WebSocket over TLS": ["https", UPGRADE, "1.1"],
};
const CONNECT_MS = 5000;

for (const [what, [scheme, request, version]] of Object.entries(ASKED)) {
  const silent = async (t: TestContext) => {
    const clock = movedClock();
    const origin = await rawOrigin(t, (socket) => socket.resume());
    const url = `${scheme}://127.0.0.1:${origin.port}`;
    const running = await startProxy(t, url, { clock, connectTimeoutMs: CONNECT_MS });
    const client = await rawClient(t, running.port);
    client.send(request);
    await eventually(() => origin.connections() === 1);
    return { clock, running, client };
  };

  test(`a model that does not finish the opening of ${what}: connect_timeout`, async (t) => {
    const { clock, running, client } = await silent(t);
    clock.advance(CONNECT_MS);
    await client.until(/^HTTP\/1\.1 504 /);
    assert.deepEqual(counted(running), { [`${version}/connect_timeout`]: 1 });
  });

  test(`the sidecar ends within the opening of ${what}: cancelled`, async (t) => {
    const { running } = await silent(t);
    await running.proxy.stop(0);
    assert.deepEqual(counted(running), { [`${version}/cancelled`]: 1 });
  });
}

test("a client leaves within the opening of its connection: cancelled", async (t) => {
  for (const request of [get("/"), UPGRADE]) {
    const origin = await rawOrigin(t, (socket) => socket.resume());
    const running = await startProxy(t, `https://127.0.0.1:${origin.port}`);
    const client = await rawClient(t, running.port);
    client.send(request);
    await eventually(() => origin.connections() === 1);
    client.socket.destroy();
    await running.delivered(1);
    assert.deepEqual(counted(running), { "1.1/cancelled": 1 });
  }
});

test("each WebSocket has a connection of its own", async (t) => {
  const origin = await scriptedOrigin(t, SWITCHED);
  const running = await startProxy(t, origin.url);
  for (let i = 1; i <= 3; i++) {
    const client = await rawClient(t, running.port);
    client.send(UPGRADE);
    await client.until(/^HTTP\/1\.1 101 /);
    assert.deepEqual([counted(running), timed(running)], [{ "1.1/opened": i }, i]);
  }
});
