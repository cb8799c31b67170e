// Answers of one model are mostly alike: the same text but for a few numbers and short texts. What is alike is parsed once.

import { isAscii } from "node:buffer";
import { isList, isObject } from "./json.ts";
import { NUMBER, scalarsOf, type Path, type Scalar } from "./json-scalars.ts";
import { parseJson } from "./parse-json.ts";

/** Longer texts are parsed as ever: few values of many are not what differs in them. */
const BYTES_MAX = 4096;
/** Each costs as much as several values that are parsed together. */
const SLOTS_MAX = 8;
const SHAPES_MAX = 8;
/** After a text that became a new shape, so many others are only parsed; twice as many each time, until one fits. */
const PAUSE_MIN = 8;
const PAUSE_MAX = 1024;

const ONE_NUMBER = new RegExp(`^${NUMBER.source}$`);
/** Longer ones may be integers that a number cannot hold. */
const INTEGER_MAX = 15;
const FRACTION = /[.eE]/;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Where the slots are within a value. */
interface Place {
  /** Of a slot: which one; else -1. */
  readonly slot: number;
  readonly inner: Map<string | number, Place>;
}

/** Bytes that do not vary; the same as numbers, as far as there are four of them. */
interface Literal {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
}

function literalOf(text: string): Literal {
  const bytes = Buffer.from(text, "latin1");
  const words = Int32Array.from({ length: bytes.length >> 2 }, (_, i) => bytes.readInt32LE(4 * i));
  return { bytes, words };
}

/** A text that has come, and which of its values may be others. */
interface Shape {
  readonly text: string;
  readonly value: unknown;
  readonly scalars: readonly Scalar[];
  readonly open: ReadonlySet<number>;
  /** By slot: what stands before it. */
  readonly before: readonly Literal[];
  readonly isText: readonly boolean[];
  /** What stands behind the last one. */
  readonly end: Literal;
  readonly places: Place;
}

function shapeOf(from: Pick<Shape, "text" | "value" | "scalars">, open: ReadonlySet<number>): Shape {
  const before: Literal[] = [];
  const isText: boolean[] = [];
  const places: Place = { slot: -1, inner: new Map() };
  let at = 0;
  for (const [i, scalar] of from.scalars.entries()) {
    if (!open.has(i)) continue;
    put(places, scalar.path, before.length);
    before.push(literalOf(from.text.slice(at, scalar.from)));
    isText.push(scalar.isText);
    at = scalar.to;
  }
  return { ...from, open, before, isText, end: literalOf(from.text.slice(at)), places };
}

function put(places: Place, path: Path, slot: number): void {
  let at = places;
  for (const [i, key] of path.entries()) {
    const next = at.inner.get(key) ?? { slot: i === path.length - 1 ? slot : -1, inner: new Map() };
    at.inner.set(key, next);
    at = next;
  }
}

/** `value` with the slots filled; what holds none of them is the same object. */
function filled(value: unknown, { slot, inner }: Place, values: readonly unknown[]): unknown {
  if (slot >= 0) return values[slot];
  if (isList(value)) {
    const copy: unknown[] = [...value];
    for (const [key, place] of inner) copy[Number(key)] = filled(value[Number(key)], place, values);
    return copy;
  }
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = { ...value };
  for (const [key, place] of inner) copy[key] = filled(value[key], place, values);
  return copy;
}

/** Whether `literal` stands in `view` at `at`; four bytes at a time. */
function stands({ bytes, words }: Literal, view: DataView, at: number): boolean {
  const { length } = bytes;
  const whole = 4 * words.length;
  for (let i = 0; i < whole; i += 4) if (view.getInt32(at + i, true) !== words[i >> 2]) return false;
  for (let i = whole; i < length; i++) if (view.getUint8(at + i) !== bytes[i]) return false;
  return true;
}

/** Where the characters of a number from `at` on end. */
function endOfNumber(bytes: Uint8Array, at: number): number {
  let to = at;
  for (; to < bytes.length; to++) {
    const byte = bytes[to] ?? 0;
    const isDigit = byte >= 0x30 && byte <= 0x39;
    if (!isDigit && byte !== 0x2e && byte !== 0x2d && byte !== 0x2b && byte !== 0x65 && byte !== 0x45) break;
  }
  return to;
}

