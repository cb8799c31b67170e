// Time cut into panes of one length, epoch-aligned: the newest ones are kept, older rows are left out and counted.

import { type Archive, archiveMap, numberKey } from "../../kernel/archive.ts";

export interface PanesShape<P> {
  readonly stepMs: number;
  /** How far back panes are kept, from the newest question. */
  readonly keepMs: number;
  readonly create: () => P;
  readonly drop: (pane: P) => void;
}

/** Panes kept at most, the newest ones, whatever `keepMs`. */
const PANES_MAX = 2000;

export class Panes<P> {
  readonly #shape: PanesShape<P>;
  readonly #panes = new Map<number, P>();
  /** The pane that was met last: neighbours in time come together. */
  #last: { readonly start: number; readonly pane: P } | null = null;
  /** Start of the oldest pane that may exist. It only rises, so what was left out is never taken back either. */
  #floor = Number.NEGATIVE_INFINITY;
  readonly #keep: number;

  constructor(shape: PanesShape<P>) {
    this.#shape = shape;
    this.#keep = Math.ceil(shape.keepMs / shape.stepMs);
  }

  get size(): number {
    return this.#panes.size;
  }

  /** The pane in which `ts` (Unix ms) lies; null when that is too long ago. Panes hold start < ts <= start + step. */
  at(ts: number): P | null {
    const last = this.#last;
    if (last !== null && ts > last.start && ts <= last.start + this.#shape.stepMs) return last.pane;
    const start = this.#startOf(ts);
    if (start < this.#floor) return null;
    let pane = this.#panes.get(start);
    if (pane === undefined) {
      pane = this.#shape.create();
      this.#panes.set(start, pane);
      if (this.#panes.size > PANES_MAX) this.#raise(Math.min(...this.#panes.keys()) + this.#shape.stepMs);
    }
    // One that had no room is not found again.
    if (start >= this.#floor) this.#last = { start, pane };
    return pane;
  }

  /** Drops what is older than is kept at `now` (Unix ms). */
  advance(now: number): void {
    this.#raise(this.#startOf(now) - this.#keep * this.#shape.stepMs);
  }

  #raise(floor: number): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    this.#last = null;
    for (const [start, pane] of this.#panes) {
      if (start >= floor) continue;
      this.#panes.delete(start);
      this.#shape.drop(pane);
    }
  }

  /**
   * Panes that begin in [from, to), both cut to whole panes: a window's edges are those of the panes. A window that ends
   * within a pane has all of that pane, and so begins up to a step later. In order of time.
   */
  *between(from: number, to: number): Iterable<P> {
    for (const { pane } of this.timed(from, to)) yield pane;
  }

  /** The same with the span of time (Unix ms) of each. */
  *timed(
    from: number,
    to: number,
  ): Iterable<{ readonly pane: P; readonly fromTs: number; readonly toTs: number }> {
    const { stepMs } = this.#shape;
    const first = Math.ceil(from / stepMs) * stepMs;
    const last = Math.ceil(to / stepMs) * stepMs;
    // In order of time: sums of doubles over panes must not depend on which row came first.
    for (const start of this.starts()) {
      const pane = start >= first && start < last ? this.#panes.get(start) : undefined;
      if (pane !== undefined) yield { pane, fromTs: start, toTs: start + stepMs };
    }
  }

  archive(io: Archive, each: (pane: P) => void): void {
    const paneOf = (known: P | undefined): P => {
      const pane = known ?? this.#shape.create();
      each(pane);
      return pane;
    };
    this.#floor = io.number(this.#floor);
    archiveMap(io, this.#panes, { key: numberKey(io), value: paneOf });
    this.#last = null;
  }

  /** Starts of the panes that exist (Unix ms), ascending. */
  starts(): number[] {
    return [...this.#panes.keys()].toSorted((a, b) => a - b);
  }

  clear(): void {
    for (const pane of this.#panes.values()) this.#shape.drop(pane);
    this.#panes.clear();
    this.#last = null;
  }

  #startOf(ts: number): number {
    const { stepMs } = this.#shape;
    return (Math.ceil(ts / stepMs) - 1) * stepMs;
  }
}
