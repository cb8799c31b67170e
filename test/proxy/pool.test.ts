// The connections to the model: when one is used again, when not, and what is never sent twice.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import {
  OK,
  OK_KEPT,
  ageless,
  ask,
  eventually,
  get,
  heldClock,
  httpOrigin,
  pause,
  post,
  rawClient,
  rawOrigin,
  scriptedOrigin,
  startProxy,
  valuesOf,
} from "./support.ts";

test("bytes that come on an idle connection never answer a request", async (t) => {
  const sockets: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => {
    sockets.push(socket);
    socket.on("data", () => socket.write(OK));
  });
  const { port } = await startProxy(t, origin.url);
  for (let i = 0; i < 5; i++) {
    assert.match(await ask(t, port, post("/", "x")), /ok$/);
    for (const socket of sockets) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    if (i % 2 === 0) await pause(5);
  }
  assert.equal(origin.connections(), 5);
});

test("a GET that an idle connection swallowed is asked again, once; a POST never", async (t) => {
  const requests: string[] = [];
  const origin = await rawOrigin(t, (socket) => {
    let served = 0;
    socket.on("data", (chunk) => {
      requests.push(chunk.toString().split(" ", 2).join(" "));
      if (served++ === 0) socket.write(OK_KEPT);
      else socket.destroy();
    });
  });
  const { port, proxy } = await startProxy(t, origin.url, { clock: ageless });
  const resends = (): number[] =>
    ["answered", "given_up"].map((outcome) => proxy.stats().resends[`connection_closed/${outcome}`] ?? 0);
  assert.match(await ask(t, port, get("/1")), /ok$/);
  assert.match(await ask(t, port, get("/2")), /ok$/);
  assert.deepEqual(requests, ["GET /1", "GET /2", "GET /2"]);
  assert.deepEqual(resends(), [1, 0]);
  const refused = await ask(t, port, post("/3", "x"));
  assert.deepEqual(valuesOf(refused, "x-outrider-error"), ["connection_reset"]);
  assert.deepEqual(requests.slice(3), ["POST /3"]);
  assert.deepEqual(resends(), [1, 1]);
  assert.equal(
    Object.values(proxy.stats().resends).reduce((sum, one) => sum + one),
    2,
  );
});

test("a model that closes idle connections after a while is not raced", async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    let idle: NodeJS.Timeout | undefined;
    socket.on("data", () => {
      clearTimeout(idle);
      socket.write(OK);
      idle = setTimeout(() => socket.end(), 120);
    });
  });
  const { port } = await startProxy(t, origin.url);
  let failed = 0;
  for (let i = 0; i < 12; i++) {
    if (!(await ask(t, port, post("/", "x"))).endsWith("ok")) failed++;
    await pause(117 + (i % 6));
  }
  assert.equal(failed, 0);
});

test("after a HEAD the connection is given up, whatever the model sends behind it", async (t) => {
  const origin = await scriptedOrigin(t, (request) =>
    request.startsWith("HEAD") ? "HTTP/1.1 405 No\r\nContent-Length: 4\r\n\r\nevil" : OK,
  );
  const { port } = await startProxy(t, origin.url);
  assert.match(
    await ask(t, port, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"),
    /^HTTP\/1\.1 405 No\r\n[^]*\r\n\r\n$/,
  );
  assert.match(await ask(t, port, get("/")), /ok$/);
  assert.equal(origin.connections(), 2);
});

test("request trailers reach the model, whole bodies and streamed ones", async (t) => {
  const requests: string[] = [];
  const origin = await rawOrigin(t, (socket) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (!text.endsWith("7\r\n\r\n")) return;
      requests.push(text);
      text = "";
      socket.write(OK);
    });
  });
  const { port } = await startProxy(t, origin.url);
  const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const tail = "0\r\nX-Sum: 7\r\nHost: evil\r\n\r\n";
  assert.match(await ask(t, port, `${head}3\r\nabc\r\n${tail}`), /ok$/);
  const slow = await rawClient(t, port);
  slow.send(`${head}3\r\nabc\r\n`);
  await pause(30);
  slow.send(tail);
  await slow.until(/ok$/);
  assert.equal(requests.length, 2);
  for (const request of requests) {
    assert.ok(request.endsWith("\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n"), JSON.stringify(request));
    assert.deepEqual(valuesOf(request, "transfer-encoding"), ["chunked"]);
  }
});

test("a password in the upstream's URL is told to nobody", async (t) => {
  const { port } = await startProxy(t, "http://user:s3cret@127.0.0.1:1");
  const answer = await ask(t, port, get("/"));
  assert.deepEqual(valuesOf(answer, "x-outrider-error"), ["connection_refused"]);
  assert.ok(!answer.includes("s3cret"));
});

test("a burst of requests while the model restarts ends with each of them answered", async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    request.resume();
    request.on("end", () => {
      if (Math.floor(Number(request.url?.slice(1)) / 4) % 3 === 1) request.socket.destroy();
      else response.end("fine");
    });
  });
  const { port, proxy, delivered } = await startProxy(t, origin.url);
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, i) => ask(t, port, post(`/${i}`, "x", "Connection: close"))),
  );
  assert.equal(answers.filter((one) => one.endsWith("fine") || one.startsWith("HTTP/1.1 502")).length, 60);
  await delivered(60);
  await eventually(() => proxy.stats().activeRequests === 0);
});

