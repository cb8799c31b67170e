// Reading rows in order, with the revision that holds for each: for loading, exact windows and retention.

import type { Prediction } from "../facts/prediction.ts";
import { decodeRow, toPrediction } from "./codec.ts";
import type { Head, Revision, StoredRow } from "./codec.ts";
import { revisionAt, revisionsBetween } from "./label-table.ts";
import { readRow } from "./lookup.ts";
import type { Shelf } from "./lookup.ts";
import type { Cells, Sql } from "./sql.ts";

export interface WalkedRow {
  readonly stored: StoredRow;
  readonly head: Head;
  /** null: a gap. */
  readonly prediction: Prediction | null;
}

/** Follows rows in order and knows the exchange that each belongs to. */
export class Walker {
  readonly #shelf: Shelf;
  #head: Head | null = null;

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  /** null: damaged, or without the first row of its exchange. */
  read(cells: Cells): WalkedRow | null {
    const stored = decodeRow(cells, this.#shelf.memory.series);
    if (stored === null) return null;
    const head = this.#headOf(stored);
    if (head === null) return null;
    return { stored, head, prediction: toPrediction(stored, head, this.#shelf.memory.words) };
  }

  #headOf(stored: StoredRow): Head | null {
    if (stored.id !== null) {
      this.#head = { row: stored.row, n: stored.n, id: stored.id };
      return this.#head;
    }
    const row = stored.row - stored.pos;
    if (this.#head?.row !== row) {
      const first = readRow(this.#shelf, row);
      this.#head = first === null || first.id === null ? null : { row, n: first.n, id: first.id };
    }
    return this.#head !== null && stored.pos < this.#head.n ? this.#head : null;
  }
}

/** The revisions with these sequence numbers. Read as one range where they lie close, as they do for neighbouring rows. */
export function readRevisions(sql: Sql, seqs: readonly number[]): Map<number, Revision> {
  const found = new Map<number, Revision>();
  const sorted = Float64Array.from(seqs).sort();
  const first = sorted[0] ?? 0;
  const last = sorted[sorted.length - 1] ?? 0;
  const keep = (revision: Revision | null): void => {
    if (revision !== null) found.set(revision.seq, revision);
  };
  if (last - first < sorted.length * 4)
    for (const revision of revisionsBetween(sql, first, last)) keep(revision);
  else for (const seq of sorted) keep(revisionAt(sql, seq));
  return found;
}
