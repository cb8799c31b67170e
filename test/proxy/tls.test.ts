import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureServer, connect as connectStreams } from "node:http2";
import { request as httpsRequest } from "node:https";
import { connect as connectTls } from "node:tls";
import test, { type TestContext } from "node:test";
import { certificate } from "../support/certificates.ts";
import { ask, type Answer } from "./http2-support.ts";
import { eventually, httpOrigin, rawClient, startProxy } from "./support.ts";

const HOST = await certificate("localhost");

/** A model server that speaks HTTP/2 over TLS, and HTTP/1.1 where `http1` says so. */
async function secureOrigin(t: TestContext, options: object = {}): Promise<number> {
  const server = createSecureServer({ ...HOST, allowHTTP1: true, ...options }, (request, response) => {
    response.setHeader("x-spoken", request.httpVersion);
    response.end("secure");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function askSecure(t: TestContext, port: number, headers = {}): Promise<Answer> {
  const session = connectStreams(`https://localhost:${port}`, { ca: HOST.cert });
  session.on("error", () => {});
  t.after(() => session.destroy());
  await once(session, "connect");
  return await ask(session, { headers, ...("content-type" in headers ? { body: "" } : {}) });
}

test("the listener speaks HTTP/2 and HTTP/1.1 over TLS, whichever the client asks for", async (t) => {
  let forwarded: string | string[] | undefined;
  const origin = await httpOrigin(t, (request, response) => {
    forwarded = request.headers["x-forwarded-proto"];
    response.end("ok");
  });
  const { port, delivered } = await startProxy(t, origin.url, { certificate: HOST });
  assert.equal((await askSecure(t, port)).body.toString(), "ok");
  assert.equal(forwarded, "https");
  const request = httpsRequest({ port, host: "localhost", ca: HOST.cert, agent: false });
  request.end();
  const [response] = await once(request, "response");
  assert.equal(response.statusCode, 200);
  response.resume();
  const exchanges = await delivered(2);
  assert.deepEqual(
    exchanges.map(({ httpVersion }) => httpVersion),
    ["2", "1.1"],
  );
});

test("cleartext on a TLS listener is refused and counted, and the listener stays", async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end("ok"));
  const { port, proxy } = await startProxy(t, origin.url, { certificate: HOST });
  const client = await rawClient(t, port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.closed();
  await eventually(() => proxy.stats().clientErrors === 1);
  assert.equal((await askSecure(t, port)).status, 200);
});

test("a renewed certificate is shown from the next handshake on; one without its key is refused", async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end("ok"));
  const { port, proxy } = await startProxy(t, origin.url, { certificate: HOST });
  const renewed = await certificate("localhost");
  const shown = async (): Promise<string> => {
    const socket = connectTls({ port, host: "localhost", rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  const before = await shown();
  assert.throws(() => proxy.setCertificate({ cert: renewed.cert, key: HOST.key }));
  assert.equal(await shown(), before);
  proxy.setCertificate(renewed);
  assert.notEqual(await shown(), before);
});

test("an upstream over TLS is asked in HTTP/1.1, and in HTTP/2 for gRPC", async (t) => {
  const port = await secureOrigin(t);
  const running = await startProxy(t, `https://localhost:${port}`, { tls: { ca: HOST.cert } });
  const session = connectStreams(`http://127.0.0.1:${running.port}`);
  t.after(() => session.destroy());
  const plain = await ask(session);
  assert.deepEqual([plain.status, plain.headers["x-spoken"]], [200, "1.1"]);
  const grpc = await ask(session, { headers: { "content-type": "application/grpc" }, body: "" });
  assert.deepEqual([grpc.status, grpc.headers["x-spoken"]], [200, "2.0"]);
});

test("an upstream whose certificate nobody vouches for is a failure that says so, in HTTP and in gRPC", async (t) => {
  const port = await secureOrigin(t);
  const running = await startProxy(t, `https://localhost:${port}`);
  const session = connectStreams(`http://127.0.0.1:${running.port}`);
  t.after(() => session.destroy());
  const plain = await ask(session);
  assert.deepEqual([plain.status, plain.headers["x-outrider-error"]], [502, "tls_failure"]);
  assert.match(plain.body.toString(), /upstream\.tls\.caFile.*DEPTH_ZERO_SELF_SIGNED_CERT/s);
  const grpc = await ask(session, { headers: { "content-type": "application/grpc" }, body: "" });
  assert.deepEqual([grpc.status, grpc.headers["grpc-status"]], [200, "14"]);
  assert.equal(grpc.headers["x-outrider-error"], "tls_failure");
});

test("the name to verify can be told apart from the address", async (t) => {
  const other = await certificate("model.internal");
  const port = await secureOrigin(t, other);
  const tls = { ca: other.cert };
  const wrong = await startProxy(t, `https://localhost:${port}`, { tls });
  const right = await startProxy(t, `https://localhost:${port}`, {
    tls: { ...tls, servername: "model.internal" },
  });
  const asked = async (running: typeof wrong): Promise<number> => {
    const session = connectStreams(`http://127.0.0.1:${running.port}`);
    t.after(() => session.destroy());
    return (await ask(session)).status;
  };
  assert.equal(await asked(wrong), 502);
  assert.equal(await asked(right), 200);
});

test("a client certificate is shown to an upstream that asks for one", async (t) => {
  const ours = await certificate("outrider");
  const port = await secureOrigin(t, { requestCert: true, rejectUnauthorized: true, ca: ours.cert });
  const asked = async (tls: object): Promise<number> => {
    const running = await startProxy(t, `https://localhost:${port}`, { tls: { ca: HOST.cert, ...tls } });
    const session = connectStreams(`http://127.0.0.1:${running.port}`);
    t.after(() => session.destroy());
    return (await ask(session)).status;
  };
  assert.equal(await asked({}), 502);
  assert.equal(await asked(ours), 200);
});

test("a client that leaves within or right after the handshake leaves nothing behind, and holds up no end", async (t) => {
  const origin = await httpOrigin(t, (_request, response) => response.end("ok"));
  const { port, proxy } = await startProxy(t, origin.url, { certificate: HOST });
  for (let i = 0; i < 5; i++) {
    const socket = connectTls({ port, host: "localhost", rejectUnauthorized: false });
    await once(socket, "secureConnect");
    socket.destroy();
  }
  await eventually(() => proxy.stats().openConnections === 0);
  assert.equal((await askSecure(t, port)).status, 200);
});
