// One label as it was sent -> a label event, or the reason why not. Hand-written checks: this runs for every line.

import type { LabelEvent, LabelOutcome, Told } from "../facts/label.ts";
import { longDigits, parseExactly } from "../kernel/parse-exactly.ts";
import { TS_MAX_MS, parseTimestamp, parseTimestampText } from "./timestamp.ts";

export const ID_CHARS_MAX = 512;
export const LABEL_CHARS_MAX = 1024;
export const LABEL_ROWS_MAX = 10_000;
const MODEL_CHARS_MAX = 256;

type Refusal = LabelOutcome & { readonly result: "rejected" };

function refusal(code: string, message: string): Refusal {
  return Object.freeze({ result: "rejected", code, message, model: null, version: null });
}

const LABEL_RULE = `a finite number, a string of at most ${LABEL_CHARS_MAX} characters without control characters, true, false, an array of these, or null to retract`;
export const REFUSED = Object.freeze({
  notJson: refusal("invalid_json", "not valid JSON: write one JSON object per line"),
  notUtf8: refusal("invalid_utf8", "not valid UTF-8: write the file in UTF-8"),
  notObject: refusal("invalid_event", 'not an object: write {"id": ..., "label": ...}'),
  tooLong: refusal("line_too_long", "the line is longer than the API takes: send fewer labels in one array"),
  id: refusal(
    "invalid_id",
    `id must be a string of 1 to ${ID_CHARS_MAX} characters without control characters: quote numbers`,
  ),
  noLabel: refusal("missing_label", `label is missing: it is ${LABEL_RULE}`),
  label: refusal("invalid_label", `label must be ${LABEL_RULE}`),
  labelNumber: refusal(
    "invalid_label",
    "label must be a finite number: NaN, Infinity and overflow are refused",
  ),
  labelRows: refusal("invalid_label", `label, when an array, holds 1 to ${LABEL_ROWS_MAX} values`),
  model: refusal(
    "invalid_model",
    `model must be a string of 1 to ${MODEL_CHARS_MAX} characters; leave it out when only one model knows the id`,
  ),
  ts: refusal(
    "invalid_ts",
    `ts must be RFC 3339 with an offset (2026-01-31T12:00:00Z) or whole Unix milliseconds from 0 to ${TS_MAX_MS}`,
  ),
  cellNull: refusal(
    "missing_label",
    "label is empty: write the label, or null to retract; leave unknown rows out",
  ),
});

/** A surrogate alone, or a control character, would not survive storage, logs and exposition unchanged. */
function isCleanText(text: string, charsMax: number): boolean {
  if (text.length > charsMax) return false;
  let surrogates = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return false;
    if (code >= 0xd800 && code <= 0xdfff) surrogates = true;
  }
  return !surrogates || text.isWellFormed();
}

