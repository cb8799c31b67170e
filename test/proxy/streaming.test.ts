// Bodies in motion: events at once, large bodies with flat memory, back-pressure, early answers, interim answers, trailers.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { test } from "node:test";
import {
  OK,
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

test("an event stream's head leaves at once, and each event before there is another", async (t) => {
  const asked = Promise.withResolvers<ServerResponse>();
  const origin = await httpOrigin(t, (_request, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
    asked.resolve(response);
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(get("/stream"));
  const response = await asked.promise;
  await client.until(/\r\n\r\n/);
  const tookMs: number[] = [];
  for (let n = 0; n < 4; n++) {
    await pause(200);
    const sentAt = performance.now();
    response.write(`data: ${n}\n\n`);
    await client.until(`data: ${n}\n\n`);
    tookMs.push(performance.now() - sentAt);
  }
  response.end();
  // A relay that waits does so each time; a machine that is busy does not.
  assert.ok(Math.min(...tookMs) < 150, `${tookMs.map(Math.round).join(", ")} ms`);
  await client.until("0\r\n\r\n");
  const [exchange] = await delivered(1);
  assert.ok(exchange !== undefined);
  assert.equal(exchange.outcome, "ok");
  const { requestEndMs, headMs, firstByteMs, lastByteMs, endMs, longestGapMs } = exchange.clocks;
  assert.equal(requestEndMs, 0);
  assert.ok((headMs ?? 0) + 100 < (firstByteMs ?? 0));
  assert.ok((firstByteMs ?? 0) + 400 < (lastByteMs ?? 0) && (lastByteMs ?? 0) <= endMs);
  assert.ok(longestGapMs > 100 && longestGapMs <= endMs);
  assert.equal(
    Buffer.from(exchange.response.bytes).toString(),
    "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n",
  );
});

test("64 MB pass both ways with equal hash and flat memory; the copies are cut, the counts are true", async (t) => {
  const size = 64 * 1024 * 1024;
  const block = Buffer.alloc(1024 * 1024, "0123456789abcdef");
  const expectedHash = createHash("sha256");
  for (let i = 0; i < 64; i++) expectedHash.update(block);
  const wanted = expectedHash.digest("hex");
  const origin = await httpOrigin(t, (request, response) => {
    response.writeHead(200, { "Content-Length": size });
    request.pipe(response);
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const upload = async (): Promise<string> => {
    const request = httpRequest({
      port,
      host: "127.0.0.1",
      method: "POST",
      path: "/big",
      headers: { "Content-Length": size },
    });
    const answered = once(request, "response");
    const sending = (async () => {
      for (let i = 0; i < 64; i++) if (!request.write(block)) await once(request, "drain");
      request.end();
    })();
    const [response] = (await answered) as [IncomingMessage];
    const hash = createHash("sha256");
    for await (const chunk of response) hash.update(chunk as Buffer);
    await sending;
    return hash.digest("hex");
  };
  // The first pass warms up the allocator: what is measured is growth with the body, not with the code.
  assert.equal(await upload(), wanted);
  const before = process.memoryUsage().rss;
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 5);
  assert.equal(await upload(), wanted);
  clearInterval(watch);
  assert.ok(peak - before < 48 * 1024 * 1024, `grew by ${Math.round((peak - before) / 1e6)} MB`);
  const exchanges = await delivered(2);
  for (const side of [exchanges[1]?.request, exchanges[1]?.response]) {
    assert.equal(side?.total, size);
    assert.equal(side?.kept, "truncated");
    assert.equal(side?.bytes.length, 64 * 1024);
  }
});

test("a model that does not read, or a client that does not, stops the other side instead of filling memory", async (t) => {
  const block = Buffer.alloc(256 * 1024, 1);
  let written = 0;
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", (chunk) => {
      if (chunk.toString().startsWith("POST")) {
        socket.pause();
        return;
      }
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const more = (): void => {
        while (written < 64 * 1024 * 1024) {
          written += block.length;
          socket.write(`${block.length.toString(16)}\r\n`);
          socket.write(block);
          if (!socket.write("\r\n")) {
            socket.once("drain", more);
            return;
          }
        }
      };
      more();
    });
  });
  const { port } = await startProxy(t, origin.url);

  const reader = await rawClient(t, port);
  reader.socket.pause();
  reader.send(get("/endless"));
  // Until nothing more goes in: the model is held back.
  for (let before = -1; before !== written || written === 0; await pause(200)) before = written;
  assert.ok(written < 24 * 1024 * 1024, `${written} bytes went in`);

  const writer = await rawClient(t, port);
  writer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 67108864\r\n\r\n");
  let accepted = 0;
  while (accepted < 64 * 1024 * 1024 && writer.socket.writableLength < 1024 * 1024) {
    writer.send(block);
    accepted += block.length;
    await pause(1);
  }
  await pause(100);
  assert.ok(accepted - writer.socket.writableLength < 24 * 1024 * 1024, "the client is held back");
});

