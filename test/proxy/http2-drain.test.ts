// The drain of HTTP/2 connections: what RFC 9113 §6.8 promises a client is kept, whatever stands still, and it ends in its time.

import assert from "node:assert/strict";
import type { ServerHttp2Stream } from "node:http2";
import test, { type TestContext } from "node:test";
import {
  PREFACE,
  TYPE,
  connectStreams,
  frame,
  rawStreams,
  requestHead,
  setting,
  streamOrigin,
  valuesOf,
  wholeAnswer,
  windowUpdate,
  type Frame,
  type RawStreams,
} from "./http2-support.ts";
import type { Clock } from "../../src/kernel/clock.ts";
import { movedClock } from "../support/hand-clock.ts";
import { eventually, pause, startProxy, type Running } from "./support.ts";

const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
const INTERNAL_ERROR = 2;
const LARGEST = 2 ** 31 - 1;
const DRAINING_GRPC = "14";

/** What the model does with a stream, by its path. */
const DOES: Readonly<Record<string, (stream: ServerHttp2Stream, held: Held) => void>> = {
  "/held": (stream, held) => held.push(stream),
  "/deaf": (stream) => stream.pause(),
  "/large": (stream) => {
    stream.respond({ ":status": 200 });
    stream.end(Buffer.alloc(8 * 1024 * 1024));
  },
  "/ticking": (stream, held) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.write("first");
    held.push(stream);
  },
};

type Held = ServerHttp2Stream[];

interface Rig extends Running {
  readonly held: Held;
  readonly paths: string[];
}

async function rig(t: TestContext, options: { clock?: Clock } = {}): Promise<Rig> {
  const held: Held = [];
  const paths: string[] = [];
  const origin = await streamOrigin(t, (stream, raw) => {
    const [path = ""] = valuesOf(raw, ":path");
    paths.push(path);
    DOES[path]?.(stream, held);
  });
  return { ...(await startProxy(t, origin.url, options)), held, paths };
}

function asking(path: string, stream: number, flags = END_STREAM): Buffer {
  return requestHead(stream, { path, flags: END_HEADERS | flags });
}

async function opened(t: TestContext, port: number, window = LARGEST): Promise<RawStreams> {
  const client = await rawStreams(t, port);
  client.socket.write(
    Buffer.concat([
      PREFACE,
      frame(TYPE.settings, 0, { stream: 0, payload: setting(4, window) }),
      windowUpdate(0, 2 ** 30),
      frame(TYPE.settings, ACK, { stream: 0 }),
    ]),
  );
  return client;
}

const goaways = ({ frames }: RawStreams): number[] =>
  frames.filter(({ type }) => type === TYPE.goaway).map(({ payload }) => payload.readUInt32BE(0));

const of = ({ frames }: RawStreams, stream: number): Frame[] => frames.filter((one) => one.stream === stream);

const ended = (client: RawStreams, stream: number): boolean =>
  of(client, stream).some(({ type, flags }) => type <= TYPE.headers && (flags & END_STREAM) !== 0);

const resetOf = (client: RawStreams, stream: number): number | undefined =>
  of(client, stream)
    .find(({ type }) => type === TYPE.rst)
    ?.payload.readUInt32BE(0);

/** Answers the round trip that stands between the two notices. */
async function answerPing(client: RawStreams): Promise<void> {
  const isPing = ({ type, flags }: Frame): boolean => type === TYPE.ping && flags === 0;
  await eventually(() => client.frames.some(isPing));
  const payload = client.frames.find(isPing)?.payload ?? Buffer.alloc(8);
  client.socket.write(frame(TYPE.ping, ACK, { stream: 0, payload }));
}

const outcomes = (running: Running): Record<string, unknown> =>
  Object.fromEntries(running.exchanges.map(({ target, outcome }) => [target, outcome]));