function isFields(value: unknown): value is { readonly [key in "id" | "label" | "model" | "ts"]?: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const isLong = (value: unknown): boolean =>
  typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER;
/** The label, or the places of its list; other numbers of an event are no names. */
const isLabelKey = (key: string): boolean => key === "label" || /^\d+$/.test(key);

/** `JSON.parse` of an event, but an integer label that a number cannot hold keeps its digits. Throws as it does. */
export function parseLabelText(text: string): unknown {
  const event: unknown = JSON.parse(text);
  if (!isFields(event)) return event;
  const { label } = event;
  return isLong(label) || (Array.isArray(label) && label.some(isLong))
    ? parseExactly(text, isLabelKey, BigInt)
    : event;
}

function isRefusal(value: LabelEvent["label"] | Refusal): value is Refusal {
  return typeof value === "object" && value !== null && "result" in value;
}

function parseScalar(raw: unknown): Told | null | Refusal {
  // + 0 turns -0 into 0: they are the same truth.
  if (typeof raw === "number") return Number.isFinite(raw) ? raw + 0 : REFUSED.labelNumber;
  if (typeof raw === "string") return parseText(raw);
  if (typeof raw === "boolean") return { className: raw ? "1" : "0" };
  if (typeof raw === "bigint") return raw.toString();
  return raw === null ? null : REFUSED.label;
}

function parseText(text: string): Told | Refusal {
  if (!isCleanText(text, LABEL_CHARS_MAX)) return REFUSED.label;
  // The digits alone mean the number.
  return longDigits(text) === null ? text : { className: text };
}

function parseRows(raw: readonly unknown[]): LabelEvent["label"] | Refusal {
  if (raw.length === 0 || raw.length > LABEL_ROWS_MAX) return REFUSED.labelRows;
  const rows: (Told | null)[] = [];
  for (const item of raw) {
    const row = parseScalar(item);
    if (isRefusal(row)) return row;
    rows.push(row);
  }
  return rows;
}

/** A label from a parsed JSON value. `receivedAt` (whole Unix ms) stands in for a missing `ts`. */
export function parseLabelEvent(fields: unknown, receivedAt: number): LabelEvent | Refusal {
  if (!isFields(fields)) return REFUSED.notObject;
  const { id, label: raw, model = null, ts: rawTs } = fields;
  if (typeof id !== "string" || id.length === 0 || !isCleanText(id, ID_CHARS_MAX)) return REFUSED.id;
  if (raw === undefined) return REFUSED.noLabel;
  const label = Array.isArray(raw) ? parseRows(raw) : parseScalar(raw);
  if (isRefusal(label)) return label;
  if (model !== null) {
    if (typeof model !== "string" || model.length === 0) return REFUSED.model;
    if (!isCleanText(model, MODEL_CHARS_MAX)) return REFUSED.model;
  }
  const ts = rawTs === undefined || rawTs === null ? receivedAt : parseTimestamp(rawTs);
  return ts === null ? REFUSED.ts : { id, model, label, ts, receivedAt };
}

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const ZERO = 0x30;
const MINUS = 0x2d;
const POINT = 0x2e;
/** A whole number of so many digits, divided by a power of ten up to 10^22, is rounded once: as `Number` rounds the text. */
const EXACT_DIGITS = 15;
const POWERS = Array.from({ length: EXACT_DIGITS + 1 }, (_, i) => 10 ** i);

/** Where `word` ends in text[at, ...), a space allowed behind it; -1: something else stands there. */
function skip(text: string, word: string, at: number): number {
  if (!text.startsWith(word, at)) return -1;
  const end = at + word.length;
  return text.charCodeAt(end) === SPACE ? end + 1 : end;
}

/** A JSON number that is all of text[from, to); NaN: it is none, no finite one, or an integer that a number cannot hold. */
export function plainNumber(text: string, from: number, to: number): number {
  if (to - from > EXACT_DIGITS + 2) return longNumber(text, from, to);
  const start = text.charCodeAt(from) === MINUS ? from + 1 : from;
  let whole = 0;
  let point = -1;
  for (let at = start; at < to; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit >= 0 && digit <= 9) whole = whole * 10 + digit;
    else if (digit === POINT - ZERO && point < 0 && at > start) point = at;
    else return longNumber(text, from, to);
  }
  const fraction = point < 0 ? 0 : to - point - 1;
  const digits = to - start - (point < 0 ? 0 : 1);
  const first = point < 0 ? digits : point - start;
  const isOdd = digits < 1 || digits > EXACT_DIGITS || (point >= 0 && fraction === 0);
  // 0.5 and 0, but not 00 or 05.
  if (isOdd || (first > 1 && text.charCodeAt(start) === ZERO)) return longNumber(text, from, to);
  const value = whole / (POWERS[fraction] ?? 1);
  return start === from ? value : -value;
}

