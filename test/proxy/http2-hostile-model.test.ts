// A model that speaks HTTP/2 wrongly, or means harm: its answers are failures that say so, memory stays, and the next request is served.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { PREFACE, TYPE, ask, connectStreams, frame, literals, number32, setting } from "./http2-support.ts";
import { eventually, rawOrigin, startProxy } from "./support.ts";

const END_HEADERS = 4;
const END_STREAM = 1;
const settings = frame(TYPE.settings, 0, { stream: 0 });
const head = (fields: [string, string][], flags = END_HEADERS): Buffer =>
  frame(TYPE.headers, flags, { stream: 1, payload: literals(fields) });
const OK: [string, string][] = [[":status", "200"]];
const said = (id: number, value: number): Buffer =>
  frame(TYPE.settings, 0, { stream: 0, payload: setting(id, value) });
const many = (count: number, bytes: Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => bytes));

interface Wrong {
  /** Sent when the request has come. */
  readonly says: Buffer;
  /** Sent again and again until the connection ends. */
  readonly endless?: Buffer;
  /** The connection stays open. */
  readonly stays?: true;
  /** How the client's stream ends: an error of ours, or broken off behind the head. */
  readonly ends: "502" | "reset";
}

const WRONGS: Readonly<Record<string, Wrong>> = {
  "fields of a MiB": {
    says: Buffer.concat([
      head([...OK, ["x", "v".repeat(16_000)]], 0),
      many(64, frame(TYPE.continuation, 0, { stream: 1, payload: literals([["x", "v".repeat(16_000)]]) })),
    ]),
    ends: "502",
  },
  "CONTINUATION without end": {
    says: head(OK, 0),
    endless: many(500, frame(TYPE.continuation, 0, { stream: 1, payload: literals([["x", "y"]]) })),
    ends: "502",
  },
  "a pushed answer nobody allowed": {
    says: frame(5, END_HEADERS, {
      stream: 1,
      payload: Buffer.concat([number32(2), literals([[":method", "GET"]])]),
    }),
    ends: "502",
  },
  "a status that is no number": { says: head([[":status", "abc"]]), ends: "502" },
  "a status above 599": { says: head([[":status", "999"]], END_HEADERS + END_STREAM), ends: "502" },
  "no status": { says: head([["x", "y"]]), ends: "502" },
  "a frame larger than allowed": {
    says: frame(TYPE.data, 0, { stream: 1, payload: Buffer.alloc(20_000) }),
    ends: "502",
  },
  "DATA before the head": {
    says: frame(TYPE.data, 0, { stream: 1, payload: Buffer.alloc(10) }),
    ends: "502",
  },
  "more DATA than its window": {
    says: Buffer.concat([
      head(OK),
      many(500, frame(TYPE.data, 0, { stream: 1, payload: Buffer.alloc(16_384) })),
    ]),
    ends: "reset",
  },
  "a window that overflows": {
    says: Buffer.concat([
      head(OK),
      many(2, frame(TYPE.window, 0, { stream: 0, payload: number32(2 ** 31 - 1) })),
    ]),
    ends: "reset",
  },
  "an end before the length it promised": {
    says: Buffer.concat([
      head([...OK, ["content-length", "100"]]),
      frame(TYPE.data, END_STREAM, { stream: 1, payload: Buffer.alloc(10) }),
    ]),
    ends: "reset",
  },
  "a first window above 2^31 - 1 within an answer": {
    says: Buffer.concat([head(OK), said(4, 2 ** 31)]),
    stays: true,
    ends: "reset",
  },
  "frames of less than 16 KiB within an answer": {
    says: Buffer.concat([head(OK), said(5, 16_383)]),
    stays: true,
    ends: "reset",
  },
  "that it takes pushes": { says: Buffer.concat([head(OK), said(2, 1)]), stays: true, ends: "reset" },
  "a reset without an error within an answer": {
    says: Buffer.concat([
      head(OK),
      frame(TYPE.data, 0, { stream: 1, payload: Buffer.alloc(10) }),
      frame(TYPE.rst, 0, { stream: 1, payload: number32(0) }),
    ]),
    stays: true,
    ends: "reset",
  },
  "a reset without an error behind its head": {
    says: Buffer.concat([head(OK), frame(TYPE.rst, 0, { stream: 1, payload: number32(0) })]),
    stays: true,
    ends: "reset",
  },
  "a reset without an error instead of a head": {
    says: frame(TYPE.rst, 0, { stream: 1, payload: number32(0) }),
    stays: true,
    ends: "502",
  },
  "GOAWAY with an error within an answer, and the end of the connection": {
    says: Buffer.concat([
      head(OK),
      frame(TYPE.data, 0, { stream: 1, payload: Buffer.alloc(10) }),
      frame(TYPE.goaway, 0, { stream: 0, payload: Buffer.concat([number32(0), number32(2)]) }),
    ]),
    ends: "reset",
  },
  "interim answers without end": {
    says: Buffer.alloc(0),
    endless: many(
      500,
      head([
        [":status", "103"],
        ["link", "</style.css>; rel=preload"],
      ]),
    ),
    ends: "502",
  },
  "SETTINGS without end": { says: head(OK), endless: many(500, settings), ends: "reset" },
  "PINGs without end": {
    says: head(OK),
    endless: many(500, frame(TYPE.ping, 0, { stream: 0, payload: Buffer.alloc(8) })),
    ends: "reset",
  },
  "empty DATA without end": {
    says: head(OK),
    endless: many(500, frame(TYPE.data, 0, { stream: 1 })),
    ends: "reset",
  },
};