/** Where the text that begins at `at` ends, its quotation marks included; `at`: it is none in plain ASCII. */
function endOfText(bytes: Uint8Array, at: number): number {
  if (bytes[at] !== QUOTE) return at;
  for (let to = at + 1; to < bytes.length; to++) {
    const byte = bytes[to] ?? 0;
    if (byte === QUOTE) return to + 1;
    if (byte < 0x20 || byte > 0x7e || byte === BACKSLASH) return at;
  }
  return at;
}

function numberIn(digits: string): number | undefined {
  if (!ONE_NUMBER.test(digits) || (digits.length > INTEGER_MAX && !FRACTION.test(digits))) return undefined;
  return Number(digits);
}

/** The value that `bytes` say when they are of the shape, else undefined. `view`: of the same memory. */
function fitted(shape: Shape, bytes: Buffer, view: DataView): unknown {
  const { before, isText, end, places } = shape;
  const { byteOffset, length } = bytes;
  const values: unknown[] = [];
  let at = 0;
  for (let slot = 0; slot < before.length; slot++) {
    const literal = before[slot] ?? end;
    const from = at + literal.bytes.length;
    if (from > length || !stands(literal, view, byteOffset + at)) return undefined;
    const asText = isText[slot] === true;
    at = asText ? endOfText(bytes, from) : endOfNumber(bytes, from);
    if (at === from) return undefined;
    const value = asText
      ? bytes.toString("latin1", from + 1, at - 1)
      : numberIn(bytes.toString("latin1", from, at));
    if (value === undefined) return undefined;
    values.push(value);
  }
  if (length !== at + end.bytes.length || !stands(end, view, byteOffset + at)) return undefined;
  return filled(shape.value, places, values);
}

/** The shape with what is another in `scalars`, of a text that has the same between its values; null: it has not. */
function widened(shape: Shape, text: string, scalars: readonly Scalar[]): Shape | null {
  if (scalars.length !== shape.scalars.length) return null;
  const open = new Set(shape.open);
  let at = 0;
  let ours = 0;
  for (const [i, scalar] of scalars.entries()) {
    const known = shape.scalars[i];
    if (known === undefined || known.isText !== scalar.isText) return null;
    if (text.slice(at, scalar.from) !== shape.text.slice(ours, known.from)) return null;
    if (text.slice(scalar.from, scalar.to) !== shape.text.slice(known.from, known.to)) open.add(i);
    at = scalar.to;
    ours = known.to;
  }
  return text.slice(at) === shape.text.slice(ours) ? shapeOf(shape, open) : null;
}

export class AlikeJson {
  /** The one that fitted last comes first. */
  readonly #shapes: Shape[] = [];
  #view: DataView = new DataView(new ArrayBuffer(0));
  #pause = 0;
  #pauseNext = PAUSE_MIN;

  /** As `parseJson`. What it gives is shared with other calls: it is not to be changed. */
  parse(bytes: Buffer): unknown {
    if (bytes.length > BYTES_MAX) return parseJson(bytes);
    // Bodies of one batch are views of one frame.
    if (bytes.buffer !== this.#view.buffer) this.#view = new DataView(bytes.buffer);
    for (let i = 0; i < this.#shapes.length; i++) {
      const shape = this.#shapes[i];
      const value = shape === undefined ? undefined : fitted(shape, bytes, this.#view);
      if (shape === undefined || value === undefined) continue;
      if (i > 0) this.#first(shape, i);
      this.#pauseNext = PAUSE_MIN;
      return value;
    }
    const value = parseJson(bytes);
    if (this.#pause > 0) this.#pause--;
    else this.#learn(bytes, value);
    return value;
  }

  #first(shape: Shape, was: number): void {
    this.#shapes.splice(was, 1);
    this.#shapes.unshift(shape);
  }

  #learn(bytes: Buffer, value: unknown): void {
    const text = bytes.toString("latin1");
    const scalars = isAscii(bytes) && (isObject(value) || isList(value)) ? scalarsOf(text, value) : null;
    for (const [i, shape] of this.#shapes.entries()) {
      const wider = scalars === null ? null : widened(shape, text, scalars);
      if (wider === null) continue;
      this.#shapes.splice(i, 1);
      if (wider.open.size > SLOTS_MAX) break;
      this.#shapes.unshift(wider);
      return;
    }
    this.#pause = this.#pauseNext;
    this.#pauseNext = Math.min(2 * this.#pauseNext, PAUSE_MAX);
    if (scalars === null) return;
    if (this.#shapes.length >= SHAPES_MAX) this.#shapes.pop();
    this.#shapes.unshift(shapeOf({ text, value, scalars }, new Set()));
  }
}