function longNumber(text: string, from: number, to: number): number {
  const digits = text.slice(from, to);
  // More digits than a number holds: they are kept where the line is read as JSON.
  if (longDigits(digits) !== null) return Number.NaN;
  const value = JSON_NUMBER.test(digits) ? Number(digits) : Number.NaN;
  return Number.isFinite(value) ? value : Number.NaN;
}

/** End of a string's content that means itself: printable ASCII without escapes; -1: it is another kind of string. */
function plainEnd(text: string, from: number): number {
  for (let at = from; ; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    // Not a number at the end of the text: refused as well.
    if (!(code >= SPACE && code < 0x7f) || code === BACKSLASH) return -1;
  }
}

/**
 * A label from a line as nearly all senders write it, `{"id":"...","label":1.5}`, with or without a space after colons and the
 * comma: the same event that JSON gives, at a third of the price. null: it is written otherwise, and read as JSON.
 */
export function parsePlainLabel(
  text: string,
  span: { readonly from: number; readonly to: number },
  receivedAt: number,
): LabelEvent | null {
  const { from, to } = span;
  const start = skip(text, '{"id":', from);
  if (start < 0 || text.charCodeAt(start) !== QUOTE) return null;
  const end = plainEnd(text, start + 1);
  const length = end - start - 1;
  if (end < 0 || length < 1 || length > ID_CHARS_MAX) return null;
  const comma = skip(text, ",", end + 1);
  const at = comma < 0 ? -1 : skip(text, '"label":', comma);
  // The brace is the last character of the line: what is between is one number, or no plain label.
  if (at < 0 || at >= to - 1 || text.charCodeAt(to - 1) !== 0x7d) return null;
  const label = plainNumber(text, at, to - 1) + 0;
  if (Number.isNaN(label)) return null;
  return { id: text.slice(start + 1, end), model: null, label, ts: receivedAt, receivedAt };
}

const NOT_A_NUMBER = /^[+-]?(?:nan|inf|infinity)$/i;
/** Booleans in the spellings of JSON, Python and SQL; `null` only as JSON writes it, because it withdraws a truth. */
const CELL_WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ...["true", "True", "TRUE"].map((word): [string, boolean] => [word, true]),
  ...["false", "False", "FALSE"].map((word): [string, boolean] => [word, false]),
  ["null", null],
]);

function parseLabelCell(cell: string): Told | null | Refusal {
  // An empty cell is what programs write for "not known yet"; taking it for a retraction would withdraw truths.
  if (cell === "") return REFUSED.cellNull;
  const word = CELL_WORDS.get(cell);
  if (word !== undefined) return parseScalar(word);
  if (NOT_A_NUMBER.test(cell)) return REFUSED.labelNumber;
  if (!JSON_NUMBER.test(cell)) return parseScalar(cell);
  // A cell has no quotes that would tell a text from a number.
  return longDigits(cell) ?? parseScalar(Number(cell));
}

/** The cells of one CSV record; null: the column is absent. */
export interface LabelCells {
  readonly id: string;
  readonly label: string | null;
  readonly model: string | null;
  readonly ts: string | null;
}

/** A label from CSV cells. Text that is a whole JSON number is that number; true, false and null are words; empty model and ts count as absent. */
export function parseLabelCells(cells: LabelCells, receivedAt: number): LabelEvent | Refusal {
  const { id, model } = cells;
  if (id.includes("\uFFFD") || cells.label?.includes("\uFFFD") === true) return REFUSED.notUtf8;
  if (id.length === 0 || !isCleanText(id, ID_CHARS_MAX)) return REFUSED.id;
  if (cells.label === null) return REFUSED.noLabel;
  const label = parseLabelCell(cells.label);
  if (isRefusal(label)) return label;
  if (model !== null && !isCleanText(model, MODEL_CHARS_MAX)) return REFUSED.model;
  const ts = cells.ts === null || cells.ts === "" ? receivedAt : parseTimestampText(cells.ts);
  if (ts === null) return REFUSED.ts;
  return { id, model: model === "" ? null : model, label, ts, receivedAt };
}
