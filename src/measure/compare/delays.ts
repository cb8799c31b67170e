// How long labels take: the delay by which most of those that came had come.

import { type Archive, archiveInto } from "../../kernel/archive.ts";

/** Buckets of a factor 2^(1/4), from 1 s to about 2 years. */
const BUCKETS = 104;
const PER_DOUBLING = 4;
const MOST = 0.95;
/** With fewer labels nothing is known: whoever went on would leave the first labels behind as late. */
const LABELS_MIN = 20;

export class Delays {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;
  /** The answer, and the total at which it is worked out again: with every hundredth part more. */
  #most = 0;
  #due = 0;

  add(delayMs: number): void {
    const seconds = Math.max(1, delayMs / 1000);
    const at = Math.min(BUCKETS - 1, Math.ceil(PER_DOUBLING * Math.log2(seconds)));
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#total++;
  }

  /** Upper end of the bucket that holds the 95 % quantile, in ms; infinite while there are too few labels. */
  most(): number {
    if (this.#total < LABELS_MIN) return Number.POSITIVE_INFINITY;
    if (this.#total < this.#due) return this.#most;
    this.#due = this.#total * 1.01;
    this.#most = this.#quantile();
    return this.#most;
  }

  #quantile(): number {
    let below = 0;
    for (const [at, count] of this.#counts.entries()) {
      below += count;
      if (below > 0 && below >= MOST * this.#total) return 1000 * 2 ** (at / PER_DOUBLING);
    }
    return 0;
  }

  archive(io: Archive): void {
    const counts = Float64Array.from(this.#counts);
    archiveInto(io, counts);
    this.#counts.set(counts);
    this.#total = io.number(this.#total);
    this.#most = io.number(this.#most);
    this.#due = io.number(this.#due);
  }

  save(): number[] {
    return [...this.#counts];
  }

  load(saved: readonly number[]): void {
    this.#counts.set(saved.slice(0, BUCKETS));
    this.#total = this.#counts.reduce((sum, count) => sum + count, 0);
    this.#due = 0;
  }
}
