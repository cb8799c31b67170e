// The upstream's answer, byte by byte off its connection: heads, interim heads, and the body by its framing. Strict: a doubt is a defect.

import type { RawHeaders } from "../facts/exchange.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { hasStrayBytes, readFieldLines } from "./field-lines.ts";
import { FIELD, fieldOf } from "./field-names.ts";
import { HeldBytes } from "./held-bytes.ts";
import { KnownHeads } from "./known-heads.ts";
import { PlainAnswerReader, timeoutMsOf, type PlainAnswer } from "./plain-answer.ts";

/** The head of a final answer: a plain one, or one read line by line. */
export type AnswerHead =
  | PlainAnswer
  | {
      readonly plain: false;
      readonly status: number;
      readonly reason: string;
      readonly lines: RawHeaders;
      /** All of them. */
      readonly observed: RawHeaders;
      /** As `Via` says it. */
      readonly receivedVersion: string;
    };

export interface AnswerSink {
  /** An interim head; 100 may be one that nobody waits for. */
  onInterim(status: number, headers: RawHeaders): void;
  onAnswerHead(head: AnswerHead): void;
  /** Body bytes: valid until this returns. */
  onBody(bytes: Buffer, start: number, end: number): void;
}

/** All heads of one answer, interim ones among them; beyond it the answer is refused. */
export const HEAD_BYTES_MAX = 64 * 1024;
/** Nearly every head ends within this; only a longer one costs a second look. */
const FIRST_LOOK_BYTES = 2048;
const BEGINNING = "HTTP/1.";
const NO_LINES: RawHeaders = Object.freeze([]);

type Body = "head" | "length" | "chunked" | "until-close" | "done";

export class AnswerReader {
  readonly #sink: AnswerSink;
  #state: Body = "done";
  #headOnly = false;
  readonly #held = new HeldBytes();
  readonly #plain: PlainAnswerReader;
  #headBytes = 0;
  /** Of the body, where it is known. */
  #length = 0;
  #left = 0;
  #whole = false;
  #chunks: ChunkReader | null = null;
  /** What `look` found; undefined: it has not looked. */
  #seen: PlainAnswer | null | undefined = undefined;
  trailers: RawHeaders = NO_LINES;
  /** The connection may carry another request once this answer is done. */
  persistent = false;
  /** A byte of this answer has come. */
  begun = false;
  /** From the server's `Keep-Alive: timeout`, milliseconds, or null. */
  keepAliveMs: number | null = null;

  /** `known`: heads of all connections. */
  constructor(sink: AnswerSink, known: KnownHeads<PlainAnswer> = new KnownHeads<PlainAnswer>(null)) {
    this.#sink = sink;
    this.#plain = new PlainAnswerReader(known);
  }

  get done(): boolean {
    return this.#state === "done";
  }

  /** While bytes of a body are told: they are all of it, and its length was known. */
  get wholeAtOnce(): boolean {
    return this.#whole;
  }

  /** The final head is still to come. */
  get headPending(): boolean {
    return this.#state === "head";
  }

  /** The next bytes answer a new request. */
  expect(method: string): void {
    this.#state = "head";
    this.#headOnly = method === "HEAD";
    this.#held.clear();
    this.#headBytes = 0;
    this.#chunks = null;
    this.trailers = NO_LINES;
    this.persistent = false;
    this.begun = false;
    this.keepAliveMs = null;
  }

  /** Nobody wants the rest. */
  stop(): void {
    this.#state = "done";
    this.persistent = false;
  }

