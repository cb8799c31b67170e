// From a name to rows: an exchange's id, `<id>:<row>`, an alias, `<alias>:<row>`. Memory proposes, the row on disk decides.

import type { Prediction } from "../facts/prediction.ts";
import { decodeAliases, decodeRow, toPrediction } from "./codec.ts";
import type { Head, StoredRow } from "./codec.ts";
import { hashEnd, hashPart } from "./hash.ts";
import { ABSENT, ON_DISK } from "./row-book.ts";
import { ROWS_TOGETHER, many, num, one } from "./sql.ts";
import type { Sql } from "./sql.ts";
import type { Memory } from "./work.ts";

/** What a question needs of the ledger. */
export interface Shelf {
  readonly sql: Sql;
  readonly memory: Memory;
  /** Within a transaction: rows that may not be in the file yet. */
  readonly predictions?: { flush(): void };
}

/** An exchange that bears the name. */
export interface Hit {
  readonly head: Head;
  readonly stored: StoredRow;
  readonly model: string;
  /** The row that the name points to; null: the exchange as a whole. */
  readonly pos: number | null;
  readonly via: "id" | "alias";
  /** That of the row's prediction, where the name is just that. */
  readonly id: string | null;
}

/** A row with a prediction in it. */
export interface Target {
  readonly row: number;
  readonly prediction: Prediction;
}

/** `a:12` -> `a` and 12; null when it does not end in a row number as we write them. */
export function splitName(name: string): { readonly base: string; readonly pos: number } | null {
  const colon = name.lastIndexOf(":");
  const pos = colon < 1 ? -1 : posFrom(name, colon + 1);
  return pos < 0 ? null : { base: name.slice(0, colon), pos };
}

/** The row number that is the rest of `name`; -1: it is none, or not as we write them. */
export function posFrom(name: string, from: number): number {
  const digits = name.length - from;
  if (digits < 1 || digits > 5 || (digits > 1 && name.charCodeAt(from) === 0x30)) return -1;
  let pos = 0;
  for (let at = from; at < name.length; at++) {
    const digit = name.charCodeAt(at) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return -1;
    pos = pos * 10 + digit;
  }
  return pos;
}

export function readRow(shelf: Shelf, row: number): StoredRow | null {
  const read = shelf.memory.recent.get(row);
  if (read !== undefined) return read;
  shelf.predictions?.flush();
  const cells = one(shelf.sql.prediction.get(row));
  const stored = cells === null ? null : decodeRow(cells, shelf.memory.series);
  // Only first rows are asked for again and again: once for each label of their exchange.
  if (stored !== null && stored.n > 1) shelf.memory.recent.add(stored);
  return stored;
}

/** ABSENT, VOID, 0 (unlabelled) or the sequence number of the revision that holds. */
export function headOf(shelf: Shelf, row: number): number {
  const head = shelf.memory.rows.head(row);
  if (head !== ON_DISK) return head;
  const cells = one(shelf.sql.head.get(row));
  return cells === null ? 0 : num(cells[0]);
}

/** The same for a range of rows whose segment is sealed: labelled rows alone. */
export function headsOnDisk(shelf: Shelf, first: number, last: number): Map<number, number> {
  const heads = many(shelf.sql.headsBetween.all(first, last));
  return new Map(heads.map((cells) => [num(cells[0]), num(cells[1])]));
}

/** Rows closer together than this are read as one range. */
const RANGE_GAP_MAX = 4;
const RANGE_ROWS_MIN = 16;

/** Where memory proposes to look for a name. */
export interface Sighting {
  readonly name: string;
  /** Of the name. */
  readonly hash: number;
  /** Rows whose exchange may bear it as it is. */
  readonly whole: readonly number[];
  /** What stands before the row number, when there is one. Names of one exchange share it. */
  readonly base: Base | null;
  readonly pos: number;
}

interface Base {
  readonly name: string;
  /** Of the hash, after the name. */
  readonly state: number;
  readonly rows: readonly number[];
  /** The exchanges that bear it, once they were asked for. */
  hits: readonly Hit[] | null;
}

