// Rows remembered for a while. Requests that two versions answered under the same id (a shadow version): their costs meet here.

import type { Costs } from "./losses.ts";

export interface Answered {
  readonly version: string;
  readonly ts: number;
  readonly costs: Costs;
}

/** Labelled rows remembered for a partner. A label joins the rows of all versions at once, so few are enough. */
export const IDS_MAX = 20_000;
/** Versions that may answer one request. */
const VERSIONS_MAX = 8;

export class Matcher {
  readonly #known = new Map<string, Answered[]>();
  #left = 0;

  /** Rows that left for want of room before another version answered their id. */
  get left(): number {
    return this.#left;
  }

  /** The other versions that answered this id and have their label. */
  meet(id: string, answer: Answered): readonly Answered[] {
    const known = this.#known.get(id);
    if (known === undefined) {
      if (this.#known.size >= IDS_MAX) this.#leave();
      this.#known.set(id, [answer]);
      return [];
    }
    const others = known.filter(({ version }) => version !== answer.version);
    if (others.length === known.length && known.length < VERSIONS_MAX) known.push(answer);
    return others;
  }

  #leave(): void {
    const [oldest] = this.#known.keys();
    if (oldest === undefined) return;
    if (this.#known.get(oldest)?.length === 1) this.#left++;
    this.#known.delete(oldest);
  }
}

/** Rows that are remembered; beyond, the oldest is forgotten. */
const ROWS_MAX = 10_000;

export class RecentRows {
  readonly #rows = new Set<number>();

  add(row: number): void {
    if (this.#rows.size >= ROWS_MAX) {
      const [oldest] = this.#rows;
      if (oldest !== undefined) this.#rows.delete(oldest);
    }
    this.#rows.add(row);
  }

  has(row: number): boolean {
    return this.#rows.has(row);
  }
}
