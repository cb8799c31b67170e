// A whole JSON body -> its items, without ever building all of them: a hostile 16 MiB body must not become a gigabyte of objects.

import { isUtf8 } from "node:buffer";
import { parseLabelText } from "./label-event.ts";
import { ApiProblem } from "./problems.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const DEPTH_MAX = 32;

/** Where an item's text stands in the body. */
export interface ItemSpan {
  readonly start: number;
  readonly end: number;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function skipSpace(body: Buffer, from: number): number {
  let at = from;
  while (isSpace(body[at])) at++;
  return at;
}

/** The index after the string that opens at `from`, or the body's length when it never closes. */
function skipString(body: Buffer, from: number): number {
  for (let at = from + 1; at < body.length; at++) {
    if (body[at] === BACKSLASH) at++;
    else if (body[at] === QUOTE) return at + 1;
  }
  return body.length;
}

function notJson(where: string): ApiProblem {
  return new ApiProblem("invalid_json", `the body is not valid JSON (${where}): nothing was stored`);
}

/** The index of the `,` or `]` of the enclosing array that ends the item at `from`. */
function endOfItem(body: Buffer, from: number, item: number): number {
  let depth = 0;
  for (let at = from; at < body.length; at++) {
    const byte = body[at];
    if (byte === QUOTE) at = skipString(body, at) - 1;
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (++depth > DEPTH_MAX) throw notJson(`item ${item} is nested deeper than ${DEPTH_MAX}`);
    } else if (depth === 0 && (byte === COMMA || byte === CLOSE_ARRAY)) return at;
    else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth--;
    if (depth < 0) throw notJson(`item ${item}`);
  }
  throw notJson("the array is not closed");
}

function* spansOfArray(body: Buffer, opening: number): Generator<ItemSpan> {
  let start = skipSpace(body, opening + 1);
  let closing = start;
  if (body[start] !== CLOSE_ARRAY) {
    for (let item = 1; ; item++) {
      closing = endOfItem(body, start, item);
      yield { start, end: closing };
      if (body[closing] === CLOSE_ARRAY) break;
      start = closing + 1;
    }
  }
  if (skipSpace(body, closing + 1) < body.length) throw notJson("something follows the array");
}

/** The items of the body in order: those of an array, or the one value. Throws `invalid_json` where the text cannot be cut. */
export function* itemSpans(body: Buffer): Generator<ItemSpan> {
  const start = skipSpace(body, 0);
  if (body[start] === OPEN_ARRAY) yield* spansOfArray(body, start);
  else yield { start, end: body.length };
}

/** The value of one item. Throws `invalid_json`. */
export function parseItem(body: Buffer, span: ItemSpan, item: number): unknown {
  try {
    return parseLabelText(body.toString("utf8", span.start, span.end));
  } catch {
    throw notJson(`item ${item}`);
  }
}

/** The body without a byte order mark. Throws `invalid_utf8`. */
export function withoutBom(body: Buffer): Buffer {
  if (!isUtf8(body)) throw new ApiProblem("invalid_utf8", "the body is not valid UTF-8: nothing was stored");
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body;
}