/** Finds the names of one batch, within one transaction that adds no names meanwhile. */
export class Finder {
  readonly #shelf: Shelf;
  #base: Base | null = null;

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  find(name: string): Sighting {
    const { memory, sql } = this.#shelf;
    const colon = name.lastIndexOf(":");
    const pos = colon < 1 ? -1 : posFrom(name, colon + 1);
    if (pos < 0) {
      const plain = memory.hash(name);
      return { name, hash: plain, whole: memory.rows.candidates(plain, sql), base: null, pos: 0 };
    }
    let base = this.#base;
    if (base === null || base.name.length !== colon || !name.startsWith(base.name)) {
      base = this.#baseOf(name.slice(0, colon));
      this.#base = base;
    }
    const hash = hashEnd(hashPart(name, colon, base.state), name.length);
    return { name, hash, whole: memory.rows.candidates(hash, sql), base, pos };
  }

  #baseOf(name: string): Base {
    const { memory, sql } = this.#shelf;
    const state = hashPart(name, 0, memory.seed);
    const rows = memory.rows.candidates(hashEnd(state, name.length), sql);
    return { name, state, rows, hits: null };
  }
}

/** Reads ahead the rows that the names of a batch point to. */
export function readAhead(shelf: Shelf, sightings: readonly Sighting[]): void {
  const { columns } = shelf.memory;
  const wanted: number[] = [];
  let last: Base | null = null;
  for (const { whole, base, pos } of sightings) {
    for (const row of whole) wanted.push(row);
    if (base === null) continue;
    for (const row of base.rows) {
      // The first row says whether the exchange bears the name.
      if (base !== last) wanted.push(row);
      if (!columns.has(row + pos)) wanted.push(row + pos);
    }
    last = base;
  }
  if (wanted.length > 0) readRows(shelf, Float64Array.from(wanted).sort());
}

/** Into the cache, ascending: neighbours as a range, single rows by the dozen. */
function readRows(shelf: Shelf, sorted: Float64Array): void {
  const { sql, memory } = shelf;
  shelf.predictions?.flush();
  const keep = (rows: unknown): void => {
    for (const cells of many(rows)) {
      const stored = decodeRow(cells, memory.series);
      if (stored !== null) memory.recent.add(stored);
    }
  };
  let single: number[] = [];
  for (let from = 0, at = 1; at <= sorted.length; at++) {
    const last = sorted[at - 1] ?? 0;
    if (at < sorted.length && (sorted[at] ?? 0) - last <= RANGE_GAP_MAX) continue;
    if (at - from >= RANGE_ROWS_MIN) keep(sql.predictionsBetween.all(sorted[from] ?? 0, last));
    else for (let i = from; i < at; i++) single.push(sorted[i] ?? 0);
    from = at;
    if (single.length < ROWS_TOGETHER) continue;
    keep(sql.predictionsOf.all(...single.slice(0, ROWS_TOGETHER)));
    single = single.slice(ROWS_TOGETHER);
  }
}

/** The row at `pos` of an exchange; null when there is a gap or nothing. */
export function targetAt(shelf: Shelf, hit: Omit<Hit, "model" | "via">, pos: number): Target | null {
  const row = hit.head.row + pos;
  const isGone = pos > 0 && shelf.memory.rows.head(row) === ABSENT;
  const place = { pos, id: hit.pos === pos ? hit.id : null };
  const recent = pos > 0 && !isGone ? shelf.memory.columns.read(hit.head, place, shelf.memory) : null;
  if (recent !== null) return { row, prediction: recent };
  const stored = pos === 0 ? hit.stored : isGone ? null : readRow(shelf, row);
  if (stored === null) return null;
  const prediction = toPrediction(stored, hit.head, shelf.memory.words);
  return prediction === null ? null : { row, prediction };
}

