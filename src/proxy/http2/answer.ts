// The answer's half of a client's stream: a head that waits for its first chunk, the body, trailers, or a visible break.

import type { ServerHttp2Stream } from "node:http2";
import type { RawHeaders } from "../../facts/exchange.ts";
import type { Clock } from "../../kernel/clock.ts";
import { copyOf } from "../own-bytes.ts";
import { plainLines } from "../response-head.ts";
import { RESET } from "./codes.ts";
import { fieldMap, responseFields } from "./fields.ts";
import { COPIED_BYTES_MAX, type Piece } from "./pieces.ts";

/** How long what was written may take to leave before a stream that failed is reset. */
const FLUSH_MS = 5000;
const NO_BYTES = Buffer.alloc(0);
const NO_LINES: RawHeaders = Object.freeze([]);

const brokenOff = new WeakSet<ServerHttp2Stream>();

/** Of a stream that was reset: by us, because its answer failed. */
export function failedHere(stream: ServerHttp2Stream): boolean {
  return brokenOff.has(stream);
}

export interface AnswerNeeds {
  readonly clock: Clock;
  readonly piece: Piece;
  /** More can be taken. */
  readonly onTaken: () => void;
}

export class StreamAnswer {
  readonly #stream: ServerHttp2Stream;
  readonly #needs: AnswerNeeds;
  #head: { readonly status: number; readonly lines: readonly string[] } | null = null;
  #firstChunk: Buffer | null = null;
  #full = false;
  #trailers: RawHeaders = NO_LINES;

  constructor(stream: ServerHttp2Stream, needs: AnswerNeeds) {
    this.#stream = stream;
    this.#needs = needs;
  }

  /** Written, or about to be, and not handed to the system yet. */
  get unsentBytes(): number {
    return this.#stream.writableLength + (this.#firstChunk?.length ?? 0);
  }

  get #gone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  inform(status: number, headers: RawHeaders): void {
    if (!this.#gone) this.#stream.additionalHeaders({ ...fieldMap(plainLines(headers)), ":status": status });
  }

  /** Held until `flush`, or until it is known what follows. */
  head(status: number, lines: readonly string[]): void {
    this.#head = { status, lines };
  }

  /** False: wait for `onTaken`. */
  write(chunk: Buffer): boolean {
    if (this.#head !== null && this.#firstChunk === null) {
      this.#firstChunk = chunk;
      this.#full = chunk.length > this.#needs.piece.ahead;
      return !this.#full;
    }
    const flushed = this.flush();
    return this.#gone || (this.#send(chunk) && flushed);
  }

  #send(chunk: Buffer): boolean {
    const { ahead, bytes } = this.#needs.piece;
    this.#stream.write(bytes > COPIED_BYTES_MAX ? chunk : copyOf(chunk), this.#onSent);
    this.#full = this.#stream.writableLength > ahead;
    return !this.#full;
  }

  readonly #onSent = (error?: Error | null): void => {
    if (!this.#full || error != null || this.#stream.writableLength > this.#needs.piece.ahead) return;
    this.#full = false;
    this.#needs.onTaken();
  };

  /** Writes what waits: the head alone if nothing followed it. False: wait for `onTaken`. */
  flush(): boolean {
    const chunk = this.#firstChunk;
    this.#firstChunk = null;
    this.#respond("trailers");
    return chunk === null || this.#gone || this.#send(chunk);
  }

  end(trailers: RawHeaders): void {
    this.#trailers = trailers;
    const chunk = this.#firstChunk;
    this.#firstChunk = null;
    this.#respond(trailers.length > 0 ? "trailers" : chunk === null ? "nothing" : "body");
    if (chunk === null) this.#stream.end();
    else this.#stream.end(chunk);
  }

  /**
   * Writes the head that waits. `follows`: what may still come. Without `waitForTrailers` node:http2 ends a stream before it
   * resets it, and the part would look like the whole: only an answer that is whole already goes without.
   */
  #respond(follows: "nothing" | "body" | "trailers"): void {
    const head = this.#head;
    this.#head = null;
    if (head === null || this.#gone) return;
    const options = {
      endStream: follows === "nothing",
      waitForTrailers: follows === "trailers",
      sendDate: false,
    };
    this.#stream.respond(responseFields(head.status, head.lines), options);
  }

  onWantTrailers(): void {
    if (!this.#stream.closed) this.#stream.sendTrailers(fieldMap(plainLines(this.#trailers)));
  }

  /** Answered before the request was read: the client need not send the rest (RFC 9113 §8.1). */
  closeOnceSent(): void {
    const stream = this.#stream;
    stream.once("finish", () => setImmediate(() => setImmediate(() => stream.close(RESET.none))));
  }

  /** What was written still leaves; then the stream is reset, so that nobody takes the part for the whole. */
  breakOff(code: number): void {
    const stream = this.#stream;
    this.flush();
    if (this.#gone) return;
    const late = this.#needs.clock.after(FLUSH_MS, () => this.#reset(code));
    stream.write(NO_BYTES, () => {
      late.cancel();
      setImmediate(() => this.#reset(code));
    });
  }

  /** The same, at once: its connection is about to end, and would reset it with NO_ERROR, which to some clients is an end. */
  breakOffNow(code: number): void {
    this.flush();
    this.#reset(code);
  }

  #reset(code: number): void {
    if (this.#gone) return;
    brokenOff.add(this.#stream);
    this.#stream.close(code);
  }
}
