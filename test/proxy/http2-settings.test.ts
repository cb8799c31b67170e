// SETTINGS that change while streams run (RFC 9113 §6.5, §6.9.2), from the client and from a model of HTTP/2: what is allowed costs no
// byte, and what is not ends the one connection that said it.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerHttp2Session, ServerHttp2Stream, Settings } from "node:http2";
import { connect as connectSocket } from "node:net";
import test, { type TestContext } from "node:test";
import { Channel } from "../../src/proxy/http2/channel.ts";
import {
  PREFACE,
  TYPE,
  ask,
  connectStreams,
  frame,
  rawStreams,
  requestHead,
  setting,
  streamOrigin,
  wholeAnswer,
  windowUpdate,
  type RawStreams,
  type StreamOrigin,
} from "./http2-support.ts";
import { movedClock, type HandClock } from "../support/hand-clock.ts";
import { eventually, patternOf, pause, startProxy, type Running } from "./support.ts";

const SETTING = Object.freeze({ table: 1, push: 2, streams: 3, window: 4, frame: 5 });
const CODE = Object.freeze({ protocol: 1, flow: 3 });
const LARGEST = 2 ** 31 - 1;
const END = 1;
const BODY = patternOf(7, 300_000);
const CONNECT_MS = 5000;
/** That a model of HTTP/2 gets at most. */
const CONNECTIONS = 64;

const settings = (...payload: Buffer[]): Buffer =>
  frame(TYPE.settings, 0, { stream: 0, payload: Buffer.concat(payload) });
const asking = (stream: number): Buffer => requestHead(stream, { method: "GET", flags: 5 });

/** A model that answers `BODY`, and a client that writes its frames by hand. */
async function rig(t: TestContext): Promise<{ running: Running; client: RawStreams }> {
  const origin = await streamOrigin(t, (stream) => {
    stream.respond({ ":status": 200 });
    stream.end(BODY);
  });
  const running = await startProxy(t, origin.url);
  const client = await rawStreams(t, running.port);
  client.socket.write(Buffer.concat([PREFACE, settings(), windowUpdate(0, 2 ** 30)]));
  return { running, client };
}

const dataOf = ({ frames }: RawStreams, stream: number): Buffer =>
  Buffer.concat(
    frames.filter((one) => one.type === TYPE.data && one.stream === stream).map(({ payload }) => payload),
  );

const ended = ({ frames }: RawStreams, stream: number): boolean =>
  frames.some((one) => one.stream === stream && one.type <= TYPE.headers && (one.flags & END) !== 0);

const acknowledged = ({ frames }: RawStreams): number =>
  frames.filter(({ type, flags }) => type === TYPE.settings && flags === 1).length;

test("a client that takes windows below zero gets nothing until they are above it again, and all of it then", async (t) => {
  const { running, client } = await rig(t);
  client.socket.write(asking(1));
  await eventually(() => dataOf(client, 1).length === 65_535);
  // 65,535 below zero.
  client.socket.write(settings(setting(SETTING.window, 0)));
  await eventually(() => acknowledged(client) === 2);
  client.socket.write(Buffer.concat([windowUpdate(1, 65_535), asking(3)]));
  const pinged = frame(TYPE.ping, 0, { stream: 0, payload: Buffer.alloc(8, 1) });
  client.socket.write(pinged);
  await eventually(() => client.frames.some(({ type, flags }) => type === TYPE.ping && flags === 1));
  assert.deepEqual([dataOf(client, 1).length, dataOf(client, 3).length], [65_535, 0]);
  client.socket.write(windowUpdate(1, 10));
  await eventually(() => dataOf(client, 1).length === 65_545);
  client.socket.write(settings(setting(SETTING.window, 2 ** 20)));
  await eventually(() => ended(client, 1) && ended(client, 3));
  assert.ok(dataOf(client, 1).equals(BODY) && dataOf(client, 3).equals(BODY));
  await running.delivered(2);
  assert.ok(running.exchanges.every(({ outcome }) => outcome === "ok"));
});

