// A model of HTTP/2 that says that it has not processed a request (RFC 9113 §8.7): it is sent again, and nothing is processed twice.

import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import type { Socket } from "node:net";
import test, { type TestContext } from "node:test";
import {
  PREFACE,
  TYPE,
  connectStreams,
  frame,
  literals,
  number32,
  streamOrigin,
  wholeAnswer,
  windowUpdate,
} from "./http2-support.ts";
import { eventually, pause, rawOrigin, startProxy, type Running } from "./support.ts";

const END_STREAM = 1;
const END_HEADERS = 4;
const REFUSED_STREAM = 7;
const ENHANCE_YOUR_CALM = 11;
const INTERNAL_ERROR = 2;

/** What the model does when stream `count` of a connection begins: 1, 2, 3, ... */
type Takes = (count: number) => "process" | "refuse" | "leave" | "leave in anger" | "die";

interface Model {
  readonly url: string;
  /** Bodies of processed requests, in order. */
  readonly processed: string[];
  readonly connections: () => number;
  /** Streams that began and were not processed. */
  readonly turnedAway: () => number;
}

/** Answers each request that it processes with its body. */
async function model(t: TestContext, takes: Takes): Promise<Model> {
  const processed: string[] = [];
  let connections = 0;
  let turnedAway = 0;
  const { port } = await rawOrigin(t, (socket) => {
    connections++;
    serve(socket, { takes, processed, onTurnedAway: () => turnedAway++ });
  });
  return {
    url: `h2c://127.0.0.1:${port}`,
    processed,
    connections: () => connections,
    turnedAway: () => turnedAway,
  };
}

interface Serving {
  readonly takes: Takes;
  readonly processed: string[];
  readonly onTurnedAway: () => void;
}

function serve(socket: Socket, { takes, processed, onTurnedAway }: Serving): void {
  const bodies = new Map<number, string>();
  let count = 0;
  let last = 0;
  let left = false;
  const begin = (stream: number): void => {
    const what = left ? "leave" : takes(++count);
    if (what === "process") {
      bodies.set(stream, "");
      last = stream;
      return;
    }
    onTurnedAway();
    if (what === "die") socket.destroy();
    else if (what === "refuse")
      socket.write(frame(TYPE.rst, 0, { stream, payload: number32(REFUSED_STREAM) }));
    else if (!left) {
      left = true;
      const code = what === "leave" ? 0 : ENHANCE_YOUR_CALM;
      const payload = Buffer.concat([number32(last), number32(code)]);
      socket.write(frame(TYPE.goaway, 0, { stream: 0, payload }));
    }
  };
  const end = (stream: number): void => {
    const body = bodies.get(stream);
    if (body === undefined) return;
    bodies.delete(stream);
    processed.push(body);
    socket.write(
      Buffer.concat([
        frame(TYPE.headers, END_HEADERS, { stream, payload: literals([[":status", "200"]]) }),
        frame(TYPE.data, END_STREAM, { stream, payload: Buffer.from(body) }),
      ]),
    );
  };
  socket.write(Buffer.concat([frame(TYPE.settings, 0, { stream: 0 }), windowUpdate(0, 2 ** 30)]));
  let came = Buffer.alloc(0);
  let greeted = false;
  socket.on("data", (bytes: Buffer) => {
    came = Buffer.concat([came, bytes]);
    if (!greeted && came.length >= PREFACE.length) {
      greeted = true;
      came = came.subarray(PREFACE.length);
    }
    while (greeted && came.length >= 9 && came.length >= 9 + came.readUIntBE(0, 3)) {
      const length = came.readUIntBE(0, 3);
      const [type, flags, stream] = [came.readUInt8(3), came.readUInt8(4), came.readUInt32BE(5)];
      const payload = came.subarray(9, 9 + length);
      came = came.subarray(9 + length);
      if (type === TYPE.headers) begin(stream);
      const body = type === TYPE.data ? bodies.get(stream) : undefined;
      if (body !== undefined) bodies.set(stream, body + payload.toString("latin1"));
      if (type <= TYPE.headers && (flags & END_STREAM) !== 0) end(stream);
    }
  });
}

interface Told {
  readonly status: number;
  readonly body: string;
  readonly rstCode: number;
}

