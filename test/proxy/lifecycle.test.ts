// Start, drain and stop; and upstreams other than plain TCP.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../src/kernel/clock.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createProxy } from "../../src/proxy/proxy.ts";
import { certificate } from "../support/certificates.ts";
import {
  LIMITS,
  OK,
  ask,
  eventually,
  get,
  httpOrigin,
  pause,
  rawClient,
  rawOrigin,
  scriptedOrigin,
  startProxy,
  valuesOf,
} from "./support.ts";

/** Of a stop that has no reason to wait for it. */
const DEADLINE_MS = 30_000;
/** Of a stop with a deadline of 200 ms: less than any other clock of the relay, and wide enough for a machine that hardly runs. */
const SOON_MS = 4500;

test("stop lets the exchange under way finish, tells it to close, and takes no new connection", async (t) => {
  const asked = Promise.withResolvers<ServerResponse>();
  const origin = await httpOrigin(t, (_request, response) => asked.resolve(response));
  const { proxy, port, delivered } = await startProxy(t, origin.url);
  const idle = await rawClient(t, port);
  const client = await rawClient(t, port);
  client.send(get("/"));
  const response = await asked.promise;
  const began = performance.now();
  const stopped = proxy.stop(DEADLINE_MS);
  await idle.closed();
  await assert.rejects(rawClient(t, port));
  response.end("done");
  const text = await client.closed();
  assert.match(text, /done/);
  assert.deepEqual(valuesOf(text, "connection"), ["close"]);
  await stopped;
  assert.ok(performance.now() - began < DEADLINE_MS, "it did not wait for its deadline");
  assert.equal((await delivered(1))[0]?.outcome, "ok");
  assert.equal(proxy.address, null);
});

test("a stream that began before the drain ends it when it ends", async (t) => {
  const asked = Promise.withResolvers<ServerResponse>();
  const origin = await httpOrigin(t, (_request, response) => {
    response.write("first");
    asked.resolve(response);
  });
  const { proxy, port } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(get("/"));
  await client.until("first");
  const began = performance.now();
  const stopped = proxy.stop(DEADLINE_MS);
  (await asked.promise).end("last");
  await stopped;
  assert.ok(performance.now() - began < DEADLINE_MS, "the kept connection is closed once it is idle");
  assert.match(client.text(), /last\r\n0\r\n\r\n$/);
});

test("at the deadline what is left is cut: answered with 503 where that is possible, delivered in any case", async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.on("data", (chunk) => {
      if (chunk.toString().startsWith("GET /stream"))
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
      if (chunk.toString().startsWith("GET /ws"))
        socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    });
  });
  const { proxy, port, exchanges } = await startProxy(t, origin.url);
  const waiting = await rawClient(t, port);
  waiting.send(get("/wait"));
  const streaming = await rawClient(t, port);
  streaming.send(get("/stream"));
  await streaming.until("1\r\na");
  const tunnel = await rawClient(t, port);
  tunnel.send(get("/ws", "Connection: Upgrade", "Upgrade: x"));
  await tunnel.until("101");
  const began = performance.now();
  await proxy.stop(200);
  const took = performance.now() - began;
  assert.ok(took > 150 && took < SOON_MS, `${took} ms`);
  const ended = exchanges.toSorted((a, b) => (a.target < b.target ? -1 : 1));
  assert.deepEqual(
    ended.map((one) => [one.target, one.status, one.outcome, one.ownError]),
    [
      ["/stream", 200, "reset", "draining"],
      ["/wait", 503, "rejected", "draining"],
      ["/ws", 101, "reset", "draining"],
    ],
  );
  assert.match(await waiting.closed(), /^HTTP\/1\.1 503 [^]*x-outrider-error: draining/);
  assert.ok(!(await streaming.closed()).includes("0\r\n\r\n"));
  await tunnel.closed();
});

