// A byte stream -> numbered lines -> JSON values. Whole blocks are decoded at once; a line is a slice, never a promise.

import { isUtf8 } from "node:buffer";
import { parseLabelText } from "./label-event.ts";

const NEWLINE = 10;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/** Hears every line that is not blank. `line` counts from 1. */
export interface LineSink {
  /** `bytes` is about how much memory the value was read from. */
  value(value: unknown, line: number, bytes: number): void;
  broken(why: "notJson" | "notUtf8" | "tooLong", line: number): void;
  /** Offers a line, without its newline, before it is read as JSON; false: it was not taken. */
  plain?(text: string, span: TextSpan, line: number): boolean;
}

export interface TextSpan {
  readonly from: number;
  readonly to: number;
}

export interface LineReader {
  push(chunk: Buffer): void;
  /** The stream is complete: what is left is the last line. */
  end(): void;
}

class NdjsonReader implements LineReader {
  readonly #lineBytesMax: number;
  readonly #sink: LineSink;
  /** The line that has not ended yet; at most `lineBytesMax` bytes. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  /** The unfinished line is too long: its bytes are dropped until it ends. */
  #dropping = false;
  #line = 1;
  #atStart = true;

  constructor(lineBytesMax: number, sink: LineSink) {
    this.#lineBytesMax = lineBytesMax;
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    const first = chunk.indexOf(NEWLINE);
    if (first < 0) return this.#hold(chunk);
    this.#hold(chunk.subarray(0, first));
    this.#endLine();
    const last = chunk.lastIndexOf(NEWLINE);
    if (last > first) this.#block(chunk.subarray(first + 1, last + 1));
    this.#hold(chunk.subarray(last + 1));
  }

  end(): void {
    if (this.#restBytes > 0 || this.#dropping) this.#endLine();
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0 || this.#dropping) return;
    this.#restBytes += bytes.length;
    // Copied: a short rest must not keep the whole chunk of the socket alive.
    this.#rest.push(Buffer.from(bytes));
    if (this.#restBytes <= this.#lineBytesMax) return;
    this.#dropping = true;
    this.#rest = [];
    this.#restBytes = 0;
  }

  #endLine(): void {
    if (this.#dropping) this.#sink.broken("tooLong", this.#line++);
    else this.#bytesLine(Buffer.concat(this.#rest, this.#restBytes));
    this.#dropping = false;
    this.#rest = [];
    this.#restBytes = 0;
  }

  #bytesLine(bytes: Buffer): void {
    const hasBom = this.#atStart && bytes.subarray(0, 3).equals(BOM);
    this.#atStart = false;
    if (isUtf8(bytes)) this.#textLine(bytes.toString("utf8", hasBom ? 3 : 0));
    else this.#sink.broken("notUtf8", this.#line++);
  }

  /** Whole lines, each with its newline. */
  #block(block: Buffer): void {
    if (isUtf8(block)) return this.#textBlock(block.toString("utf8"));
    for (let at = 0; at < block.length;) {
      const end = block.indexOf(NEWLINE, at);
      this.#bytesLine(block.subarray(at, end));
      at = end + 1;
    }
  }

  #textBlock(text: string): void {
    for (let at = 0; at < text.length;) {
      const end = text.indexOf("\n", at);
      if (!this.#plainLine(text, at, end)) this.#textLine(text.slice(at, end));
      at = end + 1;
    }
  }

  #plainLine(text: string, from: number, to: number): boolean {
    if ((to - from) * 3 > this.#lineBytesMax) return false;
    if (this.#sink.plain?.(text, { from, to }, this.#line) !== true) return false;
    this.#line++;
    return true;
  }

  /** In bytes, however the stream was cut; a character takes three at most, so short lines are not measured. */
  #isTooLong(text: string): boolean {
    return text.length * 3 > this.#lineBytesMax && Buffer.byteLength(text) > this.#lineBytesMax;
  }

  #textLine(text: string): void {
    const line = this.#line++;
    if (this.#isTooLong(text)) return this.#sink.broken("tooLong", line);
    let value: unknown;
    try {
      value = parseLabelText(text);
    } catch {
      // A blank line is no label; asked only here, so that good lines do not pay for it.
      if (text.trim() !== "") this.#sink.broken("notJson", line);
      return;
    }
    this.#sink.value(value, line, text.length);
  }
}

/** Reads newline-delimited JSON (`\n` or `\r\n`, a UTF-8 byte order mark is skipped), however it is chunked. */
export function createNdjsonReader(lineBytesMax: number, sink: LineSink): LineReader {
  return new NdjsonReader(lineBytesMax, sink);
}
