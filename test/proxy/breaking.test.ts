// Everything that breaks: clients that leave, models that refuse, hang, lie or die, and our own bugs. Each ends as one exchange.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { NO_HOST, NO_SERVER } from "../support/nowhere.ts";
import {
  OK,
  OK_KEPT,
  ageless,
  ask,
  eventually,
  get,
  httpOrigin,
  pause,
  post,
  rawClient,
  rawOrigin,
  scriptedOrigin,
  startProxy,
  valuesOf,
} from "./support.ts";

function problemOf(answer: string): Record<string, unknown> {
  return JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as Record<string, unknown>;
}

test("a model that is not there is a 502 that says so, at once", async (t) => {
  const { port, delivered } = await startProxy(t, NO_SERVER, { connectTimeoutMs: 60_000 });
  const began = performance.now();
  const answer = await ask(t, port, post("/p", "{}", "x-prediction-id: order-7"));
  assert.ok(performance.now() - began < 30_000, "it did not wait for the connect timeout");
  assert.match(answer, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
  assert.deepEqual(valuesOf(answer, "content-type"), ["application/problem+json"]);
  assert.deepEqual(valuesOf(answer, "x-outrider-error"), ["connection_refused"]);
  assert.deepEqual(valuesOf(answer, "x-prediction-id"), ["order-7"]);
  const problem = problemOf(answer);
  assert.deepEqual(
    [problem["type"], problem["title"], problem["status"], problem["code"]],
    ["about:blank", "Bad Gateway", 502, "connection_refused"],
  );
  assert.match(String(problem["detail"]), /http:\/\/127\.0\.0\.1:\d+ cannot be connected to.*ECONNREFUSED/);
  const [exchange] = await delivered(1);
  assert.deepEqual(
    [exchange?.status, exchange?.outcome, exchange?.ownError, exchange?.abortedBy, exchange?.clocks.headMs],
    [502, "connect_error", "connection_refused", null, null],
  );
  assert.equal(Buffer.from(exchange?.request.bytes ?? []).toString(), "{}");
});

test("a missing unix socket and an unknown host are told apart", async (t) => {
  const unix = await startProxy(t, "unix:/tmp/outrider-no-such-socket");
  assert.deepEqual(valuesOf(await ask(t, unix.port, get("/")), "x-outrider-error"), ["connection_refused"]);
  const dns = await startProxy(t, `http://${NO_HOST}:80`);
  const answer = await ask(t, dns.port, get("/"));
  assert.match(answer, /^HTTP\/1\.1 502 /);
  assert.deepEqual(valuesOf(answer, "x-outrider-error"), ["dns_failure"]);
});

test("a model that sends no head in time is a 504", async (t) => {
  const origin = await rawOrigin(t, () => {});
  const { port, delivered } = await startProxy(t, origin.url, { responseTimeoutMs: 150 });
  const answer = await ask(t, port, get("/"));
  assert.match(answer, /^HTTP\/1\.1 504 /);
  assert.deepEqual(valuesOf(answer, "x-outrider-error"), ["response_timeout"]);
  const [exchange] = await delivered(1);
  assert.deepEqual([exchange?.outcome, exchange?.ownError], ["timeout", "response_timeout"]);
});

test("a model that closes or resets instead of answering is a 502, and nothing is sent twice", async (t) => {
  const requests: string[] = [];
  const origin = await rawOrigin(t, (socket) => {
    socket.on("data", (chunk) => {
      requests.push(chunk.toString());
      if (chunk.toString().startsWith("POST /reset")) socket.resetAndDestroy();
      else if (chunk.toString().startsWith("POST /half")) socket.end("HTTP/1.1 200 O");
      else socket.end();
    });
  });
  const { port, delivered } = await startProxy(t, origin.url);
  for (const path of ["/close", "/reset", "/half"]) {
    const answer = await ask(t, port, post(path, "abc"));
    assert.match(answer, /^HTTP\/1\.1 502 /, path);
    assert.deepEqual(valuesOf(answer, "x-outrider-error"), ["connection_reset"], path);
  }
  assert.equal(requests.length, 3);
  const exchanges = await delivered(3);
  assert.ok(exchanges.every((one) => one.outcome === "reset" && one.status === 502));
});

test("an answer that is no HTTP is a 502 invalid_response", async (t) => {
  const answers: Record<string, string> = {
    "/garbage": "SSH-2.0-OpenSSH\r\n\r\n",
    "/two-lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "/coded": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    "/unasked": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    "/huge": `HTTP/1.1 200 OK\r\nX: ${"a".repeat(100_000)}\r\n\r\n`,
  };
  const origin = await scriptedOrigin(t, (request) => answers[/ (\S+)/.exec(request)?.[1] ?? ""] ?? OK);
  const { port } = await startProxy(t, origin.url);
  for (const path of Object.keys(answers)) {
    const answer = await ask(t, port, get(path));
    assert.match(answer, /^HTTP\/1\.1 502 /, path);
    assert.deepEqual(valuesOf(answer, "x-outrider-error"), ["invalid_response"], path);
  }
});

test("a body cut short by the model is visibly cut short for the client", async (t) => {
  const cuts: Record<string, string> = {
    "/length": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
    "/chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "/reset": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
  };
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", (chunk) => {
      const path = / (\S+)/.exec(chunk.toString())?.[1] ?? "";
      socket.write(cuts[path] ?? cuts["/chunked"] ?? "");
      setTimeout(() => (path === "/reset" ? socket.resetAndDestroy() : socket.destroy()), 20);
    });
  });
  const { port, delivered } = await startProxy(t, origin.url);
  for (const path of Object.keys(cuts)) {
    const client = await rawClient(t, port);
    client.send(get(path));
    const text = await client.closed();
    assert.match(text, /hello/, "what came is passed on");
    assert.ok(!text.includes("0\r\n\r\n"), "no final chunk");
  }
  const old = await rawClient(t, port);
  old.send("GET /old HTTP/1.0\r\n\r\n");
  await old.closed();
  assert.notEqual(
    old.state.error,
    null,
    "an HTTP/1.0 client sees a reset, since its body ends with the connection",
  );
  const exchanges = await delivered(4);
  for (const one of exchanges) {
    assert.deepEqual(
      [one.status, one.outcome, one.ownError, one.abortedBy],
      [200, "reset", "connection_reset", "upstream"],
      one.target,
    );
    assert.equal(one.response.total, 5);
  }
});

