// A client's requests, byte by byte off its connection: the head, then the body by the framing its receiver has found. Strict: a doubt is a defect.
//
//   head ──▶ (receiver decides) ──▶ length | chunked ──▶ done ──next()──▶ head

import type { RawHeaders } from "../facts/exchange.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { HeldBytes } from "./held-bytes.ts";
import { KnownHeads } from "./known-heads.ts";
import { PlainRequestReader, type HeadLimits, type PlainRequest } from "./plain-request.ts";
import { readRequestLine, type BadHead, type ReadHead } from "./request-line.ts";

export interface RequestSink {
  /** Calls `RequestReader.expectBody` when one follows, before it returns. */
  onRequestHead(head: ReadHead | PlainRequest): void;
  /** Valid until this returns. */
  onRequestBody(bytes: Buffer, start: number, end: number): void;
  onRequestWhole(trailers: RawHeaders): void;
}

const FIRST_LOOK_BYTES = 2048;
const CR = 13;
const LF = 10;
/** Empty lines before a request line that are passed over (RFC 9112 §2.2). */
const EMPTY_LINES_MAX = 4;
const NO_LINES: RawHeaders = Object.freeze([]);
/** Enough of a head to see that it begins one. */
const OPENING_BYTES = 200;

type State = "head" | "length" | "chunked" | "done";

export class RequestReader {
  readonly #sink: RequestSink;
  readonly #headBytesMax: number;
  readonly #headLinesMax: number;
  readonly #plain: PlainRequestReader;
  #state: State = "head";
  readonly #held = new HeldBytes();
  #emptyLines = 0;
  /** What is held has the end of the request line in it. */
  #lineEnded = false;
  /** Of the body, where it is known. */
  #length = 0;
  #left = 0;
  #whole = false;
  #chunks: ChunkReader | null = null;
  /** What `look` found; undefined: it has not looked. */
  #seen: PlainRequest | null | undefined = undefined;

  /** `known`: heads of all connections. */
  constructor(
    sink: RequestSink,
    limits: HeadLimits,
    known: KnownHeads<PlainRequest> = new KnownHeads<PlainRequest>(null),
  ) {
    this.#sink = sink;
    this.#headBytesMax = limits.headBytesMax;
    this.#headLinesMax = limits.headLinesMax;
    this.#plain = new PlainRequestReader(limits, known);
  }

  /** Part of a head has come. */
  get begun(): boolean {
    return this.#held.length > 0;
  }

  /** The request is whole; bytes behind it belong to the next. */
  get done(): boolean {
    return this.#state === "done";
  }

  /** While bytes of a body are told: they are all of it, and its length was known. */
  get wholeAtOnce(): boolean {
    return this.#whole;
  }

  get inBody(): boolean {
    return this.#state === "length" || this.#state === "chunked";
  }

  /** Bytes of the body; null: chunks. */
  expectBody(length: number | null): void {
    this.#state = length === null ? "chunked" : "length";
    this.#length = length ?? 0;
    this.#left = this.#length;
    if (length === null) this.#chunks = new ChunkReader();
  }

  /** The head, if these bytes are a whole plain request, none of before and none of the next, after which the connection persists. They are still to be read, or `took`. */
  look(bytes: Buffer, length: number): PlainRequest | null {
    if (this.#state !== "head" || this.begun || this.#emptyLines > 0) return null;
    const head = this.#plain.read(bytes, 0, length);
    this.#seen = head;
    if (head === null || head.closes || head.method === "HEAD") return null;
    return head.text.length + Math.max(0, head.length) === length ? head : null;
  }

  /** What was looked at is read by nobody else. */
  took(): void {
    this.#seen = undefined;
  }

  /** What was taken was a request, and is whole. */
  whole(): void {
    this.#state = "done";
  }

  /** The next bytes are another request. */
  next(): void {
    this.#state = "head";
    this.#emptyLines = 0;
    this.#lineEnded = false;
  }

  /** Reads the first `length` of `bytes` up to the end of the request and gives where it stopped, or what is wrong. May overwrite what it has read. */
  read(bytes: Buffer, length: number = bytes.length): number | BadHead {
    if (this.#state === "head") return this.#readFromHead(bytes, length);
    return this.#body(bytes, 0, length);
  }

  /** The count that comes back is of `bytes`, without what was held from before. */
  #readFromHead(bytes: Buffer, length: number): number | BadHead {
    const held = this.#held.length;
    const all = held === 0 ? bytes : this.#held.append(bytes, length);
    const to = held + length;
    const at = this.#head(all, held, to);
    if (typeof at !== "number") return at;
    const end = this.inBody && at < to ? this.#body(all, at, to) : at;
    return typeof end === "number" ? end - held : end;
  }

  /**
   * The first `seen` of `to` bytes have been looked through before: a head that comes byte by byte is not read again at each. What
   * stands behind `to` is not of this connection.
   */
  #head(bytes: Buffer, seen: number, to: number): number | BadHead {
    const from = this.#skipEmptyLines(bytes, to);
    if (seen > 0 && bytes.indexOf("\r\n\r\n", Math.max(from, seen - 3), "latin1") < 0)
      return this.#hold(bytes, from, seen);
    const looked = this.#seen !== undefined && from === 0;
    const plain = looked ? this.#seen : this.#plain.read(bytes, from, to);
    this.#seen = undefined;
    if (plain == null) return this.#anyHead(bytes.length === to ? bytes : bytes.subarray(0, to), from, seen);
    if (seen > 0) this.#held.clear();
    return this.#tell(plain, from + plain.text.length);
  }

