// What a connection of HTTP/2 makes the sidecar hold: little, however many of its streams stand still, and none of them for good.

import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, ServerHttp2Stream } from "node:http2";
import test, { type TestContext } from "node:test";
import {
  PREFACE,
  TYPE,
  ask,
  connectStreams,
  frame,
  literals,
  rawStreams,
  streamOrigin,
  wholeAnswer,
} from "./http2-support.ts";
import { LIMITS, eventually, heldClock, httpOrigin, pause, startProxy, type Running } from "./support.ts";

const MIB = 1024 * 1024;
const BODY = Buffer.alloc(MIB, "0123456789abcdef");

/** The most that was held, looked at often. */
function watchHeld(t: TestContext, { proxy }: Running): { readonly most: () => number } {
  let most = 0;
  const timer = setInterval(() => (most = Math.max(most, proxy.stats().heldBytes)), 2);
  t.after(() => clearInterval(timer));
  return { most: () => most };
}

/** A model that answers with 1 MiB, in either version; `asked` counts. */
const MODELS: Readonly<
  Record<string, (t: TestContext) => Promise<{ url: string; readonly asked: () => number }>>
> = {
  "HTTP/1.1": async (t) => {
    let asked = 0;
    const { url } = await httpOrigin(t, (_, response) => {
      asked++;
      response.end(BODY);
    });
    return { url, asked: () => asked };
  },
  "HTTP/2": async (t) => {
    let asked = 0;
    const { url } = await streamOrigin(
      t,
      (stream) => {
        asked++;
        stream.respond({ ":status": 200 });
        stream.end(BODY);
      },
      { maxSessionMemory: 1000, settings: { maxConcurrentStreams: 1000 } },
    );
    return { url, asked: () => asked };
  },
};

const REQUEST = literals([
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "m"],
]);

/** Asks for 128 answers, allows all of them to be sent, and reads nothing. */
async function stalledReader(t: TestContext, port: number): Promise<void> {
  const raw = await rawStreams(t, port);
  raw.socket.pause();
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(4, 0);
  settings.writeUInt32BE(2 ** 30, 2);
  const window = Buffer.alloc(4);
  window.writeUInt32BE(2 ** 30);
  raw.socket.write(
    Buffer.concat([
      PREFACE,
      frame(TYPE.settings, 0, { stream: 0, payload: settings }),
      frame(TYPE.window, 0, { stream: 0, payload: window }),
      ...Array.from({ length: 128 }, (_, i) =>
        frame(TYPE.headers, 5, { stream: 1 + i * 2, payload: REQUEST }),
      ),
    ]),
  );
}

for (const [version, model] of Object.entries(MODELS)) {
  test(`128 answers of 1 MiB over ${version} that a client does not read make at most 1 MiB held, and stall nobody else`, async (t) => {
    const { url, asked } = await model(t);
    const running = await startProxy(t, url);
    const held = watchHeld(t, running);
    await stalledReader(t, running.port);
    await eventually(() => asked() === 128 && held.most() > MIB / 4);
    const other = await ask(await connectStreams(t, running.port));
    assert.ok(other.body.equals(BODY));
    assert.ok(held.most() <= MIB, `${held.most()} bytes were held`);
  });

  test(`streams that their client does not read from starve no other of the connection over ${version}, and come whole in the end`, async (t) => {
    const running = await startProxy(t, (await model(t)).url);
    const session = await connectStreams(t, running.port);
    session.setLocalWindowSize(100 * MIB);
    const stalled = Array.from({ length: 40 }, () => session.request({ ":path": "/" }));
    const answers = stalled.map((stream) => wholeAnswer(stream));
    for (const stream of stalled) stream.pause();
    await Promise.all(stalled.map((stream) => once(stream, "response")));
    const siblings = await Promise.all(Array.from({ length: 20 }, () => ask(session)));
    assert.ok(siblings.every(({ body }) => body.equals(BODY)));
    for (const stream of stalled) stream.resume();
    assert.ok((await Promise.all(answers)).every(({ body, rstCode }) => body.equals(BODY) && rstCode === 0));
    await eventually(() => running.proxy.stats().heldBytes === 0);
  });
}

