// Generated and broken messages through real sockets: what is valid passes byte for byte, what is not harms nobody.

import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { fuzzRun, heapBytes } from "../support/fuzz.ts";
import { mutated, mutations } from "../support/mutations.ts";
import { frame } from "../support/websocket.ts";
import { OK, eventually, rawOrigin, startProxy, type Running } from "./support.ts";

const CRLF = "\r\n";
const latin = (text: string): Buffer => Buffer.from(text, "latin1");

/** Cuts `bytes` at the given shares of its length: how TCP may deliver it. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)), bytes.length].sort((a, b) => a - b);
  return at.slice(1).map((end, k) => bytes.subarray(at[k], end));
}

async function send(socket: Socket, parts: readonly Buffer[]): Promise<void> {
  for (const part of parts) {
    if (socket.destroyed) return;
    if (part.length > 0) socket.write(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

interface Message {
  readonly first: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

/** Splits a message; the chunked coding is undone by a reader that knows nothing of ours. */
function parseMessage(bytes: Buffer): Message | null {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split(CRLF);
  const headers = lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
  });
  const value = (name: string): string | undefined =>
    headers.find(([candidate]) => candidate.toLowerCase() === name)?.[1];
  const rest = bytes.subarray(end + 4);
  if (value("transfer-encoding") !== undefined) return dechunked(first, headers, rest);
  const length = value("content-length");
  if (length === undefined) return { first, headers, body: rest };
  return rest.length < Number(length) ? null : { first, headers, body: rest.subarray(0, Number(length)) };
}

function dechunked(first: string, headers: Message["headers"], rest: Buffer): Message | null {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const line = rest.indexOf(CRLF, at);
    if (line < 0) return null;
    const size = Number.parseInt(rest.toString("latin1", at, line), 16);
    const from = line + 2;
    if (size === 0)
      return rest.indexOf("\r\n\r\n", line) < 0 ? null : { first, headers, body: Buffer.concat(parts) };
    if (rest.length < from + size + 2) return null;
    parts.push(rest.subarray(from, from + size));
    at = from + size + 2;
  }
}

const HOP = /^(?:connection|keep-alive|transfer-encoding|content-length|te|trailer|upgrade|proxy-.*)$/i;
const ADDED = /^(?:via|x-forwarded-.*|traceparent|tracestate|host|x-prediction-id|x-model-version|date)$/i;
/** Lines that must arrive as they left: end-to-end, in order. */
const endToEnd = (message: Message | null): string[] =>
  (message?.headers ?? [])
    .filter(([name]) => !HOP.test(name) && !ADDED.test(name))
    .map(([name, value]) => `${name}: ${value}`);

const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}$/);
const fieldValue = fc.stringMatching(
  /^[\x21-\x7e\x80-\xff]([\x20-\x7e\x80-\xff\t]{0,30}[\x21-\x7e\x80-\xff])?$|^$/,
);
const field = fc
  .tuple(token, fieldValue)
  .filter(
    ([name]) => !HOP.test(name) && !ADDED.test(name) && !/^(?:expect|max-forwards|x-outrider.*)$/i.test(name),
  );
const fields = fc.array(field, { maxLength: 8 });
const body = fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes));
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });
const target = fc.stringMatching(/^\/[!-~]{0,60}$/);

interface Framed {
  readonly head: string;
  readonly bytes: Buffer;
}

/** The body in one of the two framings. */
const framed = fc
  .tuple(body, fc.boolean(), cuts, fc.boolean())
  .map(([bytes, chunked, at, extension]): Framed => {
    if (!chunked) return { head: `Content-Length: ${bytes.length}${CRLF}`, bytes };
    const parts = pieces(bytes, at)
      .filter((part) => part.length > 0)
      .map((part) =>
        Buffer.concat([
          latin(`${part.length.toString(16)}${extension ? ";a=b" : ""}${CRLF}`),
          part,
          latin(CRLF),
        ]),
      );
    return {
      head: `Transfer-Encoding: chunked${CRLF}`,
      bytes: Buffer.concat([...parts, latin(`0${CRLF}${CRLF}`)]),
    };
  });

const linesOf = (list: readonly (readonly [string, string])[]): string =>
  list.map(([name, value]) => `${name}: ${value}${CRLF}`).join("");

interface Rig {
  readonly running: Running;
  /** What the model has received since `answer` was set. */
  readonly received: () => Buffer;
  answerWith(parts: readonly Buffer[]): void;
}

/** A proxy before a model that answers each whole request with the bytes of the moment, and closes. */
async function rig(t: TestContext): Promise<Rig> {
  let received: Buffer[] = [];
  let parts: readonly Buffer[] = [latin(OK)];
  const origin = await rawOrigin(t, (socket) => {
    let own: Buffer = Buffer.alloc(0);
    let answered = false;
    socket.on("data", (chunk: Buffer) => {
      received.push(chunk);
      own = Buffer.concat([own, chunk]);
      const message = answered ? null : parseMessage(own);
      if (message === null) return;
      answered = true;
      void send(socket, parts).then(() => socket.end());
    });
  });
  const running = await startProxy(t, origin.url);
  return {
    running,
    received: () => Buffer.concat(received),
    answerWith: (next) => {
      parts = next;
      received = [];
    },
  };
}

