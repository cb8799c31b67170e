// The ledger's rows at an edge that moves forward in small steps: one reading serves many of them.

import type { Truth } from "../facts/pair.ts";
import type { Prediction } from "../facts/prediction.ts";

/** Aim of one reading, and where it is given up: it is done again for a shorter span. */
const ROWS = 1024;
const ROWS_MAX = 2 * ROWS;
const SPAN_MIN_MS = 1;
/** Where there are rows, labels come too and make what was read stale: not further ahead than this. */
const SPAN_MAX_MS = 120_000;
const QUIET_SPAN_MAX_MS = 6 * 3_600_000;

export type TakeRow = (prediction: Prediction, truth: Truth | null) => void;
/** Rows fromTs < ts <= toTs as they are now, in any order; beyond `rowsMax` some may be missing. */
export type ReadRows = (range: { fromTs: number; toTs: number; rowsMax?: number }, visit: TakeRow) => void;

/** Rows that the present question may still read; catching up goes on with the next one. */
export interface RowBudget {
  rows: number;
}

export class RowsAhead {
  readonly #read: ReadRows;
  #rows: { readonly prediction: Prediction; readonly truth: Truth | null }[] = [];
  #next = 0;
  /** What `#rows` from `#next` on covers: fromTs < ts <= toTs; nothing while equal. */
  #fromTs = 0;
  #toTs = 0;
  #spanMs = 1000;

  constructor(read: ReadRows) {
    this.#read = read;
  }

  /** What is read ahead covers from < ts <= to; nothing while equal. */
  get span(): { readonly from: number; readonly to: number } {
    return { from: this.#fromTs, to: this.#toTs };
  }

  /** A row of this time changed: what was read may be stale. */
  touched(ts: number): void {
    if (ts > this.#fromTs && ts <= this.#toTs) this.#toTs = this.#fromTs;
  }

  /** Takes the rows fromTs < ts <= toTs, as far as the budget allows; returns how far that was. */
  forward(range: { fromTs: number; toTs: number }, budget: RowBudget, take: TakeRow): number {
    let { fromTs } = range;
    while (fromTs < range.toTs) {
      if (this.#fromTs !== fromTs || this.#toTs <= fromTs) {
        if (budget.rows <= 0) return fromTs;
        budget.rows -= this.#readFrom(fromTs);
        if (this.#toTs <= fromTs) continue;
      }
      fromTs = Math.min(range.toTs, this.#toTs);
      for (; this.#next < this.#rows.length; this.#next++) {
        const row = this.#rows[this.#next];
        if (row === undefined || row.prediction.ts > fromTs) break;
        take(row.prediction, row.truth);
      }
      this.#fromTs = fromTs;
    }
    return fromTs;
  }

  /** The same from the other end: from `range.toTs` down, without keeping anything. */
  backward(range: { fromTs: number; toTs: number }, budget: RowBudget, take: TakeRow): number {
    let { toTs } = range;
    while (toTs > range.fromTs && budget.rows > 0) {
      const fromTs = Math.max(range.fromTs, toTs - this.#spanMs);
      const rows = this.#load({ fromTs, toTs });
      budget.rows -= rows;
      if (this.#shorten()) continue;
      this.#adapt(rows, QUIET_SPAN_MAX_MS);
      for (const { prediction, truth } of this.#rows) take(prediction, truth);
      toTs = fromTs;
    }
    this.#rows = [];
    this.#toTs = this.#fromTs;
    return toTs;
  }

  /** Gives how many rows were read. Nothing is covered when those were too many: then the next reading is shorter. */
  #readFrom(fromTs: number): number {
    const rows = this.#load({ fromTs, toTs: fromTs + this.#spanMs });
    if (this.#shorten()) return rows;
    this.#rows.sort((a, b) => a.prediction.ts - b.prediction.ts);
    this.#adapt(rows, rows <= 1 ? QUIET_SPAN_MAX_MS : SPAN_MAX_MS);
    return rows;
  }

  #load(range: { fromTs: number; toTs: number }): number {
    this.#fromTs = range.fromTs;
    this.#toTs = range.toTs;
    this.#next = 0;
    this.#rows = [];
    const isShortest = range.toTs - range.fromTs <= SPAN_MIN_MS;
    this.#read(isShortest ? range : { ...range, rowsMax: ROWS_MAX }, (prediction, truth) => {
      this.#rows.push({ prediction, truth });
    });
    // A reading of nothing is work too.
    return this.#rows.length + 1;
  }

  /** Whether more rows came than one reading may have. They are dropped; the next one is as short as rows are dense in the middle of these. */
  #shorten(): boolean {
    const spanMs = this.#toTs - this.#fromTs;
    const rows = this.#rows.length;
    if (rows <= ROWS_MAX || spanMs <= SPAN_MIN_MS) return false;
    const times = Float64Array.from(this.#rows, ({ prediction }) => prediction.ts).sort();
    const half = (times[Math.floor(rows * 0.75)] ?? 0) - (times[Math.floor(rows * 0.25)] ?? 0);
    const enough = Math.floor((half * 2 * ROWS) / rows);
    this.#spanMs = Math.max(SPAN_MIN_MS, Math.min(enough, Math.floor(spanMs / 2)));
    this.#rows = [];
    this.#toTs = this.#fromTs;
    return true;
  }

  #adapt(rows: number, mostMs: number): void {
    if (rows > 2 * ROWS) this.#spanMs = Math.max(SPAN_MIN_MS, Math.floor(this.#spanMs / 2));
    else if (rows < ROWS / 4) this.#spanMs = Math.max(this.#spanMs, Math.min(mostMs, this.#spanMs * 4));
  }
}
