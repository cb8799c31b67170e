import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import test from "node:test";
import { ask, connectStreams, streamOrigin, valuesOf, wholeAnswer } from "./http2-support.ts";
import { eventually, httpOrigin, startProxy } from "./support.ts";

test("an HTTP/2 client and an HTTP/2 upstream exchange fields, body and trailers as they are", async (t) => {
  let seen: readonly string[] = [];
  let seenTrailers: readonly string[] = [];
  const origin = await streamOrigin(t, (stream, raw) => {
    seen = raw;
    stream.on("trailers", (_headers, _flags, lines) => (seenTrailers = lines));
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      stream.respond(
        [":status", "201", "x-a", "1", "set-cookie", "a=1", "x-b", "\xe9", "set-cookie", "b=2"],
        {
          waitForTrailers: true,
        },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42", "x-two": ["a", "b"] }));
      stream.end(Buffer.concat(chunks));
    });
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const stream = session.request(
    {
      ":path": "/a//b?x=%2F",
      ":method": "POST",
      ":authority": "model.example",
      te: "trailers",
      cookie: ["a=1", "b=2"],
      "x-request-id": "r-1",
    },
    { waitForTrailers: true },
  );
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-late": "yes" }));
  const answering = wholeAnswer(stream);
  stream.write("hel");
  await new Promise((resolve) => setTimeout(resolve, 20));
  stream.end("lo");
  const answer = await answering;
  assert.equal(answer.rstCode, 0);
  assert.equal(answer.status, 201);
  assert.equal(answer.body.toString(), "hello");
  assert.deepEqual(valuesOf(answer.raw, "set-cookie"), ["a=1", "b=2"]);
  assert.deepEqual(valuesOf(answer.raw, "x-b"), ["\xe9"]);
  assert.deepEqual(answer.trailers.slice(), ["x-sum", "42", "x-two", "a", "x-two", "b"]);
  assert.deepEqual(seenTrailers.slice(), ["x-late", "yes"]);
  assert.deepEqual(valuesOf(seen, ":path"), ["/a//b?x=%2F"]);
  assert.deepEqual(valuesOf(seen, ":authority"), ["model.example"]);
  assert.deepEqual(valuesOf(seen, "te"), ["trailers"]);
  assert.deepEqual(valuesOf(seen, "cookie"), ["a=1", "b=2"]);
  assert.deepEqual(valuesOf(seen, "via"), ["2 outrider"]);
  assert.deepEqual(valuesOf(seen, "x-forwarded-for"), ["127.0.0.1"]);
  assert.match(valuesOf(seen, "traceparent")[0] ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
  const [exchange] = await delivered(1);
  assert.equal(exchange?.httpVersion, "2");
  assert.equal(exchange.outcome, "ok");
  assert.equal(exchange.target, "/a//b?x=%2F");
  assert.equal(Buffer.from(exchange.request.bytes).toString(), "hello");
  assert.equal(Buffer.from(exchange.response.bytes).toString(), "hello");
  assert.equal(answer.headers["x-prediction-id"], exchange.id);
  assert.deepEqual(exchange.responseTrailers, ["x-sum", "42", "x-two", "a", "x-two", "b"]);
  const { requestEndMs, headMs, firstByteMs, lastByteMs } = exchange.clocks;
  assert.ok(requestEndMs !== null && headMs !== null && firstByteMs !== null && lastByteMs !== null);
  assert.ok(requestEndMs <= headMs && headMs <= firstByteMs && firstByteMs <= lastByteMs);
});

test("an HTTP/2 client reaches an HTTP/1.1 upstream, a body without length in chunks, cookies joined", async (t) => {
  let raw: string[] = [];
  const origin = await httpOrigin(t, (request, response) => {
    raw = request.rawHeaders;
    request.on("data", () => {});
    request.on("end", () => {
      response.writeHead(200, ["X-One", "1", "Connection", "keep-alive", "Trailer", "x-sum"]);
      response.addTrailers({ "x-sum": "7" });
      response.end("answer");
    });
  });
  const { port } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const stream = session.request({ ":method": "POST", ":path": "/p", cookie: ["a=1", "b=2"] });
  const answering = wholeAnswer(stream);
  stream.write("x".repeat(10));
  await new Promise((resolve) => setTimeout(resolve, 20));
  stream.end("y");
  const answer = await answering;
  assert.equal(answer.status, 200);
  assert.equal(answer.body.toString(), "answer");
  assert.deepEqual(answer.trailers.slice(), ["x-sum", "7"]);
  assert.equal(answer.headers["connection"], undefined);
  assert.equal(answer.headers["x-one"], "1");
  assert.deepEqual(valuesOf(raw, "cookie"), ["a=1; b=2"]);
  assert.deepEqual(valuesOf(raw, "host"), [`127.0.0.1:${port}`]);
  assert.deepEqual(
    raw.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "transfer-encoding").length,
    1,
  );
});

test("an HTTP/1.1 client reaches an HTTP/2 upstream, with trailers and an interim answer", async (t) => {
  let seen: readonly string[] = [];
  const origin = await streamOrigin(t, (stream, raw) => {
    seen = raw;
    stream.resume();
    stream.on("end", () => {
      stream.additionalHeaders({ ":status": 103, link: "</a>" });
      stream.respond([":status", "200", "content-type", "text/plain"], { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "42" }));
      stream.end("hi");
    });
  });
  const { port } = await startProxy(t, origin.url);
  const request = httpRequest({
    port,
    method: "POST",
    path: "/x?y",
    headers: ["Host", "model", "Content-Length", "3", "X-Mixed", "a", "Connection", "x-gone", "X-Gone", "b"],
  });
  const interim: number[] = [];
  request.on("information", ({ statusCode }) => interim.push(statusCode));
  request.end("abc");
  const [response] = await once(request, "response");
  let body = "";
  for await (const chunk of response) body += String(chunk);
  assert.equal(body, "hi");
  assert.deepEqual(interim, [103]);
  assert.deepEqual(response.rawTrailers, ["x-sum", "42"]);
  assert.deepEqual(valuesOf(seen, "x-mixed"), ["a"]);
  assert.deepEqual(valuesOf(seen, "x-gone"), []);
  assert.deepEqual(valuesOf(seen, ":authority"), ["model"]);
  assert.deepEqual(valuesOf(seen, "content-length"), ["3"]);
  assert.equal(response.headers.via, "2 outrider");
});