test("a head whose body never begins is broken off visibly too", async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"));
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(get("/"));
  assert.match(await client.closed(), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
  assert.equal((await delivered(1))[0]?.outcome, "reset");
});

test("a client that leaves takes the model's work with it: while waiting, while streaming, while uploading", async (t) => {
  const asked: string[] = [];
  const gone: string[] = [];
  const origin = await rawOrigin(t, (socket) => {
    let path = "";
    socket.on("data", (chunk) => {
      if (path !== "") return;
      path = / (\S+)/.exec(chunk.toString())?.[1] ?? "";
      asked.push(path);
      if (path === "/stream") socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    });
    socket.on("close", () => gone.push(path));
  });
  const { port, delivered, proxy } = await startProxy(t, origin.url);
  const messages = [
    get("/wait"),
    get("/stream"),
    "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
  ];
  for (const message of messages) {
    const client = await rawClient(t, port);
    client.send(message);
    if (message.includes("/stream")) await client.until("1\r\na");
    await eventually(() => asked.length === messages.indexOf(message) + 1);
    client.socket.destroy();
  }
  await eventually(() => gone.length === 3);
  const exchanges = await delivered(3);
  for (const one of exchanges)
    assert.deepEqual(
      [one.outcome, one.abortedBy, one.ownError],
      ["client_abort", "client", null],
      one.target,
    );
  assert.deepEqual(
    exchanges.map((one) => one.status),
    [null, 200, null],
  );
  await eventually(() => proxy.stats().openConnections === 0 && proxy.stats().activeRequests === 0);
});

