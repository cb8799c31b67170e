// A start from a checkpoint: names of the rows it covers that are in memory, and what has changed about them since.

import type { Change } from "../facts/pair.ts";
import { decodeAliases, decodeRow } from "./codec.ts";
import type { Head } from "./codec.ts";
import { heldThen, readForgotten } from "./forgotten.ts";
import { truthOf } from "./join.ts";
import { revisionAt } from "./label-table.ts";
import { headOf } from "./lookup.ts";
import type { Shelf } from "./lookup.ts";
import { PACK_LABELS, Pack } from "./packs.ts";
import { ABSENT, SHARED_ALIAS_MAX, VOID } from "./row-book.ts";
import { many, num, one } from "./sql.ts";
import type { Cells, Sql } from "./sql.ts";
import { restoreNames } from "./stored-segments.ts";
import { Walker } from "./walk.ts";
import type { Covered } from "./work.ts";

/** Few rows live at a time: more would make the young generation of the heap grow, and it does not shrink again. */
export const CHUNK_ROWS = 512;

type Tell = (changes: readonly Change[]) => void;

export interface RowHeads {
  /** The revision that holds for a resident row; 0: none. */
  of(row: number): number;
}

export function nameRow(
  { memory, sql }: Shelf,
  head: Pick<Head, "row" | "id">,
  aliases: readonly string[],
): void {
  memory.rows.name(memory.hash(head.id), head.row);
  for (const alias of aliases) {
    const hash = memory.hash(alias);
    if (memory.rows.isSealed(head.row) || !memory.rows.crowded(hash, sql, SHARED_ALIAS_MAX))
      memory.rows.name(hash, head.row);
  }
}

/** Names the covered rows of segments that are not on disk; gives how many of these should have been. */
export function loadNames(shelf: Shelf, of: { readonly heads: RowHeads; readonly nextRow: number }): number {
  const { rows } = shelf.memory;
  const sealed = rows.sealed();
  const unknown = sealed.filter(({ restored }) => !restored);
  for (const { base } of unknown) nameRows(shelf, of, { first: base, last: base + rows.segmentRows - 1 });
  const first = sealed.reduce((end, { number }) => Math.max(end, number + 1), 0);
  let reread = unknown.length;
  for (let number = first; number * rows.segmentRows < of.nextRow; number++) {
    if (!loadResident(shelf, number, of)) reread++;
  }
  shelf.memory.residentLive.clear();
  return reread;
}

function loadResident(
  { sql, memory }: Shelf,
  number: number,
  { heads, nextRow }: { readonly heads: RowHeads; readonly nextRow: number },
): boolean {
  const { rows, residentLive } = memory;
  const base = number * rows.segmentRows;
  const end = Math.min(rows.segmentRows, nextRow - base);
  const live = residentLive.get(number);
  // Nothing of it is left, or it has no rows yet.
  if (live === undefined && !hasRows({ sql, memory }, base, base + end - 1)) return true;
  if (!restoreNames(sql, rows.residentAt(number), { end, live })) {
    nameRows({ sql, memory }, { heads, nextRow }, { first: base, last: base + end - 1 });
    return false;
  }
  for (let row = base; row < base + end; row++) {
    const head = heads.of(row);
    if (head > 0 && rows.head(row) !== ABSENT) rows.setHead(row, head);
  }
  return true;
}

function hasRows({ sql }: Shelf, first: number, last: number): boolean {
  return one(sql.namesBetween.get(first, last)) !== null;
}

function nameRows(
  shelf: Shelf,
  { heads, nextRow }: { readonly heads: RowHeads; readonly nextRow: number },
  span: { readonly first: number; readonly last: number },
): void {
  const end = Math.min(span.last, nextRow - 1);
  let exchange: Head | null = null;
  for (let { first } = span; first <= end; first += CHUNK_ROWS) {
    const last = Math.min(end, first + CHUNK_ROWS - 1);
    for (const cells of many(shelf.sql.namesBetween.all(first, last)))
      exchange = nameOne(shelf, { cells, heads }, exchange);
  }
}

