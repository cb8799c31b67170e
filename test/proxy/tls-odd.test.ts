// TLS with clients that agree on one thing and do another.

import assert from "node:assert/strict";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { certificate } from "../support/certificates.ts";
import { PREFACE, TYPE, frame, literals } from "./http2-support.ts";
import { LIMITS, eventually, httpOrigin, startProxy, type Running } from "./support.ts";

const HOST = await certificate("localhost");
const GET = "GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n";
const STREAM = frame(TYPE.headers, 5, {
  stream: 1,
  payload: literals([
    [":method", "GET"],
    [":scheme", "https"],
    [":path", "/"],
    [":authority", "m"],
  ]),
});
const BEGINNING = Buffer.concat([PREFACE, frame(TYPE.settings, 0, { stream: 0 }), STREAM]);

async function rig(t: TestContext, limits: Partial<typeof LIMITS> = {}): Promise<Running> {
  const origin = await httpOrigin(t, (_, response) => response.end("ok"));
  return await startProxy(t, origin.url, { certificate: HOST, limits: { ...LIMITS, ...limits } });
}

interface Client {
  readonly socket: TLSSocket;
  readonly text: () => string;
  readonly closed: () => boolean;
}

async function open(t: TestContext, port: number, options: ConnectionOptions): Promise<Client> {
  const socket = connect({ port, host: "localhost", ca: HOST.cert, ...options });
  let text = "";
  let closed = false;
  socket.on("error", () => {});
  socket.on("close", () => (closed = true));
  socket.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
  t.after(() => socket.destroy());
  await Promise.race([once(socket, "secureConnect"), once(socket, "close")]).catch(() => {});
  return { socket, text: () => text, closed: () => closed };
}

test("a client that offers neither protocol is refused in the handshake, and counted", async (t) => {
  const { port, proxy } = await rig(t);
  const client = await open(t, port, { ALPNProtocols: ["spdy/3"] });
  await eventually(() => client.closed());
  await eventually(() => proxy.stats().clientErrors === 1);
});

test("without ALPN the first bytes tell: both versions are served", async (t) => {
  const { port } = await rig(t);
  const plain = await open(t, port, {});
  plain.socket.write(GET);
  await eventually(() => /^HTTP\/1\.1 200[^]*ok$/.test(plain.text()));
  const streams = await open(t, port, {});
  streams.socket.write(BEGINNING);
  await eventually(() => streams.text().endsWith("ok") || streams.text().includes("ok"));
});

test("a client that agreed to HTTP/2 and speaks HTTP/1.1 is cut off and counted", async (t) => {
  const { port, proxy } = await rig(t);
  const client = await open(t, port, { ALPNProtocols: ["h2"] });
  client.socket.write(GET);
  await eventually(() => client.closed());
  assert.doesNotMatch(client.text(), /HTTP\/1\.1 200/);
  await eventually(() => proxy.stats().clientErrors === 1);
  assert.equal(proxy.stats().seen, 0);
});

test("old versions of TLS are refused and counted", async (t) => {
  const { port, proxy } = await rig(t);
  const old: ConnectionOptions = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" };
  const client = await open(t, port, old);
  await eventually(() => client.closed());
  await eventually(() => proxy.stats().clientErrors === 1);
});

test("a client that shows a certificate nobody asked for is served as any other", async (t) => {
  const { port } = await rig(t);
  const client = await open(t, port, { cert: HOST.cert, key: HOST.key });
  client.socket.write(GET);
  await eventually(() => /^HTTP\/1\.1 200[^]*ok$/.test(client.text()));
});

test("a head that trickles over TLS ends after the time for heads", async (t) => {
  const { port, proxy } = await rig(t, { headMs: 400 });
  const client = await open(t, port, { ALPNProtocols: ["h2"] });
  client.socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, { stream: 0 })]));
  const head = frame(TYPE.headers, 5, { stream: 1, payload: Buffer.alloc(10_000) });
  let sent = 0;
  const drip = setInterval(() => client.socket.write(head.subarray(sent, ++sent)), 10);
  t.after(() => clearInterval(drip));
  await eventually(() => client.closed());
  assert.equal(proxy.stats().limited["head_timeout"], 1);
});
