// Uploads that the model does not take, or not yet: none is kept for good, whether its client stays or leaves, over either version.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import test, { type TestContext } from "node:test";
import { StreamTimes } from "../../src/proxy/http2/times.ts";
import { connectStreams, streamOrigin } from "./http2-support.ts";
import { movedClock, type HandClock } from "../support/hand-clock.ts";
import { LIMITS, eventually, get, pause, rawClient, rawOrigin, startProxy, type Running } from "./support.ts";

const MIB = 1024 * 1024;
const UPLOAD_MS = LIMITS.uploadMs;
/** More than the system's buffers take on their way to a model that reads nothing. */
const LONG = Buffer.alloc(32 * MIB, "x");

const head = (bytes: number): string => `POST /slow HTTP/1.1\r\nHost: m\r\nContent-Length: ${bytes}\r\n\r\n`;
const timedOut = ({ proxy }: Running): number => proxy.stats().limited["upload_timeout"] ?? 0;
/** One is under way, and the model takes nothing more of it. */
const stalled = async ({ proxy }: Running): Promise<void> => {
  let before = -1;
  await eventually(() => proxy.stats().heldBytes > 16_000);
  for (let held = proxy.stats().heldBytes; held !== before; held = proxy.stats().heldBytes) {
    before = held;
    await pause(100);
  }
};

