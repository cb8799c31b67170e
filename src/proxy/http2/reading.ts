// Reading of one stream that really stops: node:http2 goes on reading a paused stream until 64 KiB wait in it, whatever its window is.

import type { Http2Stream } from "node:http2";

export class StreamReading {
  readonly #stream: Http2Stream;
  readonly #read: (size: number) => void;
  #stopped = false;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
    this.#read = stream._read.bind(stream);
    // What would be read ahead opens the window for as much again.
    stream._read = (size) => {
      if (!this.#stopped) this.#read(size);
    };
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** No more of the stream is taken than its window lets come: one piece, until `goOn`. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stream.pause();
  }

  goOn(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    if (this.#stream.destroyed) return;
    this.#read(0);
    this.#stream.resume();
  }
}