interface SlowModel {
  readonly url: string;
  readonly asked: () => number;
  /** From now on it reads what is sent to it. */
  readonly read: () => void;
}

/** Reads nothing at `/slow` until it is told to; answers with how many bytes came. */
async function slowModel(t: TestContext, initialWindowSize = 65_535): Promise<SlowModel> {
  const waiting: ServerHttp2Stream[] = [];
  const count = (stream: ServerHttp2Stream): void => {
    let bytes = 0;
    stream.on("data", (chunk: Buffer) => (bytes += chunk.length));
    stream.on("end", () => {
      if (stream.destroyed || stream.closed) return;
      stream.respond({ ":status": 200 });
      stream.end(String(bytes));
    });
  };
  const { url } = await streamOrigin(
    t,
    (stream, raw) => {
      if (raw.includes("/slow")) waiting.push(stream);
      else count(stream);
    },
    { settings: { maxConcurrentStreams: 1000, initialWindowSize } },
  );
  return { url, asked: () => waiting.length, read: () => waiting.splice(0).forEach(count) };
}

/** Until uploads stand still, and have been seen to: a look comes every 20 ms. */
async function standing({ proxy }: Running, begun: () => boolean): Promise<void> {
  await eventually(() => begun() && proxy.stats().heldBytes > 16_000);
  for (let i = 0; i < 5; i++) await pause(50);
}

function upload(session: ClientHttp2Session, body: Buffer): ClientHttp2Stream {
  const stream = session.request({ ":method": "POST", ":path": "/slow" });
  stream.end(body);
  return stream;
}

test("uploads that the model does not read make at most 1 MiB held, and nothing is lost", async (t) => {
  const model = await slowModel(t);
  const running = await startProxy(t, model.url);
  const held = watchHeld(t, running);
  const session = await connectStreams(t, running.port);
  const answers = Array.from({ length: 100 }, () => wholeAnswer(upload(session, BODY)));
  await eventually(() => model.asked() === 100 && held.most() > 16_000);
  const other = await ask(await connectStreams(t, running.port), { path: "/other", body: BODY });
  assert.equal(other.body.toString(), String(MIB));
  const reading = setInterval(model.read, 5);
  t.after(() => clearInterval(reading));
  const sent = await Promise.all(answers);
  assert.deepEqual(
    new Set(sent.map(({ status, body }) => `${status} ${body.toString()}`)),
    new Set([`200 ${MIB}`]),
  );
  assert.ok(held.most() <= MIB, `${held.most()} bytes were held`);
  await eventually(() => running.proxy.stats().heldBytes === 0);
});

test("an upload that is given up while the model does not read is over, whatever its reset says", async (t) => {
  const model = await slowModel(t);
  const running = await startProxy(t, model.url);
  for (const code of [constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_CANCEL]) {
    const session = await connectStreams(t, running.port);
    const before = model.asked();
    const stream = session.request({ ":method": "POST", ":path": "/slow" });
    // Not ended: node:http2 would wait for its last byte before a reset without an error.
    stream.on("error", () => {}).write(BODY);
    await standing(running, () => model.asked() === before + 1);
    stream.close(code);
    await eventually(() => running.proxy.stats().activeRequests === 0);
    await eventually(() => running.proxy.stats().heldBytes === 0);
  }
});

test("an upload that waits because the model does not read others is not a client's that stands still", async (t) => {
  const model = await slowModel(t);
  const clock = heldClock();
  const running = await startProxy(t, model.url, { limits: { ...LIMITS, bodyMs: 200 }, clock });
  const session = await connectStreams(t, running.port);
  for (let i = 0; i < 100; i++) upload(session, BODY).on("error", () => {});
  await standing(running, () => model.asked() === 100);
  clock.pass(201);
  // Looked at every 50 ms.
  await pause(500);
  assert.equal(running.proxy.stats().limited["body_timeout"], 0);
  assert.equal(running.proxy.stats().activeRequests, 100);
});

