// How many small frames of bodies one connection has worked off in one turn of the event loop. A read of 64 KiB may carry 6500 of one
// byte each, and the system hands out up to 32 reads in a row: half a second in which nobody else is served.
//
// What node:http2 reads from is private to Node; where it is not found, nothing is done.

import type { Socket } from "node:net";

const SMALL_BYTES = 256;
/** At some 2 µs each, and as many as a read brings beyond it. */
const FRAMES_MAX = 1000;

export class FrameShare {
  readonly #socket: Socket;
  #frames = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes of a body came in one frame. */
  came(bytes: number): void {
    if (bytes >= SMALL_BYTES) return;
    if (this.#frames++ === 0) setImmediate(this.#nextTurn);
    if (this.#frames === FRAMES_MAX) this.#call("readStop");
  }

  readonly #nextTurn = (): void => {
    if (this.#frames >= FRAMES_MAX) this.#call("readStart");
    this.#frames = 0;
  };

  #call(what: "readStart" | "readStop"): void {
    if (this.#socket.destroyed) return;
    const handle: unknown = Reflect.get(this.#socket, "_handle");
    if (typeof handle !== "object" || handle === null) return;
    const method: unknown = Reflect.get(handle, what);
    if (typeof method === "function") Reflect.apply(method, handle, []);
  }
}
