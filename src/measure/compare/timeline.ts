// Costs of labelled rows by the time of the prediction: short panes while labels are still coming, hours once they are in.

import { type Archive, archiveMap, numberKey } from "../../kernel/archive.ts";
import { Moments } from "./moments.ts";
import type { Costs } from "./losses.ts";

export const HOUR_MS = 3_600_000;
/** Hours kept per version: 31 days. Beyond, the oldest goes; pairs that are compared all the time have it in their sums. */
export const HOURS_MAX = 744;
/** Panes that wait at one time; a row beyond is left out. */
const PANES_MAX = 1000;
/** All divide the hour. */
const STEPS_MS = [1000, 10_000, 60_000, 600_000, HOUR_MS];
const PANES_PER_LAG = 180;

/** One cell: the moments of each loss, in the order of the losses. */
export type Cell = readonly Moments[];

/** How finely rows are kept until labels are in: about 180 panes. */
export function paneStep(lagMs: number): number {
  return STEPS_MS.find((step) => lagMs / step <= PANES_PER_LAG) ?? HOUR_MS;
}

/** First instant after the pane that holds `ts`. */
export function paneEnd(ts: number, stepMs: number): number {
  return (Math.floor(ts / stepMs) + 1) * stepMs;
}

export class Timeline {
  readonly #losses: number;
  /** By the pane's end. */
  readonly #panes = new Map<number, Cell>();
  /** By the hour's start. */
  readonly #hours = new Map<number, Cell>();

  constructor(losses: number) {
    this.#losses = losses;
  }

  /** Time to close panes. */
  get isFull(): boolean {
    return this.#panes.size >= PANES_MAX;
  }

  /** False: there was no room. */
  add(end: number, costs: Costs): boolean {
    let cell = this.#panes.get(end);
    if (cell === undefined) {
      if (this.#panes.size >= PANES_MAX) return false;
      cell = this.#create();
      this.#panes.set(end, cell);
    }
    addCosts(cell, costs);
    return true;
  }

  /** A row whose pane has long been closed: when rows are read again. */
  addClosed(end: number, costs: Costs): void {
    addCosts(this.#hourAt(end - 1), costs);
    this.#trim();
  }

  /** Panes that end by the watermark become part of their hour. */
  close(watermark: number): void {
    for (const [end, cell] of this.#panes) {
      if (end > watermark) continue;
      this.#panes.delete(end);
      const into = this.#hourAt(end - 1);
      for (const [i, moments] of cell.entries()) into[i]?.merge(moments);
    }
    this.#trim();
  }

  archive(io: Archive): void {
    const cellOf = (known: Cell | undefined): Cell => {
      const cell = known ?? this.#create();
      for (const moments of cell) moments.archive(io);
      return cell;
    };
    archiveMap(io, this.#panes, { key: numberKey(io), value: cellOf });
    archiveMap(io, this.#hours, { key: numberKey(io), value: cellOf });
  }

  hour(start: number): Cell | undefined {
    return this.#hours.get(start);
  }

  /** Starts of the hours from `from` on, ascending. */
  hoursFrom(from: number): number[] {
    return [...this.#hours.keys()].filter((start) => start >= from).sort((a, b) => a - b);
  }

  #create(): Cell {
    return Array.from({ length: this.#losses }, () => new Moments());
  }

  #hourAt(ts: number): Cell {
    const start = Math.floor(ts / HOUR_MS) * HOUR_MS;
    const known = this.#hours.get(start);
    if (known !== undefined) return known;
    const cell = this.#create();
    this.#hours.set(start, cell);
    return cell;
  }

  #trim(): void {
    while (this.#hours.size > HOURS_MAX) {
      let oldest = Number.POSITIVE_INFINITY;
      for (const start of this.#hours.keys()) oldest = Math.min(oldest, start);
      this.#hours.delete(oldest);
    }
  }
}

function addCosts(cell: Cell, costs: Costs): void {
  for (const [i, cost] of costs.entries()) if (Number.isFinite(cost)) cell[i]?.add(cost);
}
