// Tunnels: bytes glued to either side of the 101, refusals, ends, and the upgrades that are not passed on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { handClock } from "../support/hand-clock.ts";
import {
  LIMITS,
  OK,
  eventually,
  get,
  pause,
  post,
  rawClient,
  rawOrigin,
  scriptedOrigin,
  startProxy,
  valuesOf,
} from "./support.ts";

const handshake = (path: string, ...lines: string[]): string =>
  get(path, "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k", ...lines);
const SWITCH =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

test("a tunnel keeps the bytes glued to either side of the 101 and passes both ways", async (t) => {
  let request = "";
  const origin = await rawOrigin(t, (socket) => {
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1");
      if (request === "") {
        request = text;
        socket.write(`${SWITCH}server-glued`, "latin1");
      } else socket.write(`echo:${text}`);
    });
  });
  const { port, proxy, delivered } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(`${handshake("/ws", "x-prediction-id: w-1")}client-glued`);
  const text = await client.until("echo:client-glued");
  assert.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  for (const [name, value] of [
    ["upgrade", "WebSocket"],
    ["connection", "Upgrade"],
    ["sec-websocket-accept", "a"],
    ["sec-websocket-extensions", "permessage-deflate"],
    ["x-prediction-id", "w-1"],
  ] as const)
    assert.deepEqual(valuesOf(text, name), [value]);
  assert.ok(text.includes("\r\n\r\nserver-glued"));
  assert.deepEqual(valuesOf(request, "upgrade"), ["websocket"]);
  assert.deepEqual(valuesOf(request, "connection"), ["Upgrade"]);
  assert.deepEqual(valuesOf(request, "host"), ["model.example"]);
  assert.deepEqual(valuesOf(request, "via"), ["1.1 outrider"]);
  client.send("more");
  await client.until("echo:more");
  assert.equal(proxy.stats().activeRequests, 1);
  client.socket.end();
  const [one] = await delivered(1);
  assert.deepEqual(
    [
      one?.status,
      one?.outcome,
      one?.upgraded,
      one?.id,
      one?.request.total,
      one?.response.total,
      one?.response.kept,
    ],
    [101, "ok", true, "w-1", 16, 38, "not-captured"],
  );
  await eventually(() => proxy.stats().openConnections === 0);
});

test("when either side closes, the other is closed too", async (t) => {
  let closed = 0;
  const origin = await rawOrigin(t, (socket) => {
    socket.on("close", () => closed++);
    socket.on("data", (chunk) => {
      if (chunk.toString() === "bye") socket.end("last words");
      else socket.write(SWITCH);
    });
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const asked = await rawClient(t, port);
  asked.send(handshake("/"));
  await asked.until("\r\n\r\n");
  asked.send("bye");
  assert.match(await asked.closed(), /last words$/);
  const leaving = await rawClient(t, port);
  leaving.send(handshake("/"));
  await leaving.until("\r\n\r\n");
  leaving.socket.resetAndDestroy();
  await eventually(() => closed === 2);
  const exchanges = await delivered(2);
  assert.deepEqual(
    exchanges.map((one) => [one.outcome, one.abortedBy]),
    [
      ["ok", null],
      ["client_abort", "client"],
    ],
  );
});

test("a refused upgrade is passed on as the model said it", async (t) => {
  const answers: Record<string, string> = {
    "/length": "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX-Why: no\r\n\r\nno",
    "/chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
  };
  const origin = await scriptedOrigin(t, (request) => answers[/ (\S+)/.exec(request)?.[1] ?? ""] ?? OK);
  const { port, delivered } = await startProxy(t, origin.url);
  const first = await rawClient(t, port);
  first.send(handshake("/length"));
  const text = await first.closed();
  assert.match(text, /^HTTP\/1\.1 403 Forbidden\r\n[^]*\r\n\r\nno$/);
  assert.deepEqual(valuesOf(text, "x-why"), ["no"]);
  assert.equal(valuesOf(text, "x-prediction-id").length, 1);
  const second = await rawClient(t, port);
  second.send(handshake("/chunked"));
  assert.match(await second.closed(), /\r\n\r\n2\r\nno\r\n0\r\n\r\n$/);
  const exchanges = await delivered(2);
  assert.deepEqual(
    exchanges.map((one) => [one.status, one.outcome, one.upgraded]),
    [
      [403, "client_error", false],
      [200, "ok", false],
    ],
  );
});

test("an upgrade to a model that is not there is a 502 problem", async (t) => {
  const { port, delivered } = await startProxy(t, "unix:/tmp/outrider-no-such-socket");
  const client = await rawClient(t, port);
  client.send(handshake("/"));
  const text = await client.closed();
  assert.match(text, /^HTTP\/1\.1 502 /);
  assert.deepEqual(valuesOf(text, "x-outrider-error"), ["connection_refused"]);
  assert.equal((await delivered(1))[0]?.outcome, "connect_error");
});

test("an upgrade that is not answered in time is a 504, and a client that leaves is an abort", async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.resume());
  const limited = await startProxy(t, origin.url, { responseTimeoutMs: 100 });
  const client = await rawClient(t, limited.port);
  client.send(handshake("/"));
  assert.match(await client.closed(), /^HTTP\/1\.1 504 /);
  const { port, delivered } = await startProxy(t, origin.url);
  const leaving = await rawClient(t, port);
  leaving.send(handshake("/"));
  await pause(50);
  leaving.socket.destroy();
  assert.equal((await delivered(1))[0]?.outcome, "client_abort");
});