for (const [count, streamsMax] of [
  [3, 128],
  [8, 128],
  [13, 128],
  [100, 128],
  [100, 10_000],
  [300, 10_000],
] as const) {
  test(`an upload and a request without a body go through while ${count} other uploads of the connection stand still, of ${streamsMax} that may be`, async (t) => {
    const model = await slowModel(t);
    const running = await startProxy(t, model.url, { limits: { ...LIMITS, streamsMax } });
    const held = watchHeld(t, running);
    const session = await connectStreams(t, running.port);
    for (let i = 0; i < count; i++) upload(session, BODY).on("error", () => {});
    await standing(running, () => model.asked() === count);
    // Of many, the windows are some 160 bytes: a quarter of a MiB is 1,600 of them, one after the other.
    const size = count > 100 ? MIB / 4 : MIB;
    const sibling = await ask(session, { path: "/other", body: BODY.subarray(0, size) });
    assert.equal(sibling.body.toString(), String(size));
    const { status, rstCode } = await ask(session, { path: "/other" });
    assert.deepEqual([status, rstCode], [200, 0]);
    assert.ok(held.most() <= MIB, `${held.most()} bytes were held`);
  });
}

test("many more that stand still, once windows are small already, make them smaller: others go on, within the same bound", async (t) => {
  const model = await slowModel(t);
  const running = await startProxy(t, model.url, { limits: { ...LIMITS, streamsMax: 2000 } });
  const held = watchHeld(t, running);
  const session = await connectStreams(t, running.port);
  for (const count of [30, 330]) {
    while (model.asked() < count) {
      upload(session, BODY).on("error", () => {});
      await pause(1);
    }
    await standing(running, () => model.asked() >= count);
  }
  // The windows are 16 bytes now.
  const sibling = await ask(session, { path: "/other", body: BODY.subarray(0, 4000) });
  assert.equal(sibling.body.toString(), "4000");
  assert.ok(held.most() <= MIB, `${held.most()} bytes were held`);
});

test("a client that does not acknowledge small windows has its uploads wait, counted, and holds at most 1 MiB", async (t) => {
  const model = await slowModel(t, 4096);
  const running = await startProxy(t, model.url);
  const held = watchHeld(t, running);
  const raw = await rawStreams(t, running.port);
  const head = literals([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/slow"],
    [":authority", "m"],
  ]);
  const piece = Buffer.alloc(8 * 1024);
  raw.socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, { stream: 0 })]));
  raw.socket.write(
    Buffer.concat(
      Array.from({ length: 60 }, (_, i) => frame(TYPE.headers, 4, { stream: 1 + i * 2, payload: head })),
    ),
  );
  // Keeps to what it was allowed, over all and for each stream, and to nothing that it was told later.
  let sent = 0;
  const granted = (): number =>
    raw.frames.reduce(
      (sum, { type, stream, payload }) =>
        sum + (type === TYPE.window && stream === 0 ? payload.readUInt32BE(0) : 0),
      65_535,
    );
  const sending = setInterval(() => {
    for (; sent + piece.length <= granted() && sent < 60 * 56 * 1024; sent += piece.length)
      raw.socket.write(
        frame(TYPE.data, 0, { stream: 1 + Math.floor(sent / (56 * 1024)) * 2, payload: piece }),
      );
  }, 1);
  t.after(() => clearInterval(sending));
  await eventually(() => (running.proxy.stats().limited["held_body"] ?? 0) > 0);
  for (let before = -1; before !== sent;) {
    before = sent;
    for (let i = 0; i < 10; i++) await pause(20);
  }
  assert.ok(sent < 60 * 56 * 1024, "it waits");
  assert.ok(held.most() <= MIB, `${held.most()} bytes were held`);
  const other = await ask(await connectStreams(t, running.port), {
    path: "/other",
    body: BODY.subarray(0, MIB / 4),
  });
  assert.equal(other.body.toString(), String(MIB / 4));
});

