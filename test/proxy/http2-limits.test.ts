// What a client may take over HTTP/2: the limits of HTTP/1.1, for each stream, and those of its own; every one counted.

import assert from "node:assert/strict";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import {
  ask,
  connectStreams,
  rawStreams,
  streamOrigin,
  wholeAnswer,
  PREFACE,
  TYPE,
  frame,
  literals,
} from "./http2-support.ts";
import type { Clock } from "../../src/kernel/clock.ts";
import { LIMITS, eventually, heldClock, httpOrigin, rawOrigin, startProxy, type Running } from "./support.ts";

const limitedBy = (running: Running, limit: string): number => running.proxy.stats().limited[limit] ?? 0;

interface Rig extends Running {
  /** Requests that reached the model whole. */
  readonly asked: () => number;
}

async function rig(t: TestContext, limits: Partial<typeof LIMITS>, clock?: Clock): Promise<Rig> {
  let asked = 0;
  const origin = await httpOrigin(t, (request, response) => {
    request.resume().on("end", () => {
      asked++;
      response.end("ok");
    });
  });
  const options = { limits: { ...LIMITS, ...limits }, ...(clock === undefined ? {} : { clock }) };
  return { ...(await startProxy(t, origin.url, options)), asked: () => asked };
}

test("a head that is longer than allowed, in bytes or in lines, is answered with 431, counted, and costs no other stream", async (t) => {
  const running = await rig(t, { headBytesMax: 4096, headLinesMax: 64 });
  const session = await connectStreams(t, running.port);
  const long = await ask(session, { headers: { "x-long": "v".repeat(5000) } });
  assert.equal(long.status, 431);
  assert.match(long.body.toString(), /proxy\.limits\.maxHeadSize/);
  const many = await ask(session, {
    headers: { "x-many": Array.from({ length: 80 }, (_, i) => String(i)) },
    body: "x",
  });
  assert.equal(many.status, 431);
  assert.match(many.body.toString(), /proxy\.limits\.maxHeaderLines/);
  assert.equal(limitedBy(running, "head_size"), 2);
  assert.equal(running.proxy.stats().clientErrors, 2);
  assert.equal(running.asked(), 0);
  const inside = await ask(session, { headers: { "x-long": "v".repeat(3500) } });
  assert.equal(inside.status, 200);
});

test("a body that stands still or trickles is answered with 408 and never looks whole; other streams go on", async (t) => {
  const running = await rig(t, { bodyMs: 600 });
  const session = await connectStreams(t, running.port);
  const still = session.request({ ":method": "POST", ":path": "/" });
  const trickle = session.request({ ":method": "POST", ":path": "/" });
  const drip = setInterval(() => trickle.write("a"), 20);
  t.after(() => clearInterval(drip));
  const answers = await Promise.all([wholeAnswer(still), wholeAnswer(trickle)]);
  assert.deepEqual(
    answers.map(({ status, headers }) => [status, headers["x-outrider-error"]]),
    [
      [408, "bad_request"],
      [408, "bad_request"],
    ],
  );
  assert.equal(limitedBy(running, "body_timeout"), 2);
  assert.equal((await ask(session, { body: "x" })).status, 200);
  assert.equal(running.asked(), 1);
  const [first] = await running.delivered(3);
  assert.equal(first?.outcome, "rejected");
});

