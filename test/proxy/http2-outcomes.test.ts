// What the outcome of a stream says when its client resets it, or goes, within or behind an answer: whether all of it had been sent.

import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import test, { type TestContext } from "node:test";
import {
  PREFACE,
  TYPE,
  frame,
  number32,
  rawStreams,
  requestHead,
  setting,
  windowUpdate,
  type RawStreams,
} from "./http2-support.ts";
import { eventually, httpOrigin, startProxy, type Running } from "./support.ts";

const END_STREAM = 1;
const END_HEADERS = 4;
const INITIAL_WINDOW = 4;
const LARGEST = 2 ** 31 - 1;
const NO_ERROR = 0;
const CANCEL = 8;

interface Rig extends Running {
  readonly client: RawStreams;
}

async function rig(
  t: TestContext,
  window: number,
  answer: (response: ServerResponse, path: string) => void,
): Promise<Rig> {
  const origin = await httpOrigin(t, (request, response) => {
    request.resume();
    answer(response, request.url ?? "");
  });
  const running = await startProxy(t, origin.url);
  const client = await rawStreams(t, running.port);
  client.socket.write(
    Buffer.concat([
      PREFACE,
      frame(TYPE.settings, 0, { stream: 0, payload: setting(INITIAL_WINDOW, window) }),
      windowUpdate(0, 2 ** 30),
    ]),
  );
  return { ...running, client };
}

/** `whole`: nothing of a body follows. */
function asking(
  path: string,
  { stream = 1, whole = true }: { stream?: number; whole?: boolean } = {},
): Buffer {
  return requestHead(stream, { path, flags: END_HEADERS | (whole ? END_STREAM : 0) });
}

const reset = (code: number, stream = 1): Buffer => frame(TYPE.rst, 0, { stream, payload: number32(code) });

/** All of the stream's answer has come. */
const ended = ({ frames }: RawStreams, stream = 1): boolean =>
  frames.some((one) => one.stream === stream && one.type <= TYPE.headers && (one.flags & END_STREAM) !== 0);

const begun = ({ frames }: RawStreams): boolean => frames.some(({ type }) => type === TYPE.headers);

async function outcomeOf(running: Running): Promise<unknown[]> {
  const [exchange] = await running.delivered(1);
  return [exchange?.outcome, exchange?.abortedBy];
}

for (const [word, code] of Object.entries({ NO_ERROR, CANCEL })) {
  for (const [what, window, body] of [
    ["none of it fits", 0, "hello"],
    ["a part of it fits", 3, "hello"],
    ["most of it fits", 65_535, "x".repeat(65_536)],
  ] as const) {
    test(`an answer that was written and waits for the client's window, because ${what}, and is reset with ${word}, was not taken`, async (t) => {
      const running = await rig(t, window, (response) => response.end(body));
      running.client.socket.write(asking("/"));
      await eventually(() => begun(running.client));
      await eventually(() => running.proxy.stats().heldBytes > 0 || window > 0);
      running.client.socket.write(reset(code));
      assert.deepEqual(await outcomeOf(running), ["client_abort", "client"]);
    });
  }

  test(`an answer whose trailers the model still owes when it is reset with ${word} was not taken`, async (t) => {
    const running = await rig(t, LARGEST, (response) => {
      response.writeHead(200, { trailer: "x-sum" });
      response.write("hello");
    });
    running.client.socket.write(asking("/"));
    await eventually(() => running.client.frames.some(({ type }) => type === TYPE.data));
    running.client.socket.write(reset(code));
    assert.deepEqual(await outcomeOf(running), ["client_abort", "client"]);
  });

  for (const [what, body, trailers] of [
    ["a short answer", "hello", false],
    ["an answer with trailers", "hello", true],
    ["an answer without a body", "", false],
    ["an answer of 300 KB", "x".repeat(300_000), false],
  ] as const) {
    test(`${what} that came whole, its upload reset with ${word} behind it, was taken`, async (t) => {
      const running = await rig(t, LARGEST, (response) => {
        if (trailers) response.writeHead(200, { trailer: "x-sum" }).addTrailers({ "x-sum": "5" });
        response.end(body);
      });
      const { client } = running;
      client.socket.write(asking("/", { whole: false }));
      await eventually(() => ended(client));
      client.socket.write(reset(code));
      assert.deepEqual(await outcomeOf(running), ["ok", null]);
    });
  }
}

test("a short answer that came whole was taken, though the connection goes with its upload", async (t) => {
  const running = await rig(t, LARGEST, (response) => response.end("hello"));
  const { client } = running;
  client.socket.write(asking("/", { whole: false }));
  client.socket.on("data", () => {
    if (ended(client)) client.socket.destroy();
  });
  assert.deepEqual(await outcomeOf(running), ["ok", null]);
});

test("short answers that wait behind a large one, on a connection that was not read for long, were taken", async (t) => {
  const large = 16 * 1024 * 1024;
  const running = await rig(t, LARGEST, (response, path) =>
    response.end(path === "/large" ? Buffer.alloc(large) : "hello"),
  );
  const { client, proxy } = running;
  client.socket.pause();
  client.socket.write(asking("/large"));
  const short = Array.from({ length: 100 }, (_, k) => 3 + 2 * k);
  // The large one fills what the system takes, until it is held.
  await eventually(() => proxy.stats().heldBytes > 0);
  client.socket.write(Buffer.concat(short.map((stream) => asking("/short", { stream }))));
  await eventually(() => proxy.stats().seen === 101);
  client.socket.resume();
  const exchanges = await running.delivered(101);
  assert.deepEqual(
    exchanges.filter(({ outcome }) => outcome !== "ok").map(({ target, outcome }) => [target, outcome]),
    [],
  );
  await eventually(() => short.every((stream) => ended(client, stream)));
});
