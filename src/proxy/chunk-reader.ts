// The chunked coding (RFC 9112 §7.1) of requests and answers, read strictly and across any cut of the bytes.
//
//   size ──digits, extension, CRLF──▶ data ──CRLF──▶ size ... size 0 ──▶ trailers ──empty line──▶ done

import type { RawHeaders } from "../facts/exchange.ts";
import { hasStrayBytes, readFieldLines } from "./field-lines.ts";

/** 13 hex digits stay exact in a number. */
const SIZE_DIGITS_MAX = 13;
/** All extensions of one body together; beyond it the answer is refused. */
const EXTENSION_BYTES_MAX = 16 * 1024;
const TRAILER_BYTES_MAX = 64 * 1024;

const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 32;
const SEMICOLON = 59;
const DELETE = 127;

type State = "size" | "extension" | "size-end" | "data" | "data-cr" | "data-lf" | "trailers" | "done";

/** Takes the framing out of a body. The data of one read is moved together in place: one piece comes out, however many chunks went in. */
export class ChunkReader {
  #state: State = "size";
  #size = 0;
  #digits = 0;
  #extensionBytes = 0;
  #trailerText = "";
  trailers: RawHeaders = NO_LINES;
  /** Where the data of the last `read` lies. */
  dataStart = 0;
  dataEnd = 0;
  /** What is wrong with the bytes, or null. */
  defect: string | null = null;

  get done(): boolean {
    return this.#state === "done";
  }

  /** Reads `bytes` from `from` to `to`, and gives where it stopped: `to`, unless the body is done or defective. Overwrites what it has read. */
  read(bytes: Buffer, from: number, to: number): number {
    this.dataStart = from;
    this.dataEnd = from;
    let at = from;
    while (at < to && this.#state !== "done" && this.defect === null) {
      if (this.#state === "data") at = this.#data(bytes, at, to);
      else if (this.#state === "trailers") at = this.#trailers(bytes, at, to);
      else this.#framing(bytes[at++] ?? 0);
    }
    return at;
  }

  #data(bytes: Buffer, at: number, to: number): number {
    const end = Math.min(to, at + this.#size);
    if (this.dataEnd === this.dataStart) {
      this.dataStart = at;
      this.dataEnd = end;
    } else {
      bytes.copyWithin(this.dataEnd, at, end);
      this.dataEnd += end - at;
    }
    this.#size -= end - at;
    if (this.#size === 0) this.#state = "data-cr";
    return end;
  }

  #framing(byte: number): void {
    switch (this.#state) {
      case "size":
        this.#sizeByte(byte);
        return;
      case "extension":
        this.#extensionByte(byte);
        return;
      case "size-end":
        if (byte !== LF) this.defect = "a chunk size line that does not end with CRLF";
        this.#state = this.#size === 0 ? "trailers" : "data";
        this.#digits = 0;
        return;
      case "data-cr":
        if (byte !== CR) this.defect = "a chunk longer than its size";
        this.#state = "data-lf";
        return;
      case "data-lf":
        if (byte !== LF) this.defect = "a chunk longer than its size";
        this.#state = "size";
        return;
      case "data":
      case "trailers":
      case "done":
    }
  }

  #sizeByte(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#size = this.#size * 16 + digit;
      if (++this.#digits > SIZE_DIGITS_MAX) this.defect = "a chunk size that is too long";
    } else if (this.#digits === 0) this.defect = "a chunk without a size";
    else if (byte === CR) this.#state = "size-end";
    else if (byte === SEMICOLON) this.#state = "extension";
    else this.defect = "a chunk size that is not a hexadecimal number";
  }

  #extensionByte(byte: number): void {
    if (byte === CR) this.#state = "size-end";
    else if ((byte < SPACE && byte !== TAB) || byte === DELETE)
      this.defect = "a chunk extension with a control byte";
    else if (++this.#extensionBytes > EXTENSION_BYTES_MAX) this.defect = "too many chunk extensions";
  }

  #trailers(bytes: Buffer, at: number, to: number): number {
    const before = this.#trailerText.length;
    const text = this.#trailerText + bytes.toString("latin1", at, Math.min(to, at + TRAILER_BYTES_MAX));
    const blank = text.startsWith("\r\n") ? -2 : text.indexOf("\r\n\r\n", Math.max(0, before - 3));
    if (blank === -1) {
      this.#trailerText = text;
      if (text.length >= TRAILER_BYTES_MAX) this.defect = "trailers that are too long";
      return to;
    }
    const end = blank + 4;
    this.#state = "done";
    this.#trailerText = "";
    if (blank >= 0) this.#readTrailers(text.slice(0, blank + 2));
    return at + end - before;
  }

  #readTrailers(text: string): void {
    const lines: string[] = [];
    this.defect = hasStrayBytes(text) ? "a control byte in a trailer" : readFieldLines(text, 0, lines);
    this.trailers = lines;
  }
}

const NO_LINES: RawHeaders = Object.freeze([]);

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