/** For what is answered in any case: wide enough for a machine that hardly runs. */
const ANSWERED_MS = 60_000;

/** Sends `parts` and reads until the connection ends, an answer is whole, or nothing comes for a while. */
async function exchange(port: number, parts: readonly Buffer[], quietMs: number): Promise<Buffer> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let got: Buffer = Buffer.alloc(0);
  let closed = false;
  socket.on("data", (chunk: Buffer) => (got = Buffer.concat([got, chunk])));
  socket.on("error", () => {});
  socket.on("close", () => (closed = true));
  await send(socket, parts);
  const endsAt = performance.now() + quietMs;
  const whole = (): boolean => {
    const message = parseMessage(got);
    return (
      message !== null &&
      message.headers.some(([name]) => /^(?:content-length|transfer-encoding)$/i.test(name))
    );
  };
  while (!closed && !whole() && performance.now() < endsAt)
    await new Promise((resolve) => setTimeout(resolve, 1));
  socket.destroy();
  return got;
}

async function assertCalm({ running, answerWith }: Rig): Promise<void> {
  answerWith([latin(OK)]);
  const probe = await exchange(
    running.port,
    [latin(`GET /probe HTTP/1.1${CRLF}Host: a${CRLF}${CRLF}`)],
    ANSWERED_MS,
  );
  assert.match(probe.toString("latin1"), /^HTTP\/1\.1 200 [^]*ok/);
  await eventually(() => running.proxy.stats().activeRequests === 0);
  assert.deepEqual(running.errors, [], "no bug was caught at an edge");
}

async function guarded(t: TestContext, one: Rig, run: () => Promise<void>): Promise<void> {
  const before = heapBytes();
  await run();
  await assertCalm(one);
  one.running.exchanges.length = 0;
  const after = heapBytes();
  if (before === null || after === null) return;
  t.diagnostic(`heap ${Math.round((after - before) / 1024)} KiB more`);
  assert.ok(after - before < 24 * 1024 * 1024, `the heap grew by ${after - before} bytes`);
}

test("whatever valid answer comes in whatever pieces, the client gets its bytes and its lines", async (t) => {
  const one = await rig(t);
  const { seed, numRuns } = fuzzRun(t, 60);
  await guarded(t, one, () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 200, max: 599 }),
        fields,
        fc.tuple(framed, cuts),
        async (code, lines, [made, at]) => {
          fc.pre(code !== 204 && code !== 205 && code !== 304);
          const bytes = Buffer.concat([
            latin(`HTTP/1.1 ${code} Odd${CRLF}${linesOf(lines)}${made.head}${CRLF}`),
            made.bytes,
          ]);
          one.answerWith(pieces(bytes, at));
          const request = latin(`GET / HTTP/1.1${CRLF}Host: a${CRLF}${CRLF}`);
          const got = parseMessage(await exchange(one.running.port, [request], ANSWERED_MS));
          const sent = parseMessage(bytes);
          assert.match(got?.first ?? "", new RegExp(`^HTTP/1\\.1 ${code} `));
          assert.ok(got?.body.equals(sent?.body ?? latin("?")));
          assert.deepEqual(endToEnd(got), endToEnd(sent));
          one.running.exchanges.length = 0;
        },
      ),
      { seed, numRuns, endOnFailure: true },
    ),
  );
});

test("whatever valid request comes in whatever pieces, the model gets its bytes, its target and its lines", async (t) => {
  const one = await rig(t);
  const { seed, numRuns } = fuzzRun(t, 60);
  await guarded(t, one, () =>
    fc.assert(
      fc.asyncProperty(target, fields, fc.tuple(framed, cuts), async (path, lines, [made, at]) => {
        const bytes = Buffer.concat([
          latin(`POST ${path} HTTP/1.1${CRLF}Host: a${CRLF}${linesOf(lines)}${made.head}${CRLF}`),
          made.bytes,
        ]);
        one.answerWith([latin(OK)]);
        const answer = (await exchange(one.running.port, pieces(bytes, at), ANSWERED_MS)).toString("latin1");
        if (answer.startsWith("HTTP/1.1 400 ")) assert.equal(one.received().length, 0, "refused whole");
        else {
          const [got, sent] = [parseMessage(one.received()), parseMessage(bytes)];
          assert.match(answer, /^HTTP\/1\.1 200 /);
          assert.equal(got?.first, `POST ${path} HTTP/1.1`);
          assert.ok(got?.body.equals(sent?.body ?? latin("?")));
          assert.deepEqual(endToEnd(got), endToEnd(sent));
        }
        one.running.exchanges.length = 0;
      }),
      { seed, numRuns, endOnFailure: true },
    ),
  );
});

