// What HTTP/2 clients send that they must not: each costs the one that sent it, and nobody else.

import assert from "node:assert/strict";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import {
  PREFACE,
  TYPE,
  ask,
  connectStreams,
  frame,
  literals,
  rawStreams,
  type Frame,
  type RawStreams,
} from "./http2-support.ts";
import {
  ask as askRaw,
  eventually,
  get,
  httpOrigin,
  pause,
  rawClient,
  startProxy,
  type Running,
} from "./support.ts";

const END_STREAM = 1;
const END_HEADERS = 4;
const PSEUDO: readonly [string, string][] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "model"],
];

interface Rig extends Running {
  readonly asked: () => number;
}

async function rig(t: TestContext): Promise<Rig> {
  let asked = 0;
  const origin = await httpOrigin(t, (request, response) => {
    asked++;
    request.resume().on("end", () => response.end("ok"));
  });
  return { ...(await startProxy(t, origin.url)), asked: () => asked };
}

async function opened(t: TestContext, port: number): Promise<RawStreams> {
  const raw = await rawStreams(t, port);
  raw.socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, { stream: 0 })]));
  await eventually(() => raw.frames.some(({ type, flags }) => type === TYPE.settings && flags === 1));
  return raw;
}

const headers = (fields: readonly (readonly [string, string])[], stream = 1, flags = END_STREAM): Buffer =>
  frame(TYPE.headers, END_HEADERS | flags, { stream, payload: literals(fields) });

const resets = (frames: readonly Frame[]): number[] =>
  frames.filter(({ type }) => type === TYPE.rst).map(({ payload }) => payload.readUInt32BE(0));

const answers = (frames: readonly Frame[], stream: number): number =>
  frames.filter((one) => one.type === TYPE.headers && one.stream === stream).length;

/** Others are served while, and after. */
async function assertServing(t: TestContext, port: number): Promise<void> {
  assert.equal((await ask(await connectStreams(t, port))).status, 200);
  assert.match(await askRaw(t, port, get("/", "Connection: close")), /^HTTP\/1\.1 200 /);
}

test("the preface is known in whatever pieces it comes, and what only begins like it is HTTP/1.1", async (t) => {
  const { port } = await rig(t);
  const raw = await rawStreams(t, port);
  const opening = Buffer.concat([
    PREFACE,
    frame(TYPE.settings, 0, { stream: 0 }),
    headers([[":method", "GET"], ...PSEUDO.slice(1)]),
  ]);
  for (const byte of opening) {
    raw.socket.write(Buffer.from([byte]));
    await pause(1);
  }
  await eventually(() => answers(raw.frames, 1) === 1);
  const client = await rawClient(t, port);
  client.send("PRI /model HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(await client.closed(), /^HTTP\/1\.1 /);
});

const MALFORMED: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  "a connection field": [...PSEUDO, ["connection", "close"]],
  "a transfer coding": [...PSEUDO, ["transfer-encoding", "chunked"]],
  "te beyond trailers": [...PSEUDO, ["te", "gzip"]],
  "a name in capitals": [...PSEUDO, ["X-Upper", "1"]],
  "a pseudo field behind the others": [...PSEUDO.slice(1), ["x-a", "1"], [":method", "POST"]],
  "an unknown pseudo field": [...PSEUDO, [":version", "2"]],
  "no path": PSEUDO.filter(([name]) => name !== ":path"),
  "two methods": [[":method", "GET"], ...PSEUDO],
};

test("malformed requests are reset, reach no model, and leave the connection to its other streams", async (t) => {
  const { port, asked } = await rig(t);
  for (const [what, fields] of Object.entries(MALFORMED)) {
    const raw = await opened(t, port);
    raw.socket.write(headers(fields, 1));
    await eventually(() => resets(raw.frames).length > 0 || raw.closed());
    assert.equal(answers(raw.frames, 1), 0, what);
  }
  assert.equal(asked(), 0);
  await assertServing(t, port);
});

test("fields with bytes that no field may have are left out, and split no other", async (t) => {
  let lines: string[] = [];
  const origin = await httpOrigin(t, (request, response) => {
    lines = request.rawHeaders;
    response.end("ok");
  });
  const { port } = await startProxy(t, origin.url);
  const raw = await opened(t, port);
  const odd: [string, string][] = [
    ["x-a", "1\r\nx-b: 2"],
    ["x-nul", "1\0"],
    ["x name", "1"],
    ["x-kept", "\xe9"],
  ];
  raw.socket.write(headers([...PSEUDO, ...odd]));
  await eventually(() => answers(raw.frames, 1) === 1);
  const names = lines.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  assert.deepEqual(
    names.filter((name) => name.startsWith("x") && !name.startsWith("x-forwarded")),
    ["x-kept"],
  );
});

test("a body that is longer or shorter than it says is reset, and the model sees no whole request", async (t) => {
  const { port, delivered } = await rig(t);
  for (const length of ["3", "7"]) {
    const raw = await opened(t, port);
    raw.socket.write(headers([...PSEUDO, ["content-length", length]], 1, 0));
    raw.socket.write(frame(TYPE.data, END_STREAM, { stream: 1, payload: Buffer.from("hello") }));
    await eventually(() => resets(raw.frames).includes(1) || raw.closed());
    assert.equal(answers(raw.frames, 1), 0);
  }
  const exchanges = await delivered(2);
  assert.deepEqual(
    exchanges.map(({ outcome }) => outcome),
    ["client_abort", "client_abort"],
  );
  await assertServing(t, port);
});