/** The model of an exchange; that of its first row unless there is a gap. */
function modelOf(shelf: Shelf, head: Head, stored: StoredRow): string | null {
  if (stored.series !== null) return stored.series.model;
  for (let pos = 1; pos < head.n; pos++) {
    const other = readRow(shelf, head.row + pos);
    if (other !== null && other.series !== null) return other.series.model;
  }
  return null;
}

/** Exchanges whose id or alias is `name` itself. */
function bearers(shelf: Shelf, name: string, pos: number | null): Hit[] {
  const found = shelf.memory.rows.candidates(shelf.memory.hash(name), shelf.sql);
  return bearersAmong(shelf, found, { name, pos });
}

/** The same, among rows that memory proposes. */
function bearersAmong(
  shelf: Shelf,
  found: readonly number[],
  { name, pos }: { readonly name: string; readonly pos: number | null },
): Hit[] {
  const rows = found.length < 2 ? found : new Set(found);
  const hits: Hit[] = [];
  for (const row of rows) {
    const stored = readRow(shelf, row);
    if (stored === null || stored.id === null) continue;
    const via = stored.id === name ? "id" : decodeAliases(stored.cells[10]).includes(name) ? "alias" : null;
    if (via === null || (pos !== null && pos >= stored.n)) continue;
    const head = { row, n: stored.n, id: stored.id };
    const model = modelOf(shelf, head, stored);
    if (model !== null) hits.push({ head, stored, model, pos, via, id: null });
  }
  return hits;
}

/** Every exchange that `name` may mean, of all models and versions. */
export function hitsOf(shelf: Shelf, name: string): Hit[] {
  return hitsAt(shelf, new Finder(shelf).find(name));
}

const NO_HITS: Hit[] = [];

export function hitsAt(shelf: Shelf, { name, whole: found, base, pos }: Sighting): Hit[] {
  const whole = found.length === 0 ? NO_HITS : bearersAmong(shelf, found, { name, pos: null });
  if (base === null) return whole;
  base.hits ??= bearersAmong(shelf, base.rows, { name: base.name, pos: null });
  const rows: Hit[] = [];
  for (const { head, stored, model, via } of base.hits) {
    if (pos >= stored.n) continue;
    const id = via === "id" && stored.n > 1 ? name : null;
    rows.push({ head, stored, model, pos, via, id });
  }
  return whole.length === 0 ? rows : rows.length === 0 ? whole : [...whole, ...rows];
}

export type Resolution =
  | { readonly kind: "none" }
  | { readonly kind: "found"; readonly model: string; readonly hits: readonly Hit[] }
  | {
      readonly kind: "ambiguous";
      readonly code: "ambiguous_model" | "ambiguous_id";
      readonly message: string;
    };

/** What a label for `name` means. An id goes before an alias; an alias stands for the id of its one exchange. */
export function resolve(shelf: Shelf, sighting: Sighting, model: string | null): Resolution {
  const all = hitsAt(shelf, sighting);
  const [only] = all;
  if (all.length === 1 && only !== undefined && only.via === "id" && (model === null || only.model === model))
    return { kind: "found", model: only.model, hits: all };
  const ours = model === null ? all : all.filter((hit) => hit.model === model);
  const byId = ours.filter((hit) => hit.via === "id");
  const hits = byId.length > 0 ? byId : ours;
  const first = hits[0];
  if (first === undefined) return { kind: "none" };
  if (hits.some((hit) => hit.model !== first.model)) {
    const message = "several models know this id: name the model";
    return { kind: "ambiguous", code: "ambiguous_model", message };
  }
  if (first.via === "id") return { kind: "found", model: first.model, hits };
  if (hits.some((hit) => hit.head.id !== first.head.id || hit.pos !== first.pos)) {
    const message = "several predictions share this alias: use the prediction id";
    return { kind: "ambiguous", code: "ambiguous_id", message };
  }
  // The versions that do not bear the alias belong to the same id all the same.
  const same = bearers(shelf, first.head.id, first.pos);
  return {
    kind: "found",
    model: first.model,
    hits: same.filter((hit) => hit.via === "id" && hit.model === first.model),
  };
}
