// How many small frames of bodies one connection has worked off in one turn of the event loop. A read of 64 KiB may carry 6500 of one
// byte each, and the system hands out up to 32 reads in a row: half a second in which nobody else is served.
//
// What node:http2 reads from is private to Node; where it is not found, nothing is done. Node itself stops reading while something
// that it wrote waits for the client to take it, and begins again then: meanwhile it is not begun here.

import type { Socket } from "node:net";
import type { Clock } from "../../kernel/clock.ts";
import { ofHandle } from "./socket-handle.ts";

const SMALL_BYTES = 256;
/** At some 2 µs each, and as many as a read brings beyond it. */
const FRAMES_MAX = 1000;
/** Between two looks whether what was written has been taken: at first, and in the end for a client that takes nothing. */
const LOOK_MS = 20;
const LOOK_MS_MAX = 640;

export class FrameShare {
  readonly #socket: Socket;
  readonly #clock: Pick<Clock, "after">;
  #frames = 0;
  #lookMs = LOOK_MS;

  constructor(socket: Socket, clock: Pick<Clock, "after">) {
    this.#socket = socket;
    this.#clock = clock;
  }

  /** Bytes of a body came in one frame. */
  came(bytes: number): void {
    if (bytes >= SMALL_BYTES) return;
    if (this.#frames++ === 0) setImmediate(this.#nextTurn);
    if (this.#frames === FRAMES_MAX) this.#call("readStop");
  }

  readonly #nextTurn = (): void => {
    if (this.#frames >= FRAMES_MAX) this.#readOn();
    this.#frames = 0;
  };

  readonly #readOn = (): void => {
    const queued: unknown = this.#of("writeQueueSize");
    if (typeof queued === "number" && queued > 0) {
      this.#clock.after(this.#lookMs, this.#readOn);
      this.#lookMs = Math.min(LOOK_MS_MAX, this.#lookMs * 2);
    } else {
      this.#lookMs = LOOK_MS;
      this.#call("readStart");
    }
  };

  #call(what: "readStart" | "readStop"): void {
    const method: unknown = this.#of(what);
    if (typeof method === "function") Reflect.apply(method, Reflect.get(this.#socket, "_handle"), []);
  }

  #of(what: string): unknown {
    if (this.#socket.destroyed) return null;
    return ofHandle(this.#socket, what);
  }
}