test("frames keep to the size that a client says last, up and down", async (t) => {
  const { client } = await rig(t);
  client.socket.write(settings(setting(SETTING.window, 2 ** 20), setting(SETTING.frame, 2 ** 17)));
  client.socket.write(asking(1));
  await eventually(() => ended(client, 1));
  client.socket.write(settings(setting(SETTING.frame, 2 ** 14)));
  await eventually(() => acknowledged(client) === 3);
  const before = client.frames.length;
  client.socket.write(asking(3));
  await eventually(() => ended(client, 3));
  assert.ok(client.frames.slice(before).every(({ payload }) => payload.length <= 2 ** 14));
  assert.ok(dataOf(client, 1).equals(BODY) && dataOf(client, 3).equals(BODY));
});

/** What no client may say -> the code that ends its connection. */
const WRONG: Readonly<Record<string, readonly [says: Buffer, code: number]>> = {
  "windows that a larger first size makes overflow": [
    // What is left of the answer takes less of them than is added.
    Buffer.concat([windowUpdate(1, LARGEST), settings(setting(SETTING.window, 65_535 + BODY.length))]),
    CODE.flow,
  ],
  "a first window above 2^31 - 1": [settings(setting(SETTING.window, 2 ** 31)), CODE.flow],
  "frames of less than 16 KiB": [settings(setting(SETTING.frame, 16_383)), CODE.protocol],
  "frames of more than 2^24 - 1": [settings(setting(SETTING.frame, 2 ** 24)), CODE.protocol],
  "a push that is neither on nor off": [settings(setting(SETTING.push, 2)), CODE.protocol],
};

for (const [what, [says, code]] of Object.entries(WRONG)) {
  test(`a client that says ${what} within an answer loses its connection with code ${code}, counted, and nobody else does`, async (t) => {
    const { running, client } = await rig(t);
    const other = await connectStreams(t, running.port);
    client.socket.write(asking(1));
    await eventually(() => dataOf(client, 1).length === 65_535);
    client.socket.write(says);
    await eventually(() => client.closed());
    const last = client.frames.findLast(({ type }) => type === TYPE.goaway);
    assert.equal(last?.payload.readUInt32BE(4), code);
    assert.equal((await running.delivered(1))[0]?.outcome, "client_abort");
    assert.equal(running.proxy.stats().clientErrors, 1);
    assert.ok((await ask(other)).body.equals(BODY));
    await eventually(() => running.proxy.stats().activeRequests === 0);
  });
}

test("tables of headers may be taken away and given back between requests, by the client and by the model", async (t) => {
  const origin = await streamOrigin(t, (stream, raw) => {
    const said = raw[raw.indexOf("x-said") + 1] ?? "";
    stream.respond({ ":status": 200, "x-heard": said, "x-same": "always" });
    stream.end("ok");
  });
  const { port } = await startProxy(t, origin.url);
  const session = await connectStreams(t, port);
  for (const [k, headerTableSize] of [4096, 0, 65_536, 0, 1, 4096].entries()) {
    session.settings({ headerTableSize });
    origin.sessions[0]?.settings({ headerTableSize });
    for (let again = 0; again < 3; again++) {
      const said = `${k}-${again}-${"v".repeat(100)}`;
      const answer = await ask(session, { headers: { "x-said": said, "x-same": "always" } });
      assert.deepEqual([answer.headers["x-heard"], answer.headers["x-same"]], [said, "always"]);
    }
  }
  assert.equal(origin.sessions.length, 1);
});

async function told(session: ServerHttp2Session | undefined, to: Settings): Promise<void> {
  session?.settings(to);
  if (session !== undefined) await once(session, "localSettings");
}