/** As many sweeps as there are seconds, each with what can be read by then. */
async function seconds(clock: HandClock, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function nothingLeft(running: Running, outcome: string): Promise<void> {
  const [exchange] = await running.delivered(1);
  assert.equal(exchange?.outcome, outcome);
  await eventually(() => running.proxy.stats().heldBytes === 0 && running.proxy.stats().activeRequests === 0);
}

/** Looks until the client's leaving shows, long before its upload's time is up. */
async function seenToBeGone(running: Running, clock: HandClock): Promise<void> {
  await eventually(() => {
    clock.advance(1000);
    return running.exchanges.length > 0;
  });
  await nothingLeft(running, "client_abort");
  assert.equal(timedOut(running), 0);
}

interface Model {
  readonly url: string;
  /** Takes so much of what was sent that the system's buffers take more, too. */
  readonly sip: () => Promise<void>;
  /** The sidecar has given it up. */
  readonly left: () => boolean;
}

/** A third of the largest buffer of a sender, and more: below it the system reports no room. */
const SIP_BYTES = 4 * MIB;

async function sip(from: Readable): Promise<void> {
  let bytes = 0;
  const count = (chunk: Buffer): void => void (bytes += chunk.length);
  from.on("data", count).resume();
  await eventually(() => bytes >= SIP_BYTES);
  from.off("data", count).pause();
}

/** Models that take nothing until they are told to, over either version. */
const MODELS: Readonly<Record<string, (t: TestContext) => Promise<Model>>> = {
  "HTTP/1.1": async (t) => {
    const { promise: asked, resolve } = Promise.withResolvers<Socket>();
    let gone = false;
    const { url } = await rawOrigin(t, (socket) => {
      resolve(socket.pause().on("close", () => (gone = true)));
    });
    const left = (): boolean => {
      // Behind what it has not read.
      void asked.then((socket) => socket.resume());
      return gone;
    };
    return { url, sip: async () => sip(await asked), left };
  },
  "HTTP/2": async (t) => {
    const { promise: asked, resolve } = Promise.withResolvers<Readable>();
    let gone = false;
    const { url } = await streamOrigin(t, (stream) => {
      resolve(stream.on("close", () => (gone = true)));
    });
    return { url, sip: async () => sip(await asked), left: () => gone };
  },
};

/** Clients that upload more than the model takes; each gives the answer's status in the end. */
const CLIENTS: Readonly<Record<string, (t: TestContext, port: number) => Promise<() => Promise<number>>>> = {
  "HTTP/1.1": async (t, port) => {
    const client = await rawClient(t, port);
    client.send(head(LONG.length));
    client.send(LONG);
    return async () => Number((await client.until(/^HTTP\/1\.1 \d{3} [^]*\r\n\r\n/)).slice(9, 12));
  },
  "HTTP/2": async (t, port) => {
    const session = await connectStreams(t, port);
    const stream = session.request({ ":method": "POST", ":path": "/slow" });
    stream.on("error", () => {}).end(LONG);
    const answered = once(stream, "response");
    return async () => Number((await answered)[0][":status"]);
  },
};

for (const [to, model] of Object.entries(MODELS)) {
  for (const [from, client] of Object.entries(CLIENTS)) {
    test(`an upload over ${from} to a model of ${to} that takes nothing is answered with 504 after its time, counted, and leaves nothing`, async (t) => {
      const clock = movedClock();
      const { url, left } = await model(t);
      const running = await startProxy(t, url, { clock });
      const status = await client(t, running.port);
      await stalled(running);
      await seconds(clock, UPLOAD_MS / 1000 - 1);
      assert.equal(timedOut(running), 0);
      await seconds(clock, 5);
      assert.equal(await status(), 504);
      await nothingLeft(running, "timeout");
      assert.equal(running.exchanges[0]?.ownError, "response_timeout");
      assert.equal(timedOut(running), 1);
      await eventually(left);
    });

    test(`an upload over ${from} to a model of ${to} that takes some now and then is not cut`, async (t) => {
      const clock = movedClock();
      const { url, sip } = await model(t);
      const running = await startProxy(t, url, { clock });
      await client(t, running.port);
      for (let i = 0; i < 4; i++) {
        await stalled(running);
        await seconds(clock, UPLOAD_MS / 1000 - 2);
        await sip();
      }
      assert.equal(timedOut(running), 0);
      assert.equal(running.proxy.stats().activeRequests, 1);
    });
  }
}

for (const [to, model] of Object.entries(MODELS)) {
  test(`a client whose connection is reset while a model of ${to} takes nothing of its upload is seen to be gone, though its bytes are not read`, async (t) => {
    const clock = movedClock();
    const { url, left } = await model(t);
    const running = await startProxy(t, url, { clock });
    const client = await rawClient(t, running.port);
    client.send(head(LONG.length));
    client.send(LONG);
    await stalled(running);
    client.socket.resetAndDestroy();
    // The reset is on its way to us.
    await seenToBeGone(running, clock);
    await eventually(left);
  });

  test(`a client that goes with more on its way than is looked through costs no more than the time that a model of ${to} has`, async (t) => {
    const clock = movedClock();
    const { url, left } = await model(t);
    const running = await startProxy(t, url, { clock });
    const client = await rawClient(t, running.port);
    client.send(head(LONG.length));
    client.send(LONG);
    await stalled(running);
    client.socket.destroy();
    await seconds(clock, UPLOAD_MS / 1000 + 5);
    await nothingLeft(running, "timeout");
    assert.equal(timedOut(running), 1);
    // What is left of it is read off, with a bound, and its end seen.
    await eventually(() => running.proxy.stats().openConnections === 0);
    await eventually(left);
  });
}

/** What a client has sent when it closes its side, of an upload to a model whose window is 64 KiB. */
const SENT: Readonly<Record<string, { readonly length: number; readonly sent: number }>> = {
  "all of its upload": { length: 150_000, sent: 150_000 },
  "a part of its upload": { length: MIB, sent: 160_000 },
};

for (const [what, { length, sent }] of Object.entries(SENT)) {
  test(`a client that leaves after ${what} is seen to be gone, though the model takes nothing`, async (t) => {
    const clock = movedClock();
    const model = await MODELS["HTTP/2"]?.(t);
    const running = await startProxy(t, model?.url ?? "", { clock });
    const client = await rawClient(t, running.port);
    client.send(head(length));
    client.send(LONG.subarray(0, sent));
    await stalled(running);
    client.socket.end();
    await seenToBeGone(running, clock);
    assert.ok(clock.monotonicMs() < UPLOAD_MS);
  });
}

test("an upload without a limit of time is kept as long as its client is there", async (t) => {
  const clock = movedClock();
  const { url } = (await MODELS["HTTP/1.1"]?.(t)) ?? { url: "" };
  const running = await startProxy(t, url, { clock, limits: { ...LIMITS, uploadMs: 0 } });
  const client = await rawClient(t, running.port);
  client.send(head(LONG.length));
  client.send(LONG);
  await stalled(running);
  const held = running.proxy.stats().heldBytes;
  await seconds(clock, 10 * (UPLOAD_MS / 1000));
  assert.equal(running.proxy.stats().activeRequests, 1);
  // Once looked for its end.
  assert.ok(running.proxy.stats().heldBytes <= held + 2 * 64 * 1024);
});

test("an upload that waited for the model is no part of the time of a later one on the same connection", async (t) => {
  const clock = movedClock();
  let take = (): void => {};
  // Takes 64 KiB of a body, and the rest when it is told to.
  const { url } = await streamOrigin(t, (stream) => {
    take = () => void stream.resume();
    if (stream.endAfterHeaders) take();
    stream.on("end", () => stream.respond({ ":status": 200, "content-length": 0 }, { endStream: true }));
  });
  const running = await startProxy(t, url, { clock });
  const client = await rawClient(t, running.port);
  const body = LONG.subarray(0, 80_000);
  const upload = async (): Promise<void> => {
    client.send(head(body.length));
    client.send(body);
    await eventually(() => running.proxy.stats().heldBytes >= body.length);
    await seconds(clock, 3);
  };
  await upload();
  take();
  await running.delivered(1);
  // Others in between keep the connection, and are over at once.
  for (let passedMs = 0, count = 1; passedMs <= UPLOAD_MS; passedMs += LIMITS.idleMs / 2) {
    clock.advance(LIMITS.idleMs / 2);
    client.send(get("/short"));
    await running.delivered(++count);
  }
  await upload();
  assert.equal(timedOut(running), 0);
  take();
  await eventually(() => running.exchanges.at(-1)?.target === "/slow");
  assert.ok(running.exchanges.every(({ outcome }) => outcome === "ok"));
});

test("a stream whose model takes as much as comes is not late, though as much as before waits at every look", () => {
  const times = new StreamTimes(0);
  const waiting = { unsentBytes: 0, waitingBytes: 8000, awaitsBody: true, underway: true };
  let nowMs = 1000;
  times.bodyCame(9000, nowMs);
  for (; nowMs <= 3 * UPLOAD_MS; nowMs += 1000) {
    times.bodyCame(100, nowMs);
    assert.equal(times.late({ ...waiting, nowMs }, LIMITS), null);
  }
  // From now on nothing is taken of what comes.
  times.bodyCame(100, nowMs);
  assert.equal(times.late({ ...waiting, waitingBytes: 8100, nowMs }, LIMITS), null);
  nowMs += UPLOAD_MS;
  times.bodyCame(100, nowMs);
  assert.equal(times.late({ ...waiting, waitingBytes: 8200, nowMs }, LIMITS), "upload");
});
