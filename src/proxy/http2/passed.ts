// Whether an answer's last frame (END_STREAM) had been handed to the connection when its stream closed. node:http2 does not tell: an
// answer that left whole may look unfinished, and one that was reset with NO_ERROR before it left may look like one that ended.
// nghttp2 knows until the stream is gone, so it is asked while node:diagnostics_channel tells of the closing.

import { subscribe } from "node:diagnostics_channel";
import type { ServerHttp2Stream } from "node:http2";

const whole = new WeakSet<object>();

function of(object: unknown, name: string): unknown {
  return typeof object === "object" && object !== null ? Reflect.get(object, name) : undefined;
}

subscribe("http2.server.stream.close", (message) => {
  const stream = of(message, "stream");
  if (typeof stream !== "object" || stream === null) return;
  if (of(of(stream, "state"), "localClose") === 1) whole.add(stream);
});

/** Of a stream that has closed. */
export function wentWhole(stream: ServerHttp2Stream): boolean {
  return whole.has(stream);
}