/** A model whose streams wait to be read and answered. */
async function waitingModel(
  t: TestContext,
  first: Settings = {},
): Promise<StreamOrigin & { readonly waiting: ServerHttp2Stream[] }> {
  const waiting: ServerHttp2Stream[] = [];
  const origin = await streamOrigin(t, (stream) => void waiting.push(stream.pause()), { settings: first });
  return { ...origin, waiting };
}

/** Reads it to its end, and answers with how much came. */
function serve(stream: ServerHttp2Stream): void {
  let came = 0;
  stream.on("data", (chunk: Buffer) => (came += chunk.length));
  stream.on("end", () => {
    stream.respond({ ":status": 200 });
    stream.end(String(came));
  });
  stream.resume();
}

test("a model that takes windows below zero within uploads gets the rest once it gives them again", async (t) => {
  const model = await waitingModel(t);
  const running = await startProxy(t, model.url);
  const session = await connectStreams(t, running.port);
  const answers = Array.from({ length: 5 }, () => {
    const stream = session.request({ ":method": "POST", ":path": "/" });
    stream.end(BODY);
    return wholeAnswer(stream);
  });
  await eventually(() => model.waiting.length === 5 && running.proxy.stats().heldBytes > 16_000);
  const [to] = model.sessions;
  await told(to, { initialWindowSize: 0 });
  await told(to, { initialWindowSize: 10 });
  await told(to, { initialWindowSize: LARGEST - 65_535 });
  model.waiting.forEach(serve);
  for (const { status, body } of await Promise.all(answers))
    assert.deepEqual([status, body.toString()], [200, String(BODY.length)]);
  assert.equal(running.proxy.stats().heldBytes, 0);
});

for (const lowered of [1, 0]) {
  test(`a model that allows ${lowered} stream(s) while ten run finishes those, and further ones wait or go elsewhere, none lost`, async (t) => {
    const model = await waitingModel(t, { maxConcurrentStreams: 100 });
    const running = await startProxy(t, model.url);
    const session = await connectStreams(t, running.port);
    const asked = (count: number): ReturnType<typeof ask>[] =>
      Array.from({ length: count }, () => ask(session, { body: "x" }));
    const first = asked(10);
    await eventually(() => model.waiting.length === 10);
    const before = model.sessions.length;
    await Promise.all(model.sessions.map((one) => told(one, { maxConcurrentStreams: lowered })));
    const more = asked(20);
    // They go over further connections, which allow a hundred.
    await eventually(() => model.waiting.length === 30);
    model.waiting.splice(0).forEach(serve);
    for (const { status, body } of await Promise.all([...first, ...more]))
      assert.deepEqual([status, body.toString()], [200, "1"]);
    assert.ok(
      model.sessions.length <= 2 * before + 1,
      `${model.sessions.length} connections, ${before} before`,
    );
  });
}

test("a model that allows no stream at all for a while has calls wait, on few connections, and none is lost", async (t) => {
  const model = await waitingModel(t, { maxConcurrentStreams: 0 });
  const running = await startProxy(t, model.url);
  const session = await connectStreams(t, running.port);
  const answers = Array.from({ length: 5 }, () => ask(session, { body: "x" }));
  await eventually(() => model.sessions.length > 0 && running.proxy.stats().activeRequests === 5);
  await eventually(() => model.sessions.every(({ pendingSettingsAck }) => !pendingSettingsAck));
  for (const one of model.sessions) one.settings({ maxConcurrentStreams: 10 });
  const serving = setInterval(() => model.waiting.splice(0).forEach(serve), 5);
  t.after(() => clearInterval(serving));
  assert.ok((await Promise.all(answers)).every(({ status }) => status === 200));
  assert.ok(model.sessions.length <= 3, `${model.sessions.length} connections`);
  const { streamWaits, limited } = running.proxy.stats();
  assert.deepEqual([streamWaits, limited["stream_wait"]], [5, 0]);
});