/** Tells each frame that comes on a model's connection. */
function eachFrame(socket: Socket, tell: (type: number, stream: number, payload: Buffer) => void): void {
  let came = Buffer.alloc(0);
  let at = PREFACE.length;
  socket.on("data", (bytes: Buffer) => {
    came = Buffer.concat([came, bytes]);
    while (came.length >= at + 9 && came.length >= at + 9 + came.readUIntBE(at, 3)) {
      const [type, stream] = [came.readUInt8(at + 3), came.readUInt32BE(at + 5)];
      const from = at + 9;
      at = from + came.readUIntBE(at, 3);
      tell(type, stream, came.subarray(from, at));
    }
  });
}

/** Its first connection goes wrong with the first request; later ones answer 200. */
async function model(t: TestContext, wrong: Wrong): Promise<string> {
  let connections = 0;
  const { port } = await rawOrigin(t, (socket) => {
    const first = ++connections === 1;
    socket.write(settings);
    eachFrame(socket, (type, stream) => {
      if (type !== TYPE.headers) return;
      if (first && stream === 1) goWrong(socket, wrong);
      else socket.write(frame(TYPE.headers, END_HEADERS + END_STREAM, { stream, payload: literals(OK) }));
    });
  });
  return `h2c://127.0.0.1:${port}`;
}

function goWrong(socket: Socket, { says, endless, stays }: Wrong): void {
  socket.write(says);
  if (stays) return;
  if (endless === undefined) return void socket.end();
  // It takes no answers to them.
  socket.pause();
  const more = (): void => {
    while (!socket.destroyed && socket.write(endless));
  };
  socket.on("drain", more);
  more();
}

for (const [what, wrong] of Object.entries(WRONGS)) {
  test(`a model that sends ${what}: ${wrong.ends}, and the next request is served`, async (t) => {
    const running = await startProxy(t, await model(t, wrong));
    const session = await connectStreams(t, running.port);
    const before = process.memoryUsage().rss;
    const answer = await ask(session);
    if (wrong.ends === "502") assert.deepEqual([answer.status, answer.rstCode], [502, 0]);
    else assert.deepEqual([answer.status, answer.rstCode !== 0], [200, true]);
    const [exchange] = await running.delivered(1);
    assert.ok(exchange?.ownError !== null, "an error of the model's, by name");
    assert.equal((await ask(session)).status, 200);
    await eventually(() => running.proxy.stats().activeRequests === 0);
    assert.deepEqual(running.errors, []);
    assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024);
  });
}

/** Heads that say that no content follows: what comes behind is malformed (RFC 9113 §8.1.1), and goes no further. */
for (const [what, method, fields] of [
  ["a 204", "GET", [[":status", "204"]]],
  ["a 304", "GET", [[":status", "304"]]],
  [
    "an answer to HEAD",
    "HEAD",
    [
      [":status", "200"],
      ["content-length", "10"],
    ],
  ],
] satisfies [string, string, [string, string][]][]) {
  const content = frame(TYPE.data, END_STREAM, { stream: 1, payload: Buffer.alloc(10) });
  for (const together of [true, false]) {
    test(`content behind ${what}, ${together ? "in one read with its head" : "later"}: the head is the answer, and the connection to the model ends`, async (t) => {
      let ended = false;
      const { port } = await rawOrigin(t, (socket) => {
        socket.write(settings);
        socket.on("close", () => (ended = true));
        eachFrame(socket, (type) => {
          if (type !== TYPE.headers) return;
          socket.write(together ? Buffer.concat([head(fields), content]) : head(fields));
          if (!together) setTimeout(() => socket.write(content), 20);
        });
      });
      const running = await startProxy(t, `h2c://127.0.0.1:${port}`);
      const answer = await ask(await connectStreams(t, running.port), { method });
      assert.deepEqual([answer.status, answer.rstCode, answer.body.length], [Number(fields[0]?.[1]), 0, 0]);
      await eventually(() => ended);
      const [exchange] = await running.delivered(1);
      assert.deepEqual([exchange?.outcome, exchange?.ownError, exchange?.abortedBy], ["ok", null, null]);
    });
  }
}

test("a 204 whose stream the model ends later is whole at its head; an upload behind it is still read", async (t) => {
  let body = "";
  let resets = 0;
  const { port } = await rawOrigin(t, (socket) => {
    socket.write(settings);
    eachFrame(socket, (type, stream, payload) => {
      if (type === TYPE.rst) resets++;
      if (type === TYPE.data) body += payload.toString();
      if (type !== TYPE.headers) return;
      socket.write(frame(TYPE.headers, END_HEADERS, { stream, payload: literals([[":status", "204"]]) }));
      setTimeout(() => socket.write(frame(TYPE.data, END_STREAM, { stream })), 50);
    });
  });
  const running = await startProxy(t, `h2c://127.0.0.1:${port}`);
  const session = await connectStreams(t, running.port);
  assert.equal((await ask(session)).status, 204);
  const plain = await fetch(`http://127.0.0.1:${running.port}/`);
  assert.equal(plain.status, 204);
  const upload = session.request({ ":path": "/", ":method": "POST" });
  upload.write("some");
  await once(upload, "response");
  upload.end("thing");
  upload.resume();
  await once(upload, "close");
  await eventually(() => body === "something");
  const exchanges = await running.delivered(3);
  assert.deepEqual(
    exchanges.map(({ outcome, ownError }) => [outcome, ownError]),
    [
      ["ok", null],
      ["ok", null],
      ["ok", null],
    ],
  );
  assert.equal(resets, 0);
});
