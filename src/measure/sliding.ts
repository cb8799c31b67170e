// One window of one model version, sliding over its rows: whole panes where they do, single rows at the edges.
//
// A window's total holds every row with ts > edge. To move the edge, what lies between old and new edge is taken out
// (or put back): pane by pane where a pane is crossed whole, else row by row from the ledger. Every sum is exactly
// retractable, so a total that has moved a thousand times equals one made afresh.

import type { Prediction } from "../facts/prediction.ts";
import { Bin, type Step } from "./bin.ts";
import type { Yardstick } from "./totals.ts";
import type { Window } from "./windows.ts";

/** A window's share in one series (the whole version, or one slice of it). */
export interface Share {
  total: Bin;
  readonly panes: Map<number, Bin>;
}

/** Unix ms: fromTs < ts <= toTs. */
export interface TsRange {
  readonly fromTs: number;
  readonly toTs: number;
}

function extend(open: TsRange | null, by: TsRange): TsRange {
  return open === null ? by : { fromTs: open.fromTs, toTs: by.toTs };
}

/** Rows fromTs < ts <= toTs, each with what it does to the series it belongs to. */
export interface RowSource {
  /** The shares that a row counts in. */
  readonly shares: () => readonly Share[];
  readonly mainPanes: () => ReadonlyMap<number, Bin>;
  /** Takes (sign 1) or takes back (sign -1) the rows of a range, from the ledger, in the totals of this window. */
  readonly rows: (range: TsRange, sign: 1 | -1) => void;
}

export interface TimedWindow extends Window {
  readonly lengthMs: number;
}

export class SlidingWindow {
  readonly window: TimedWindow;
  readonly #yardstick: Yardstick | null;
  readonly #source: RowSource;
  /** null: the totals are not kept yet; the first question makes them. */
  #edge: number | null = null;
  /** Panes from here on are complete; older ones are not kept. */
  #floor = Number.NEGATIVE_INFINITY;

  constructor(window: TimedWindow, yardstick: Yardstick | null, source: RowSource) {
    this.window = window;
    this.#yardstick = yardstick;
    this.#source = source;
  }

  /** Begins empty, as of `at`: only for a version that has no rows yet. */
  begin(at: number): void {
    this.#edge = at - this.window.lengthMs;
    this.#floor = Math.floor(this.#edge / this.window.stepMs);
  }

  createShare(): Share {
    return { total: new Bin(this.#yardstick, "total"), panes: new Map() };
  }

  take(share: Share, ts: number, step: Step): void {
    if (this.#edge !== null && ts > this.#edge) share.total.take(step);
    const at = Math.floor(ts / this.window.stepMs);
    if (at < this.#floor) return;
    let pane = share.panes.get(at);
    if (pane === undefined) {
      pane = new Bin(this.#yardstick, "pane");
      share.panes.set(at, pane);
    }
    pane.take(step);
    if (pane.predictions === 0) share.panes.delete(at);
  }

  /** Twice the panes of a window are kept between two questions; then the older half goes. Call it once a row. */
  trim(): void {
    const panes = this.#source.mainPanes();
    const most = 2 * Math.ceil(this.window.lengthMs / this.window.stepMs) + 2;
    if (panes.size <= most) return;
    const ascending = [...panes.keys()].sort((a, b) => a - b);
    this.#dropBelow(ascending[ascending.length >> 1] ?? 0);
  }

  /** Moves the window so that the totals hold the rows with ts > at - length (later ones included). */
  moveTo(at: number): void {
    const target = at - this.window.lengthMs;
    const edge = this.#edge;
    if (edge === null || Math.abs(target - edge) > this.window.lengthMs / 2) {
      for (const share of this.#source.shares()) {
        share.total.release();
        share.total = new Bin(this.#yardstick, "total");
      }
      this.#range({ fromTs: target, toTs: Number.MAX_SAFE_INTEGER }, 1);
    } else if (target > edge) this.#range({ fromTs: edge, toTs: target }, -1);
    else if (target < edge) this.#range({ fromTs: target, toTs: edge }, 1);
    this.#edge = target;
    this.#dropBelow(Math.floor(target / this.window.stepMs));
  }

  /** Answers with the totals as of `at`: rows of a later ts are out while `answer` runs. */
  withoutLater(at: number, answer: () => void): void {
    const later = { fromTs: at, toTs: Number.MAX_SAFE_INTEGER };
    this.#range(later, -1);
    answer();
    this.#range(later, 1);
  }

  release(): void {
    for (const share of this.#source.shares()) share.total.release();
  }

  #dropBelow(floor: number): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    for (const { panes } of this.#source.shares()) {
      for (const at of panes.keys()) if (at < floor) panes.delete(at);
    }
  }

  /** Puts the rows fromTs < ts <= toTs into the totals, or takes them out. */
  #range(range: TsRange, sign: 1 | -1): void {
    const { stepMs } = this.window;
    let { fromTs } = range;
    const { toTs } = range;
    const complete = this.#floor * stepMs - 1;
    if (fromTs < complete) {
      const until = Math.min(complete, toTs);
      this.#source.rows({ fromTs, toTs: until }, sign);
      fromTs = until;
    }
    if (fromTs >= toTs) return;
    // Neighbouring pieces that must be read row by row are read at once.
    let open: TsRange | null = null;
    for (const at of this.#panesIn(fromTs, toTs)) {
      const first = Math.max(fromTs, at * stepMs - 1);
      const last = Math.min(toTs, (at + 1) * stepMs - 1);
      const whole = last - first === stepMs;
      if (whole && this.#mergePane(at, sign, open)) {
        open = null;
        continue;
      }
      open = extend(open, { fromTs: first, toTs: last });
    }
    if (open !== null) this.#source.rows(open, sign);
  }

  /** Merges a whole pane of every series, after the rows of `before`; false when it cannot be merged. */
  #mergePane(at: number, sign: 1 | -1, before: TsRange | null): boolean {
    if (this.#source.mainPanes().get(at)?.mergeable !== true) return false;
    if (before !== null) this.#source.rows(before, sign);
    for (const { total, panes } of this.#source.shares()) {
      const pane = panes.get(at);
      if (pane !== undefined) total.merge(pane, sign);
    }
    return true;
  }

  /** Panes that have rows and touch the range, ascending. */
  #panesIn(fromTs: number, toTs: number): number[] {
    const panes = this.#source.mainPanes();
    const first = Math.floor((fromTs + 1) / this.window.stepMs);
    const last = Math.floor(toTs / this.window.stepMs);
    const found: number[] = [];
    if (last - first < panes.size) {
      for (let at = first; at <= last; at++) if (panes.has(at)) found.push(at);
      return found;
    }
    for (const at of panes.keys()) if (at >= first && at <= last) found.push(at);
    return found.sort((a, b) => a - b);
  }
}

/** The slices of a prediction as series names, `name=value`. */
export function sliceNames(prediction: Prediction): string[] {
  if (prediction.slice === null) return [];
  return Object.entries(prediction.slice).map(([name, value]) => `${name}=${value}`);
}
