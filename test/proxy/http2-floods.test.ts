// More frames without end, from a client that reads what comes: each ends its connection and is counted, or harms nobody.

import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import {
  PREFACE,
  TYPE,
  ask,
  connectStreams,
  frame,
  literals,
  number32,
  rawStreams,
  requestHead,
  setting,
  windowUpdate,
  type Frame,
  type RawStreams,
} from "./http2-support.ts";
import { eventually, httpOrigin, startProxy, type Running } from "./support.ts";

const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
const PRIORITY = 2;
const UNKNOWN = 0xfa;
const MIB = 1024 * 1024;

const request = (stream: number, flags = END_HEADERS, more: readonly [string, string][] = []): Buffer =>
  requestHead(stream, { flags, more });
const own = (i: number): number => 1 + 2 * i;
const cancel = (stream: number): Buffer => frame(TYPE.rst, 0, { stream, payload: number32(8) });
/** On one stream that stays open. */
const onOne =
  (next: (i: number) => Buffer) =>
  (i: number): Buffer =>
    i === 0 ? request(1) : next(i);
/** A stream of its own each time, opened and then spoilt, so that it is we who reset it, or its connection (CVE-2025-8671). */
const spoilt =
  (spoil: (stream: number) => Buffer, flags = END_HEADERS) =>
  (i: number): Buffer =>
    Buffer.concat([request(own(i), flags), spoil(own(i))]);

interface Flood {
  readonly next: (i: number) => Buffer;
  /** What counts it: `error` is nghttp2's own limit, or what no client may do. Null: it is allowed, and costs next to nothing. */
  readonly counted: "flood" | "resets" | "error" | null;
}

const FLOODS: Readonly<Record<string, Flood>> = {
  "streams that are opened with their end and reset": {
    next: (i) => Buffer.concat([request(own(i), END_HEADERS | END_STREAM), cancel(own(i))]),
    counted: "resets",
  },
  "streams that are opened, sent some of a body, and reset": {
    next: spoilt((stream) =>
      Buffer.concat([frame(TYPE.data, 0, { stream, payload: Buffer.alloc(10) }), cancel(stream)]),
    ),
    counted: "resets",
  },
  "streams that are reset without an error": {
    next: spoilt((stream) => frame(TYPE.rst, 0, { stream, payload: number32(0) })),
    counted: "resets",
  },
  "streams that a window of nothing spoils": {
    next: spoilt((stream) => windowUpdate(stream, 0)),
    counted: "error",
  },
  "streams that an overflowing window spoils": {
    next: spoilt((stream) => windowUpdate(stream, 2 ** 31 - 1)),
    counted: "error",
  },
  "streams that a body beyond its length spoils": {
    next: (i) =>
      Buffer.concat([
        request(own(i), END_HEADERS, [["content-length", "1"]]),
        frame(TYPE.data, END_STREAM, { stream: own(i), payload: Buffer.alloc(2) }),
      ]),
    counted: "error",
  },
  "streams with DATA behind their end": {
    next: spoilt(
      (stream) => frame(TYPE.data, 0, { stream, payload: Buffer.alloc(1) }),
      END_HEADERS | END_STREAM,
    ),
    counted: "error",
  },
  "heads that no request may have": {
    next: (i) =>
      frame(TYPE.headers, END_HEADERS | END_STREAM, { stream: own(i), payload: literals([["x", "y"]]) }),
    counted: "error",
  },
  "CONTINUATION frames of nothing": {
    next: (i) => (i === 0 ? request(1, 0) : frame(TYPE.continuation, 0, { stream: 1 })),
    counted: "flood",
  },
  "empty DATA frames with padding": {
    next: onOne(() => frame(TYPE.data, 8, { stream: 1, payload: Buffer.from([3, 0, 0, 0]) })),
    counted: null,
  },
  PINGs: { next: () => frame(TYPE.ping, 0, { stream: 0, payload: Buffer.alloc(8) }), counted: null },
  "PINGs that answer none": {
    next: () => frame(TYPE.ping, ACK, { stream: 0, payload: Buffer.alloc(8) }),
    counted: "error",
  },
  "SETTINGS of many values": {
    next: () =>
      frame(TYPE.settings, 0, {
        stream: 0,
        payload: Buffer.concat(Array.from({ length: 30 }, (_, k) => setting(1, k))),
      }),
    counted: null,
  },
  "acknowledgements of no SETTINGS": {
    next: () => frame(TYPE.settings, ACK, { stream: 0 }),
    counted: "error",
  },
  "PRIORITY frames, each of another stream": {
    next: (i) => frame(PRIORITY, 0, { stream: own(i), payload: Buffer.from([0, 0, 0, 0, i & 255]) }),
    counted: "error",
  },
  "WINDOW_UPDATE frames of one byte": { next: () => windowUpdate(0, 1), counted: null },
  "WINDOW_UPDATE frames of a stream's": { next: onOne(() => windowUpdate(1, 1)), counted: null },
  "resets of one stream that is over": { next: onOne(() => cancel(1)), counted: "error" },
  "frames of a kind nobody knows": {
    next: () => frame(UNKNOWN, 0, { stream: 0, payload: Buffer.alloc(20) }),
    counted: "error",
  },
};

const FRAMES = 30_000;
const AT_ONCE = 500;

/** What is allowed is sent at the pace at which it is worked off, however busy the machine is. */
async function roundTrip({ socket, frames, closed }: RawStreams): Promise<void> {
  const payload = Buffer.from("all done");
  socket.write(frame(TYPE.ping, 0, { stream: 0, payload }));
  const answered = (one: Frame): boolean =>
    one.type === TYPE.ping && one.flags === ACK && one.payload.equals(payload);
  await eventually(() => frames.some(answered) || closed());
}

async function rig(t: TestContext): Promise<Running> {
  const origin = await httpOrigin(t, (req, response) => {
    req.resume().on("end", () => response.end("ok"));
  });
  return await startProxy(t, origin.url);
}

for (const [what, { next, counted }] of Object.entries(FLOODS)) {
  const ends = counted === null ? "harms nobody" : "ends its connection and is counted";
  test(`a flood of ${what} ${ends}`, async (t) => {
    const running = await rig(t);
    const other = await connectStreams(t, running.port);
    await ask(other);
    const client = await rawStreams(t, running.port);
    client.socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, { stream: 0 })]));
    await eventually(() => client.frames.length >= 2);
    client.socket.write(frame(TYPE.settings, ACK, { stream: 0 }));
    const before = process.memoryUsage().rss;
    for (let i = 0; i < FRAMES && !client.closed(); i += AT_ONCE) {
      client.frames.length = 0;
      client.socket.write(Buffer.concat(Array.from({ length: AT_ONCE }, (_, k) => next(i + k))));
      if (counted === null) await roundTrip(client);
      else await eventually(() => client.socket.writableLength === 0 || client.closed());
    }
    if (counted !== null) await eventually(() => client.closed());
    const { limited, clientErrors } = running.proxy.stats();
    const told = { flood: limited["flood"] ?? 0, resets: limited["stream_resets"] ?? 0, error: clientErrors };
    if (counted === "flood") assert.equal(told.flood, 1);
    // Those that come faster than streams are let go are stopped as a flood.
    if (counted === "resets") assert.equal(told.resets + told.flood, 1);
    assert.equal(told.error, counted === null ? 0 : 1);
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 150 * MIB, `${grown} bytes more`);
    assert.equal((await ask(other)).body.toString(), "ok");
    client.socket.destroy();
    await eventually(() => running.proxy.stats().activeRequests === 0);
    assert.deepEqual(running.errors, []);
  });
}