test("a client that reads nothing, and a model that stops in the middle, do not hold up the stop", async (t) => {
  const block = Buffer.alloc(1024 * 1024, 97);
  let modelSide = 0;
  const origin = await rawOrigin(t, (socket) => {
    modelSide++;
    socket.on("close", () => modelSide--);
    socket.once("data", (chunk) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
      if (chunk.toString().startsWith("GET /full")) for (let i = 0; i < 16; i++) socket.write(block);
    });
  });
  const { proxy, port, exchanges } = await startProxy(t, origin.url);
  const deaf = await rawClient(t, port);
  deaf.socket.pause();
  deaf.send(get("/full"));
  const listening = await rawClient(t, port);
  listening.send(get("/events"));
  await listening.until("event-stream");
  await eventually(() => proxy.stats().activeRequests === 2);
  const began = performance.now();
  await proxy.stop(200);
  assert.ok(performance.now() - began < SOON_MS);
  assert.deepEqual(
    exchanges.map((one) => [one.outcome, one.ownError]),
    [
      ["reset", "draining"],
      ["reset", "draining"],
    ],
  );
  await listening.closed();
  await eventually(() => modelSide === 0);
});

test("stop is safe before start, and twice", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const never = createProxy(
    {
      listen: { host: "127.0.0.1", port: 0 },
      upstream: { url: origin.url, tls: null },
      host: "preserve",
      connectTimeoutMs: 1000,
      responseTimeoutMs: 0,
      maxConnections: 10,
      limits: LIMITS,
    },
    { clock: systemClock, log: silentLog, deliver: () => {} },
  );
  await never.stop(100);
  const { proxy } = await startProxy(t, origin.url);
  await Promise.all([proxy.stop(100), proxy.stop(100)]);
  await proxy.stop(100);
});

test("a port that is taken is an error of start", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  await assert.rejects(startProxy(t, origin.url, { listen: { host: "127.0.0.1", port: origin.port } }), {
    code: "EADDRINUSE",
  });
});

function tempDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "outrider-proxy-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test("an upstream can be a unix socket", async (t) => {
  const path = join(tempDir(t), "model.sock");
  const server = createServer((request, response) => response.end(`${request.headers.host} ${request.url}`));
  server.listen(path);
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = await startProxy(t, `unix:${path}`);
  assert.match(await ask(t, port, get("/u")), /model\.example \/u/);
});

test("an https upstream is verified by default, against its own name and not the client's Host", async (t) => {
  const { cert: pem, key } = await certificate("localhost");
  const server = createTlsServer({ key, cert: pem }, (_request, response) => response.end("secure"));
  server.on("upgrade", (_request, socket) =>
    socket.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhi"),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const tlsPort = typeof address === "object" && address !== null ? address.port : 0;

  const strict = await startProxy(t, `https://localhost:${tlsPort}`);
  const refused = await ask(t, strict.port, get("/"));
  assert.match(refused, /^HTTP\/1\.1 502 /);
  assert.deepEqual(valuesOf(refused, "x-outrider-error"), ["tls_failure"]);
  assert.equal((await strict.delivered(1))[0]?.ownError, "tls_failure");

  const trusting = await startProxy(t, `https://localhost:${tlsPort}`, { tls: { ca: pem } });
  assert.match(await ask(t, trusting.port, get("/")), /secure/);
  assert.match(await ask(t, trusting.port, "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n"), /secure/);
  const tunnel = await rawClient(t, trusting.port);
  tunnel.send(get("/ws", "Connection: Upgrade", "Upgrade: x"));
  assert.match(await tunnel.closed(), /^HTTP\/1\.1 101 [^]*hi$/);

  const byAddress = await startProxy(t, `https://127.0.0.1:${tlsPort}`, { tls: { ca: pem } });
  const mismatch = await ask(t, byAddress.port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.deepEqual(
    valuesOf(mismatch, "x-outrider-error"),
    ["tls_failure"],
    "the client's Host vouches for nothing",
  );
});

test("200 clients at once, half of them leaving early, leave nothing behind", async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    request.resume();
    setTimeout(() => response.end("x".repeat(2000)), 20);
  });
  const { proxy, port, delivered } = await startProxy(t, origin.url);
  const clients = await Promise.all(Array.from({ length: 200 }, () => rawClient(t, port)));
  for (const client of clients) client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`);
  await pause(5);
  for (const [i, client] of clients.entries()) if (i % 2 === 0) client.socket.destroy();
  await delivered(200);
  await eventually(() => proxy.stats().activeRequests === 0);
  assert.equal(proxy.stats().seen, 200);
  for (const client of clients) client.socket.destroy();
  await eventually(() => proxy.stats().openConnections === 0);
});
