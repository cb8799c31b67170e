// Where the lines of a head are, found in one pass over its bytes. Only what is plainly right is found: a caller that is told "no" reads
// the head strictly (field-lines.ts), and hears there what is wrong with it, if anything is.

import { TOKEN, isBlank } from "./field-lines.ts";
import { fieldAt } from "./field-names.ts";

/** A head with more lines is read the other way. */
const PLAIN_LINES_MAX = 64;

const CR = 13;
const LF = 10;
const SPACE = 32;
const TAB = 9;
const COLON = 58;

/** 1 for each byte that may stand in a field value (RFC 9110 §5.5). */
const VALUE = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) VALUE[byte] = byte === TAB || (byte >= SPACE && byte !== 127) ? 1 : 0;

/** The lines of the head scanned last. Offsets are into its bytes. */
export class HeadScan {
  count = 0;
  /** Where the head begins. */
  from = 0;
  /** Behind the empty line. */
  end = 0;
  readonly names = new Int32Array(PLAIN_LINES_MAX);
  readonly nameEnds = new Int32Array(PLAIN_LINES_MAX);
  readonly valueEnds = new Int32Array(PLAIN_LINES_MAX);
  /** One of `FIELD`. */
  readonly fields = new Uint8Array(PLAIN_LINES_MAX);
  /** 1: the line does not go on. Filled in by whoever works the lines off. */
  readonly drops = new Uint8Array(PLAIN_LINES_MAX);
  /** Where what goes on begins, from `from` on; the same. */
  keptFrom = 0;

  /** Behind `name: ` of line `i`. */
  valueAt(i: number): number {
    return (this.nameEnds[i] ?? 0) + 2;
  }

  /** How many of its lines are this field. */
  counts(field: number): number {
    let counted = 0;
    for (let i = 0; i < this.count; i++) if (this.fields[i] === field) counted++;
    return counted;
  }

  /**
   * Finds the lines of the head that begins at `from`, from `linesAt` to the empty line. False: it has not come yet, or some line is not exactly `name: value` and CRLF, with
   * one space, a value, and no blanks around it.
   */
  scan(bytes: Uint8Array, where: { from: number; linesAt: number; to: number }): boolean {
    const { from, linesAt, to } = where;
    let at = linesAt;
    for (let count = 0; count <= PLAIN_LINES_MAX; count++) {
      if (bytes[at] === CR) {
        this.count = count;
        this.from = from;
        this.end = at + 2;
        return at + 2 <= to && bytes[at + 1] === LF;
      }
      if (count === PLAIN_LINES_MAX) return false;
      at = this.#line(bytes, at, count);
      // The bytes behind `to` are not ours: what was found there is not found.
      if (at < 0 || at > to) return false;
    }
    return false;
  }

  /** Gives where the next line begins, or -1. */
  #line(bytes: Uint8Array, from: number, count: number): number {
    let at = from;
    while (TOKEN[bytes[at] ?? 0] === 1) at++;
    const nameEnd = at;
    if (nameEnd === from || bytes[at] !== COLON || bytes[at + 1] !== SPACE) return -1;
    at += 2;
    const valueAt = at;
    while (VALUE[bytes[at] ?? 0] === 1) at++;
    if (at === valueAt || bytes[at] !== CR || bytes[at + 1] !== LF) return -1;
    if (isBlank(bytes[valueAt]) || isBlank(bytes[at - 1])) return -1;
    this.names[count] = from;
    this.nameEnds[count] = nameEnd;
    this.valueEnds[count] = at;
    this.fields[count] = fieldAt(bytes, from, nameEnd);
    return at + 2;
  }
}

/** The number that 1 to 15 digits say, else -1. */
export function digits(bytes: Uint8Array, at: number, end: number): number {
  if (end === at || end - at > 15) return -1;
  let number = 0;
  for (let i = at; i < end; i++) {
    const digit = (bytes[i] ?? 0) - 48;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}
