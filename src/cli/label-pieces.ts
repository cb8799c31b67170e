// A label file cut into requests of bounded size that each stand alone, so that trying one again is cheap.

import { Problem } from "../kernel/problem.ts";

const PIECE_BYTES_MAX = 5 * 1024 * 1024;
const PIECE_LINES_MAX = 50_000;
/** A line, record or item longer than this is no label; holding it without end would fill the memory. */
const UNIT_BYTES_MAX = 15 * 1024 * 1024;

export type LabelFormat = "ndjson" | "csv" | "json";

export interface Piece {
  readonly contentType: string;
  readonly body: Buffer;
  /** What to add to the `line` of an error to get the line (JSON: the index) in the file. */
  readonly lineOffset: number;
  /** Bytes of the file it stands for. */
  readonly fileBytes: number;
}

/** How far `chunk` completes units (lines, records, items): up to `cut` (-1: none), which ended `lines` lines or items. */
interface Scan {
  readonly cut: number;
  readonly lines: number;
}

interface Format {
  readonly contentType: string;
  scan(chunk: Buffer): Scan;
  /** The body of a piece, made to stand alone. */
  wrap(bytes: Buffer, where: { readonly first: boolean; readonly last: boolean }): Buffer;
  /** Lines that `wrap` puts before every piece but the first. */
  readonly addedLines: number;
}

const NEWLINE = 0x0a;
const QUOTE = 0x22;

class Ndjson implements Format {
  readonly contentType = "application/x-ndjson";
  readonly addedLines = 0;

  scan(chunk: Buffer): Scan {
    let lines = 0;
    let cut = -1;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) {
      lines++;
      cut = at + 1;
    }
    return { cut, lines };
  }

  wrap(bytes: Buffer): Buffer {
    return bytes;
  }
}

/** A newline ends a record when the quotes before it come in pairs; a doubled quote inside a field keeps the pairs. */
class Csv implements Format {
  readonly contentType = "text/csv";
  #quoted = false;
  #pendingLines = 0;
  #header: Buffer[] = [];
  #headerDone = false;
  addedLines = 0;

  scan(chunk: Buffer): Scan {
    let lines = 0;
    let cut = -1;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === QUOTE) this.#quoted = !this.#quoted;
      if (byte !== NEWLINE) continue;
      this.#pendingLines++;
      if (this.#quoted) continue;
      cut = at + 1;
      if (!this.#headerDone) this.#endHeader(chunk.subarray(0, cut));
      lines += this.#pendingLines;
      this.#pendingLines = 0;
    }
    if (!this.#headerDone) this.#header.push(chunk);
    return { cut, lines };
  }

  #endHeader(tail: Buffer): void {
    this.#header = [Buffer.concat([...this.#header, tail])];
    // A blank first line is no header; the reader skips it, and so do we.
    if (this.#header[0]?.toString().trim() === "") return;
    this.#headerDone = true;
    this.addedLines = this.#pendingLines;
  }

  wrap(bytes: Buffer, { first }: { readonly first: boolean }): Buffer {
    return first ? bytes : Buffer.concat([...this.#header, bytes]);
  }
}

/** The items of one array; anything else is one unit. Only commas directly in the array are places to cut. */
class Json implements Format {
  readonly contentType = "application/json";
  readonly addedLines = 0;
  #depth = 0;
  #inArray = false;
  #inString = false;
  #escaped = false;

  scan(chunk: Buffer): Scan {
    let lines = 0;
    let cut = -1;
    for (let at = 0; at < chunk.length; at++) {
      if (!this.#isCut(chunk[at] ?? 0)) continue;
      lines++;
      cut = at + 1;
    }
    return { cut, lines };
  }

  #isCut(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === 0x5c) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
      return false;
    }
    if (byte === QUOTE) this.#inString = true;
    else if (byte === 0x5b || byte === 0x7b) {
      if (this.#depth++ === 0) this.#inArray = byte === 0x5b;
    } else if (byte === 0x5d || byte === 0x7d) this.#depth--;
    return byte === 0x2c && this.#depth === 1 && this.#inArray;
  }

  wrap(bytes: Buffer, { first, last }: { readonly first: boolean; readonly last: boolean }): Buffer {
    const opening = Buffer.from(first ? "" : "[");
    return last
      ? Buffer.concat([opening, bytes])
      : Buffer.concat([opening, bytes.subarray(0, -1), Buffer.from("]")]);
  }
}

function createFormat(format: LabelFormat): Format {
  switch (format) {
    case "ndjson":
      return new Ndjson();
    case "csv":
      return new Csv();
    case "json":
      return new Json();
  }
}

class Cutter {
  readonly #format: Format;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #heldLines = 0;
  #rest: Buffer[] = [];
  #restBytes = 0;
  #linesBefore = 0;
  #first = true;

  constructor(format: Format) {
    this.#format = format;
  }

  /** The next piece when there is enough for one. */
  push(chunk: Buffer): Piece | null {
    const { cut, lines } = this.#format.scan(chunk);
    if (cut >= 0) {
      this.#held.push(...this.#rest, chunk.subarray(0, cut));
      this.#heldBytes += this.#restBytes + cut;
      this.#heldLines += lines;
      this.#rest = [];
      this.#restBytes = 0;
    }
    const after = chunk.subarray(Math.max(0, cut));
    this.#rest.push(after);
    this.#restBytes += after.length;
    if (this.#restBytes > UNIT_BYTES_MAX) {
      const at = this.#linesBefore + this.#heldLines + 1;
      throw new Problem(
        "label_too_long",
        `line ${at}: longer than ${UNIT_BYTES_MAX} bytes; is this the right format?`,
      );
    }
    const enough = this.#heldBytes >= PIECE_BYTES_MAX || this.#heldLines >= PIECE_LINES_MAX;
    return enough ? this.#piece(this.#held, false) : null;
  }

  /** What is left; null when the file was empty. */
  end(): Piece | null {
    if (this.#first && this.#heldBytes + this.#restBytes === 0) return null;
    const bytes = [...this.#held, ...this.#rest];
    this.#heldBytes += this.#restBytes;
    return this.#heldBytes === 0 ? null : this.#piece(bytes, true);
  }

  #piece(parts: readonly Buffer[], last: boolean): Piece {
    const first = this.#first;
    const piece = {
      contentType: this.#format.contentType,
      body: this.#format.wrap(Buffer.concat(parts), { first, last }),
      lineOffset: this.#linesBefore - (first ? 0 : this.#format.addedLines),
      fileBytes: this.#heldBytes,
    };
    this.#linesBefore += this.#heldLines;
    this.#held = [];
    this.#heldBytes = 0;
    this.#heldLines = 0;
    this.#first = false;
    return piece;
  }
}

/** Cuts a stream of bytes. Throws Problem `label_too_long` for what cannot be cut. */
export async function* cutLabels(bytes: AsyncIterable<unknown>, format: LabelFormat): AsyncGenerator<Piece> {
  const cutter = new Cutter(createFormat(format));
  for await (const chunk of bytes) {
    const piece = cutter.push(Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk)));
    if (piece !== null) yield piece;
  }
  const last = cutter.end();
  if (last !== null) yield last;
}