test("CONNECT and two different hosts are refused in words; OPTIONS of the server as a whole goes on", async (t) => {
  const { port, asked } = await rig(t);
  const raw = await opened(t, port);
  raw.socket.write(
    headers(
      [
        [":method", "CONNECT"],
        [":authority", "other:443"],
      ],
      1,
    ),
  );
  raw.socket.write(headers([...PSEUDO, ["host", "other"]], 3));
  raw.socket.write(
    headers(
      [
        [":method", "OPTIONS"],
        [":scheme", "http"],
        [":path", "*"],
        [":authority", "a"],
      ],
      5,
    ),
  );
  await eventually(() => [1, 3, 5].every((stream) => answers(raw.frames, stream) === 1));
  const told = Buffer.concat(
    raw.frames.filter(({ type }) => type === TYPE.data).map(({ payload }) => payload),
  );
  assert.match(told.toString(), /CONNECT is not offered/);
  assert.match(told.toString(), /two hosts/);
  assert.equal(asked(), 1);
});

test("streams beyond the limit are refused and can be repeated", async (t) => {
  const { port } = await rig(t);
  const raw = await opened(t, port);
  for (let i = 0; i < 200; i++) raw.socket.write(headers([...PSEUDO], 1 + i * 2, 0));
  await eventually(() => resets(raw.frames).length >= 72);
  assert.deepEqual([...new Set(resets(raw.frames))], [7]);
  await assertServing(t, port);
});

test("more header fields than a connection may send are answered with 431", async (t) => {
  const { port, asked } = await rig(t);
  const raw = await opened(t, port);
  const big: [string, string][] = Array.from({ length: 6 }, (_, i) => [`x-${i}`, "v".repeat(14_000)]);
  const block = literals([...PSEUDO, ...big]);
  const parts = Array.from({ length: Math.ceil(block.length / 16_000) }, (_, i) =>
    block.subarray(i * 16_000, (i + 1) * 16_000),
  );
  raw.socket.write(
    Buffer.concat(
      parts.map((payload, i) =>
        frame(i === 0 ? TYPE.headers : TYPE.continuation, i === parts.length - 1 ? END_HEADERS : 0, {
          stream: 1,
          payload,
        }),
      ),
    ),
  );
  await eventually(() => answers(raw.frames, 1) === 1);
  const head = raw.frames.find(({ type }) => type === TYPE.headers);
  assert.match(head?.payload.toString("latin1") ?? "", /431/);
  assert.equal(asked(), 0);
  await assertServing(t, port);
});

function ignore(): void {}

/** Floods: bytes repeated until the connection is closed. */
test("a few bytes that HPACK makes many MiB of end their stream or connection, and memory does not notice", async (t) => {
  const { port, proxy } = await rig(t);
  const raw = await opened(t, port);
  const value = Buffer.alloc(3900, "v");
  // Put into the table once (RFC 7541 §6.2.1), then named 16,000 times by one byte each (§6.1): some 60 MiB.
  const kept = Buffer.concat([
    Buffer.from([0x40, 1]),
    Buffer.from("x"),
    Buffer.from([127, 0xbd, 0x1d]),
    value,
  ]);
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 50; i++) {
    const bomb = Buffer.concat([literals(PSEUDO), kept, Buffer.alloc(12_000, 0xbe)]);
    raw.socket.write(frame(TYPE.headers, 5, { stream: 1 + i * 2, payload: bomb }));
  }
  await eventually(
    () => raw.closed() || raw.frames.some(({ type }) => type === TYPE.rst || type === TYPE.goaway),
  );
  assert.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024);
  await eventually(() => proxy.stats().activeRequests === 0);
  await assertServing(t, port);
});

const FLOODS: Readonly<Record<string, (i: number) => Buffer>> = {
  "rapid reset": (i) =>
    Buffer.concat([
      headers([...PSEUDO], 1 + i * 2, 0),
      frame(TYPE.rst, 0, { stream: 1 + i * 2, payload: Buffer.from([0, 0, 0, 8]) }),
    ]),
  continuation: (i) =>
    i === 0
      ? frame(TYPE.headers, 0, { stream: 1, payload: literals(PSEUDO) })
      : frame(TYPE.continuation, 0, { stream: 1, payload: literals([["x", "y"]]) }),
  settings: () => frame(TYPE.settings, 0, { stream: 0, payload: Buffer.from([0, 3, 0, 0, 0, 100]) }),
  pings: () => frame(TYPE.ping, 0, { stream: 0, payload: Buffer.alloc(8) }),
};

for (const [what, next] of Object.entries(FLOODS)) {
  test(`a flood of ${what} ends its connection and is counted; memory and the others do not notice`, async (t) => {
    const { port, proxy, delivered } = await rig(t);
    const raw = await opened(t, port);
    // Whoever floods does not read the answers.
    raw.socket.pause();
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 400 && !raw.closed() && !raw.socket.destroyed; i++) {
      const batch = Buffer.concat(Array.from({ length: 2000 }, (_, at) => next(i * 2000 + at)));
      if (!raw.socket.write(batch)) await Promise.race([once(raw.socket, "drain").catch(ignore), pause(500)]);
    }
    raw.socket.resume();
    await eventually(() => raw.closed());
    assert.ok(proxy.stats().clientErrors >= 1, "counted");
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 200 * 1024 * 1024, `${grown} bytes more`);
    await eventually(() => proxy.stats().activeRequests === 0);
    await delivered(proxy.stats().seen);
    await assertServing(t, port);
  });
}
