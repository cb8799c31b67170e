// Node (26.10) ends the whole process when the native part of an HTTP/2 session is freed before that of a stream on which a head
// has begun and not ended: an assertion of its own. A peer brings that about by leaving within a head while data waits to be sent to
// it. Two things here see to the order. What they go by is private to Node; where it is not found, nothing is done, and
// test/proxy/http2-collected.test.ts ends with the process.

import type { Http2Session, Http2Stream } from "node:http2";
import type { Socket } from "node:net";

/** Of what is collected: what had to last as long. */
const outlived = new FinalizationRegistry<object>(() => {});

/** Node keeps its native parts under a symbol of this name, which it does not give out. */
const NATIVE = "kHandle";
let symbol: symbol | undefined;

function nativeOf(owner: Http2Session | Http2Stream): object | null {
  symbol ??= Object.getOwnPropertySymbols(owner).find(({ description }) => description === NATIVE);
  if (symbol === undefined) return null;
  const native: unknown = Reflect.get(owner, symbol);
  return typeof native === "object" ? native : null;
}

/**
 * Call when the stream begins: what Node holds of its session lasts as long as what it holds of the stream. One that its peer has
 * ended costs nothing: no head is open on it.
 */
export function keepSessionOf(stream: Http2Stream): void {
  const { session } = stream;
  const native = nativeOf(stream);
  const lasting = session === undefined ? null : nativeOf(session);
  if (native === null || lasting === null) return;
  stream.once("close", () => {
    if (!stream.readableEnded) outlived.register(native, lasting);
  });
}

/** Node's own listener, which ends the session. */
const ON_ERROR = "socketOnError";

/**
 * Call when the session has been made: a broken connection ends it when its socket has closed, as one that ends does, and not
 * before. By then nothing waits for the socket any more; else what waited would be kept by the session, and the stream by that.
 */
export function endWithSocket(socket: Socket): void {
  const own = socket.rawListeners("error").find(({ name }) => name === ON_ERROR);
  if (own === undefined) return;
  socket.removeListener("error", own);
  socket.on("error", (error: Error) => {
    socket.prependOnceListener("close", () => Reflect.apply(own, socket, [error]));
  });
}