test("an upload is forwarded as it comes, and a slow one is one exchange", async (t) => {
  const seen: string[] = [];
  const origin = await rawOrigin(t, (socket) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      seen.push(chunk.toString("latin1"));
      if (text.endsWith("end")) socket.write(OK);
    });
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
  for (const part of ["one", "two", "end"]) {
    await pause(60);
    client.send(part);
    await eventually(() => seen.join("").endsWith(part));
  }
  await client.until(/ok$/);
  assert.equal(valuesOf(seen.join(""), "content-length").join(), "9");
  const [exchange] = await delivered(1);
  assert.ok((exchange?.clocks.requestEndMs ?? 0) > 100);
  assert.equal(Buffer.from(exchange?.request.bytes ?? []).toString(), "onetwoend");
});

test("a chunked upload keeps its bytes, streamed or whole", async (t) => {
  const bodies: string[] = [];
  const origin = await httpOrigin(t, (request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      bodies.push(body);
      response.end("ok");
    });
  });
  const { port } = await startProxy(t, origin.url);
  const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const whole = await rawClient(t, port);
  whole.send(`${head}3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nX-Trailer: 1\r\n\r\n`);
  await whole.until(/ok/);
  const streamed = await rawClient(t, port);
  streamed.send(head);
  for (const part of ["3\r\nabc\r\n", "4\r\ndefg\r\n", "0\r\n\r\n"]) {
    await pause(20);
    streamed.send(part);
  }
  await streamed.until(/ok/);
  assert.deepEqual(bodies, ["abcdefg", "abcdefg"]);
});

test("bodies on GET and DELETE are forwarded with their framing", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port } = await startProxy(t, origin.url);
  for (const method of ["GET", "DELETE", "OPTIONS"])
    await ask(t, port, `${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`);
  for (const request of origin.requests) {
    assert.deepEqual(valuesOf(request, "content-length"), ["5"]);
    assert.ok(request.endsWith("\r\n\r\nhello"));
  }
  assert.equal(origin.requests.length, 3);
});

test("Expect: 100-continue with 2 MB goes through without a stall", async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    let bytes = 0;
    request.on("data", (chunk: Buffer) => (bytes += chunk.length));
    request.on("end", () => response.end(`${bytes} ${request.headers.expect ?? "-"}`));
  });
  const { port } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\nExpect: 100-continue\r\n\r\n");
  await client.until("HTTP/1.1 100 Continue\r\n\r\n");
  client.send(Buffer.alloc(2_000_000, 65));
  await client.until(/2000000 100-continue/);
});

test("Expect: 100-continue with a body that is empty after all costs no connection", async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    request.resume();
    request.on("end", () => response.end("done"));
  });
  const { port } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n0\r\n\r\n",
  );
  await client.until(/done$/);
  assert.doesNotMatch(client.text(), /Connection: close/i);
  client.send(get("/next"));
  await client.until(/done[^]*done$/);
});

