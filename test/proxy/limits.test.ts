// What one client connection may take: time for its head, its body and its answer, lines, bytes.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import {
  LIMITS,
  OK,
  eventually,
  get,
  heldClock,
  heldUp,
  httpOrigin,
  pause,
  rawClient,
  rawOrigin,
  scriptedOrigin,
  startProxy,
} from "./support.ts";

test("a head that trickles in is answered with 408, however steadily it trickles", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port, proxy } = await startProxy(t, origin.url, { limits: { ...LIMITS, headMs: 200 } });
  const client = await rawClient(t, port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
  const drip = setInterval(() => client.send("a"), 20);
  t.after(() => clearInterval(drip));
  assert.match(await client.closed(), /^HTTP\/1\.1 408 [^]*x-outrider-error: bad_request/);
  assert.equal(proxy.stats().limited["head_timeout"], 1);
  assert.equal(origin.requests.length, 0);
});

test("a body that stands still or trickles is answered with 408 and never looks whole to the model", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port, proxy, delivered } = await startProxy(t, origin.url, { limits: { ...LIMITS, bodyMs: 200 } });
  const client = await rawClient(t, port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
  const drip = setInterval(() => client.send("a"), 20);
  t.after(() => clearInterval(drip));
  assert.match(await client.closed(), /^HTTP\/1\.1 408 /);
  assert.equal(proxy.stats().limited["body_timeout"], 1);
  assert.equal(origin.requests.length, 0);
  assert.equal((await delivered(1))[0]?.ownError, "bad_request");
});

test("a body that comes slowly but comes is not cut off", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const clock = heldClock();
  const { port, proxy } = await startProxy(t, origin.url, { limits: { ...LIMITS, bodyMs: 200 }, clock });
  const client = await rawClient(t, port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 800\r\n\r\n");
  await eventually(() => proxy.stats().activeRequests === 1);
  for (let i = 0; i < 10; i++) {
    client.send("a".repeat(80));
    clock.pass(150);
    // Longer than the time between two looks.
    await pause(120);
  }
  await client.until(/^HTTP\/1\.1 200 [^]*ok$/);
  assert.equal(proxy.stats().limited["body_timeout"], 0);
});

test("what arrived while the process was held up is read before anybody is found late", async (t) => {
  const clock = heldClock();
  const models: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => socket.on("data", () => models.push(socket)));
  const limits = { ...LIMITS, bodyMs: 200 };
  const { port, proxy } = await startProxy(t, origin.url, { limits, responseTimeoutMs: 100, clock });
  const client = await rawClient(t, port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf");
  await eventually(() => proxy.stats().activeRequests === 1);
  await heldUp(150, () => {
    client.send("rest");
    clock.pass(1000);
  });
  await eventually(() => models.length > 0);
  await heldUp(150, () => {
    models[0]?.write(OK);
    clock.pass(1000);
  });
  await client.until(/^HTTP\/1\.1 200 [^]*ok$/);
});

test("an idle connection is closed after its time, and the time is announced", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const clock = heldClock();
  const limits = { ...LIMITS, idleMs: 300 };
  const { port, proxy } = await startProxy(t, origin.url, { limits, clock });
  const client = await rawClient(t, port);
  client.send(get("/"));
  await client.until("ok");
  clock.pass(301);
  await eventually(() => client.state.ended);
  assert.equal(proxy.stats().limited["idle_timeout"], 1);
  const { port: other } = await startProxy(t, origin.url);
  const patient = await rawClient(t, other);
  patient.send(get("/"));
  assert.match(await patient.until("ok"), /\r\nKeep-Alive: timeout=70\r\n/);
});

test("a client that takes nothing of its answer is dropped, and the model hears of it", async (t) => {
  const block = Buffer.alloc(1024 * 1024, 97);
  let modelSide = 0;
  const origin = await rawOrigin(t, (socket) => {
    modelSide++;
    socket.on("close", () => modelSide--);
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
      for (let i = 0; i < 16; i++) socket.write(block);
    });
  });
  const { port, proxy, delivered } = await startProxy(t, origin.url, { limits: { ...LIMITS, sendMs: 300 } });
  const deaf = await rawClient(t, port);
  deaf.socket.pause();
  deaf.send(get("/"));
  const [exchange] = await delivered(1);
  assert.equal(exchange?.outcome, "client_abort");
  assert.equal(proxy.stats().limited["send_timeout"], 1);
  await eventually(() => modelSide === 0);
});