  /** A head that is not plain, or not whole: read strictly. */
  #anyHead(bytes: Buffer, from: number, seen: number): number | BadHead {
    const to = bytes.length;
    let text = bytes.toString("latin1", from, Math.min(to, from + FIRST_LOOK_BYTES));
    let blank = text.indexOf("\r\n\r\n");
    if (blank < 0 && to - from > FIRST_LOOK_BYTES) {
      text = bytes.toString("latin1", from, Math.min(to, from + this.#headBytesMax));
      blank = text.indexOf("\r\n\r\n");
    }
    if (blank < 0) return this.#hold(bytes, from, seen);
    if (seen > 0) this.#held.clear();
    if (blank + 4 > this.#headBytesMax) return tooLong(text);
    const head = readRequestLine(text.slice(0, blank + 2));
    if ("status" in head) return head;
    if (head.lines.length > this.#headLinesMax * 2)
      return { status: 431, defect: `more than ${this.#headLinesMax} header lines` };
    return this.#tell(head, from + blank + 4);
  }

  #tell(head: ReadHead | PlainRequest, end: number): number {
    this.#state = "done";
    this.#sink.onRequestHead(head);
    if (this.#state === "done") this.#sink.onRequestWhole(NO_LINES);
    return end;
  }

  #hold(bytes: Buffer, from: number, seen: number): number | BadHead {
    const to = bytes.length;
    if (to - from >= this.#headBytesMax)
      return tooLong(bytes.toString("latin1", from, from + this.#headBytesMax));
    // What can no longer become a request is not waited for: a client that speaks something else hears of it.
    if (to > from && seen < OPENING_BYTES) {
      const opening = bytes.toString("latin1", from, Math.min(to, from + OPENING_BYTES));
      if (!/^[\r\n]*$|^[!#-'*+\-.^-z|~A-Z\d]+( |$)/.test(opening))
        return { status: 400, defect: "bytes that begin no request" };
    }
    if (!this.#lineEnded) {
      const end = bytes.indexOf(LF, Math.max(from, seen));
      if (end === from || (end > from && bytes[end - 1] !== CR))
        return { status: 400, defect: "a bare line end in the head" };
      this.#lineEnded = end > from;
    }
    this.#held.keep(bytes, from, to);
    return to;
  }

  #skipEmptyLines(bytes: Buffer, to: number): number {
    let at = 0;
    while (at + 2 <= to && bytes[at] === CR && bytes[at + 1] === LF && this.#emptyLines < EMPTY_LINES_MAX) {
      this.#emptyLines++;
      at += 2;
    }
    return at;
  }

  #body(bytes: Buffer, at: number, to: number): number | BadHead {
    if (this.#state === "chunked") return this.#chunked(bytes, at, to);
    const end = Math.min(to, at + this.#left);
    this.#left -= end - at;
    const ended = this.#left === 0;
    if (ended) this.#state = "done";
    this.#whole = ended && end - at === this.#length;
    if (end > at) this.#sink.onRequestBody(bytes, at, end);
    if (ended) this.#sink.onRequestWhole(NO_LINES);
    return end;
  }

  #chunked(bytes: Buffer, at: number, to: number): number | BadHead {
    const chunks = this.#chunks;
    if (chunks === null) return at;
    this.#whole = false;
    const end = chunks.read(bytes, at, to);
    // Nothing of a read with a defect in it goes on.
    if (chunks.defect !== null) return { status: 400, defect: chunks.defect };
    if (chunks.dataEnd > chunks.dataStart) this.#sink.onRequestBody(bytes, chunks.dataStart, chunks.dataEnd);
    if (!chunks.done) return end;
    this.#chunks = null;
    this.#state = "done";
    this.#sink.onRequestWhole(chunks.trailers);
    return end;
  }
}

function tooLong(text: string): BadHead {
  const inFirstLine = !text.includes("\r\n");
  return inFirstLine
    ? { status: 414, defect: "a request line that is longer than a head may be" }
    : { status: 431, defect: "a head that is longer than allowed" };
}