test("h2c, and an upgrade with a body, are relayed as ordinary requests", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(get("/h2", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"));
  await client.until(/ok$/);
  client.send(post("/body", "hello", "Connection: Upgrade", "Upgrade: websocket"));
  await eventually(() => client.text().split("ok").length > 2);
  for (const request of origin.requests) {
    assert.deepEqual(valuesOf(request, "upgrade"), []);
    assert.deepEqual(valuesOf(request, "http2-settings"), []);
  }
  assert.ok(origin.requests[1]?.endsWith("hello"));
});

test("64 KB blocks pass a tunnel whole under back-pressure", async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", () => {
      socket.write(SWITCH);
      socket.pipe(socket);
    });
  });
  const { port } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(handshake("/"));
  await client.until("\r\n\r\n");
  const head = client.text().length;
  client.socket.pause();
  for (let i = 0; i < 64; i++) client.send(Buffer.alloc(65536, i));
  await pause(50);
  client.socket.resume();
  await eventually(() => client.text().length === head + 64 * 65536);
  const body = client.text().slice(head);
  for (let i = 0; i < 64; i++) assert.equal(body.charCodeAt(i * 65536), i);
});

test("a tunnel that stands still is closed at both ends and counted, one that says a byte is not", async (t) => {
  let closed = 0;
  const origin = await rawOrigin(t, (socket) => {
    let asked = false;
    socket.on("close", () => closed++);
    socket.on("data", (chunk) => {
      if (asked) socket.write(`echo:${chunk.toString("latin1")}`);
      else socket.write(SWITCH, "latin1");
      asked = true;
    });
  });
  const clock = handClock();
  const limits = { ...LIMITS, tunnelIdleMs: 60_000 };
  const { port, proxy, delivered } = await startProxy(t, origin.url, { clock, limits });
  const client = await rawClient(t, port);
  client.send(handshake("/ws"));
  await client.until("\r\n\r\n");
  for (const word of ["one", "two"]) {
    clock.advance(50_000);
    client.send(word);
    await client.until(`echo:${word}`);
  }
  assert.equal(proxy.stats().limited["tunnel_idle_timeout"], 0);
  clock.advance(60_001);
  const [ended] = await delivered(1);
  assert.deepEqual([ended?.ownError, ended?.outcome, ended?.status], ["response_timeout", "reset", 101]);
  assert.equal(proxy.stats().limited["tunnel_idle_timeout"], 1);
  await eventually(() => proxy.stats().openConnections === 0 && closed === 1);
});

test("what a model does not take of an upload, or of a tunnel, is told as held, and is little", async (t) => {
  let leave = (): void => {};
  const origin = await rawOrigin(t, (socket) => {
    leave = () => void socket.destroy();
    socket.once("data", (chunk) => {
      socket.pause();
      if (chunk.toString("latin1").startsWith("GET /ws")) socket.write(SWITCH, "latin1");
    });
  });
  const { port, proxy } = await startProxy(t, origin.url);
  const MIB = 1024 * 1024;
  for (const begin of [
    `POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: ${64 * MIB}\r\n\r\n`,
    handshake("/ws"),
  ]) {
    const client = await rawClient(t, port);
    client.send(begin);
    if (begin.startsWith("GET")) await client.until("\r\n\r\n");
    client.socket.write(Buffer.alloc(32 * MIB));
    await eventually(() => proxy.stats().heldBytes > 0);
    const { heldBytes } = proxy.stats();
    assert.ok(heldBytes <= MIB, `${heldBytes} held`);
    // Of a client whose bytes it does not read the sidecar cannot know that it has left.
    leave();
    client.socket.destroy();
    await eventually(() => proxy.stats().heldBytes === 0);
  }
});

test("megabytes pass a tunnel whole, both ways", async (t) => {
  const bytes = Buffer.alloc(4 * 1024 * 1024, "0123456789abcdefg");
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", () => {
      socket.write(SWITCH, "latin1");
      socket.pipe(socket);
    });
  });
  const { port } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(handshake("/ws"));
  const head = await client.until("\r\n\r\n");
  const parts: Buffer[] = [];
  client.socket.on("data", (chunk: Buffer) => parts.push(chunk));
  client.socket.write(bytes);
  await eventually(() => parts.reduce((sum, { length }) => sum + length, 0) === bytes.length);
  assert.ok(head.endsWith("\r\n\r\n"));
  assert.ok(Buffer.concat(parts).equals(bytes));
});