test("streams that begin before the second notice are served, those above its last stream are not processed", async (t) => {
  const running = await rig(t, { clock: movedClock() });
  const client = await opened(t, running.port);
  client.socket.write(asking("/held", 1));
  await eventually(() => running.held.length === 1);
  const stopped = running.proxy.stop(60_000);
  await eventually(() => goaways(client).length === 1);
  assert.deepEqual(goaways(client), [LARGEST]);
  // Behind the first notice, before the ping is answered: they may have crossed it.
  client.socket.write(Buffer.concat([asking("/held", 3), asking("/held", 5)]));
  await eventually(() => running.held.length === 3);
  await answerPing(client);
  await eventually(() => goaways(client).length === 2);
  assert.equal(goaways(client)[1], 5);
  client.socket.write(Buffer.concat([asking("/beyond", 7), asking("/beyond", 9, 0)]));
  client.socket.write(frame(TYPE.data, END_STREAM, { stream: 9, payload: Buffer.from("body") }));
  for (const one of running.held) {
    one.respond({ ":status": 200 });
    one.end("late");
  }
  await stopped;
  await eventually(() => client.closed());
  assert.deepEqual(
    [1, 3, 5, 7, 9].map((stream) => [ended(client, stream), of(client, stream).length > 0]),
    [
      [true, true],
      [true, true],
      [true, true],
      [false, false],
      [false, false],
    ],
  );
  assert.deepEqual(running.paths, ["/held", "/held", "/held"]);
  const { seen, activeRequests } = running.proxy.stats();
  assert.deepEqual([seen, activeRequests, running.exchanges.length], [3, 0, 3]);
  assert.ok(running.exchanges.every(({ outcome }) => outcome === "ok"));
});

test("a client that answers no ping is told the last stream all the same, after a second", async (t) => {
  const clock = movedClock();
  const running = await rig(t, { clock });
  const client = await opened(t, running.port);
  client.socket.write(asking("/held", 1));
  await eventually(() => running.held.length === 1);
  const stopped = running.proxy.stop(60_000);
  await eventually(() => goaways(client).length === 1);
  client.socket.write(asking("/held", 3));
  await eventually(() => running.held.length === 2);
  clock.advance(999);
  assert.equal(goaways(client).length, 1);
  clock.advance(1);
  await eventually(() => goaways(client).length === 2);
  assert.equal(goaways(client)[1], 3);
  for (const one of running.held) {
    one.respond({ ":status": 200 });
    one.end("late");
  }
  await stopped;
  await eventually(() => client.closed());
  assert.ok(ended(client, 1) && ended(client, 3));
});

test("a client that stays connected after its last answer does not hold up the drain", async (t) => {
  const running = await rig(t);
  const client = await opened(t, running.port);
  // It hears the end of the connection, and keeps its own half open.
  client.socket.allowHalfOpen = true;
  client.socket.write(asking("/held", 1));
  await eventually(() => running.held.length === 1);
  let over = false;
  const stopped = running.proxy.stop(600_000).then(() => (over = true));
  await answerPing(client);
  running.held[0]?.respond({ ":status": 200 }, { endStream: true });
  await eventually(() => over);
  await stopped;
  assert.ok(ended(client, 1));
  assert.equal(running.proxy.stats().openConnections, 0);
});