/** Columns: row, pos, n, series, id, ts, aliases. Gives the exchange of the row; a damaged row is left out, as ever. */
function nameOne(
  shelf: Shelf,
  { cells, heads }: { readonly cells: Cells; readonly heads: RowHeads },
  exchange: Head | null,
): Head | null {
  const { rows, series } = shelf.memory;
  const stored = decodeRow(cells, series);
  if (stored === null) return exchange;
  const { row, pos, n, id } = stored;
  const head =
    id !== null ? { row, n, id } : exchange?.row === row - pos ? exchange : headAt(shelf, row - pos);
  if (head === null || pos >= head.n) return head;
  rows.append(row, num(cells[5]), stored.series === null ? VOID : heads.of(row));
  if (pos === 0) nameRow(shelf, head, decodeAliases(cells[6]));
  return head;
}

function headAt({ sql, memory }: Shelf, row: number): Head | null {
  const cells = one(sql.prediction.get(row));
  const stored = cells === null ? null : decodeRow(cells, memory.series);
  return stored === null || stored.id === null ? null : { row, n: stored.n, id: stored.id };
}

/** Packs that may hold revisions of later keys. */
export function* packsFrom(sql: Sql, seq: number): Generator<Pack> {
  for (let last = seq - PACK_LABELS; ;) {
    const chunk = many(sql.packsAfter.all(last, CHUNK_ROWS / PACK_LABELS));
    for (const cells of chunk) {
      last = num(cells[0]);
      const pack = Pack.decode(cells);
      if (pack !== null) yield pack;
    }
    if (chunk.length < CHUNK_ROWS / PACK_LABELS) return;
  }
}

/** Tells what has changed about covered rows: truths, then rows that are gone. After the rows that came since. */
export function loadLater(shelf: Shelf, covered: Covered, tell: Tell): void {
  const { memory, sql } = shelf;
  let changes: Change[] = [];
  const flush = (): void => {
    for (const change of changes) memory.apply(change);
    if (changes.length > 0) tell(changes);
    changes = [];
  };
  const walker = new Walker(shelf);
  for (const row of labelledSince(sql, covered)) {
    const change = memory.rows.head(row) === ABSENT ? null : changeOf(shelf, { row, walker }, covered);
    if (change !== null) changes.push(change);
    if (changes.length >= CHUNK_ROWS) flush();
  }
  for (const cells of many(sql.forgottenAfter.all(covered.commits))) {
    for (const { row, prediction, truth } of readForgotten(cells[0])) {
      memory.rows.forget(row);
      if (prediction !== null) changes.push({ kind: "forgotten", row, prediction, before: truth });
    }
    flush();
  }
  flush();
}

/** Covered rows that have later revisions, ascending. */
function labelledSince(sql: Sql, { nextRow, nextSeq }: Covered): Float64Array {
  const rows = new Set<number>();
  for (let last = nextSeq - 1; ;) {
    const chunk = many(sql.labelHeads.all(last, CHUNK_ROWS));
    for (const cells of chunk) {
      last = num(cells[0]);
      rows.add(num(cells[1]));
    }
    if (chunk.length < CHUNK_ROWS) break;
  }
  for (const pack of packsFrom(sql, nextSeq - 1)) {
    for (const { row, seq } of pack.revisions()) if (seq >= nextSeq) rows.add(row);
  }
  return Float64Array.from(rows)
    .filter((row) => row < nextRow)
    .sort();
}

/** null: what it says is what it said. */
function changeOf(
  shelf: Shelf,
  { row, walker }: { readonly row: number; readonly walker: Walker },
  { nextSeq }: Covered,
): Change | null {
  const { sql } = shelf;
  const cells = one(sql.prediction.get(row));
  const prediction = cells === null ? null : (walker.read(cells)?.prediction ?? null);
  if (prediction === null) return null;
  const newest = revisionAt(sql, headOf(shelf, row));
  const before = truthOf(heldThen(newest, nextSeq, (seq) => revisionAt(sql, seq)));
  const after = truthOf(newest);
  if (before?.value === after?.value && before?.firstReceivedAt === after?.firstReceivedAt) return null;
  return { kind: "truth", row, prediction, before, after };
}
