// One window of one model version, sliding over its rows: whole panes where they do, single rows at the edges.
//
// A window's total holds every row with ts > edge. To move the edge, what lies between old and new edge is taken out
// (or put back): pane by pane where a pane is crossed whole, else row by row from the ledger. Every sum is exactly
// retractable, so a total that has moved a thousand times equals one made afresh.

import type { Truth } from "../facts/pair.ts";
import type { Prediction } from "../facts/prediction.ts";
import { type Archive, archiveMap, archiveNullable, numberKey } from "../kernel/archive.ts";
import { Bin, type Step } from "./bin.ts";
import type { Yardstick } from "./totals.ts";
import type { Window } from "./windows.ts";

/** Rows read ahead at the trailing edge: one reading serves many small steps. */
const AHEAD_ROWS = 1024;

/** A window's share in one series (the whole version, or one slice of it). */
export interface Share {
  total: Bin;
  readonly panes: Map<number, Bin>;
  /** The pane that was met last: neighbours in time come together. */
  last: { readonly at: number; readonly pane: Bin } | null;
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
  /** The rows of a range as they are now, from the ledger, in any order. */
  readonly read: (range: TsRange, visit: (prediction: Prediction, truth: Truth | null) => void) => void;
  /** Takes a row into the totals of this window (sign 1) or out of them (sign -1). */
  readonly take: (prediction: Prediction, truth: Truth | null, sign: 1 | -1) => void;
}

interface RowAhead {
  readonly prediction: Prediction;
  readonly truth: Truth | null;
}

/** Rows go in, or out; "leave": out, and the next ones will leave from where these end. */
type Move = "in" | "out" | "leave";

/** The next rows to leave, by ts; valid until one of them changes. */
interface Ahead {
  fromTs: number;
  readonly toTs: number;
  readonly rows: readonly RowAhead[];
  next: number;
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
  #ahead: Ahead | null = null;

  constructor(window: TimedWindow, yardstick: Yardstick | null, source: RowSource) {
    this.window = window;
    this.#yardstick = yardstick;
    this.#source = source;
  }

  /** The totals hold the rows with a greater ts; null: they are not kept yet. */
  get edge(): number | null {
    return this.#edge;
  }

  /** Begins empty, as of `at`: only for a version that has no rows yet. */
  begin(at: number): void {
    this.#edge = at - this.window.lengthMs;
    this.#floor = Math.floor(this.#edge / this.window.stepMs);
  }