/** Those that wait for a stream: still there just before the limit of a connection, gone with it. */
async function outwait(clock: HandClock, { proxy }: Running, underway: number): Promise<void> {
  await eventually(() => proxy.stats().activeRequests === underway);
  clock.advance(CONNECT_MS - 1);
  await pause(20);
  assert.equal(proxy.stats().activeRequests, underway);
  clock.advance(1);
}

test("calls to a model that goes on allowing no stream wait as long as for a connection, and are told why", async (t) => {
  const clock = movedClock();
  const model = await waitingModel(t, { maxConcurrentStreams: 0 });
  const running = await startProxy(t, model.url, { clock, connectTimeoutMs: CONNECT_MS });
  const session = await connectStreams(t, running.port);
  const grpc = { "content-type": "application/grpc", te: "trailers" };
  // One pool of connections: the first stream's way is not that of others.
  const answering = ask(session, { body: "x" });
  const calling = ask(await connectStreams(t, running.port), { headers: grpc, body: "x" });
  await eventually(() => model.sessions.length > 0);
  await eventually(() => model.sessions.every(({ pendingSettingsAck }) => !pendingSettingsAck));
  await outwait(clock, running, 2);
  const [answer, call] = await Promise.all([answering, calling]);
  assert.deepEqual([answer.status, call.headers["grpc-status"]], [504, "14"]);
  assert.match(answer.body.toString(), /allowed no further stream in time.*connect_timeout/s);
  assert.equal(running.proxy.stats().limited["stream_wait"], 2);
  assert.equal(running.proxy.stats().streamWaits, 2);
  assert.deepEqual(new Set((await running.delivered(2)).map(({ outcome }) => outcome)), new Set(["timeout"]));
});

test("calls that find all streams of all connections taken wait as long, and those that are under way go on", async (t) => {
  const clock = movedClock();
  const model = await waitingModel(t, { maxConcurrentStreams: 1 });
  const running = await startProxy(t, model.url, { clock, connectTimeoutMs: CONNECT_MS });
  const call = async (): Promise<number> => {
    const answer = await fetch(`http://127.0.0.1:${running.port}/`, { method: "POST", body: "x" });
    await answer.arrayBuffer();
    return answer.status;
  };
  const first = Array.from({ length: CONNECTIONS }, call);
  await eventually(() => model.waiting.length === CONNECTIONS);
  const more = [call(), call()];
  await outwait(clock, running, CONNECTIONS + 2);
  assert.deepEqual(await Promise.all(more), [504, 504]);
  assert.equal(running.proxy.stats().limited["stream_wait"], 2);
  // All but the first call found the connections there were full; it found none.
  assert.equal(running.proxy.stats().streamWaits, CONNECTIONS + 1);
  model.waiting.splice(0).forEach(serve);
  assert.deepEqual(new Set(await Promise.all(first)), new Set([200]));
});

test("a connection whose stream ids come to their end takes no more calls, and closes once those it has are over", async (t) => {
  const origin = await streamOrigin(t, () => {});
  const heard: string[] = [];
  const owner = {
    onOpen: () => void heard.push("open"),
    onRoom: () => {},
    onDead: () => void heard.push("dead"),
  };
  const channel = new Channel(owner, {
    authority: `http://127.0.0.1:${origin.port}`,
    openSocket: () => connectSocket(origin.port, "127.0.0.1"),
    streamWindow: 65_535,
    begunMax: 3,
  });
  t.after(() => channel.destroy());
  await eventually(() => channel.hasRoom);
  channel.streamBegun();
  channel.streamBegun();
  channel.streamOver(0);
  assert.equal(channel.hasRoom, true);
  channel.streamBegun();
  assert.equal(channel.hasRoom, false);
  channel.streamOver(0);
  assert.equal(channel.session.closed, false);
  channel.streamOver(0);
  await eventually(() => channel.dead);
  assert.deepEqual(heard, ["open", "dead"]);
});