/** Sends the parts of a body with a pause before each, so that none comes in one turn with its head. */
type Client = (parts: readonly string[]) => Promise<Told>;

async function streamClient(t: TestContext, port: number): Promise<Client> {
  const session = await connectStreams(t, port);
  return async (parts) => {
    const stream = session.request({ ":method": "POST", ":path": "/" });
    const answering = wholeAnswer(stream);
    for (const part of parts) {
      await pause(2);
      if (!stream.destroyed) stream.write(part);
    }
    await pause(1);
    if (!stream.destroyed) stream.end();
    const { status, body, rstCode } = await answering;
    return { status, body: body.toString(), rstCode };
  };
}

function plainClient(t: TestContext, port: number): Client {
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  return async (parts) => {
    const asking = httpRequest({ port, host: "127.0.0.1", method: "POST", path: "/", agent });
    asking.on("error", () => {});
    asking.flushHeaders();
    const answering = once(asking, "response");
    for (const part of parts) {
      await pause(2);
      asking.write(part);
    }
    await pause(1);
    asking.end();
    const [response] = await answering;
    let body = "";
    for await (const chunk of response) body += String(chunk);
    return { status: Number(response.statusCode), body, rstCode: 0 };
  };
}

const CLIENTS: Readonly<Record<string, (t: TestContext, port: number) => Client | Promise<Client>>> = {
  "HTTP/1.1": plainClient,
  "HTTP/2": streamClient,
};

/** So many at a time, each with a body of its own. */
async function askMany(client: Client, count: number, atOnce: number): Promise<Map<string, Told>> {
  const answers = new Map<string, Told>();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const id = `request ${next++}`;
      answers.set(id, await client([id.slice(0, 3), id.slice(3)]));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return answers;
}

/** Those that are not 0, by `reason/outcome`. */
const resends = ({ proxy }: Running): Record<string, number> =>
  Object.fromEntries(Object.entries(proxy.stats().resends).filter(([, count]) => count > 0));

const WAYS: Readonly<Record<string, { takes: Takes; atOnce: number; reason: string }>> = {
  "leaves after every fifth stream": {
    takes: (count) => (count > 5 ? "leave" : "process"),
    atOnce: 20,
    reason: "goaway",
  },
  "leaves in anger after every third": {
    takes: (count) => (count > 3 ? "leave in anger" : "process"),
    // What it has begun is lost with the connection.
    atOnce: 1,
    reason: "goaway",
  },
  "refuses every third stream": {
    takes: (count) => (count % 3 === 0 ? "refuse" : "process"),
    // Of two, none can be refused four times.
    atOnce: 2,
    reason: "refused_stream",
  },
};

for (const [what, { takes, atOnce, reason }] of Object.entries(WAYS)) {
  for (const [version, clientOf] of Object.entries(CLIENTS)) {
    test(`bodies that come later than their heads, from ${version} to a model that ${what}: each is processed once`, async (t) => {
      const { url, processed, turnedAway } = await model(t, takes);
      const running = await startProxy(t, url);
      const answers = await askMany(await clientOf(t, running.port), 100, atOnce);
      for (const [id, { status, body }] of answers) assert.deepEqual([status, body], [200, id]);
      assert.equal(answers.size, 100);
      assert.deepEqual(processed.toSorted(), [...answers.keys()].toSorted());
      assert.ok(turnedAway() > 10);
      const came = resends(running);
      assert.ok(Object.keys(came).every((key) => key.startsWith(`${reason}/`)));
      const answered = came[`${reason}/answered`] ?? 0;
      assert.ok(answered > 10);
      // A connection that has been left may not have heard of all that was meant for it.
      assert.ok(answered + (came[`${reason}/unprocessed`] ?? 0) >= turnedAway());
      assert.deepEqual([came[`${reason}/failed`], came[`${reason}/given_up`]], [undefined, undefined]);
      await eventually(() => running.proxy.stats().heldBytes === 0);
      assert.ok((await running.delivered(100)).every(({ outcome }) => outcome === "ok"));
    });
  }
}

