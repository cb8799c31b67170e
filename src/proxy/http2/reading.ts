// Reading of one stream that really stops. node:http2 grants a window again when reading starts, not when bytes are taken, and goes on
// reading a paused stream until 64 KiB wait in it: what waits would grow by a window with every stop.

import type { Http2Stream } from "node:http2";
import { RESET } from "./codes.ts";

export class StreamReading {
  readonly #stream: Http2Stream;
  readonly #read: (size: number) => void;
  #stopped = false;
  #deferred = false;
  #stops = 0;
  #whole: boolean;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
    this.#read = stream._read.bind(stream);
    stream._read = (size) => {
      if (!this.#stopped && stream.readableLength === 0) this.#read(size);
      else this.#deferred = true;
    };
    // What came in one read with the head has been pushed already.
    this.#whole = !stream.closed && stream.state.remoteClose === 1;
    const push = stream.push.bind(stream);
    stream.push = (chunk, encoding) => {
      // A reset closes the stream first.
      if (chunk === null && !stream.closed) this.#whole = true;
      return push(chunk, encoding);
    };
  }

  /** It ends by its last frame (END_STREAM): to node:http2 a reset with NO_ERROR is an end, too. */
  get whole(): boolean {
    return this.#whole;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Come, and not taken: never more than the stream's window. */
  get unreadBytes(): number {
    return this.#stream.readableLength;
  }

  /** How often it was stopped. */
  get stops(): number {
    return this.#stops;
  }

  /** To be called when a chunk has been worked off: once all are, more may come. */
  taken(): void {
    if (!this.#deferred || this.#stopped || this.#stream.readableLength > 0) return;
    this.#deferred = false;
    if (!this.#stream.destroyed) this.#read(0);
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#deferred = true;
    this.#stops++;
    this.#stream.pause();
  }

  goOn(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.taken();
    if (!this.#stream.destroyed) this.#stream.resume();
  }
}

/** Of a stream that was reset without an error node:http2 keeps what came until it has been read: while its reading is stopped, for good. */
export function endOnceReset(stream: Http2Stream): void {
  stream.once("aborted", () => {
    if (stream.rstCode === RESET.none) setImmediate(() => stream.destroy());
  });
}
