// Labels as nearly all are (a number, the first word about its row), many in one row of a table: written and read at once.
//
// A pack holds revisions with consecutive keys; prev is 0, first is received, state is 0. Whatever else happens to one of them
// (a relation to an older revision) makes single rows of all of the pack again.

import type { Revision } from "./codec.ts";
import { num } from "./sql.ts";
import type { Cells } from "./sql.ts";

/** What fits a page of the file. */
export const PACK_LABELS = 64;
/** Fewer are written as single rows. */
export const PACK_LABELS_MIN = 8;
/** Columns of one label: row (0: dropped), ts, received, value; little-endian doubles. */
const ROW = 0;
const TS = 8;
const RECEIVED = 16;
const VALUE = 24;
const BYTES = 32;

export class Pack {
  /** Key of the first revision. */
  readonly first: number;
  #count: number;
  readonly #view: DataView;

  constructor(first: number, bytes: Uint8Array = new Uint8Array(PACK_LABELS * BYTES), count = 0) {
    this.first = first;
    this.#count = count;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === PACK_LABELS;
  }

  covers(seq: number): boolean {
    return seq >= this.first && seq < this.first + this.#count;
  }

  /** As the revision after the last one; not when it is full. */
  add(label: { readonly row: number; readonly ts: number; readonly received: number }, value: number): void {
    const at = this.#count++ * BYTES;
    const view = this.#view;
    view.setFloat64(at + ROW, label.row, true);
    view.setFloat64(at + TS, label.ts, true);
    view.setFloat64(at + RECEIVED, label.received, true);
    // The same number that a single row gives back.
    view.setFloat64(at + VALUE, value + 0, true);
  }

  drop(seq: number): void {
    if (this.covers(seq)) this.#view.setFloat64((seq - this.first) * BYTES + ROW, 0, true);
  }

  /** null: it is not here (any more), or damaged. */
  get(seq: number): Revision | null {
    if (!this.covers(seq)) return null;
    const at = (seq - this.first) * BYTES;
    const view = this.#view;
    const row = view.getFloat64(at + ROW, true);
    const ts = view.getFloat64(at + TS, true);
    const received = view.getFloat64(at + RECEIVED, true);
    const value = view.getFloat64(at + VALUE, true);
    if (row === 0 || !Number.isFinite(row + ts + received) || !Number.isFinite(value)) return null;
    const firstReceived = received;
    return { seq, row, prev: 0, ts, received, firstReceived, invalid: false, absent: false, value };
  }

  *revisions(): Generator<Revision> {
    for (let seq = this.first; seq < this.first + this.#count; seq++) {
      const revision = this.get(seq);
      if (revision !== null) yield revision;
    }
  }

  get isEmpty(): boolean {
    return this.revisions().next().done === true;
  }

  encode(): Uint8Array {
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset, this.#count * BYTES);
  }

  /** Columns: seq, labels. null: damaged. */
  static decode(cells: Cells | null): Pack | null {
    const bytes = cells?.[1];
    const first = num(cells?.[0]);
    if (!(bytes instanceof Uint8Array) || !Number.isFinite(first)) return null;
    const count = bytes.length / BYTES;
    return Number.isInteger(count) && count <= PACK_LABELS ? new Pack(first, bytes, count) : null;
  }
}
