// The second set of windows: the same lengths, ending where nearly all labels are in. Both edges move with the clock.
//
// The totals of a window hold its rows with lower < ts <= upper. What the clock or the lag moves is taken in or out row by
// row, read ahead, within a budget per question: a set that is behind says so instead of answering.

import type { Prediction } from "../facts/prediction.ts";
import type { Truth } from "../facts/pair.ts";
import { type Archive, archiveNullable } from "../kernel/archive.ts";
import { Bin } from "./bin.ts";
import { type ReadRows, type RowBudget, RowsAhead } from "./rows-ahead.ts";
import type { Yardstick } from "./totals.ts";

/** One window's totals in one series. */
export interface MaturedShare {
  total: Bin;
}

/** Where a window can start from: its totals of the basis "all", which hold every row with ts > edge. */
export interface Start {
  readonly edge: number;
  readonly copyInto: (window: number) => void;
}

export interface MaturedSource {
  readonly yardstick: Yardstick | null;
  /** null: all that is retained. */
  readonly lengthsMs: readonly (number | null)[];
  /** The shares of every series, for a window. */
  readonly shares: (window: number) => readonly MaturedShare[];
  readonly startOf: (window: number) => Start | null;
  /** Every row has a ts that is not above it. */
  readonly lastTs: () => number;
  readonly read: ReadRows;
  /** Takes a row into the totals of a window (sign 1) or out of them (sign -1). */
  readonly take: (window: number, row: { prediction: Prediction; truth: Truth | null }, sign: 1 | -1) => void;
}

interface Pane {
  /** The totals hold rows above it. */
  lower: number;
  readonly ahead: RowsAhead;
}

export class MaturedSet {
  readonly #source: MaturedSource;
  readonly #panes: readonly Pane[];
  readonly #upperAhead: RowsAhead;
  /** null: no totals yet. */
  #upper: number | null = null;
  /** From and to of what each reading covers: asked for every change, and nearly always no. */
  readonly #spans: Float64Array;
  #spansSize = 0;

  constructor(source: MaturedSource) {
    this.#source = source;
    this.#upperAhead = new RowsAhead(source.read);
    this.#panes = source.lengthsMs.map(() => ({ lower: 0, ahead: new RowsAhead(source.read) }));
    this.#spans = new Float64Array(2 * (this.#panes.length + 1));
  }

  /** Without the totals, which the series have. */
  archive(io: Archive): void {
    this.#upper = archiveNullable(io, this.#upper);
    for (const pane of this.#panes) pane.lower = io.number(pane.lower);
  }

  /** Whether a row of this time counts in a window; to be asked for every change, of which it must know. */
  holds(window: number, ts: number): boolean {
    const lower = this.#panes[window]?.lower;
    return this.#upper !== null && lower !== undefined && ts > lower && ts <= this.#upper;
  }

  touched(ts: number): void {
    const spans = this.#spans;
    for (let at = 0; at < this.#spansSize; at += 2) {
      if (ts <= (spans[at] ?? 0) || ts > (spans[at + 1] ?? 0)) continue;
      this.#upperAhead.touched(ts);
      for (const { ahead } of this.#panes) ahead.touched(ts);
      this.#noteSpans();
      return;
    }
  }

  #noteSpans(): void {
    this.#spansSize = 0;
    for (const { span } of [this.#upperAhead, ...this.#panes.map(({ ahead }) => ahead)]) {
      if (span.from === span.to) continue;
      this.#spans[this.#spansSize++] = span.from;
      this.#spans[this.#spansSize++] = span.to;
    }
  }

  /** Moves the windows so that they end at `upper`. Says for each whether it got there within the budget. */
  moveTo(upper: number, budget: RowBudget): boolean[] {
    if (this.#upper === null) this.#begin();
    this.#moveUpper(upper, budget);
    const ends = this.#upper === upper;
    const there = this.#panes.map((pane, window) => {
      const lengthMs = this.#source.lengthsMs[window] ?? null;
      return (
        this.#moveLower(
          window,
          { pane, target: lengthMs === null ? Number.MIN_SAFE_INTEGER : upper - lengthMs },
          budget,
        ) && ends
      );
    });
    this.#noteSpans();
    return there;
  }

  /** Empties the totals and forgets where they were. */
  release(): void {
    if (this.#upper === null) return;
    this.#upper = null;
    for (const window of this.#panes.keys()) this.#clear(window);
  }

  #clear(window: number): void {
    for (const share of this.#source.shares(window)) {
      share.total.release();
      share.total = new Bin(this.#source.yardstick, "total");
    }
  }

  /** The totals of the basis "all" hold what is too young as well: that is less to take out than the rest is to read. */
  #begin(): void {
    this.#upper = Number.MAX_SAFE_INTEGER;
    for (const [window, pane] of this.#panes.entries()) {
      this.#clear(window);
      const start = this.#source.startOf(window);
      pane.lower = start?.edge ?? Number.MAX_SAFE_INTEGER;
      start?.copyInto(window);
    }
  }

  #moveUpper(target: number, budget: RowBudget): void {
    const upper = this.#upper ?? target;
    if (target > upper) {
      this.#upper = this.#upperAhead.forward({ fromTs: upper, toTs: target }, budget, (prediction, truth) => {
        for (const window of this.#panes.keys()) this.#source.take(window, { prediction, truth }, 1);
      });
      return;
    }
    // Nothing lies above the latest row.
    const from = Math.max(target, Math.min(upper, this.#source.lastTs()));
    this.#upper = this.#upperAhead.backward({ fromTs: target, toTs: from }, budget, (prediction, truth) => {
      for (const [window, { lower }] of this.#panes.entries()) {
        if (prediction.ts > lower) this.#source.take(window, { prediction, truth }, -1);
      }
    });
    for (const pane of this.#panes) pane.lower = Math.min(pane.lower, this.#upper);
  }

  #moveLower(window: number, move: { pane: Pane; target: number }, budget: RowBudget): boolean {
    const { pane, target } = move;
    const upper = this.#upper ?? target;
    if (target < pane.lower) {
      pane.lower = pane.ahead.backward({ fromTs: target, toTs: pane.lower }, budget, (prediction, truth) =>
        this.#source.take(window, { prediction, truth }, 1),
      );
    } else if (target >= upper) {
      this.#clear(window);
      pane.lower = upper;
    } else {
      pane.lower = pane.ahead.forward({ fromTs: pane.lower, toTs: target }, budget, (prediction, truth) =>
        this.#source.take(window, { prediction, truth }, -1),
      );
    }
    return pane.lower === target;
  }
}
