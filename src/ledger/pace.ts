// How much a step of housekeeping does: as much as lets it hold the ledger for about as long as it may, on this disk and now.

/** With the commit and the listeners. */
const HOLD_MS = 9;
const LEAST_MS = 0.5;
const SLOW_TIMES = 4;

export class Pace {
  readonly #mostMs: number;
  #workMs: number;

  /** `mostMs`: on a disk that takes no time. */
  constructor(mostMs: number) {
    this.#mostMs = mostMs;
    this.#workMs = mostMs;
  }

  /** For so long the next step may work before its commit. */
  get workMs(): number {
    return this.#workMs;
  }

  /** How long a step took in all. One that had bad luck counts for half. */
  took(ms: number): void {
    const wanted = (this.#workMs * HOLD_MS) / Math.max(ms, 0.1);
    this.#workMs = Math.min(this.#mostMs, Math.max(LEAST_MS, (this.#workMs + wanted) / 2));
  }
}

/** How many pages a step writes to a disk: as many as take about that long. */
export class PagePace {
  readonly #least: number;
  readonly #most: number;
  #pages: number;

  constructor(least: number, most: number) {
    this.#least = least;
    this.#most = most;
    this.#pages = most;
  }

  get pages(): number {
    return this.#pages;
  }

  /**
   * Where even the least would take too long it is the disk that is slow, not the pages that are many: then few steps are best,
   * up to four times as large as others.
   */
  took(pages: number, ms: number): void {
    const wanted = (pages * HOLD_MS) / Math.max(ms, 0.1);
    this.#pages =
      wanted < this.#least
        ? Math.min(SLOW_TIMES * this.#most, 2 * this.#pages)
        : Math.min(this.#most, Math.round((this.#pages + wanted) / 2));
  }
}