test("broken requests harm nobody: what is forwarded is one well-framed request, and the next client is served", async (t) => {
  const one = await rig(t);
  const { seed, numRuns } = fuzzRun(t, 40);
  await guarded(t, one, () =>
    fc.assert(
      fc.asyncProperty(fields, fc.tuple(framed, cuts), mutations, async (lines, [made, at], list) => {
        const bytes = mutated(
          Buffer.concat([
            latin(`POST /p HTTP/1.1${CRLF}Host: a${CRLF}${linesOf(lines)}${made.head}${CRLF}`),
            made.bytes,
          ]),
          list,
        );
        one.answerWith([latin(OK)]);
        await exchange(one.running.port, pieces(bytes, at), 40);
        const received = one.received();
        const head = received.toString("latin1", 0, Math.max(0, received.indexOf("\r\n\r\n")));
        const lengths = head.match(/^content-length:/gim)?.length ?? 0;
        const codings = head.match(/^transfer-encoding:/gim)?.length ?? 0;
        assert.ok(lengths + codings <= 1, `one framing: ${JSON.stringify(head)}`);
        assert.ok(!head.includes("\0"), "no NUL is forwarded");
        assert.doesNotMatch(head, /\r(?!\n)|(?<!\r)\n|\n[ \t]/, "no bare CR or LF, no fold is forwarded");
        one.running.exchanges.length = 0;
      }),
      { seed, numRuns, endOnFailure: true },
    ),
  );
});

test("broken answers harm nobody: the client is told or cut off, and the next request is answered by its own answer", async (t) => {
  const one = await rig(t);
  const { seed, numRuns } = fuzzRun(t, 40);
  await guarded(t, one, () =>
    fc.assert(
      fc.asyncProperty(fields, fc.tuple(framed, cuts), mutations, async (lines, [made, at], list) => {
        const bytes = mutated(
          Buffer.concat([latin(`HTTP/1.1 200 OK${CRLF}${linesOf(lines)}${made.head}${CRLF}`), made.bytes]),
          list,
        );
        one.answerWith(pieces(bytes, at));
        const got = await exchange(
          one.running.port,
          [latin(`GET / HTTP/1.1${CRLF}Host: a${CRLF}${CRLF}`)],
          60,
        );
        assert.ok(got.length === 0 || got.toString("latin1", 0, 9) === "HTTP/1.1 ");
        one.running.exchanges.length = 0;
        await assertCalm(one);
      }),
      { seed, numRuns, endOnFailure: true },
    ),
  );
});

const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const wsFrame = fc
  .record({
    opcode: fc.nat(15),
    fin: fc.boolean(),
    rsv: fc.nat(7),
    payload: fc.uint8Array({ maxLength: 400 }),
    mask: fc.option(fc.nat(), { nil: null }),
  })
  .map(frame);
const wsBytes = fc.tuple(
  fc.array(wsFrame, { maxLength: 12 }).map((list) => Buffer.concat(list)),
  cuts,
);

test("whatever passes an upgraded connection, frames or not, arrives byte for byte on both sides", async (t) => {
  let answer: readonly Buffer[] = [];
  let received: Buffer[] = [];
  const origin = await rawOrigin(t, (socket) => {
    let open = false;
    socket.on("data", (chunk: Buffer) => {
      const end = open ? 0 : chunk.indexOf("\r\n\r\n") + 4;
      received.push(chunk.subarray(end));
      if (open) return;
      open = true;
      socket.write(SWITCH);
      void send(socket, answer);
    });
    socket.on("end", () => socket.end());
  });
  const { port, exchanges, errors, proxy } = await startProxy(t, origin.url);
  const { seed, numRuns } = fuzzRun(t, 30);
  const handshake = latin(
    `GET /ws HTTP/1.1${CRLF}Host: a${CRLF}Connection: Upgrade${CRLF}Upgrade: websocket${CRLF}${CRLF}`,
  );
  await fc.assert(
    fc.asyncProperty(wsBytes, wsBytes, fc.boolean(), async ([asked, askedAt], [said, saidAt], glued) => {
      answer = pieces(said, saidAt);
      received = [];
      exchanges.length = 0;
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      let got: Buffer = Buffer.alloc(0);
      socket.on("data", (chunk: Buffer) => (got = Buffer.concat([got, chunk])));
      const parts = pieces(asked, askedAt);
      await send(
        socket,
        glued
          ? [Buffer.concat([handshake, parts[0] ?? latin("")]), ...parts.slice(1)]
          : [handshake, ...parts],
      );
      const bodyOf = (): Buffer => got.subarray(got.indexOf("\r\n\r\n") + 4);
      await eventually(() => got.includes("\r\n\r\n") && bodyOf().length >= said.length);
      await eventually(() => Buffer.concat(received).length >= asked.length);
      socket.end();
      await eventually(() => exchanges.length === 1);
      assert.ok(bodyOf().equals(said));
      assert.ok(Buffer.concat(received).equals(asked));
      assert.equal(exchanges[0]?.upgraded, true);
    }),
    { seed, numRuns, endOnFailure: true },
  );
  await eventually(() => proxy.stats().activeRequests === 0);
  assert.deepEqual(errors, []);
});