test("uploads and downloads that stand still hold up nobody, and are ended at the deadline, counted and told", async (t) => {
  const clock = movedClock();
  const running = await rig(t, { clock });
  const client = await opened(t, running.port, 20_000);
  const upload = (stream: number): Buffer => frame(TYPE.data, 0, { stream, payload: Buffer.alloc(16_000) });
  client.socket.write(
    Buffer.concat([
      asking("/deaf", 1, 0),
      upload(1),
      upload(1),
      asking("/large", 3),
      asking("/held", 5, 0),
      upload(5),
      asking("/ticking", 7, 0),
    ]),
  );
  await eventually(() => of(client, 3).length > 1 && of(client, 7).length > 1 && running.held.length === 2);
  const stopped = running.proxy.stop(3000);
  await answerPing(client);
  await eventually(() => goaways(client).length === 2);
  // Meanwhile one of them comes to its end, and so does one that took its client's windows.
  client.socket.write(frame(TYPE.data, END_STREAM, { stream: 5 }));
  const [waiting, ticking] = running.held;
  waiting?.respond({ ":status": 200 });
  waiting?.end("late");
  await eventually(() => ended(client, 5));
  ticking?.write("second");
  await eventually(() => of(client, 7).filter(({ type }) => type === TYPE.data).length === 2);
  clock.advance(3000);
  await stopped;
  await eventually(() => client.closed());
  // Nothing had left of its answer: it is told.
  assert.match(
    Buffer.concat(of(client, 1).map(({ payload }) => payload)).toString("latin1"),
    /503.*draining/s,
  );
  // What has begun is visibly no whole.
  assert.deepEqual([ended(client, 3), ended(client, 7)], [false, false]);
  // Not only by the end of the connection, and not by a reset without an error: to some clients that is an end.
  assert.deepEqual([resetOf(client, 3), resetOf(client, 7)], [INTERNAL_ERROR, INTERNAL_ERROR]);
  assert.deepEqual(outcomes(running), {
    "/deaf": "rejected",
    "/large": "reset",
    "/held": "ok",
    "/ticking": "reset",
  });
  const { seen, activeRequests, heldBytes, openConnections } = running.proxy.stats();
  assert.deepEqual([seen, activeRequests, heldBytes, openConnections], [4, 0, 0, 0]);
  assert.equal(running.exchanges.length, 4);
});

test("a gRPC call that is not answered by the deadline ends with a status that says: elsewhere", async (t) => {
  const running = await rig(t);
  const session = await connectStreams(t, running.port);
  const stream = session.request({
    ":method": "POST",
    ":path": "/held",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.write("request");
  const answering = wholeAnswer(stream);
  await eventually(() => running.held.length === 1);
  await running.proxy.stop(50);
  const answer = await answering;
  assert.deepEqual([answer.status, answer.headers["grpc-status"]], [200, DRAINING_GRPC]);
  assert.equal((await running.delivered(1))[0]?.outcome, "rejected");
});

test("128 uploads of one connection that stand still, its windows small, go on during the drain once the model takes them", async (t) => {
  const bodies: number[] = [];
  const deaf: ServerHttp2Stream[] = [];
  const origin = await streamOrigin(t, (stream) => {
    stream.pause();
    deaf.push(stream);
  });
  const running = await startProxy(t, origin.url);
  const session = await connectStreams(t, running.port);
  const size = 64 * 1024;
  const answers = Array.from({ length: 100 }, () => {
    const stream = session.request({ ":method": "POST", ":path": "/" });
    const answering = wholeAnswer(stream);
    stream.end(Buffer.alloc(size));
    return answering;
  });
  await eventually(() => deaf.length === 100 && (running.proxy.stats().limited["held_body"] ?? 0) > 0);
  const stopped = running.proxy.stop(60_000);
  await eventually(() => session.closed);
  for (const stream of deaf) {
    let came = 0;
    stream.on("data", (chunk: Buffer) => (came += chunk.length));
    stream.on("end", () => {
      bodies.push(came);
      stream.respond({ ":status": 200 });
      stream.end("ok");
    });
    stream.resume();
  }
  await stopped;
  assert.ok((await Promise.all(answers)).every(({ body }) => body.toString() === "ok"));
  assert.deepEqual(new Set(bodies), new Set([size]));
  assert.equal(running.exchanges.length, 100);
});

test("streams that are opened without a pause during the drain end with it, none of them half", async (t) => {
  const running = await rig(t);
  const client = await opened(t, running.port);
  let next = 1;
  client.socket.write(asking("/ticking", next));
  await eventually(() => running.held.length === 1);
  let over = false;
  const stopped = running.proxy.stop(1500).then(() => (over = true));
  while (!over && next < 2000) {
    next += 2;
    client.socket.write(asking("/large", next));
    await pause(1);
  }
  await stopped;
  await eventually(() => client.closed());
  assert.equal(running.exchanges.length, running.proxy.stats().seen);
  const processed = goaways(client)[1] ?? 0;
  for (let stream = 1; stream <= next; stream += 2) {
    if (stream <= processed) continue;
    assert.equal(of(client, stream).length, 0, `stream ${stream} was said not to be processed`);
  }
  assert.equal(running.proxy.stats().activeRequests, 0);
});