test("many streams share a few connections to the upstream, and a slow one holds up no other", async (t) => {
  const order: string[] = [];
  const origin = await streamOrigin(t, (stream, raw) => {
    const answer = (): void => {
      stream.respond({ ":status": 200 });
      stream.end("done");
    };
    if (valuesOf(raw, ":path")[0] === "/slow") void eventually(() => order.length === 50).then(answer);
    else answer();
  });
  const { port } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const asked = ["/slow", ...Array.from({ length: 50 }, (_, i) => `/${i}`)].map(async (path) => {
    const answer = await ask(session, { path });
    order.push(path);
    return answer;
  });
  const answers = await Promise.all(asked);
  assert.ok(answers.every(({ status, body }) => status === 200 && body.toString() === "done"));
  assert.equal(order.at(-1), "/slow");
  // One for each size of piece that answers are read in.
  assert.ok(origin.sessions.length <= 3);
});

test("calls beyond the upstream's stream limit go over further connections, and none is lost", async (t) => {
  let open = 0;
  let most = 0;
  const origin = await streamOrigin(
    t,
    (stream) => {
      most = Math.max(most, ++open);
      setTimeout(() => {
        open--;
        stream.respond({ ":status": 200 });
        stream.end("x");
      }, 20);
    },
    { settings: { maxConcurrentStreams: 5 } },
  );
  const { port } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  assert.equal((await ask(session)).status, 200);
  const answers = await Promise.all(Array.from({ length: 60 }, () => ask(session)));
  assert.ok(answers.every(({ status }) => status === 200));
  assert.ok(origin.sessions.length > 1);
});