  /** The plain head that these bytes, the first of an answer, begin with, or null. They are still to be read, or `took`. */
  look(bytes: Buffer, length: number): PlainAnswer | null {
    if (this.#state !== "head" || this.begun) return null;
    const head = this.#plain.read(bytes, 0, length);
    this.#seen = head;
    return head !== null && head.text.length < HEAD_BYTES_MAX ? head : null;
  }

  /** What was looked at was a whole answer after which the connection persists. */
  took(): void {
    this.#seen = undefined;
    this.#state = "done";
    this.begun = true;
    this.persistent = true;
  }

  /** Reads the first `length` of `bytes`, overwriting them. Gives what is wrong, or null. Bytes behind the answer make it not persistent. */
  read(bytes: Buffer, length: number): string | null {
    this.begun = true;
    const seen = this.#held.length;
    const all = seen === 0 ? bytes : this.#held.append(bytes, length);
    const to = seen + length;
    // What has been looked through is not read again: a head may come byte by byte.
    const whole = seen <= BEGINNING.length || all.indexOf("\r\n\r\n", seen - 3, "latin1") >= 0;
    if (!whole && this.#headBytes + to < HEAD_BYTES_MAX) return null;
    let at = 0;
    while (this.#state === "head" && at < to) {
      const next = this.#head(all, at, to);
      if (typeof next === "string") return next;
      if (next < 0) return null;
      at = next;
    }
    if (at < to && this.#state !== "done") {
      const next = this.#body(all, at, to);
      if (typeof next === "string") return next;
      at = next;
    }
    if (at < to) this.persistent = false;
    return null;
  }

  /** The connection has ended. True: so has the answer, and it is whole. */
  end(): boolean {
    if (this.#state === "until-close") this.#state = "done";
    return this.#state === "done";
  }

  #body(bytes: Buffer, at: number, to: number): number | string {
    if (this.#state === "chunked") return this.#chunked(bytes, at, to);
    let end = to;
    this.#whole = false;
    if (this.#state === "length") {
      end = Math.min(to, at + this.#left);
      this.#left -= end - at;
      this.#whole = end - at === this.#length;
      if (this.#left === 0) this.#state = "done";
    }
    this.#sink.onBody(bytes, at, end);
    return end;
  }

  #chunked(bytes: Buffer, at: number, to: number): number | string {
    this.#whole = false;
    const chunks = (this.#chunks ??= new ChunkReader());
    const next = chunks.read(bytes, at, to);
    if (chunks.dataEnd > chunks.dataStart) this.#sink.onBody(bytes, chunks.dataStart, chunks.dataEnd);
    if (chunks.defect !== null) return chunks.defect;
    if (chunks.done && this.#state === "chunked") {
      this.trailers = chunks.trailers;
      this.#state = "done";
    }
    return next;
  }

  /** Gives where the head ended, -1 when it is not whole yet, or what is wrong with it. */
  #head(bytes: Buffer, at: number, to: number): number | string {
    const plain = this.#seen === undefined ? this.#plain.read(bytes, at, to) : this.#seen;
    this.#seen = undefined;
    if (plain !== null && this.#headBytes + plain.text.length < HEAD_BYTES_MAX) {
      this.#held.clear();
      this.#plainHead(plain);
      return at + plain.text.length;
    }
    let text = bytes.toString("latin1", at, Math.min(to, at + FIRST_LOOK_BYTES));
    let blank = text.indexOf("\r\n\r\n");
    if (blank < 0 && to - at > FIRST_LOOK_BYTES) {
      text = bytes.toString("latin1", at, Math.min(to, at + HEAD_BYTES_MAX));
      blank = text.indexOf("\r\n\r\n");
    }
    const size = blank < 0 ? text.length : blank + 4;
    if (!BEGINNING.startsWith(text.slice(0, BEGINNING.length)))
      return "an answer that does not begin with `HTTP/1.`";
    if (this.#headBytes + size >= HEAD_BYTES_MAX) return "a head of more than 64 KiB";
    if (blank < 0) {
      this.#held.keep(bytes, at, to);
      return -1;
    }
    this.#held.clear();
    this.#headBytes += size;
    return this.#readHead(text.slice(0, blank + 2)) ?? at + size;
  }

  #readHead(text: string): string | null {
    const line = text.indexOf("\r\n");
    const minor = text.charCodeAt(7) - 48;
    const status = statusOfLine(text, line);
    if (status < 100 || minor < 0 || minor > 1) return "a status line that is not `HTTP/1.1 200 Reason`";
    if (hasStrayBytes(text)) return "a control byte or a bare line end in the head";
    const lines: string[] = [];
    const defect = readFieldLines(text, line + 2, lines);
    if (defect !== null) return defect;
    if (status >= 200) return this.#finalHead({ status, minor, reason: text.slice(13, line) }, lines);
    if (status === 101) return "a change of protocol that nobody asked for";
    this.#sink.onInterim(status, lines);
    return null;
  }

  #plainHead(head: PlainAnswer): void {
    this.persistent = !head.closes && !this.#headOnly;
    this.keepAliveMs = head.keepAliveMs;
    this.#expectBody(head.status, { length: head.length < 0 ? null : head.length, chunked: head.chunked });
    this.#sink.onAnswerHead(head);
  }

  #finalHead(start: { status: number; minor: number; reason: string }, lines: string[]): string | null {
    const { status, minor, reason } = start;
    const framing = readFraming(lines, minor);
    if (framing.defect !== null) return framing.defect;
    this.persistent = framing.persistent && !this.#headOnly;
    this.keepAliveMs = framing.keepAliveMs;
    this.#expectBody(status, framing);
    this.#sink.onAnswerHead({
      plain: false,
      status,
      reason,
      lines,
      observed: lines,
      receivedVersion: `1.${minor}`,
    });
    return null;
  }

