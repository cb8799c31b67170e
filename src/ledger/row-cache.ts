// Rows read lately, decoded: the labels of one answer ask for its first row again and again.

import type { StoredRow } from "./codec.ts";

/** About 2 MB; when it is full it begins anew. */
const ROWS_MAX = 8192;

/** Stored rows never change; they only go. Whoever deletes rows, or undoes an insert, says so here. */
export class RowCache {
  readonly #rows = new Map<number, StoredRow>();

  get(row: number): StoredRow | undefined {
    return this.#rows.get(row);
  }

  add(stored: StoredRow): void {
    if (this.#rows.size >= ROWS_MAX) this.#rows.clear();
    this.#rows.set(stored.row, stored);
  }

  clear(): void {
    this.#rows.clear();
  }
}