  createShare(): Share {
    return { total: new Bin(this.#yardstick, "total"), panes: new Map(), last: null };
  }

  archive(io: Archive): void {
    this.#edge = archiveNullable(io, this.#edge);
    this.#floor = io.number(this.#floor);
  }

  archiveShare(io: Archive, share: Share): void {
    share.total.archive(io);
    const paneOf = (known: Bin | undefined): Bin => {
      const pane = known ?? new Bin(this.#yardstick, "pane");
      pane.archive(io);
      return pane;
    };
    archiveMap(io, share.panes, { key: numberKey(io), value: paneOf });
  }

  /** Whether the totals hold rows of this time. */
  holds(ts: number): boolean {
    return this.#edge !== null && ts > this.#edge;
  }

  /** Takes a row into its pane; whoever calls takes it into the totals if they hold it. */
  takePane(share: Share, ts: number, step: Step): void {
    if (this.#ahead !== null && ts > this.#ahead.fromTs && ts <= this.#ahead.toTs) this.#ahead = null;
    const at = Math.floor(ts / this.window.stepMs);
    if (at < this.#floor) return;
    const { last } = share;
    if (last !== null && last.at === at) last.pane.take(step);
    else share.last = this.#takeInto(share, at, step);
    if (share.last?.pane.predictions !== 0) return;
    share.panes.delete(at);
    share.last = null;
  }

  #takeInto(share: Share, at: number, step: Step): { at: number; pane: Bin } {
    let pane = share.panes.get(at);
    if (pane === undefined) {
      pane = new Bin(this.#yardstick, "pane");
      share.panes.set(at, pane);
    }
    pane.take(step);
    return { at, pane };
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
      this.#range({ fromTs: target, toTs: Number.MAX_SAFE_INTEGER }, "in");
    } else if (target > edge) this.#range({ fromTs: edge, toTs: target }, "leave");
    else if (target < edge) this.#range({ fromTs: target, toTs: edge }, "in");
    this.#edge = target;
    if (this.#ahead?.fromTs !== target) this.#ahead = null;
    this.#dropBelow(Math.floor(target / this.window.stepMs));
  }

  /** Answers with the totals as of `at`: rows of a later ts are out while `answer` runs. */
  withoutLater(at: number, answer: () => void): void {
    const later = { fromTs: at, toTs: Number.MAX_SAFE_INTEGER };
    this.#range(later, "out");
    answer();
    this.#range(later, "in");
  }

  release(): void {
    for (const share of this.#source.shares()) share.total.release();
  }

  #dropBelow(floor: number): void {
    if (floor <= this.#floor) return;
    this.#floor = floor;
    for (const share of this.#source.shares()) {
      share.last = null;
      for (const at of share.panes.keys()) if (at < floor) share.panes.delete(at);
    }
  }

  /** Puts the rows fromTs < ts <= toTs into the totals, or takes them out. */
  #range(range: TsRange, move: Move): void {
    const { stepMs } = this.window;
    let { fromTs } = range;
    const { toTs } = range;
    const complete = this.#floor * stepMs - 1;
    if (fromTs < complete) {
      const until = Math.min(complete, toTs);
      this.#rows({ fromTs, toTs: until }, move);
      fromTs = until;
    }
    if (fromTs >= toTs) return;
    // Neighbouring pieces that must be read row by row are read at once.
    let open: TsRange | null = null;
    for (const at of this.#panesIn(fromTs, toTs)) {
      const first = Math.max(fromTs, at * stepMs - 1);
      const last = Math.min(toTs, (at + 1) * stepMs - 1);
      const whole = last - first === stepMs;
      if (whole && this.#mergePane(at, move, open)) {
        open = null;
        continue;
      }
      open = extend(open, { fromTs: first, toTs: last });
    }
    if (open !== null) this.#rows(open, move);
  }

  #rows(range: TsRange, move: Move): void {
    const rest = move === "leave" ? this.#leave(range) : range;
    if (rest.fromTs >= rest.toTs) return;
    const sign = move === "in" ? 1 : -1;
    this.#source.read(rest, (prediction, truth) => this.#source.take(prediction, truth, sign));
  }

  /** Takes out the rows of a range as far as they are, or are worth being, read ahead; the rest is still to do. */
  #leave({ fromTs, toTs }: TsRange): TsRange {
    if (this.#ahead?.fromTs !== fromTs) this.#ahead = null;
    let from = fromTs;
    if (this.#ahead !== null) from = this.#consume(this.#ahead, toTs);
    const next = this.#aheadOf(from);
    if (from >= toTs || next === null || next.toTs <= toTs) return { fromTs: from, toTs };
    this.#ahead = this.#readAhead(next);
    return { fromTs: this.#consume(this.#ahead, toTs), toTs };
  }

  /** The rest of the pane in which `fromTs` lies, or as much of it as holds about AHEAD_ROWS rows. */
  #aheadOf(fromTs: number): TsRange | null {
    const { stepMs } = this.window;
    const at = Math.floor((fromTs + 1) / stepMs);
    if (at < this.#floor) return null;
    const rows = this.#source.mainPanes().get(at)?.predictions ?? 0;
    const spanMs = rows <= AHEAD_ROWS ? stepMs : Math.floor((stepMs * AHEAD_ROWS) / rows);
    return { fromTs, toTs: Math.min((at + 1) * stepMs - 1, fromTs + spanMs) };
  }

  #readAhead({ fromTs, toTs }: TsRange): Ahead {
    const rows: RowAhead[] = [];
    this.#source.read({ fromTs, toTs }, (prediction, truth) => rows.push({ prediction, truth }));
    rows.sort((a, b) => a.prediction.ts - b.prediction.ts);
    return { fromTs, toTs, rows, next: 0 };
  }

  /** Takes out what was read ahead, up to `toTs`; returns how far that went. */
  #consume(ahead: Ahead, toTs: number): number {
    for (; ahead.next < ahead.rows.length; ahead.next++) {
      const row = ahead.rows[ahead.next];
      if (row === undefined || row.prediction.ts > toTs) break;
      this.#source.take(row.prediction, row.truth, -1);
    }
    ahead.fromTs = Math.min(toTs, ahead.toTs);
    return ahead.fromTs;
  }

  /** Merges a whole pane of every series, after the rows of `before`; false when it cannot be merged. */
  #mergePane(at: number, move: Move, before: TsRange | null): boolean {
    if (this.#source.mainPanes().get(at)?.mergeable !== true) return false;
    if (before !== null) this.#rows(before, move);
    for (const { total, panes } of this.#source.shares()) {
      const pane = panes.get(at);
      if (pane !== undefined) total.merge(pane, move === "in" ? 1 : -1);
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

const NO_NAMES: readonly string[] = [];
/** The slice met last: a row asks several times, and rows of one slice share it. */
let lastSlice: { readonly slice: object; readonly names: readonly string[] } | null = null;

/** The slices of a prediction as series names, `name=value`. */
export function sliceNames({ slice }: Prediction): readonly string[] {
  if (slice === null) return NO_NAMES;
  if (lastSlice?.slice === slice) return lastSlice.names;
  const names = Object.entries(slice).map(([name, value]) => `${name}=${value}`);
  lastSlice = { slice, names };
  return names;
}
