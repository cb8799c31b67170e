// The client of a short exchange takes its answer, or not: the exchange is over when all of it has been handed to the system, not before.

import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";
import { test, type TestContext } from "node:test";
import {
  OK_KEPT,
  ageless,
  eventually,
  get,
  rawClient,
  scriptedOrigin,
  startProxy,
  type RawClient,
} from "./support.ts";

const BODY_BYTES = 15_000;
const ANSWER = `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=600\r\nContent-Length: ${BODY_BYTES}\r\n\r\n${"y".repeat(BODY_BYTES)}`;
/** More than any system keeps for a client that does not read. */
const REQUESTS_MAX = 2000;

/** The sidecar's end of the next connections to `port`. It is read by its events, so that it is the one that is written to, too. */
function acceptedAt(t: TestContext, port: () => number): Socket[] {
  const accepted: Socket[] = [];
  const onSocket = (message: unknown): void => {
    const socket: unknown = Reflect.get(Object(message), "socket");
    if (!(socket instanceof Socket) || socket.localPort !== port()) return;
    Reflect.set(socket, "encrypted", false);
    accepted.push(socket);
  };
  subscribe("net.server.socket", onSocket);
  t.after(() => unsubscribe("net.server.socket", onSocket));
  return accepted;
}

/** A client that reads nothing, with one answer more than fits. */
async function stuck(t: TestContext) {
  const origin = await scriptedOrigin(t, ANSWER);
  let port = 0;
  const accepted = acceptedAt(t, () => port);
  const unsent: number[] = [];
  const running = await startProxy(t, `http://127.0.0.1:${origin.port}`, {
    deliver: () => unsent.push(accepted[0]?.writableLength ?? -1),
  });
  port = running.port;
  const client: RawClient = await rawClient(t, port);
  client.socket.pause();
  const { exchanges, proxy } = running;
  let sent = 0;
  while (sent < REQUESTS_MAX && proxy.stats().heldBytes === 0) {
    client.send(get(`/${sent}`));
    sent++;
    await eventually(() => exchanges.length === sent || proxy.stats().heldBytes > 0);
  }
  assert.ok(sent < REQUESTS_MAX, "everything fitted");
  assert.equal(accepted.length, 1);
  return { running, client, unsent, sent };
}

test("the answer that a client does not take yet is under way until it does", async (t) => {
  const { running, client, unsent, sent } = await stuck(t);
  assert.equal(running.exchanges.length, sent - 1);
  assert.equal(running.proxy.stats().activeRequests, 1);
  client.socket.resume();
  const exchanges = await running.delivered(sent);
  assert.deepEqual([...new Set(unsent)], [0], "each was delivered when it had been handed over");
  assert.deepEqual([...new Set(exchanges.map(({ outcome }) => outcome))], ["ok"]);
  assert.deepEqual([...new Set(exchanges.map(({ response }) => response.bytes.length))], [BODY_BYTES]);
  client.send(get("/last"));
  await running.delivered(sent + 1);
  const ids = exchanges.map(({ id }) => id);
  await eventually(() => client.text().split("HTTP/1.1 200 OK").length === sent + 2);
  const told = [...client.text().matchAll(/x-prediction-id: (\S+)/g)].map((match) => match[1]);
  assert.deepEqual(told, ids);
  assert.equal(running.proxy.stats().heldBytes, 0);
});

test("a client that leaves without having taken its answer has ended the exchange", async (t) => {
  const { running, client, sent } = await stuck(t);
  client.socket.resetAndDestroy();
  const exchanges = await running.delivered(sent);
  const last = exchanges.at(-1);
  assert.deepEqual([last?.outcome, last?.abortedBy, last?.status], ["client_abort", "client", 200]);
  assert.ok(exchanges.slice(0, -1).every(({ outcome }) => outcome === "ok"));
  assert.equal(running.proxy.stats().activeRequests, 0);
});

test("an answer's head that is as long as no head may be is none, whole or not", async (t) => {
  const opening = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
  const answer = (bytes: number): string => {
    let text = opening;
    for (let i = 0; i < 8; i++) text += `X-Long-${i}: ${"v".repeat(8000)}\r\n`;
    const room = bytes - text.length - "X-Rest: \r\n\r\n".length;
    return `${text}X-Rest: ${"r".repeat(room)}\r\n\r\n`;
  };
  for (const [bytes, status] of [
    [64 * 1024 - 1, 200],
    [64 * 1024, 502],
  ] as const) {
    const origin = await scriptedOrigin(t, (request) =>
      request.includes("/first") ? OK_KEPT : answer(bytes),
    );
    const { port, delivered } = await startProxy(t, `http://127.0.0.1:${origin.port}`, { clock: ageless });
    const client = await rawClient(t, port);
    client.send(get("/first"));
    await delivered(1);
    client.send(get("/long"));
    const [, second] = await delivered(2);
    assert.equal(second?.status, status, `${bytes} bytes`);
  }
});
