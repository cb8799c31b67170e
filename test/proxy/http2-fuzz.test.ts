// Generated and broken connections of HTTP/2 through real sockets: what is valid passes byte for byte, what is not harms nobody.

import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import type { ClientHttp2Session } from "node:http2";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { fuzzRun, heapBytes } from "../support/fuzz.ts";
import { conversations, deliveries, quarrels, type Asked } from "./http2-frames.ts";
import {
  TYPE,
  ask,
  connectStreams,
  rawStreams,
  streamOrigin,
  wholeAnswer,
  type Frame,
  type RawStreams,
} from "./http2-support.ts";
import { eventually, httpOrigin, startProxy, type Running } from "./support.ts";

const END_STREAM = 1;
const PADDED = 8;
const HEAP_BYTES_MAX = 24 * 1024 * 1024;
/** How long what follows something broken is waited for. */
const QUIET_MS = 25;

/** A hook for each of thousands of connections would keep them all: they are destroyed as they are done with. */
const NO_HOOKS = { after: (): void => {} };

interface Model {
  readonly url: string;
  /** Header lines of the last request to each path. */
  readonly lines: Map<string, readonly string[]>;
  /** Messages that were no HTTP. */
  readonly defects: () => number;
}

/** Answers with the body it gets. */
const MODELS: Readonly<Record<string, (t: TestContext) => Promise<Model>>> = {
  "HTTP/1.1": async (t) => {
    const lines = new Map<string, readonly string[]>();
    let defects = 0;
    const listener: RequestListener = (request, response) => {
      lines.set(request.url ?? "", request.rawHeaders);
      request.on("error", () => {});
      request.pipe(response);
    };
    const { url } = await httpOrigin(t, listener, ({ code }) => {
      // The parser's own; a connection that is cut off within a message is none of them.
      if (code?.startsWith("HPE_") === true && code !== "HPE_INVALID_EOF_STATE") defects++;
    });
    return { url, lines, defects: () => defects };
  },
  "HTTP/2": async (t) => {
    const lines = new Map<string, readonly string[]>();
    const { url } = await streamOrigin(t, (stream, raw) => {
      lines.set(raw[raw.indexOf(":path") + 1] ?? "", raw);
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
    });
    return { url, lines, defects: () => 0 };
  },
};

/** Writes in the given pieces, as TCP may deliver them. */
async function deliver(
  { socket, closed }: RawStreams,
  bytes: Buffer,
  cuts: readonly number[],
): Promise<void> {
  const ends = [...cuts.map((cut) => Math.floor(cut * bytes.length)), bytes.length].sort((a, b) => a - b);
  for (const [at, end] of ends.entries()) {
    if (closed() || socket.destroyed) return;
    socket.write(bytes.subarray(ends[at - 1] ?? 0, end));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const ended = (frames: readonly Frame[], stream: number): boolean =>
  frames.some(
    (one) =>
      one.stream === stream &&
      (one.type === TYPE.rst ||
        ((one.type === TYPE.data || one.type === TYPE.headers) && (one.flags & END_STREAM) !== 0)),
  );

function bodyOf(frames: readonly Frame[], stream: number): Buffer {
  const data = frames.filter((one) => one.stream === stream && one.type === TYPE.data);
  return Buffer.concat(
    data.map(({ flags, payload }) =>
      (flags & PADDED) === 0 ? payload : payload.subarray(1, payload.length - (payload[0] ?? 0)),
    ),
  );
}

function assertAnswered(frames: readonly Frame[], asked: ReadonlyMap<number, Asked>, model: Model): void {
  for (const [stream, { path, fields, body }] of asked) {
    assert.ok(!frames.some((one) => one.stream === stream && one.type === TYPE.rst), `${path} was not reset`);
    assert.ok(bodyOf(frames, stream).equals(body), `the body of ${path}`);
    const lines = model.lines.get(path) ?? [];
    const got = lines.flatMap((name, at) =>
      at % 2 === 0 && name.startsWith("x-f-") ? [[name, lines[at + 1]]] : [],
    );
    assert.deepEqual(got, fields);
  }
}

/** Runs `run` and looks at what is left of it: nothing. */
async function guarded(t: TestContext, running: Running, run: () => Promise<void>): Promise<void> {
  const before = heapBytes();
  await run();
  const { proxy, errors, exchanges } = running;
  await eventually(() => proxy.stats().activeRequests === 0 && proxy.stats().openConnections <= 1);
  assert.equal(proxy.stats().heldBytes, 0);
  assert.deepEqual(errors, [], "no bug was caught at an edge");
  exchanges.length = 0;
  const after = heapBytes();
  if (before === null || after === null) return;
  t.diagnostic(`heap ${Math.round((after - before) / 1024)} KiB more`);
  assert.ok(after - before < HEAP_BYTES_MAX, `the heap grew by ${after - before} bytes`);
}

for (const [version, start] of Object.entries(MODELS)) {
  test(`whatever valid streams come in whatever frames, a model of ${version} and the client get their bytes`, async (t) => {
    const model = await start(t);
    const running = await startProxy(t, model.url);
    const { seed, numRuns } = fuzzRun(t, 30);
    await guarded(t, running, () =>
      fc.assert(
        fc.asyncProperty(conversations, deliveries, async ({ bytes, asked }, cuts) => {
          const client = await rawStreams(NO_HOOKS, running.port);
          const whole = (): boolean => [...asked.keys()].every((stream) => ended(client.frames, stream));
          try {
            await deliver(client, bytes, cuts);
            await eventually(() => client.closed() || whole());
          } finally {
            client.socket.destroy();
          }
          assert.ok(
            !client.frames.some(({ type }) => type === TYPE.goaway),
            "the connection was not refused",
          );
          assertAnswered(client.frames, asked, model);
          running.exchanges.length = 0;
        }),
        { seed, numRuns, endOnFailure: true },
      ),
    );
  });

  test(`broken connections harm nobody before a model of ${version}: those beside them get their bytes`, async (t) => {
    const model = await start(t);
    const running = await startProxy(t, model.url);
    const beside = await connectStreams(t, running.port);
    const { seed, numRuns } = fuzzRun(t, 40);
    await guarded(t, running, () =>
      fc.assert(
        fc.asyncProperty(quarrels, deliveries, async (bytes, cuts) => {
          const half = await halfUpload(beside);
          const client = await rawStreams(NO_HOOKS, running.port);
          try {
            await deliver(client, bytes, cuts);
            const endsAt = performance.now() + QUIET_MS;
            await eventually(() => client.closed() || performance.now() > endsAt);
            await half.finish();
          } finally {
            client.socket.destroy();
          }
          assert.equal(model.defects(), 0, "what reached the model was HTTP");
          running.exchanges.length = 0;
        }),
        { seed, numRuns, endOnFailure: true },
      ),
    );
    beside.close();
  });
}

/** A request beside whatever else goes on, half sent; `finish` sends the rest and looks at the answer. */
async function halfUpload(session: ClientHttp2Session): Promise<{ finish(): Promise<void> }> {
  const whole = await ask(session, { path: "/beside", body: "before" });
  assert.equal(whole.body.toString(), "before");
  const stream = session.request({ ":path": "/beside", ":method": "POST" });
  const answer = wholeAnswer(stream);
  stream.write("one half, ");
  return {
    finish: async () => {
      stream.end("the other");
      const { status, body } = await answer;
      assert.deepEqual([status, body.toString()], [200, "one half, the other"]);
    },
  };
}
