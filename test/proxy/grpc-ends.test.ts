// Streams of gRPC that the sidecar has to end behind their head: by a status where that is true, else by a reset.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { ClientHttp2Stream, ServerHttp2Stream } from "node:http2";
import test, { type TestContext } from "node:test";
import { MessageBounds } from "../../src/proxy/grpc.ts";
import { connectStreams, streamOrigin, valuesOf, wholeAnswer, type Answer } from "./http2-support.ts";
import { eventually, startProxy, type Running } from "./support.ts";

const CALL = { "content-type": "application/grpc", te: "trailers" };
const INTERNAL_ERROR = 2;
const CANCEL = 8;

const message = (text: string): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(text.length, 1);
  return Buffer.concat([head, Buffer.from(text)]);
};

interface Streaming {
  readonly running: Running;
  readonly client: ClientHttp2Stream;
  readonly answering: Promise<Answer>;
  /** The model's end. */
  readonly held: ServerHttp2Stream;
}

/** A call whose answer has begun with `body`, its request still open where `asksOn`. */
async function streaming(
  t: TestContext,
  body: Buffer,
  { asksOn = true, type = "application/grpc" }: { asksOn?: boolean; type?: string } = {},
): Promise<Streaming> {
  const streams: ServerHttp2Stream[] = [];
  const origin = await streamOrigin(t, (stream) => {
    stream.respond({ ":status": 200, "content-type": type }, { waitForTrailers: true });
    stream.write(body);
    streams.push(stream);
  });
  const running = await startProxy(t, origin.url);
  const session = await connectStreams(t, running.port);
  const client = session.request({ ":method": "POST", ":path": "/inference/Stream", ...CALL });
  client.write(message("ask"));
  if (!asksOn) client.end();
  const answering = wholeAnswer(client);
  await once(client, "data");
  const [held] = streams;
  assert.ok(held !== undefined);
  return { running, client, answering, held };
}

const statusOf = ({ trailers }: Answer): string[] => [
  ...valuesOf(trailers, "grpc-status"),
  ...valuesOf(trailers, "x-outrider-error"),
];

for (const asksOn of [true, false]) {
  test(`a stream that is cut at the drain's deadline ${asksOn ? "while its client sends on" : "behind its request"} says: elsewhere`, async (t) => {
    const { running, answering } = await streaming(t, message("first"), { asksOn });
    await running.proxy.stop(0);
    const answer = await answering;
    assert.deepEqual([answer.body, answer.rstCode], [message("first"), 0]);
    assert.deepEqual(statusOf(answer), ["14", "draining"]);
    const [exchange] = await running.delivered(1);
    assert.deepEqual([exchange?.outcome, exchange?.ownError], ["reset", "draining"]);
    assert.equal(valuesOf(exchange?.responseTrailers ?? [], "grpc-status")[0], "14");
  });
}

test("one that is cut within a message is reset: a status behind half a message would be a lie", async (t) => {
  const { running, answering } = await streaming(t, message("first").subarray(0, 7));
  await running.proxy.stop(0);
  const answer = await answering;
  assert.deepEqual([answer.trailers, answer.rstCode], [[], INTERNAL_ERROR]);
});

test("one whose client does not take its messages is reset at the deadline", async (t) => {
  const { running, client, answering } = await streaming(t, message("x".repeat(1024 * 1024)));
  client.pause();
  await eventually(() => running.proxy.stats().heldBytes > 0);
  await running.proxy.stop(0);
  client.resume();
  const answer = await answering;
  assert.deepEqual([answer.trailers, answer.rstCode], [[], INTERNAL_ERROR]);
});

test("one whose model dies between two messages is told so, within one it is reset", async (t) => {
  const between = await streaming(t, Buffer.concat([message("first"), message("second")]));
  between.held.session?.destroy();
  const told = await between.answering;
  assert.deepEqual([statusOf(told), told.rstCode], [["14", "connection_reset"], 0]);
  const [exchange] = await between.running.delivered(1);
  assert.deepEqual([exchange?.outcome, exchange?.abortedBy], ["reset", "upstream"]);
  const within = await streaming(t, message("first").subarray(0, 3));
  within.held.session?.destroy();
  const reset = await within.answering;
  assert.deepEqual([reset.trailers.length, reset.rstCode], [0, INTERNAL_ERROR]);
});

test("a reset of the model's keeps its code, and an answer that is no gRPC is reset", async (t) => {
  const own = await streaming(t, message("first"));
  own.held.close(CANCEL);
  assert.equal((await own.answering).rstCode, CANCEL);
  const html = await streaming(t, Buffer.from("<html>"), { type: "text/html" });
  await html.running.proxy.stop(0);
  assert.equal((await html.answering).rstCode, INTERNAL_ERROR);
});

test("the bounds of messages are found however their bytes are cut", () => {
  const bytes = Buffer.concat([message("one"), message(""), message("x".repeat(70_000)), message("two")]);
  const ends = new Set([0, 8, 13, 13 + 70_005, bytes.length]);
  for (const size of [1, 2, 3, 5, 7, 4096, bytes.length]) {
    const bounds = new MessageBounds();
    for (let at = 0; at < bytes.length; at += size) {
      bounds.add(bytes.subarray(at, at + size));
      const end = Math.min(at + size, bytes.length);
      assert.equal(bounds.between, ends.has(end), `${end} by ${size}`);
    }
  }
});
