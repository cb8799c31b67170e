// An upload that is not read because the model does not take what came of it: how long for, and whether its client is still there.
//
// A client's end shows only where something is read, or written: a reset when anything is written, be it nothing; a last byte once
// all before it has been read. So a little more is read of one that stands still. Of a client that left with more than that on its
// way nothing is seen, by nobody: its system still waits for us to read. Then the model's time decides.

import type { Socket } from "node:net";

/** Read of an upload beyond what it may have waiting for the model. */
const LOOK_BYTES = 64 * 1024;
const NO_BYTES = Buffer.alloc(0);

export class PausedUpload {
  readonly #socket: Socket;
  #paused = false;
  #lookBytes = LOOK_BYTES;
  #waitingBytes = 0;
  #stillSinceMs = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get paused(): boolean {
    return this.#paused;
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#lookBytes = LOOK_BYTES;
    this.#waitingBytes = 0;
    this.#socket.pause();
  }

  /** The model has taken some. */
  goOn(): void {
    this.#paused = false;
    this.#waitingBytes = 0;
    this.#socket.resume();
  }

  /** No more of it comes: until now what the model took may have been made up for, from now on what waits gets less by it. */
  whole(): void {
    this.#waitingBytes = 0;
  }

  /** Was read all the same. */
  looked(bytes: number): void {
    this.#lookBytes -= bytes;
    if (this.#lookBytes <= 0) this.#socket.pause();
  }

  /**
   * To be called about once a second. `waiting`: bytes for the model; `inBody`: what comes is of the upload still. Gives how long the
   * model has taken nothing.
   */
  look(nowMs: number, { waiting, inBody }: { readonly waiting: number; readonly inBody: boolean }): number {
    if (this.#waitingBytes === 0 || waiting < this.#waitingBytes) this.#stillSinceMs = nowMs;
    this.#waitingBytes = waiting;
    const stillMs = waiting === 0 ? 0 : nowMs - this.#stillSinceMs;
    if (!this.#paused) return stillMs;
    if (this.#socket.writableLength === 0) this.#socket.write(NO_BYTES);
    if (inBody && stillMs > 0 && this.#lookBytes > 0) this.#socket.resume();
    return stillMs;
  }
}
