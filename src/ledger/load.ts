// Memory from disk: after a start, and after anything that leaves us unsure what the disk holds.

import type { Change } from "../facts/pair.ts";
import { ABSENT_STATE, decodeAliases } from "./codec.ts";
import { truthOf } from "./join.ts";
import { headsOnDisk } from "./lookup.ts";
import type { Shelf } from "./lookup.ts";
import { readCheckpoint } from "./checkpoint.ts";
import type { Refusal } from "./checkpoint-tally.ts";
import { CHUNK_ROWS, loadLater, loadNames, nameRow, packsFrom } from "./load-covered.ts";
import { VOID } from "./row-book.ts";
import { bucketKey } from "./segment.ts";
import { Series } from "./series-book.ts";
import { many, num, one, text } from "./sql.ts";
import type { Cells } from "./sql.ts";
import { restoreSegment } from "./stored-segments.ts";
import type { Checkpointed } from "./types.ts";
import { Walker, readRevisions } from "./walk.ts";
import type { WalkedRow } from "./walk.ts";

/** Fills `shelf.memory` (new and empty) and tells every stored row, or what no checkpoint covers. */
export function load(shelf: Shelf, told: Told): Loaded {
  const { sql, memory } = shelf;
  const meta = one(sql.meta.get()) ?? [];
  memory.commits = num(meta[0]);
  memory.nextRow = num(meta[1]);
  memory.nextSeq = num(meta[2]);
  memory.seed = num(meta[3]);
  for (const [id, model, version] of many(sql.allSeries.all())) {
    memory.series.add(new Series(num(id), text(model), text(version)));
  }
  for (const [id, word] of many(sql.allWords.all())) memory.words.add(num(id), text(word));
  for (const [session, batch] of many(sql.allMarks.all())) memory.marks.set(text(session), num(batch));
  loadWaiting(shelf);
  memory.places.begin(sql);
  const unchecked = readCheckpoint(shelf, told.checkpointed);
  const covered = unchecked === null ? memory.checkpoint : null;
  const resident = loadSealed(shelf, covered !== null);
  const heads = loadHeads(shelf, resident);
  const reread = covered === null ? 0 : loadNames(shelf, { heads, nextRow: covered.nextRow });
  loadRows(shelf, { heads, from: covered?.nextRow ?? 0 }, told.onChanges);
  if (covered !== null) loadLater(shelf, covered, told.onChanges);
  memory.rows.dropEmpty();
  findLeftovers(shelf);
  return { unchecked, reread };
}

export interface Told {
  readonly onChanges: (changes: readonly Change[]) => void;
  readonly checkpointed: Checkpointed | undefined;
}

export interface Loaded {
  /** Why no checkpoint was used; null: one was. */
  readonly unchecked: Refusal | null;
  /** Sealed segments whose rows had to be read all the same. */
  readonly reread: number;
}

/** Where the resident rows begin, and labels of them. */
interface Resident {
  readonly row: number;
  readonly seq: number;
}

function loadSealed({ sql, memory }: Shelf, isCovered: boolean): Resident {
  let first = 0;
  for (const [segment, buckets, names] of many(sql.allSealed.all())) {
    const sealed = memory.rows.addSealed(num(segment), num(buckets), num(names));
    if (isCovered) restoreSegment(sql, sealed);
    first = Math.max(first, num(segment) + 1);
  }
  const span = many(sql.allSpans.all()).find(([segment]) => num(segment) >= first);
  // Segments of an older file have no span: then all labels are read.
  const isKnown = span !== undefined && (first > 0 || num(span[0]) === 0);
  return { row: first * memory.rows.segmentRows, seq: isKnown ? num(span[1]) - 1 : 0 };
}

/** Pieces of segments that were not sealed to the end, or not deleted to the end, and are not in memory. */
function findLeftovers({ sql, memory }: Shelf): void {
  for (let segment = 0; ;) {
    const cells = one(sql.bucketAfter.get(bucketKey(segment, 0)));
    if (cells === null) return;
    segment = Math.floor(num(cells[0]) / bucketKey(1, 0));
    if (!memory.rows.hasSegment(segment) && !memory.rows.emptied.includes(segment))
      memory.rows.emptied.push(segment);
    segment++;
  }
}

function loadWaiting({ sql, memory }: Shelf): void {
  // Newest revisions point to older ones: what nothing points to is the one that holds.
  const older = new Map<number, number>();
  const entries = new Map<number, { readonly hash: number; readonly prev: number }>();
  for (let last = 0; ;) {
    const chunk = many(sql.waitingHeads.all(last, CHUNK_ROWS));
    for (const cells of chunk) {
      last = num(cells[0]);
      const prev = num(cells[1]);
      entries.set(last, { hash: memory.hash(text(cells[3])), prev });
      if (prev > 0) older.set(prev, last);
    }
    if (chunk.length < CHUNK_ROWS) break;
  }
  for (const [seq, { hash, prev }] of entries) {
    if (older.has(seq)) continue;
    let depth = 1;
    for (let at = entries.get(prev); at !== undefined; at = entries.get(at.prev)) depth++;
    memory.waiting.add(hash, seq, depth);
  }
}

