// A client that waits for a 100 before it sends its body, over either version, and a model that is silent, slow to connect to, or clear.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { TLSSocket } from "node:tls";
import { certificate } from "../support/certificates.ts";
import { movedClock } from "../support/hand-clock.ts";
import { connectStreams, streamOrigin, wholeAnswer } from "./http2-support.ts";
import { OK, eventually, heldUp, pause, rawClient, rawOrigin, startProxy } from "./support.ts";

const EXPECTING = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
const FIELDS = { ":method": "POST", ":path": "/", expect: "100-continue" };

interface Waiting {
  /** So many 100s have come. */
  readonly told: () => number;
  readonly send: (body: string) => void;
  readonly answer: () => Promise<{ status: number; body: string }>;
}

const CLIENTS: Readonly<Record<string, (t: TestContext, port: number) => Promise<Waiting>>> = {
  "HTTP/1.1": async (t, port) => {
    const client = await rawClient(t, port);
    client.send(EXPECTING);
    return {
      told: () => client.text().split("HTTP/1.1 100 Continue\r\n\r\n").length - 1,
      send: client.send,
      answer: async () => {
        const text = await client.until(/HTTP\/1\.1 [2-5]\d\d [^]*\r\n\r\n\S+$/);
        const last = text.slice(text.lastIndexOf("HTTP/1.1"));
        return { status: Number(last.slice(9, 12)), body: last.slice(last.indexOf("\r\n\r\n") + 4) };
      },
    };
  },
  "HTTP/2": async (t, port) => {
    const session = await connectStreams(t, port);
    const stream = session.request(FIELDS);
    let told = 0;
    stream.on("headers", ({ ":status": status }) => (told += status === 100 ? 1 : 0));
    const answer = wholeAnswer(stream);
    return {
      told: () => told,
      send: (body) => void stream.end(body),
      answer: async () => {
        const { status, body } = await answer;
        return { status, body: body.toString() };
      },
    };
  },
};

for (const [version, client] of Object.entries(CLIENTS)) {
  test(`over ${version} the model's 100 is what tells the client to go on, and it hears the expectation`, async (t) => {
    const models: Socket[] = [];
    let heard = "";
    const origin = await rawOrigin(t, (socket) => {
      models.push(socket);
      socket.on("data", (bytes) => {
        heard += bytes.toString("latin1");
        if (heard.includes("hello")) socket.write(OK);
      });
    });
    const { port } = await startProxy(t, origin.url, { clock: movedClock() });
    const waiting = await client(t, port);
    await eventually(() => heard.includes("\r\n\r\n"));
    assert.match(heard.toLowerCase(), /\r\nexpect: 100-continue\r\n/);
    await pause(20);
    assert.equal(waiting.told(), 0);
    models[0]?.write("HTTP/1.1 100 Continue\r\n\r\n");
    await eventually(() => waiting.told() === 1);
    waiting.send("hello");
    assert.deepEqual(await waiting.answer(), { status: 200, body: "ok" });
  });

  test(`over ${version} a model that refuses by the head alone is what the client hears, and no 100`, async (t) => {
    const origin = await rawOrigin(t, (socket) =>
      socket.once("data", () => socket.write("HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno")),
    );
    const { port } = await startProxy(t, origin.url, { clock: movedClock() });
    const waiting = await client(t, port);
    assert.deepEqual(await waiting.answer(), { status: 417, body: "no" });
    assert.equal(waiting.told(), 0);
  });

  test(`over ${version} a silent model is spoken for after 100 ms from when it was asked, once`, async (t) => {
    const clock = movedClock();
    let asked = false;
    const origin = await rawOrigin(t, (socket) => {
      let heard = "";
      socket.on("data", (bytes) => {
        asked = true;
        heard += bytes.toString("latin1");
        if (heard.includes("hello")) socket.write(OK);
      });
    });
    const { port } = await startProxy(t, origin.url, { clock });
    const waiting = await client(t, port);
    await eventually(() => asked);
    clock.advance(99);
    await pause(20);
    assert.equal(waiting.told(), 0);
    clock.advance(2);
    await eventually(() => waiting.told() === 1);
    clock.advance(1000);
    waiting.send("hello");
    assert.deepEqual(await waiting.answer(), { status: 200, body: "ok" });
    assert.equal(waiting.told(), 1);
  });
}

test("the 100 ms of a silent model do not run while it is being connected to", async (t) => {
  const host = await certificate("localhost");
  const clock = movedClock();
  const sockets: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => sockets.push(socket));
  const { port } = await startProxy(t, `https://localhost:${origin.port}`, {
    clock,
    tls: { ca: host.cert },
  });
  const client = await rawClient(t, port);
  client.send(EXPECTING);
  await eventually(() => sockets.length === 1);
  // The handshake stands still.
  clock.advance(5000);
  await pause(20);
  assert.equal(client.text(), "");
  let asked = false;
  const [socket] = sockets;
  assert.ok(socket !== undefined);
  new TLSSocket(socket, { isServer: true, ...host }).on("data", () => (asked = true)).on("error", () => {});
  await eventually(() => asked);
  clock.advance(99);
  await pause(20);
  assert.equal(client.text(), "");
  clock.advance(2);
  await client.until("HTTP/1.1 100 Continue\r\n\r\n");
});

test("a model that refused while this process was held up is not spoken for", async (t) => {
  const models: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => socket.on("data", () => models.push(socket)));
  const { port } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  await heldUp(0, () => client.send(EXPECTING));
  await eventually(() => models.length === 1);
  await heldUp(200, () => models[0]?.write("HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno"));
  const text = await client.until(/no$/);
  assert.doesNotMatch(text, /100 Continue/);
});

test("an expectation goes on to a model of HTTP/2, and its 100 comes back", async (t) => {
  let heard: readonly string[] = [];
  const { url } = await streamOrigin(t, (stream, raw) => {
    heard = raw;
    stream.additionalHeaders({ ":status": 100 });
    stream
      .on("data", () => {})
      .on("end", () => {
        stream.respond({ ":status": 200, "content-length": 2 });
        stream.end("ok");
      });
  });
  const { port } = await startProxy(t, url, { clock: movedClock() });
  for (const client of Object.values(CLIENTS)) {
    const waiting = await client(t, port);
    await eventually(() => waiting.told() === 1);
    assert.equal(heard[heard.indexOf("expect") + 1], "100-continue");
    waiting.send("hello");
    assert.deepEqual(await waiting.answer(), { status: 200, body: "ok" });
  }
});
