// How much a step of housekeeping does: as much as lets it hold the ledger for about as long as it may, on this disk and now.

/** With the commit and the listeners. A collection, or a disk that is busy, comes on top of it. */
const HOLD_MS = 6;
const LEAST_MS = 0.5;
/** What a step of retention may write to the log (256 KiB): whoever waits for the disk next waits for these, too. */
const STEP_PAGES = 64;
const LEAST_ROWS = 64;
const MOST_ROWS = 4096;

const LOG_HOLD_MS = 9;
const SLOW_TIMES = 4;

export class Pace {
  readonly #mostMs: number;
  #workMs: number;
  #rows = MOST_ROWS;

  /** `mostMs`: on a disk that takes no time. */
  constructor(mostMs: number) {
    this.#mostMs = mostMs;
    this.#workMs = mostMs;
  }

  /** For so long the next step may work before its commit. */
  get workMs(): number {
    return this.#workMs;
  }

  /** About so many rows it may take. */
  get rows(): number {
    return this.#rows;
  }

  /** What a step took in all. One that had bad luck counts for half. */
  took({ ms, rows, pages }: { readonly ms: number; readonly rows: number; readonly pages: number }): void {
    const wanted = (this.#workMs * HOLD_MS) / Math.max(ms, 0.1);
    this.#workMs = Math.min(this.#mostMs, Math.max(LEAST_MS, (this.#workMs + wanted) / 2));
    if (rows === 0) return;
    const fit = (rows * STEP_PAGES) / Math.max(pages, 1);
    this.#rows = Math.round(Math.min(MOST_ROWS, Math.max(LEAST_ROWS, (this.#rows + fit) / 2)));
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
    const wanted = (pages * LOG_HOLD_MS) / Math.max(ms, 0.1);
    this.#pages =
      wanted < this.#least
        ? Math.min(SLOW_TIMES * this.#most, 2 * this.#pages)
        : Math.min(this.#most, Math.round((this.#pages + wanted) / 2));
  }
}