for (const [what, takes, times, reason] of [
  ["refuses each", () => "refuse", 4, "refused_stream"],
  ["leaves each connection at once", () => "leave", 9, "goaway"],
] satisfies [string, Takes, number, string][]) {
  test(`a model that ${what}: ${times} times in all, then its client is told that nothing was processed`, async (t) => {
    const { url, processed, turnedAway } = await model(t, takes);
    const running = await startProxy(t, url);
    const streams = await streamClient(t, running.port);
    const { status, rstCode } = await streams(["some", "thing"]);
    assert.deepEqual([status, rstCode], [0, REFUSED_STREAM]);
    assert.equal(turnedAway(), times);
    const plain = await plainClient(t, running.port)(["some", "thing"]);
    assert.equal(plain.status, 503);
    assert.match(plain.body, /has not processed the request\. Send it again\./);
    assert.equal(turnedAway(), 2 * times);
    const came = { [`${reason}/unprocessed`]: 2 * (times - 1), [`${reason}/given_up`]: 2 };
    assert.deepEqual(resends(running), came);
    assert.deepEqual(processed, []);
    const exchanges = await running.delivered(2);
    assert.deepEqual(
      exchanges.map((one) => [one.outcome, one.ownError, one.abortedBy]),
      [
        ["reset", "connection_reset", null],
        ["reset", "connection_reset", null],
      ],
    );
  });
}

test("a body that is too long to be kept is not sent again: its client is told that it was not processed", async (t) => {
  const long = ["x".repeat(70_000)];
  for (const [version, clientOf] of Object.entries(CLIENTS)) {
    let taken = 0;
    const origin = await streamOrigin(t, (stream) => {
      stream.on("data", (chunk: Buffer) => {
        taken += chunk.length;
        if (taken >= 65_536) stream.close(REFUSED_STREAM);
      });
    });
    const running = await startProxy(t, origin.url);
    const { status, rstCode } = await (await clientOf(t, running.port))(long);
    assert.deepEqual([status, rstCode], version === "HTTP/2" ? [0, REFUSED_STREAM] : [503, 0]);
    assert.deepEqual(resends(running), { "refused_stream/given_up": 1 });
  }
});

test("what may have been processed is not sent again: its connection died, or it was below the last stream", async (t) => {
  const dead = await model(t, () => "die");
  const running = await startProxy(t, dead.url);
  assert.equal((await (await streamClient(t, running.port))(["some", "thing"])).status, 502);
  assert.equal(dead.turnedAway(), 1);
  let streams = 0;
  const origin = await streamOrigin(t, (stream) => {
    streams++;
    stream.session?.goaway(0, stream.id);
    setImmediate(() => stream.close(INTERNAL_ERROR));
  });
  const other = await startProxy(t, origin.url);
  assert.equal((await (await streamClient(t, other.port))(["some", "thing"])).status, 502);
  assert.equal(streams, 1);
  assert.deepEqual([resends(other), resends(running)], [{}, {}]);
});

test("a refusal is said to the client, and not held against it as one of its own resets", async (t) => {
  const { url } = await model(t, () => "refuse");
  const running = await startProxy(t, url);
  const streams = await streamClient(t, running.port);
  const answers = await askMany(streams, 1200, 128);
  assert.ok([...answers.values()].every(({ rstCode }) => rstCode === REFUSED_STREAM));
  assert.equal(running.proxy.stats().limited["stream_resets"], 0);
});

test("a request that is sent again and then fails otherwise, or is left by its client, is counted as failed", async (t) => {
  let streams = 0;
  const origin = await streamOrigin(t, (stream) => {
    streams++;
    if (streams % 2 === 1) stream.close(REFUSED_STREAM);
    else if (streams === 2) stream.close(INTERNAL_ERROR);
  });
  const running = await startProxy(t, origin.url);
  const streamed = await streamClient(t, running.port);
  assert.equal((await streamed(["some", "thing"])).status, 502);
  assert.deepEqual(resends(running), { "refused_stream/failed": 1 });
  const session = await connectStreams(t, running.port);
  const leaving = session.request({ ":method": "GET", ":path": "/" });
  leaving.on("error", () => {});
  await eventually(() => streams === 4);
  leaving.close();
  await eventually(() => resends(running)["refused_stream/failed"] === 2);
});