test("a client that takes nothing of its answer loses the stream, the model hears of it, and its connection stays", async (t) => {
  let modelSide = 0;
  const origin = await rawOrigin(t, (socket) => {
    modelSide++;
    socket.on("close", () => modelSide--);
    socket.once("data", (head) => {
      if (head.includes("GET /small")) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      else socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n${"a".repeat(9_000_000)}`);
    });
  });
  const clock = heldClock();
  const running = await startProxy(t, origin.url, { limits: { ...LIMITS, sendMs: 300 }, clock });
  const session = await connectStreams(t, running.port);
  // Wide enough for the other stream: only this one is stalled.
  session.setLocalWindowSize(10_000_000);
  const stalled = session.request({ ":path": "/large" });
  stalled.on("error", () => {});
  await once(stalled, "response");
  stalled.pause();
  // Until nothing moves any more: each look counts what moved as new.
  await eventually(() => {
    clock.pass(50);
    return limitedBy(running, "send_timeout") === 1;
  });
  await eventually(() => modelSide === 0);
  assert.equal((await ask(session, { path: "/small" })).status, 200);
  const [exchange] = await running.delivered(1);
  assert.equal(exchange?.abortedBy, "client");
});

test("an exchange that takes longer than allowed is answered with 504, or broken off behind its head", async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    if (request.url === "/stream") response.write("some");
  });
  const clock = heldClock();
  const running = await startProxy(t, origin.url, { limits: { ...LIMITS, totalMs: 200 }, clock });
  const session = await connectStreams(t, running.port);
  const stream = session.request({ ":path": "/stream" });
  const both = Promise.all([ask(session), wholeAnswer(stream)]);
  await once(stream, "data");
  await eventually(() => running.proxy.stats().activeRequests === 2);
  clock.pass(201);
  const [silent, begun] = await both;
  assert.equal(silent.status, 504);
  assert.equal(silent.headers["x-outrider-error"], "response_timeout");
  assert.deepEqual([begun.status, begun.body.toString(), begun.rstCode], [200, "some", 2]);
  assert.equal(limitedBy(running, "request_timeout"), 2);
});

test("a connection without streams is closed after its time, whatever else it sends; one with a stream is not", async (t) => {
  const origin = await httpOrigin(t, () => {});
  const clock = heldClock();
  const running = await startProxy(t, origin.url, { limits: { ...LIMITS, idleMs: 300 }, clock });
  const busy = await connectStreams(t, running.port);
  const held = busy.request({ ":path": "/" });
  held.on("error", () => {});
  const idle = await connectStreams(t, running.port);
  const pings = setInterval(() => {
    if (!idle.destroyed) idle.ping(() => {});
  }, 50);
  t.after(() => clearInterval(pings));
  await eventually(() => running.proxy.stats().activeRequests === 1);
  // The other one is known, too, once it has been answered.
  await new Promise((resolve) => idle.ping(resolve));
  const closed = once(idle, "close");
  clock.pass(301);
  await closed;
  assert.equal(limitedBy(running, "idle_timeout"), 1);
  assert.equal(busy.closed || busy.destroyed, false);
});

test("a head that never ends holds its connection no longer than an idle one", async (t) => {
  const running = await rig(t, { idleMs: 300 });
  const raw = await rawStreams(t, running.port);
  raw.socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, { stream: 0 })]));
  raw.socket.write(frame(TYPE.headers, 0, { stream: 1, payload: literals([[":method", "GET"]]) }));
  await eventually(() => raw.closed());
  assert.equal(limitedBy(running, "idle_timeout"), 1);
});

test("a head that trickles is no idle connection: it ends after the time for heads, and is counted so", async (t) => {
  const running = await rig(t, { headMs: 400 });
  const calm = await connectStreams(t, running.port);
  const raw = await rawStreams(t, running.port);
  raw.socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, { stream: 0 })]));
  const head = frame(TYPE.headers, 5, { stream: 1, payload: Buffer.alloc(10_000) });
  let sent = 0;
  const drip = setInterval(() => raw.socket.write(head.subarray(sent, ++sent)), 10);
  t.after(() => clearInterval(drip));
  await eventually(() => raw.closed());
  assert.equal(limitedBy(running, "head_timeout"), 1);
  assert.equal(limitedBy(running, "idle_timeout"), 0);
  // One that only pings goes on.
  assert.equal((await ask(calm)).status, 200);
});

test("streams beyond the number told are counted, refused while the client may not know, the connection's end when it must", async (t) => {
  const origin = await httpOrigin(t, () => {});
  const running = await startProxy(t, origin.url, { limits: { ...LIMITS, streamsMax: 3 } });
  const begin = (from: number, count: number): Buffer =>
    Buffer.concat(
      Array.from({ length: count }, (_, i) =>
        frame(TYPE.headers, 5, { stream: 1 + (from + i) * 2, payload: REQUEST }),
      ),
    );
  const raw = await rawStreams(t, running.port);
  raw.socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, { stream: 0 })]));
  raw.socket.write(begin(0, 6));
  await eventually(() => raw.frames.filter(({ type }) => type === TYPE.rst).length === 3);
  raw.socket.write(frame(TYPE.rst, 0, { stream: 1, payload: Buffer.from([0, 0, 0, 8]) }));
  await eventually(() => running.proxy.stats().activeRequests === 2);
  raw.socket.write(begin(6, 1));
  await eventually(() => running.proxy.stats().activeRequests === 3);
  assert.equal(limitedBy(running, "max_streams"), 3);
  raw.socket.write(frame(TYPE.settings, 1, { stream: 0 }));
  raw.socket.write(begin(7, 1));
  await eventually(() => raw.closed() && limitedBy(running, "max_streams") === 4);
});

test("how many streams there may be at once is told to the client", async (t) => {
  const running = await rig(t, { streamsMax: 7 });
  const session = await connectStreams(t, running.port);
  await eventually(() => session.remoteSettings?.maxConcurrentStreams === 7);
});

test("a head that is too long and reset in the same breath harms nobody", async (t) => {
  const running = await rig(t, { headBytesMax: 1024 });
  const raw = await rawStreams(t, running.port);
  const fields: [string, string][] = [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "m"],
    ["x-long", "v".repeat(1500)],
  ];
  const cancel = Buffer.from([0, 0, 0, 8]);
  raw.socket.write(
    Buffer.concat([
      PREFACE,
      frame(TYPE.settings, 0, { stream: 0 }),
      ...Array.from({ length: 20 }, (_, i) =>
        Buffer.concat([
          frame(TYPE.headers, i % 2 === 0 ? 5 : 4, { stream: 1 + i * 2, payload: literals(fields) }),
          frame(TYPE.rst, 0, { stream: 1 + i * 2, payload: cancel }),
        ]),
      ),
    ]),
  );
  await eventually(() => limitedBy(running, "head_size") === 20);
  assert.equal((await ask(await connectStreams(t, running.port))).status, 200);
});

const REQUEST = literals([
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "m"],
]);

/** Frames that a client sends without end -> the limit that stops them. */
const FLOODS: Readonly<Record<string, readonly [limit: string, next: (i: number) => Buffer]>> = {
  "streams that are begun and reset": [
    "stream_resets",
    (i) =>
      Buffer.concat([
        frame(TYPE.headers, 4, { stream: 1 + i * 2, payload: REQUEST }),
        frame(TYPE.rst, 0, { stream: 1 + i * 2, payload: Buffer.from([0, 0, 0, 8]) }),
      ]),
  ],
  "CONTINUATION frames": [
    "flood",
    (i) =>
      i === 0
        ? frame(TYPE.headers, 0, { stream: 1, payload: REQUEST })
        : frame(TYPE.continuation, 0, { stream: 1, payload: literals([["x", "y"]]) }),
  ],
  "empty DATA frames": [
    "flood",
    (i) =>
      i === 0 ? frame(TYPE.headers, 4, { stream: 1, payload: REQUEST }) : frame(TYPE.data, 0, { stream: 1 }),
  ],
  "SETTINGS frames": ["flood", () => frame(TYPE.settings, 0, { stream: 0 })],
};

for (const [what, [limit, next]] of Object.entries(FLOODS)) {
  test(`a flood of ${what} ends its connection and is counted as ${limit}`, async (t) => {
    const running = await rig(t, {});
    const raw = await rawStreams(t, running.port);
    raw.socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, { stream: 0 })]));
    await eventually(() => raw.frames.some(({ type, flags }) => type === TYPE.settings && flags === 1));
    raw.socket.write(frame(TYPE.settings, 1, { stream: 0 }));
    raw.socket.write(Buffer.concat(Array.from({ length: 5000 }, (_, i) => next(i))));
    await eventually(() => raw.closed());
    // Resets that come faster than streams are let go are stopped as a flood.
    const alsoFlood = limit === "stream_resets" ? limitedBy(running, "flood") : 0;
    assert.equal(limitedBy(running, limit) + alsoFlood, 1);
    await eventually(() => running.proxy.stats().activeRequests === 0);
    assert.equal((await ask(await connectStreams(t, running.port))).status, 200);
  });
}

const SETTINGS_WIDE = Buffer.from([0, 4, 0x40, 0, 0, 0]);

for (const [count, size] of [
  [50_000, 1],
  [4000, 200],
] as const) {
  test(`${count} frames of ${size} bytes, one after the other, are passed on whole, many at a time, both ways`, async (t) => {
    let chunks = 0;
    const { url } = await httpOrigin(t, (request, response) => {
      request.on("data", (chunk: Buffer) => {
        chunks++;
        response.write(chunk);
      });
      request.on("end", () => response.end());
    });
    const running = await startProxy(t, url);
    const raw = await rawStreams(t, running.port);
    raw.socket.write(
      Buffer.concat([
        PREFACE,
        frame(TYPE.settings, 0, { stream: 0, payload: SETTINGS_WIDE }),
        frame(TYPE.window, 0, { stream: 0, payload: Buffer.from([0x3f, 0, 0, 0]) }),
        frame(TYPE.headers, 4, { stream: 1, payload: REQUEST }),
      ]),
    );
    const body = Buffer.from(Array.from({ length: count * size }, (_, i) => i % 251));
    const windowOf = (stream: number): number =>
      raw.frames.reduce(
        (sum, one) =>
          sum + (one.type === TYPE.window && one.stream === stream ? one.payload.readUInt32BE(0) : 0),
        65_535,
      );
    for (let sent = 0; sent < body.length;) {
      await eventually(() => Math.min(windowOf(0), windowOf(1)) > sent);
      const to = Math.min(body.length, windowOf(0), windowOf(1));
      const frames: Buffer[] = [];
      while (sent < to) {
        const payload = body.subarray(sent, Math.min(sent + size, to));
        sent += payload.length;
        frames.push(frame(TYPE.data, sent === body.length ? 1 : 0, { stream: 1, payload }));
      }
      raw.socket.write(Buffer.concat(frames));
    }
    await eventually(() => raw.frames.some(({ type, flags }) => type <= TYPE.headers && (flags & 1) === 1));
    const echoed = Buffer.concat(
      raw.frames.filter(({ type }) => type === TYPE.data).map(({ payload }) => payload),
    );
    assert.ok(echoed.equals(body));
    assert.ok(chunks < count / 4, `${chunks} chunks`);
  });
}

test("a client whose model breaks off thousands of answers keeps its connection: the resets are not its own", async (t) => {
  const origin = await streamOrigin(t, (stream) => {
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.write("part");
    setImmediate(() => stream.close(2));
  });
  // Nothing of the burst is given back meanwhile.
  const running = await startProxy(t, origin.url, { clock: heldClock() });
  const session = await connectStreams(t, running.port);
  for (let i = 0; i < 15; i++) {
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask(session)));
    assert.deepEqual(new Set(answers.map(({ rstCode }) => rstCode)), new Set([2]));
  }
  assert.equal(limitedBy(running, "stream_resets"), 0);
  assert.equal(session.closed, false);
});