test("a whole exchange may be given a limit: 504 before its head, a visible break after it", async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", (chunk) => {
      if (chunk.toString().startsWith("GET /begun"))
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    });
  });
  const clock = heldClock();
  const limits = { ...LIMITS, totalMs: 200 };
  const { port, proxy, delivered } = await startProxy(t, origin.url, { limits, clock });
  const waiting = await rawClient(t, port);
  waiting.send(get("/silent"));
  await eventually(() => proxy.stats().activeRequests === 1);
  clock.pass(201);
  await waiting.until(/^HTTP\/1\.1 504 [^]*x-outrider-error: response_timeout/);
  const begun = await rawClient(t, port);
  begun.send(get("/begun"));
  await begun.until("1\r\na");
  clock.pass(201);
  assert.ok(!(await begun.closed()).endsWith("0\r\n\r\n"));
  assert.equal(proxy.stats().limited["request_timeout"], 2);
  assert.deepEqual(
    (await delivered(2)).map(({ ownError }) => ownError),
    ["response_timeout", "response_timeout"],
  );
});

test("heads beyond their size or number of lines are refused, counted, and not forwarded in part", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const limits = { ...LIMITS, headBytesMax: 4096, headLinesMax: 20 };
  const { port, proxy } = await startProxy(t, origin.url, { limits });
  const cases: readonly (readonly [string, string])[] = [
    ["414", get(`/${"a".repeat(5000)}`)],
    ["431", get("/", `X: ${"a".repeat(5000)}`)],
    ["431", get("/", ...Array.from({ length: 30 }, (_, i) => `X-${i}: a`))],
  ];
  for (const [status, message] of cases) {
    const client = await rawClient(t, port);
    client.send(message);
    assert.match(await client.closed(), new RegExp(`^HTTP/1\\.1 ${status} `));
  }
  assert.equal(proxy.stats().limited["head_size"], 3);
  assert.equal(origin.requests.length, 0);
  const client = await rawClient(t, port);
  client.send(get("/", ...Array.from({ length: 19 }, (_, i) => `X-${i}: a`)));
  await client.until("ok");
});

test("a reader that has stalled costs less than 1 MiB", async (t) => {
  const block = Buffer.alloc(64 * 1024, 97);
  const readers = 40;
  const origin = await httpOrigin(t, (_request, response) => {
    const more = (): void => {
      while (!response.destroyed) if (!response.write(block)) return void response.once("drain", more);
    };
    more();
  });
  const { port } = await startProxy(t, origin.url);
  const held = (): number => {
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    return arrayBuffers + heapUsed;
  };
  const before = held();
  for (let i = 0; i < readers; i++) {
    const client = await rawClient(t, port);
    client.socket.pause();
    client.send(get("/"));
  }
  await pause(1000);
  const each = (held() - before) / readers;
  // Origin and clients live in this process too.
  assert.ok(each < 1024 * 1024, `${Math.round(each / 1024)} KiB each`);
});

/** Answers as soon as a request's head has come, and reads on. */
const EARLY = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
const UPLOAD = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000000\r\n\r\n";

test("the rest of an upload that was answered early is read up to 64 MiB; then the connection ends, and is counted", async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.once("data", () => socket.write(EARLY)));
  const { port, proxy } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(`${UPLOAD}some`);
  await client.until(/^HTTP\/1\.1 413 [^]*no$/);
  const block = Buffer.alloc(1024 * 1024, 97);
  let sent = 0;
  const more = (): void => {
    while (sent < 400 && !client.socket.destroyed && client.socket.write(block)) sent++;
    sent++;
  };
  client.socket.on("drain", more);
  more();
  await eventually(() => client.state.ended || client.state.closed);
  assert.equal(proxy.stats().limited["early_answer"], 1);
  assert.equal(proxy.stats().limited["body_timeout"], 0);
});

test("an upload that was answered early and stands still ends with its connection, counted once", async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.once("data", () => socket.write(EARLY)));
  const clock = heldClock();
  const { port, proxy } = await startProxy(t, origin.url, { limits: { ...LIMITS, bodyMs: 200 }, clock });
  const client = await rawClient(t, port);
  client.send(`${UPLOAD}some`);
  await client.until(/^HTTP\/1\.1 413 [^]*no$/);
  clock.pass(201);
  await eventually(() => client.state.ended);
  assert.equal(proxy.stats().limited["early_answer"], 1);
  assert.equal(proxy.stats().limited["body_timeout"], 0);
});

test("a short rest is read off, and the connection takes the next request", async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.once("data", () => socket.write(EARLY)));
  const { port, proxy } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nsome");
  await client.until(/^HTTP\/1\.1 413 [^]*no$/);
  client.send("b".repeat(99_996));
  client.send(get("/"));
  await client.until(/no[^]*HTTP\/1\.1 413 [^]*no$/);
  assert.equal(proxy.stats().limited["early_answer"], 0);
});
