// How much a step of housekeeping does: as much as lets it hold the ledger for about as long as it may, on this disk and now.

/** With the commit and the listeners. */
const HOLD_MS = 9;
const LEAST_MS = 0.5;

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