test("pipelined requests are asked one after the other; when the client leaves, what it was waiting for ends", async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.resume());
  const { port, proxy, delivered } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(get("/1") + get("/2") + get("/3"));
  await eventually(() => origin.connections() === 1);
  await pause(50);
  assert.equal(proxy.stats().activeRequests, 1);
  client.socket.destroy();
  const exchanges = await delivered(1);
  assert.deepEqual(
    exchanges.map(({ target, outcome }) => [target, outcome]),
    [["/1", "client_abort"]],
  );
  await pause(20);
  assert.equal(origin.connections(), 1, "the others never reached the model");
  await eventually(() => proxy.stats().activeRequests === 0);
});

test("one client connection takes one connection to the model, and a bounded number of bytes, however much it sends ahead", async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.resume());
  const { port, proxy } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  let taken = 0;
  const most = 64 * 1024 * 1024;
  const block = get("/").repeat(2000);
  const more = (): void => {
    while (taken < most) {
      taken += block.length;
      if (!client.socket.write(block)) return void client.socket.once("drain", more);
    }
  };
  more();
  await eventually(() => origin.connections() === 1);
  // Until nothing more goes in: the systems' buffers grow for a while.
  for (let before = -1; before !== taken; await pause(300)) before = taken;
  assert.ok(taken < most, "the rest waits at the client");
  assert.equal(origin.connections(), 1);
  assert.equal(proxy.stats().activeRequests, 1);
});

test("only HTTP/1.1 and HTTP/1.0 are forwarded, and what is forwarded names a host", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port } = await startProxy(t, origin.url);
  for (const line of ["GET / HTTP/2.0", "GET / HTTP/0.9", "GET /"]) {
    const client = await rawClient(t, port);
    client.send(`${line}\r\nHost: a\r\n\r\n`);
    assert.match(await client.closed(), /^HTTP\/1\.1 (400|505) /, line);
  }
  assert.equal(origin.requests.length, 0);
  const old = await rawClient(t, port);
  old.send("GET / HTTP/1.0\r\n\r\n");
  assert.match(await old.closed(), /ok$/);
  assert.deepEqual(valuesOf(origin.requests[0] ?? "", "host"), [`127.0.0.1:${origin.port}`]);
});

test("idle connections are used again for about as long as the model has been seen to keep them", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const clock = heldClock();
  const { port } = await startProxy(t, origin.url, { clock });
  for (let i = 0; i < 10; i++) {
    await ask(t, port, post("/", "x"));
    clock.pass(80);
  }
  assert.ok(origin.connections() < 5, `${origin.connections()} connections`);
});

test("a model that serves one connection at a time is kept waiting for the moment only in which it is not known", async (t) => {
  const waiting: Socket[] = [];
  let current: Socket | null = null;
  const serve = (socket: Socket): void => {
    current = socket;
    socket.on("data", () => socket.write(OK));
    socket.once("close", () => {
      current = null;
      const next = waiting.shift();
      if (next !== undefined) serve(next);
    });
  };
  const origin = await rawOrigin(t, (socket) => {
    if (current === null) serve(socket);
    else waiting.push(socket);
  });
  const clock = heldClock();
  const { port } = await startProxy(t, origin.url, { clock });
  assert.match(await ask(t, port, post("/1", "x")), /ok$/);
  clock.pass(40);
  // Nothing but the time of this test's clock could end the idle connection otherwise, and that stands still.
  assert.match(await ask(t, port, post("/2", "x")), /ok$/);
  assert.equal(origin.connections(), 2);
  clock.pass(30);
  for (const path of ["/3", "/4"]) assert.match(await ask(t, port, post(path, "x")), /ok$/);
});

test("requests that follow one another at once take one connection, whatever the model announces", async (t) => {
  const origin = await rawOrigin(t, (socket) => socket.on("data", () => socket.write(OK)));
  const { port } = await startProxy(t, origin.url, { clock: heldClock() });
  for (let i = 0; i < 10; i++) assert.match(await ask(t, port, post("/", "x")), /ok$/);
  assert.equal(origin.connections(), 1);
});

test("while a slow model answers on a new connection, an idle one stays once it has served two at a time", async (t) => {
  const asked: Socket[] = [];
  const sockets: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => {
    sockets.push(socket);
    socket.on("data", (chunk) => {
      if (chunk.toString().startsWith("POST /slow")) asked.push(socket);
      else socket.write(OK);
    });
  });
  const clock = heldClock();
  const { port } = await startProxy(t, origin.url, { clock });
  const slow = await rawClient(t, port);
  assert.match(await ask(t, port, post("/1", "x")), /ok$/);
  clock.pass(20);
  assert.match(await ask(t, port, post("/2", "x")), /ok$/);
  clock.pass(30);
  slow.send(post("/slow", "x"));
  await eventually(() => asked.length === 1);
  await pause(60);
  assert.deepEqual(
    sockets.map((socket) => socket.destroyed),
    [false, false, false],
  );
  for (const socket of asked) socket.write(OK);
  await slow.until("ok");
});