test("a refused stream is sent once more, a POST too; one the upstream has taken is not", async (t) => {
  let streams = 0;
  const origin = await streamOrigin(t, (stream, raw) => {
    streams++;
    const path = valuesOf(raw, ":path")[0];
    if (path === "/refused" && streams === 1) stream.close(7);
    else if (path === "/reset") stream.close(2);
    else {
      stream.respond({ ":status": 200 });
      stream.end("ok");
    }
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  assert.equal((await ask(session, { path: "/refused", body: "once" })).body.toString(), "ok");
  assert.equal(streams, 2);
  const reset = await ask(session, { path: "/reset", body: "twice" });
  assert.equal(reset.status, 502);
  assert.equal(reset.headers["x-outrider-error"], "connection_reset");
  assert.match(reset.body.toString(), /INTERNAL_ERROR/);
  assert.equal(streams, 3);
  const exchanges = await delivered(2);
  assert.deepEqual(
    exchanges.map(({ outcome }) => outcome),
    ["ok", "reset"],
  );
});

test("streams above the last of a GOAWAY are sent on a new connection, those below end where they are", async (t) => {
  let sessions = 0;
  const origin = await streamOrigin(t, (stream) => {
    const session = stream.session;
    if (session === undefined) return;
    const first = sessions === 1;
    const answer = (): void => {
      if (stream.destroyed) return;
      stream.respond({ ":status": 200 });
      stream.end(first ? "first" : "second");
    };
    if (first && stream.id === 3) session.goaway(0, 1);
    setTimeout(answer, first ? 100 : 0);
  });
  origin.server.on("session", () => sessions++);
  const { port } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const one = ask(session, { body: "1" });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const two = ask(session, { body: "2" });
  assert.equal((await one).body.toString(), "first");
  assert.equal((await two).body.toString(), "second");
});

test("the codes of resets pass: the upstream's to the client, the client's as a cancel to the upstream", async (t) => {
  const codes: (number | undefined)[] = [];
  const upstreams: ServerHttp2Stream[] = [];
  const origin = await streamOrigin(t, (stream) => {
    stream.on("close", () => codes.push(stream.rstCode));
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.write("part");
    upstreams.push(stream);
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const calming = session.request({ ":path": "/calm" });
  const answering = wholeAnswer(calming);
  await once(calming, "data");
  upstreams[0]?.close(11);
  const calm = await answering;
  assert.equal(calm.rstCode, 11);
  assert.equal(calm.body.toString(), "part");
  const leaving = session.request({ ":path": "/leave" });
  leaving.on("error", () => {});
  await once(leaving, "data");
  leaving.close(8);
  const exchanges = await delivered(2);
  await eventually(() => codes.length === 2);
  assert.deepEqual(codes, [11, 8]);
  assert.deepEqual(
    exchanges.map(({ outcome, abortedBy }) => [outcome, abortedBy]),
    [
      ["reset", "upstream"],
      ["client_abort", "client"],
    ],
  );
});

test("an upstream connection that dies within an answer is a reset for the client, not an end", async (t) => {
  let upstream: ServerHttp2Stream | undefined;
  const origin = await streamOrigin(t, (stream) => {
    stream.respond({ ":status": 200 });
    stream.write("part");
    upstream = stream;
  });
  const { port } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const stream = session.request({ ":path": "/" });
  const answering = wholeAnswer(stream);
  await once(stream, "data");
  upstream?.session?.socket.destroy();
  assert.notEqual((await answering).rstCode, 0);
});

test("an upstream that is not there, or speaks HTTP/1.1 on an h2c address, is a 502 that says so", async (t) => {
  const http1 = await httpOrigin(t, (_request, response) => response.end());
  const wrong = await startProxy(t, http1.url.replace("http:", "h2c:"));
  const first = await ask(await connectStreams(t, wrong.port));
  assert.equal(first.status, 502);
  assert.equal(first.headers["content-type"], "application/problem+json");
  const gone = await startProxy(t, "h2c://127.0.0.1:1");
  const second = await ask(await connectStreams(t, gone.port));
  assert.equal(second.status, 502);
  assert.equal(second.headers["x-outrider-error"], "connection_refused");
});

test("a stalled reader stops the upstream, a stalled upstream stops the writer, and nothing is lost", async (t) => {
  let sent = 0;
  let received = 0;
  const origin = await streamOrigin(t, (stream, raw) => {
    if (valuesOf(raw, ":path")[0] === "/down") {
      stream.respond({ ":status": 200 });
      const chunk = Buffer.alloc(16 * 1024);
      const more = (): void => {
        while (sent < 20_000_000) {
          sent += chunk.length;
          if (!stream.write(chunk)) {
            stream.once("drain", more);
            return;
          }
        }
        stream.end();
      };
      more();
      return;
    }
    setTimeout(() => {
      stream.on("data", (chunk: Buffer) => (received += chunk.length));
      stream.on("end", () => {
        stream.respond({ ":status": 200 });
        stream.end();
      });
    }, 200);
  });
  const { port } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const down = session.request({ ":path": "/down" });
  await once(down, "response");
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(sent < 2_000_000, `${sent} bytes taken in for a client that reads nothing`);
  const answer = await wholeAnswer(down);
  assert.equal(answer.body.length, sent);
  const up = session.request({ ":path": "/up", ":method": "POST" });
  const answering = wholeAnswer(up);
  let written = 0;
  const chunk = Buffer.alloc(16 * 1024);
  while (written < 10_000_000) {
    written += chunk.length;
    if (!up.write(chunk)) await once(up, "drain");
    if (received === 0 && written > 3_000_000) assert.fail("taken in without a reader");
  }
  up.end();
  assert.equal((await answering).status, 200);
  assert.equal(received, written);
});

test("HEAD, 204 and 304 have no body and leave the connection usable", async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    const status = Number(request.url?.slice(1));
    response.writeHead(status, status === 200 ? { "content-length": "5" } : {});
    response.end();
  });
  const { port } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const head = await ask(session, { method: "HEAD", path: "/200" });
  assert.deepEqual([head.status, head.headers["content-length"], head.rstCode], [200, "5", 0]);
  for (const status of [204, 304]) {
    const answer = await ask(session, { path: `/${status}` });
    assert.deepEqual([answer.status, answer.body.length, answer.rstCode], [status, 0, 0]);
  }
});

test("an answer before the request was read reaches the client, which need not send the rest", async (t) => {
  const origin = await streamOrigin(t, (stream) => {
    stream.respond({ ":status": 413 });
    stream.end("too much");
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const stream = session.request({ ":method": "POST" });
  const answering = wholeAnswer(stream);
  stream.write(Buffer.alloc(100_000));
  const answer = await answering;
  assert.equal(answer.status, 413);
  assert.equal(answer.body.toString(), "too much");
  assert.equal((await delivered(1))[0]?.outcome, "client_error");
});

test("a drain lets streams in flight finish and tells the client to go", async (t) => {
  const asked = Promise.withResolvers<ServerHttp2Stream>();
  const origin = await streamOrigin(t, (stream) => asked.resolve(stream));
  const { port, proxy } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const goaways: number[] = [];
  session.on("goaway", (code) => goaways.push(code));
  const asking = ask(session);
  const stream = await asked.promise;
  const stopped = proxy.stop(60_000);
  await eventually(() => goaways.length > 0);
  stream.respond({ ":status": 200 });
  stream.end("late");
  await stopped;
  assert.equal((await asking).body.toString(), "late");
  assert.equal(goaways[0], 0);
  await eventually(() => session.closed || session.destroyed);
});

test("a drain waits for no idle connection, and a client that closes its own leaves none behind", async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end("ok"));
  const { port, proxy } = await startProxy(t, origin.url);
  const leaving = await connectStreams(t, port);
  await ask(leaving);
  leaving.close();
  await eventually(() => proxy.stats().openConnections === 0);
  await ask(await connectStreams(t, port));
  const stoppedWithin = performance.now();
  await proxy.stop(60_000);
  assert.ok(performance.now() - stoppedWithin < 45_000);
});

test("a client that waits for 100-continue is told to go on", async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => response.end(body));
  });
  const { port } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  const stream = session.request({ ":method": "POST", expect: "100-continue" });
  const answering = wholeAnswer(stream);
  await once(stream, "continue");
  stream.end("body");
  assert.equal((await answering).body.toString(), "body");
});