/** Row -> the revision that holds, by range of rows; allocated only where there are labels. */
class Heads {
  readonly #ranges = new Map<number, { readonly seq: Float64Array; readonly ts: Float64Array }>();

  offer(row: number, ts: number, seq: number): void {
    const number = Math.floor(row / CHUNK_ROWS);
    let range = this.#ranges.get(number);
    if (range === undefined) {
      range = {
        seq: new Float64Array(CHUNK_ROWS),
        ts: new Float64Array(CHUNK_ROWS).fill(Number.NEGATIVE_INFINITY),
      };
      this.#ranges.set(number, range);
    }
    const offset = row - number * CHUNK_ROWS;
    const known = range.seq[offset] ?? 0;
    const holds = range.ts[offset] ?? 0;
    // At equal ts the later arrival holds, in whatever order they are offered.
    if (known !== 0 && (ts < holds || (ts === holds && seq < known))) return;
    range.seq[offset] = seq;
    range.ts[offset] = ts;
  }

  of(row: number): number {
    const number = Math.floor(row / CHUNK_ROWS);
    return this.#ranges.get(number)?.seq[row - number * CHUNK_ROWS] ?? 0;
  }
}

function loadHeads({ sql }: Shelf, resident: Resident): Heads {
  const heads = new Heads();
  for (let last = resident.seq; ;) {
    const chunk = many(sql.labelHeads.all(last, CHUNK_ROWS));
    for (const cells of chunk) {
      last = num(cells[0]);
      // An invalid revision holds only where nothing else was ever told.
      // Silence holds against that, and against nothing that was said.
      const none = cells[3] === 1 ? Number.NEGATIVE_INFINITY : -Number.MAX_VALUE;
      const said = cells[3] !== 1 && cells[3] !== ABSENT_STATE;
      const row = num(cells[1]);
      if (row >= resident.row) heads.offer(row, said ? num(cells[2]) : none, last);
    }
    if (chunk.length < CHUNK_ROWS) break;
  }
  for (const pack of packsFrom(sql, resident.seq)) {
    for (const { row, ts, seq } of pack.revisions()) if (row >= resident.row) heads.offer(row, ts, seq);
  }
  return heads;
}

function loadRows(
  shelf: Shelf,
  { heads, from }: { readonly heads: Heads; readonly from: number },
  onChanges: (changes: readonly Change[]) => void,
): void {
  const { sql, memory } = shelf;
  const span = one(sql.rowSpan.get()) ?? [];
  if (typeof span[0] !== "number") return;
  const walker = new Walker(shelf);
  for (let last = Math.max(from, span[0]) - 1; ;) {
    const chunk = many(sql.predictionsAfter.all(last, CHUNK_ROWS));
    const changes = loadChunk(shelf, { chunk, walker, heads });
    for (const change of changes) memory.apply(change);
    if (changes.length > 0) onChanges(changes);
    last = num(chunk[chunk.length - 1]?.[0]);
    if (chunk.length < CHUNK_ROWS) return;
  }
}

interface Chunk {
  readonly chunk: readonly Cells[];
  readonly walker: Walker;
  readonly heads: Heads;
}

function loadChunk(shelf: Shelf, { chunk, walker, heads }: Chunk): Change[] {
  const { memory, sql } = shelf;
  const seqs: number[] = [];
  const rows: WalkedRow[] = [];
  const firstRow = num(chunk[0]?.[0]);
  const stored = memory.rows.isSealed(firstRow)
    ? headsOnDisk(shelf, firstRow, num(chunk[chunk.length - 1]?.[0]))
    : null;
  const headAt = (row: number): number =>
    stored !== null && memory.rows.isSealed(row) ? (stored.get(row) ?? 0) : heads.of(row);
  for (const cells of chunk) {
    const walked = walker.read(cells);
    if (walked === null) {
      memory.damaged++;
      continue;
    }
    rows.push(walked);
    const seq = headAt(walked.stored.row);
    if (seq > 0) seqs.push(seq);
  }
  const revisions = seqs.length === 0 ? null : readRevisions(sql, seqs);
  const changes: Change[] = [];
  for (const { stored, head, prediction } of rows) {
    const { row, cells } = stored;
    const seq = headAt(row);
    if (!memory.rows.isRestored(row)) {
      memory.rows.append(row, num(cells[5]), prediction === null ? VOID : seq);
      if (stored.pos === 0) nameRow(shelf, head, decodeAliases(cells[10]));
    }
    if (prediction === null) continue;
    changes.push({ kind: "predicted", row, prediction });
    const after = seq > 0 ? truthOf(revisions?.get(seq) ?? null) : null;
    if (after !== null) changes.push({ kind: "truth", row, prediction, before: null, after });
  }
  return changes;
}
