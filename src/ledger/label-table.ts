// The revisions of labels in the file: single rows, and packs of the plain ones. Whoever asks need not know which.

import type { Revision } from "./codec.ts";
import { decodeRevision } from "./codec.ts";
import { PACK_LABELS, PACK_LABELS_MIN, Pack } from "./packs.ts";
import { LABELS_TOGETHER, LABEL_COLUMNS, many, one } from "./sql.ts";
import type { Sql } from "./sql.ts";

/** Packs that a transaction keeps at hand; beyond, what was changed is written. */
const PACKS_MAX = 256;

type LabelCell = number | string | null;

/** A revision to be written. `first`: received - first received of the row. */
export interface NewLabel {
  readonly seq: number;
  readonly row: number;
  readonly prev: number;
  readonly ts: number;
  readonly received: number;
  readonly first: number;
  readonly state: number;
  readonly value: LabelCell;
}

function packAt(sql: Sql, seq: number): Pack | null {
  const pack = Pack.decode(one(sql.packUpTo.get(seq)));
  return pack !== null && pack.covers(seq) ? pack : null;
}

export function revisionAt(sql: Sql, seq: number): Revision | null {
  const pack = packAt(sql, seq);
  return pack === null ? decodeRevision(one(sql.label.get(seq))) : pack.get(seq);
}

/** Revisions with first <= key <= last, in no order. */
export function* revisionsBetween(sql: Sql, first: number, last: number): Generator<Revision> {
  for (const cells of many(sql.labelsBetween.all(first, last))) {
    const revision = decodeRevision(cells);
    if (revision !== null) yield revision;
  }
  for (const cells of many(sql.packsBetween.all(first - PACK_LABELS, last))) {
    for (const revision of Pack.decode(cells)?.revisions() ?? []) {
      if (revision.seq >= first && revision.seq <= last) yield revision;
    }
  }
}

/** The table within one transaction: labels on their way to it, many with one statement. */
export class LabelTable {
  readonly #sql: Sql;
  #cells: LabelCell[] = [];
  #open: Pack | null = null;
  /** Packs read, by their first key, and which of them were changed. */
  readonly #packs = new Map<number, Pack>();
  readonly #changed = new Set<Pack>();
  #last: Pack | null = null;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  add(label: NewLabel): void {
    const { seq, prev, first, state, value } = label;
    if (prev === 0 && first === 0 && state === 0 && typeof value === "number") {
      if (this.#open !== null && (this.#open.isFull || seq !== this.#open.first + this.#open.count))
        this.#close();
      this.#open ??= new Pack(seq);
      this.#open.add(label, value);
      return;
    }
    const { row, ts, received } = label;
    this.#cells.push(seq, row, prev, ts, received, first, state, value);
    if (this.#cells.length < LABELS_TOGETHER * LABEL_COLUMNS) return;
    this.#sql.addLabels.run(...this.#cells);
    this.#cells = [];
  }

  get(seq: number): Revision | null {
    if (this.#open?.covers(seq) === true) return this.#open.get(seq);
    const pack = this.#packOf(seq);
    if (pack !== null) return pack.get(seq);
    this.#writeCells();
    return decodeRevision(one(this.#sql.label.get(seq)));
  }

  /** Puts `prev` behind the revision `seq`. */
  relink(prev: number, seq: number): void {
    this.flush();
    const pack = packAt(this.#sql, seq);
    if (pack !== null) {
      this.#sql.dropPack.run(pack.first);
      for (const revision of pack.revisions()) this.#addSingle(revision);
    }
    this.#sql.relinkLabel.run(prev, seq);
  }

  drop(seq: number): void {
    this.#writeCells();
    if (this.#open?.covers(seq) === true) this.#close();
    const pack = this.#packOf(seq);
    if (pack === null) {
      this.#sql.dropLabel.run(seq);
      return;
    }
    pack.drop(seq);
    this.#changed.add(pack);
  }

  /** Before the commit. */
  flush(): void {
    this.#writeCells();
    this.#close();
    this.#forgetPacks();
  }

  #packOf(seq: number): Pack | null {
    if (this.#last?.covers(seq) === true) return this.#last;
    const found = packAt(this.#sql, seq);
    if (found === null) return null;
    // As it is in the file, unless it was changed here.
    const pack = this.#packs.get(found.first) ?? found;
    if (this.#packs.size >= PACKS_MAX && pack === found) this.#forgetPacks();
    this.#packs.set(pack.first, pack);
    this.#last = pack;
    return pack;
  }

  #forgetPacks(): void {
    for (const pack of this.#changed) {
      if (pack.isEmpty) this.#sql.dropPack.run(pack.first);
      else this.#sql.setPack.run(pack.first, pack.encode());
    }
    this.#changed.clear();
    this.#packs.clear();
    this.#last = null;
  }

  #close(): void {
    const pack = this.#open;
    this.#open = null;
    if (pack === null) return;
    if (pack.count >= PACK_LABELS_MIN) this.#sql.setPack.run(pack.first, pack.encode());
    else for (const revision of pack.revisions()) this.#addSingle(revision);
  }

  #addSingle({ seq, row, ts, received, value }: Revision): void {
    this.#sql.addLabel.run(seq, row, 0, ts, received, 0, 0, value);
  }

  #writeCells(): void {
    if (this.#cells.length === 0) return;
    const cells = this.#cells;
    this.#cells = [];
    for (let at = 0; at < cells.length; at += LABEL_COLUMNS)
      this.#sql.addLabel.run(...cells.slice(at, at + LABEL_COLUMNS));
  }
}
