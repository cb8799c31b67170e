// Facts to columns and back. What comes off the disk is foreign: a row that does not decode is damage, not a crash.

import type { LabelEvent, LabelRevision, Told } from "../facts/label.ts";
import type { Prediction, Value } from "../facts/prediction.ts";
import { num, text } from "./sql.ts";
import type { Cells } from "./sql.ts";
import { parseRecord } from "./words.ts";
import type { Words } from "./words.ts";
import type { Series, SeriesBook } from "./series-book.ts";

/** Also the most rows an exchange may have. */
export const ROWS_PER_EXCHANGE_MAX = 65_536;

/** A row of `prediction` as it is stored. `series` null: a gap. `id`, `n`, `aliases` belong to the first row of an exchange. */
export interface StoredRow {
  readonly row: number;
  readonly pos: number;
  readonly n: number;
  readonly series: Series | null;
  readonly id: string | null;
  readonly cells: Cells;
}

/** The first row of an exchange. */
export interface Head {
  readonly row: number;
  readonly n: number;
  readonly id: string;
}

/** null: damaged. Columns: row, pos, n, series, id, ts, value, score, scores, slice, aliases. */
export function decodeRow(cells: Cells, series: SeriesBook): StoredRow | null {
  const row = num(cells[0]);
  const pos = num(cells[1]);
  const seriesId = cells[3];
  const known = typeof seriesId === "number" ? series.byId(seriesId) : null;
  if (known === undefined || !(pos >= 0 && pos < ROWS_PER_EXCHANGE_MAX)) return null;
  if (typeof cells[5] !== "number" || cells[6] instanceof Uint8Array) return null;
  if (pos > 0) return { row, pos, n: 0, series: known, id: null, cells };
  const n = num(cells[2]);
  const id = cells[4];
  if (typeof id !== "string" || !(n >= 1 && n <= ROWS_PER_EXCHANGE_MAX)) return null;
  return { row, pos, n, series: known, id, cells };
}

export function predictionId(head: Pick<Head, "id" | "n">, pos: number): string {
  return head.n === 1 ? head.id : `${head.id}:${pos}`;
}

/** null: a gap. */
export function toPrediction(
  stored: StoredRow,
  head: Pick<Head, "id" | "n">,
  words: Words,
): Prediction | null {
  if (stored.series === null) return null;
  const cells = stored.cells;
  const value = cells[6];
  const score = cells[7];
  const scores = cells[8];
  return {
    model: stored.series.model,
    version: stored.series.version,
    id: predictionId(head, stored.pos),
    ts: num(cells[5]),
    value: typeof value === "number" || typeof value === "string" ? value : null,
    score: typeof score === "number" ? score : null,
    scores: typeof scores === "string" ? decodeScores(scores) : null,
    slice: words.sliceOf(cells[9]),
  };
}

function decodeScores(json: string): Readonly<Record<string, number>> | null {
  const entries = parseRecord(json);
  if (entries === null) return null;
  const numbers: [string, number][] = [];
  for (const [name, value] of entries) if (typeof value === "number") numbers.push([name, value]);
  return Object.fromEntries(numbers);
}

/** Names joined by line feeds behind a mark, or JSON when one holds a line feed; null when there are none. */
export function encodeAliases(aliases: readonly string[]): string | null {
  if (aliases.length === 0) return null;
  if (aliases.some((alias) => alias.includes("\n"))) return JSON.stringify(aliases);
  return `=${aliases.join("\n")}`;
}

export function decodeAliases(cell: unknown): readonly string[] {
  if (typeof cell !== "string") return [];
  if (cell.startsWith("=")) return cell.slice(1).split("\n");
  const list = parseLabel(cell);
  return Array.isArray(list) ? list.filter((alias) => typeof alias === "string") : [];
}

/** `label.state` of a value that silence stands for. */
export const ABSENT_STATE = 2;

/** A revision of the label of a row. */
export interface Revision {
  readonly seq: number;
  readonly row: number;
  readonly prev: number;
  readonly ts: number;
  readonly received: number;
  readonly firstReceived: number;
  readonly invalid: boolean;
  /** Nobody said it: silence stands for this value, until something is said. */
  readonly absent: boolean;
  /** null: retracted. An invalid revision holds the JSON of what was sent. */
  readonly value: Value | null;
}

/** Columns: seq, row, prev, ts, received, first, state, value. null: damaged. */
export function decodeRevision(cells: Cells | null): Revision | null {
  if (cells === null) return null;
  const value = cells[7];
  const received = num(cells[4]);
  const revision = {
    seq: num(cells[0]),
    row: num(cells[1]),
    prev: num(cells[2]),
    ts: num(cells[3]),
    received,
    firstReceived: received - num(cells[5]),
    invalid: cells[6] === 1,
    absent: cells[6] === ABSENT_STATE,
    value: typeof value === "number" || typeof value === "string" ? value : null,
  };
  return Number.isFinite(revision.firstReceived + revision.ts + revision.prev) ? revision : null;
}

export type RawLabel = LabelEvent["label"];
/** What the task of its model has made of it. */
export type FittedLabel = LabelRevision["label"];

/** A revision of a label whose prediction is not known. */
export interface WaitingRevision {
  readonly seq: number;
  readonly prev: number;
  readonly model: string | null;
  readonly name: string;
  readonly ts: number;
  readonly received: number;
  readonly firstReceived: number;
  /** JSON: also how two waiting labels are compared. */
  readonly label: string;
}

/** Columns: seq, prev, model, name, ts, received, first, label. */
export function decodeWaiting(cells: Cells | null): WaitingRevision | null {
  if (cells === null) return null;
  const received = num(cells[5]);
  const model = cells[2];
  return {
    seq: num(cells[0]),
    prev: num(cells[1]),
    model: typeof model === "string" ? model : null,
    name: text(cells[3]),
    ts: num(cells[4]),
    received,
    firstReceived: received - num(cells[6]),
    label: text(cells[7]),
  };
}

export function isValue(value: unknown): value is Value | null {
  return value === null || typeof value === "number" || typeof value === "string";
}

/** A value, or a class that is no number. */
function isTold(value: unknown): value is Told | null {
  if (typeof value !== "object" || value === null) return isValue(value);
  return "className" in value && typeof value.className === "string";
}

/** The label behind a JSON text of ours; null when it is damaged. */
export function parseLabel(json: string): RawLabel {
  try {
    const value: unknown = JSON.parse(json);
    if (Array.isArray(value)) return value.every(isTold) ? value : null;
    return isTold(value) ? value : null;
  } catch {
    return null;
  }
}

export const isList = (label: RawLabel): label is readonly (Told | null)[] => Array.isArray(label);
const shown = (told: Told | null): Value | null =>
  typeof told === "object" && told !== null ? told.className : told;

/** The same for display. */
export function parseShownLabel(json: string): FittedLabel {
  const label = parseLabel(json);
  return isList(label) ? label.map(shown) : shown(label);
}