test("an upload to a model of HTTP/1.1 that stands still holds little, and comes whole in the end", async (t) => {
  const { promise: reading, resolve: read } = Promise.withResolvers<void>();
  const { url } = await httpOrigin(t, (request, response) => {
    let bytes = 0;
    void reading.then(() => {
      request.on("data", (chunk: Buffer) => (bytes += chunk.length));
      request.on("end", () => response.end(String(bytes)));
    });
  });
  const running = await startProxy(t, url);
  const held = watchHeld(t, running);
  const session = await connectStreams(t, running.port);
  // More than the system's buffers take.
  const body = Buffer.alloc(24 * MIB, "x");
  const answers = [1, 2, 3].map(() => wholeAnswer(upload(session, body)));
  await eventually(() => running.proxy.stats().heldBytes > 16_000);
  read();
  assert.deepEqual(
    (await Promise.all(answers)).map(({ body: said }) => Number(said.toString())),
    [body.length, body.length, body.length],
  );
  assert.ok(held.most() <= (MIB / 4) * 3, `${held.most()} bytes were held`);
});

test("requests of many large bodies at once keep their order of bytes, whole or streamed", async (t) => {
  const model = await slowModel(t);
  const running = await startProxy(t, model.url);
  const session = await connectStreams(t, running.port);
  const sizes = Array.from({ length: 60 }, (_, i) => 1000 + i * 3001);
  const answers = await Promise.all(
    sizes.map((size) => ask(session, { path: "/other", body: BODY.subarray(0, size) })),
  );
  assert.deepEqual(
    answers.map(({ body }) => Number(body.toString())),
    sizes,
  );
});

interface Stalled {
  readonly model: ServerHttp2Stream;
  readonly client: ClientHttp2Stream;
}

/** What may become of an upload that stands still, and how its exchange ends. */
const ENDS: Readonly<Record<string, { end?: (at: Stalled) => void; outcome: string }>> = {
  "the model resets it": { end: ({ model }) => model.close(2), outcome: "reset" },
  "the model's connection dies": { end: ({ model }) => model.session?.destroy(), outcome: "reset" },
  "its client resets it": { end: ({ client }) => client.close(8), outcome: "client_abort" },
  "its client's connection dies": { end: ({ client }) => client.session?.destroy(), outcome: "client_abort" },
  "its time is up": { outcome: "timeout" },
  "the model answers without reading it": {
    end: ({ model }) => {
      model.respond({ ":status": 200 });
      model.end("early");
    },
    outcome: "ok",
  },
};

for (const [what, { end, outcome }] of Object.entries(ENDS)) {
  test(`an upload that stands still leaves nothing behind when ${what}`, async (t) => {
    const taken: ServerHttp2Stream[] = [];
    const origin = await streamOrigin(t, (stream) => taken.push(stream));
    const limits = { ...LIMITS, totalMs: 200 };
    const clock = heldClock();
    const running = await startProxy(t, origin.url, { limits, clock });
    const session = await connectStreams(t, running.port);
    const client = upload(session, BODY);
    const answer = wholeAnswer(client);
    await eventually(() => taken.length === 1 && running.proxy.stats().heldBytes > 50_000);
    const [model] = taken;
    if (end === undefined) clock.pass(201);
    else if (model !== undefined) end({ model, client });
    await answer;
    const [exchange] = await running.delivered(1);
    assert.equal(exchange?.outcome, outcome);
    await eventually(
      () => running.proxy.stats().activeRequests === 0 && running.proxy.stats().heldBytes === 0,
    );
  });
}

/** Takes a chunk, and rests. */
function sip(stream: ClientHttp2Stream | ServerHttp2Stream): void {
  stream.on("data", () => {
    stream.pause();
    setTimeout(() => stream.resume(), 1);
  });
}

test("one that is slow all the time, be it the model or the client, makes no more held than one that stands still", async (t) => {
  const { url } = await streamOrigin(t, (stream) => {
    sip(stream);
    stream.on("end", () => {
      stream.respond({ ":status": 200 });
      stream.end(BODY);
    });
  });
  const running = await startProxy(t, url);
  const held = watchHeld(t, running);
  const session = await connectStreams(t, running.port);
  const client = upload(session, BODY);
  const answer = wholeAnswer(client);
  sip(client);
  assert.ok((await answer).body.equals(BODY));
  assert.ok(held.most() < MIB / 4, `${held.most()} bytes were held`);
  assert.equal(running.proxy.stats().limited["held_body"], 0);
});
