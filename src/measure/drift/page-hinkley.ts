// The Page-Hinkley test (Page, Biometrika 41, 1954): alarm when the sum of deviations from the running mean has moved too
// far from its extreme. The sums fade, so that very old rows weigh less.

import type { Archive } from "../../kernel/archive.ts";
import type { Alarm, Detector } from "./detector.ts";

export interface PageHinkleyOptions {
  /** Rows before the first alarm. Default 30. */
  readonly rowsMin?: number;
  /** Deviation that is tolerated. Default 0.005. */
  readonly delta?: number;
  /** How far the sum may move. Default 50. */
  readonly threshold?: number;
  /** What is left of the sums with each row. Default 0.9999. */
  readonly alpha?: number;
}

class PageHinkley implements Detector {
  readonly #options: Required<PageHinkleyOptions>;
  #rows = 0;
  #mean = 0;
  #rising = 0;
  #falling = 0;
  #lowest = Number.POSITIVE_INFINITY;
  #highest = -1;

  constructor(options: PageHinkleyOptions) {
    this.#options = { rowsMin: 30, delta: 0.005, threshold: 50, alpha: 0.9999, ...options };
  }

  update(value: number): Alarm | null {
    const { rowsMin, delta, threshold, alpha } = this.#options;
    this.#rows++;
    this.#mean += (value - this.#mean) / this.#rows;
    const deviation = value - this.#mean;
    this.#rising = alpha * this.#rising + deviation - delta;
    this.#falling = alpha * this.#falling + deviation + delta;
    this.#lowest = Math.min(this.#lowest, this.#rising);
    this.#highest = Math.max(this.#highest, this.#falling);
    if (this.#rows < rowsMin) return null;
    const alarm =
      this.#rising - this.#lowest > threshold
        ? "up"
        : this.#highest - this.#falling > threshold
          ? "down"
          : null;
    if (alarm !== null) this.#reset();
    return alarm;
  }

  archive(io: Archive): void {
    this.#rows = io.number(this.#rows);
    this.#mean = io.number(this.#mean);
    this.#rising = io.number(this.#rising);
    this.#falling = io.number(this.#falling);
    this.#lowest = io.number(this.#lowest);
    this.#highest = io.number(this.#highest);
  }

  #reset(): void {
    this.#rows = 0;
    this.#mean = 0;
    this.#rising = 0;
    this.#falling = 0;
    this.#lowest = Number.POSITIVE_INFINITY;
    this.#highest = -1;
  }
}

/** Watches for changes in both directions. */
export function createPageHinkley(options: PageHinkleyOptions = {}): Detector {
  return new PageHinkley(options);
}