  /** RFC 9112 §6.3. */
  #expectBody(status: number, { length, chunked }: { length: number | null; chunked: boolean }): void {
    if (this.#headOnly || status === 204 || status === 304 || length === 0) this.#state = "done";
    else if (chunked) this.#state = "chunked";
    else if (length !== null) {
      this.#state = "length";
      this.#length = length;
      this.#left = length;
    } else {
      this.#state = "until-close";
      this.persistent = false;
    }
  }
}

/** `HTTP/1.x NNN` and then nothing, or a space and a reason; -1: it is not that. */
function statusOfLine(text: string, end: number): number {
  if (end < 12 || text[8] !== " " || (end > 12 && text[12] !== " ")) return -1;
  let status = 0;
  for (let at = 9; at < 12; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return -1;
    status = status * 10 + digit;
  }
  return status;
}

interface Framing {
  length: number | null;
  chunked: boolean;
  persistent: boolean;
  closing: boolean;
  keepAliveMs: number | null;
  defect: string | null;
}

const DIGITS = /^\d{1,15}$/;

/** What the lines say about the body and the connection (RFC 9112 §6.3, §9.3). */
function readFraming(lines: readonly string[], minor: number): Framing {
  const framing: Framing = {
    length: null,
    chunked: false,
    persistent: minor === 1,
    closing: false,
    keepAliveMs: null,
    defect: null,
  };
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] ?? "";
    const field = fieldOf(name);
    if (field !== FIELD.other) note(framing, { field, name, value: lines[i + 1] ?? "" });
  }
  if (framing.chunked && framing.length !== null)
    framing.defect ??= "both Content-Length and Transfer-Encoding";
  if (framing.chunked && minor === 0) framing.defect ??= "Transfer-Encoding in an HTTP/1.0 answer";
  if (framing.closing) framing.persistent = false;
  return framing;
}

function note(framing: Framing, line: { field: number; name: string; value: string }): void {
  const { value } = line;
  switch (line.field) {
    case FIELD.contentLength:
      if (framing.length !== null) framing.defect ??= "two Content-Length lines";
      if (!DIGITS.test(value)) framing.defect ??= "a Content-Length that is not a number";
      framing.length = Number(value);
      return;
    case FIELD.transferEncoding:
      if (framing.chunked || value.toLowerCase() !== "chunked")
        framing.defect ??= `Transfer-Encoding: ${value.slice(0, 60)}`;
      framing.chunked = true;
      return;
    case FIELD.connection:
      if (hasToken(value, "close")) framing.closing = true;
      if (hasToken(value, "keep-alive")) framing.persistent = true;
      return;
    case FIELD.hop:
      if (line.name.toLowerCase() === "keep-alive")
        framing.keepAliveMs = timeoutMsOf(value) ?? framing.keepAliveMs;
      return;
    default:
  }
}

function hasToken(value: string, token: string): boolean {
  if (value.length === token.length) return value.toLowerCase() === token;
  return value.split(",").some((part) => part.trim().toLowerCase() === token);
}
