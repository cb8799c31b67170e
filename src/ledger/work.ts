// One transaction: what it may use, what must be undone in memory if it fails, what happens once it is on disk.

import type { Change } from "../facts/pair.ts";
import type { Archive } from "../kernel/archive.ts";
import type { Forgotten } from "./forgotten.ts";
import { hashText } from "./hash.ts";
import type { LabelTable } from "./label-table.ts";
import type { PredictionTable } from "./prediction-table.ts";
import { Places } from "./parts.ts";
import { RecentRows } from "./recent-rows.ts";
import { RowBook } from "./row-book.ts";
import type { RowBookOptions } from "./row-book.ts";
import { RowCache } from "./row-cache.ts";
import { liveOf } from "./stored-segments.ts";
import { SeriesBook } from "./series-book.ts";
import type { Sql } from "./sql.ts";
import type { LedgerNeeds } from "./types.ts";
import { WaitingBook } from "./waiting-book.ts";
import { Words } from "./words.ts";

/** Rows and revisions before these keys, after so many transactions, and in which generation of pieces. */
export interface Covered {
  readonly commits: number;
  readonly nextRow: number;
  readonly nextSeq: number;
  readonly generation: number;
}

/** Everything the ledger knows without asking the disk. Rebuilt from it by `load`. */
export class Memory {
  readonly rows: RowBook;
  readonly waiting = new WaitingBook();
  readonly series = new SeriesBook();
  readonly words = new Words();
  readonly recent = new RowCache();
  readonly columns = new RecentRows();
  /** session -> last batch. */
  readonly marks = new Map<string, number>();
  /** Of the hash of names: the file's own, since sealed segments keep hashes. */
  seed = 0;
  commits = 0;
  nextRow = 1;
  nextSeq = 1;
  rowCount = 0;
  labelledCount = 0;
  waitingExpired = 0;
  waitingInvalid = 0;
  forgottenByAge = 0;
  forgottenBySize = 0;
  damaged = 0;
  /** What the file's checkpoint covers; null: it has none. */
  checkpoint: Covered | null = null;
  /** Where its parts are. */
  readonly places = new Places();
  /** Changes told since then. */
  changesSince = 0;
  /** While loading: of segments that were resident, what a checkpoint says of their rows. */
  readonly residentLive = new Map<number, Uint8Array>();

  constructor(rows: RowBookOptions) {
    this.rows = new RowBook(rows);
  }

  hash(name: string): number {
    return hashText(name, this.seed);
  }

  archive(io: Archive): void {
    this.rowCount = io.number(this.rowCount);
    this.labelledCount = io.number(this.labelledCount);
    this.damaged = io.number(this.damaged);
    this.series.archive(io);
    this.#archiveResident(io);
  }

  #archiveResident(io: Archive): void {
    const segments = this.rows.resident();
    const size = io.number(segments.length);
    for (let i = 0; i < size; i++) {
      const segment = segments[i];
      const number = io.number(segment?.number ?? 0);
      const live = io.bytes(segment === undefined ? new Uint8Array() : liveOf(segment));
      if (io.reading) this.residentLive.set(number, live);
    }
  }

  /** Takes back what `archive` read. */
  clearCounts(): void {
    this.rowCount = 0;
    this.labelledCount = 0;
    this.damaged = 0;
    this.residentLive.clear();
    for (const series of this.series.all()) series.clear();
  }

  /** Keeps the counts; called once for every committed change. */
  apply(change: Change): void {
    this.changesSince++;
    this.series.apply(change);
    if (change.kind === "predicted") this.rowCount++;
    else if (change.kind === "forgotten") {
      this.rowCount--;
      if (change.before !== null) this.labelledCount--;
    } else {
      this.labelledCount += (change.after === null ? 0 : 1) - (change.before === null ? 0 : 1);
    }
  }
}

export interface Work {
  readonly labels: LabelTable;
  readonly predictions: PredictionTable;
  readonly sql: Sql;
  readonly memory: Memory;
  readonly normalise: LedgerNeeds["normalise"];
  readonly waitingMax: number;
  /** Run newest first when the transaction did not happen. */
  readonly undo: (() => void)[];
  /** Row, and the revision that held, of every head that was moved; put back newest first, before `undo`. */
  readonly moved: number[];
  /** Run when it did. */
  readonly after: (() => void)[];
  readonly changes: Change[];
  /** What a checkpoint counts and the disk does not have any more. */
  readonly forgotten: Forgotten[];
}

/** The next sequence number of labels and early labels: one counter for both, so their order is the order of arrival. */
export function nextSeq(work: Work): number {
  const seq = work.memory.nextSeq;
  work.memory.nextSeq = seq + 1;
  return seq;
}

/** The number of a repeated text, or the text itself when the table is full. */
export function wordFor(work: Work, word: string): number | string {
  const { words } = work.memory;
  const known = words.idOf(word);
  if (known !== undefined) return known;
  if (words.full || word.length > 4096) return word;
  const id = words.nextId;
  work.sql.addWord.run(id, word);
  words.add(id, word);
  work.undo.push(() => words.remove(id));
  return id;
}