test("an answer that comes before the body is read reaches the client, and the rest is never the next request", async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    let answered = false;
    socket.on("data", (chunk) => {
      if (chunk.toString("latin1").startsWith("GET /next")) socket.write(OK);
      else if (!answered) {
        answered = true;
        socket.write("HTTP/1.1 413 Too Big\r\nContent-Length: 3\r\n\r\nbig");
      }
    });
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n${"a".repeat(1000)}`);
  await client.until(/big$/);
  client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".padEnd(299_000, "b"));
  client.send(get("/next"));
  await client.until(/ok$/);
  const exchanges = await delivered(2);
  assert.deepEqual(
    exchanges.map((one) => [one.target, one.status, one.outcome]),
    [
      ["/", 413, "client_error"],
      ["/next", 200, "ok"],
    ],
  );
  assert.equal(exchanges[0]?.clocks.requestEndMs, null);
});

test("HEAD, 204 and 304 leave the connection usable", async (t) => {
  const origin = await scriptedOrigin(t, (request) => {
    if (request.startsWith("HEAD")) return "HTTP/1.1 200 OK\r\nContent-Length: 500\r\nTrailer: x\r\n\r\n";
    if (request.startsWith("GET /204")) return "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";
    if (request.startsWith("GET /304"))
      return 'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: "x"\r\n\r\n';
    return OK;
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.deepEqual(valuesOf(await client.until(/\r\n\r\n$/), "content-length"), ["500"]);
  client.send(get("/204"));
  await client.until(/204 No Content[^]*\r\n\r\n$/);
  client.send(get("/304"));
  await client.until(/304 Not Modified[^]*Content-Length: 500[^]*\r\n\r\n$/);
  client.send(get("/200"));
  await client.until(/ok$/);
  assert.equal((await delivered(4)).filter((one) => one.outcome === "ok").length, 4);
});

test("interim answers are passed to HTTP/1.1 clients only", async (t) => {
  const origin = await scriptedOrigin(
    t,
    `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\nConnection: x\r\nX-More: 1\r\n\r\n${OK}`,
  );
  const { port } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(get("/"));
  const text = await client.until(/ok$/);
  assert.match(
    text,
    /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 103 Early Hints\r\nLink: <\/s\.css>; rel=preload\r\nX-More: 1\r\n\r\nHTTP\/1\.1 200 OK/,
  );
  const old = await rawClient(t, port);
  old.send("GET / HTTP/1.0\r\n\r\n");
  assert.match(await old.closed(), /^HTTP\/1\.1 200 OK/);
});

test("response trailers are passed on behind chunks", async (t) => {
  const origin = await scriptedOrigin(
    t,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n2\r\nok\r\n0\r\ngrpc-status: 0\r\nHost: evil\r\n\r\n",
  );
  const { port } = await startProxy(t, origin.url);
  const text = await ask(t, port, get("/"));
  assert.deepEqual(valuesOf(text, "trailer"), ["grpc-status"]);
  assert.match(text, /2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n$/);
  const old = await rawClient(t, port);
  old.send("GET / HTTP/1.0\r\n\r\n");
  assert.match(await old.closed(), /\r\n\r\nok$/);
});

test("connections are kept on both sides, and pipelined requests are answered in order", async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    setTimeout(() => response.end(request.url), request.url === "/first" ? 60 : 0);
  });
  const { port, proxy } = await startProxy(t, origin.url, { clock: ageless });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; i < 20; i++) {
    const request = httpRequest({ port, agent, path: `/${i}` }).end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
  }
  assert.equal(origin.connections(), 1);
  assert.equal(proxy.stats().openConnections, 1);
  agent.destroy();
  const client = await rawClient(t, port);
  client.send(get("/first") + get("/second"));
  const text = await client.until("/second");
  assert.ok(text.indexOf("/first") < text.indexOf("/second"));
});

test("an answer to an HTTP/1.0 client ends with its connection", async (t) => {
  const origin = await scriptedOrigin(
    t,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  );
  const { port } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  client.send(post("/", "x").replace("HTTP/1.1", "HTTP/1.0"));
  const text = await client.closed();
  assert.match(text, /\r\n\r\nabc$/);
  assert.deepEqual(valuesOf(text, "transfer-encoding"), []);
});
