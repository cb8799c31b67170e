// A head that its sender never ends, on a stream whose data waits to be sent, and then the end of the connection: what the system
// keeps of both is freed in the order that it needs. Otherwise the whole process ends when the collector comes by.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { PREFACE, TYPE, ask, connectStreams, frame, literals, rawStreams } from "./http2-support.ts";
import { eventually, httpOrigin, pause, rawOrigin, startProxy } from "./support.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const LARGE = Buffer.alloc(40 * 1024 * 1024);
const END_STREAM = 1;
const END_HEADERS = 4;
const wide = Buffer.alloc(4);
wide.writeUInt32BE(2 ** 30);
/** Lets the other side send as much as it has. */
const WIDE = Buffer.concat([
  frame(TYPE.settings, 0, { stream: 0, payload: Buffer.concat([Buffer.from([0, 4]), wide]) }),
  frame(TYPE.window, 0, { stream: 0, payload: wide }),
]);
const begun = (flags: number, fields: readonly (readonly [string, string])[]): Buffer =>
  frame(TYPE.headers, flags, { stream: 1, payload: literals([...fields, ["x", "v".repeat(1000)]]) });

const REQUEST = frame(TYPE.headers, END_HEADERS, {
  stream: 1,
  payload: literals([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "m"],
  ]),
});

async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    collect();
    await pause(5);
  }
}

/** How it leaves. */
const ENDS: Readonly<Record<string, (socket: Socket) => Promise<void> | void>> = {
  leaves: (socket) => void socket.destroy(),
  "resets its connection": (socket) => void socket.resetAndDestroy(),
  "sends what may not come within a head": async (socket) => {
    socket.write(frame(TYPE.ping, 0, { stream: 0, payload: Buffer.alloc(8) }));
    await pause(30);
    socket.destroy();
  },
};

for (const [what, leave] of Object.entries(ENDS)) {
  test(`a client that begins trailers, never ends them and ${what}, its answer unread`, async (t: TestContext) => {
    const origin = await httpOrigin(t, (_request, response) => void response.end(LARGE));
    const { port, proxy } = await startProxy(t, origin.url);
    for (let round = 0; round < 3; round++) {
      const raw = await rawStreams(t, port);
      raw.socket.pause();
      raw.socket.write(Buffer.concat([PREFACE, WIDE, REQUEST]));
      await eventually(() => proxy.stats().activeRequests === 1);
      await pause(30);
      raw.socket.write(begun(END_STREAM, []));
      await pause(30);
      await leave(raw.socket);
      await eventually(() => proxy.stats().activeRequests === 0 && proxy.stats().openConnections === 0);
      await settle();
    }
    assert.equal((await ask(await connectStreams(t, port))).status, 200);
  });
}

test("a model that begins a head, never ends it and dies, the upload unread", async (t: TestContext) => {
  const sockets: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => {
    socket.write(WIDE);
    socket.once("data", () => {
      socket.pause();
      sockets.push(socket);
    });
  });
  const { port, proxy } = await startProxy(t, `h2c://127.0.0.1:${origin.port}`);
  for (let round = 0; round < 3; round++) {
    const session = await connectStreams(t, port);
    const asking = ask(session, { body: LARGE });
    await eventually(() => sockets.length > round && proxy.stats().heldBytes > 40_000);
    await pause(30);
    sockets[round]?.write(begun(0, [[":status", "200"]]));
    await pause(30);
    sockets[round]?.destroy();
    assert.equal((await asking).status, 502);
    session.destroy();
    await eventually(() => proxy.stats().activeRequests === 0);
    await settle();
  }
});
