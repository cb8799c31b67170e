// Short bodies that are kept until they are answered keep their own bytes, and not what was read with them.

import assert from "node:assert/strict";
import test from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { PREFACE, TYPE, frame, rawStreams, requestHead, streamOrigin } from "./http2-support.ts";
import { eventually, pause, startProxy } from "./support.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Memory outside the heap, without what nobody holds. */
async function heldOutside(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await pause(20);
  }
  return process.memoryUsage().arrayBuffers;
}

/** Of a type that nobody knows: passed over. */
const FILLER = Buffer.concat(
  Array.from({ length: 3 }, () => frame(0x20, 0, { stream: 0, payload: Buffer.alloc(16_384) })),
);
const STREAMS = 60;

test("bodies of one byte, each read with 48 KiB of something else and answered never, keep little", async (t) => {
  let asked = 0;
  const model = await streamOrigin(t, (stream) => {
    stream.on("end", () => asked++).resume();
  });
  const { port } = await startProxy(t, model.url);
  const raw = await rawStreams(t, port);
  raw.socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, { stream: 0 })]));
  await pause(50);
  const before = await heldOutside();
  for (let i = 0; i < STREAMS; i++) {
    const stream = 2 * i + 1;
    const body = frame(TYPE.data, 1, { stream, payload: Buffer.from("x") });
    raw.socket.write(Buffer.concat([requestHead(stream), body, FILLER]));
    await eventually(() => asked === i + 1);
  }
  const more = (await heldOutside()) - before;
  assert.ok(!raw.closed());
  assert.ok(more < 1024 * 1024, `${more} bytes more`);
});
