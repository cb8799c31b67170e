// Values within a known head that may be others when it comes again: the Content-Length, and what a client or a model was seen to say anew
// each time (ids, traces). Whatever stands there is checked for bytes that could make another head of it.

import type { RawHeaders } from "../facts/exchange.ts";
import { FIELD } from "./field-names.ts";
import { saysTraceparent } from "./trace.ts";

/** The value of one line. It may be another one that is as long. */
export interface Gap {
  /** One of `FIELD`. */
  readonly field: number;
  /** As the line spells it. */
  readonly name: string;
  readonly length: number;
  /** Where it begins in the head. */
  readonly at: number;
  /** Its place in what is told to the observer; -1: it is not. */
  readonly observedAt: number;
}

/** A known head with other values in its gaps. */
export interface Filled {
  readonly text: string;
  readonly kept: string;
  /** Content-Length; -1: none is given. */
  readonly length: number;
  readonly gaps: readonly Gap[];
}

/** A shorter value is never a gap: bytes are looked at by fours. */
export const GAP_BYTES_MIN = 4;

const SPACE = 32;
/** In each of four bytes. */
const HIGH_BITS = 0x8080_8080 | 0;
const ONES = 0x0101_0101;
const SPACES = 0x2020_2020;

/**
 * May these bytes stand in this gap, so that the head says the same around them? Only what plainly may: visible ASCII, with spaces
 * inside; a `traceparent` that can be continued.
 */
export function fits(view: DataView, at: number, { field, length }: Gap): boolean {
  if (field === FIELD.traceparent) return saysTraceparent(view, at, length);
  const last = at + length - 4;
  let outside = outsideBits(view.getInt32(last, true));
  for (let i = at; i < last; i += 4) outside |= outsideBits(view.getInt32(i, true));
  if ((outside & HIGH_BITS) !== 0) return false;
  if (field === FIELD.predictionId) return !hasSpace(view, at, length);
  return view.getUint8(at) !== SPACE && view.getUint8(last + 3) !== SPACE;
}

/**
 * Of each byte the high bit is set in one of the three where it is over 0x7e, or under 0x20; what is borrowed or carried from the byte
 * below comes from one that is outside itself.
 */
function outsideBits(four: number): number {
  return four | (four - SPACES) | (four + ONES);
}

function hasSpace(view: DataView, at: number, length: number): boolean {
  for (let i = at; i < at + length; i++) if (view.getUint8(i) === SPACE) return true;
  return false;
}

/** What stands in `gap`. */
export function valueIn(text: string, { at, length }: Gap): string {
  return text.slice(at, at + length);
}

/** What is told to the observer of a known head, with the values of this one. */
export function observedWith(known: RawHeaders, { text, gaps }: Filled): RawHeaders {
  let own: string[] | null = null;
  for (const gap of gaps) {
    if (gap.observedAt < 0) continue;
    own ??= known.slice();
    own[gap.observedAt] = valueIn(text, gap);
  }
  return own ?? known;
}