test("a client that leaves while its request waits for a connection is never heard of by the model", async (t) => {
  // A listener whose backlog is full accepts no further connection.
  const held: Socket[] = [];
  const requests: string[] = [];
  const origin = await rawOrigin(t, (socket) => {
    held.push(socket);
    socket.on("data", (chunk) => requests.push(chunk.toString()));
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.socket.write(get("/never"));
  client.socket.destroySoon();
  const [exchange] = await delivered(1);
  assert.equal(exchange?.outcome, "client_abort");
  await eventually(() => held.every((socket) => socket.destroyed));
});

test("a connection that the model closes while idle costs no request", async (t) => {
  const sockets: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => {
    sockets.push(socket);
    socket.on("data", () => socket.write(OK_KEPT));
  });
  const { port } = await startProxy(t, origin.url, { clock: ageless });
  for (let i = 0; i < 8; i++) {
    assert.match(await ask(t, port, post("/", "x")), /^HTTP\/1\.1 200/);
    for (const socket of sockets) socket.end();
    if (i % 2 === 0) await pause(5);
  }
});

test("a model that announces how long it keeps idle connections is believed", async (t) => {
  const origin = await scriptedOrigin(
    t,
    "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok",
  );
  const { port } = await startProxy(t, origin.url);
  await ask(t, port, get("/"));
  await ask(t, port, get("/"));
  assert.equal(origin.connections(), 2);
});

test("bytes behind an answer never answer the next request", async (t) => {
  let n = 0;
  const origin = await rawOrigin(t, (socket) => {
    socket.on("data", () =>
      socket.write(`${OK.slice(0, -2)}n${++n}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`),
    );
  });
  const { port } = await startProxy(t, origin.url);
  for (let i = 0; i < 5; i++) {
    const answer = await ask(t, port, get("/"));
    assert.ok(!answer.includes("evil"));
    await pause(10);
  }
});

test("a broken message on a connection ends it, after the answer that is under way", async (t) => {
  const origin = await httpOrigin(t, (_request, response) => setTimeout(() => response.end("first"), 50));
  const { port, delivered, proxy } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(`${get("/first")}GARBAGE\r\n\r\n`);
  const text = await client.closed();
  assert.match(text, /first/);
  assert.equal((await delivered(1))[0]?.outcome, "ok");
  assert.ok(proxy.stats().clientErrors >= 1);
});

test("a body that breaks its own framing is refused, and the model's half of it is aborted", async (t) => {
  let closed = false;
  let seen = "";
  const origin = await rawOrigin(t, (socket) => {
    socket.on("data", (chunk) => (seen += chunk.toString()));
    socket.on("close", () => (closed = true));
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  await eventually(() => seen.includes("abc"));
  client.send("zz\r\n");
  assert.match(await client.closed(), /^HTTP\/1\.1 400 /);
  const [exchange] = await delivered(1);
  assert.deepEqual(
    [exchange?.outcome, exchange?.ownError, exchange?.status],
    ["rejected", "bad_request", 400],
  );
  await eventually(() => closed);
});

test("an observer that throws does not touch the traffic", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port, proxy, errors } = await startProxy(t, origin.url, {
    deliver: () => {
      throw new Error("observer broke");
    },
  });
  const client = await rawClient(t, port);
  for (let i = 1; i <= 5; i++) {
    client.send(post("/", "x"));
    await eventually(() => client.text().split("ok").length > i);
  }
  await eventually(() => proxy.stats().activeRequests === 0);
  assert.equal(proxy.stats().seen, 5);
  assert.equal(errors.length, 3, "logged at the 1st, 2nd and 4th time");
});

test("a reason phrase or a line that cannot be written again does not kill the process", async (t) => {
  const origin = await scriptedOrigin(t, "HTTP/1.1 200 caf\xe9\r\nX-\xe9: 1\r\nContent-Length: 2\r\n\r\nok");
  const plain = await scriptedOrigin(t, "HTTP/1.1 200 caf\xe9\r\nContent-Length: 2\r\n\r\nok");
  const odd = await startProxy(t, origin.url);
  assert.match(await ask(t, odd.port, get("/")), /^HTTP\/1\.1 502 /);
  const fine = await startProxy(t, plain.url);
  assert.match(await ask(t, fine.port, get("/")), /^HTTP\/1\.1 200 [^]*ok$/);
});

test("connections over the limit are refused and counted", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port, proxy } = await startProxy(t, origin.url, { maxConnections: 2 });
  const first = await rawClient(t, port);
  const second = await rawClient(t, port);
  await eventually(() => proxy.stats().openConnections === 2);
  const third = await rawClient(t, port);
  await third.closed();
  assert.equal(proxy.stats().refusedConnections, 1);
  first.send(get("/"));
  second.send(get("/"));
  await first.until(/ok$/);
  await second.until(/ok$/);
});
