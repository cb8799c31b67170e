// ADWIN (Bifet & Gavalda, SDM 2007): a window over a stream that drops its older part as soon as that part's mean differs
// from the newer part's. Kept as exponential histogram: a few buckets per power of two, so memory is logarithmic in the rows.

import { type Archive, ArchiveError } from "../../kernel/archive.ts";
import type { Alarm, Detector } from "./detector.ts";

export interface AdwinOptions {
  /** Confidence: smaller is slower and has fewer false alarms. Default 0.002. */
  readonly delta?: number;
  /** Looks for a change every so many rows. Default 32. */
  readonly clock?: number;
}

/** Buckets of one size; one more, and the two oldest become one of the next size. */
const BUCKETS = 5;
/** Either part must have as many rows, and the window more than GRACE. */
const PART_MIN = 5;
const GRACE = 10;
/** Buckets of 2^52 rows: none is ever larger. */
const LEVELS_MAX = 53;

interface Bucket {
  readonly total: number;
  /** Sum of squared deviations from the bucket's mean. */
  readonly spread: number;
}

function bucketsOf(flat: Float64Array): Bucket[] {
  const buckets: Bucket[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2)
    buckets.push({ total: flat[i] ?? 0, spread: flat[i + 1] ?? 0 });
  return buckets;
}

/** What two parts with these means add to the spread when they become one. */
function between(n: number, m: number, difference: number): number {
  return (n * m * difference * difference) / (n + m);
}

class Window {
  /** Buckets of 2^i rows at place i, oldest first. */
  #levels: Bucket[][] = [[]];
  #rows = 0;
  #total = 0;
  #spread = 0;

  get rows(): number {
    return this.#rows;
  }

  archive(io: Archive): void {
    this.#rows = io.number(this.#rows);
    this.#total = io.number(this.#total);
    this.#spread = io.number(this.#spread);
    const size = io.number(this.#levels.length);
    if (!(size >= 1 && size <= LEVELS_MAX)) throw new ArchiveError("more levels than there can be");
    const levels: Bucket[][] = [];
    for (let level = 0; level < size; level++) {
      const buckets = this.#levels[level] ?? [];
      const flat = io.float64s(Float64Array.from(buckets.flatMap(({ total, spread }) => [total, spread])));
      if (flat.length > 2 * BUCKETS) throw new ArchiveError("more buckets than there can be");
      levels.push(bucketsOf(flat));
    }
    this.#levels = levels;
  }

  add(value: number): void {
    this.#levels[0]?.push({ total: value, spread: 0 });
    if (this.#rows > 0) this.#spread += between(this.#rows, 1, value - this.#total / this.#rows);
    this.#rows++;
    this.#total += value;
    this.#compress();
  }

  /** Drops old buckets as long as some cut tells two means apart; the direction of the last one, or null. */
  shrink(delta: number): Alarm | null {
    let found: Alarm | null = null;
    for (let cut = this.#cut(delta); cut !== null; cut = this.#cut(delta)) {
      found = cut;
      this.#dropOldest();
    }
    return found;
  }

  #compress(): void {
    for (let level = 0; level < this.#levels.length; level++) {
      const buckets = this.#levels[level] ?? [];
      if (buckets.length <= BUCKETS) return;
      const [first, second] = buckets.splice(0, 2);
      if (first === undefined || second === undefined) return;
      const size = 2 ** level;
      const spread = first.spread + second.spread + between(size, size, (first.total - second.total) / size);
      const above = this.#levels[level + 1] ?? [];
      above.push({ total: first.total + second.total, spread });
      this.#levels[level + 1] = above;
    }
  }

  #cut(delta: number): Alarm | null {
    const confidence = Math.log((2 * Math.log(this.#rows)) / delta);
    const variance = this.#spread / this.#rows;
    let n = 0;
    let total = 0;
    for (let level = this.#levels.length - 1; level >= 0; level--) {
      for (const bucket of this.#levels[level] ?? []) {
        n += 2 ** level;
        total += bucket.total;
        const m = this.#rows - n;
        if (n < PART_MIN || m < PART_MIN) continue;
        const difference = total / n - (this.#total - total) / m;
        const reciprocal = 1 / (n - PART_MIN + 1) + 1 / (m - PART_MIN + 1);
        const epsilon = Math.sqrt(2 * reciprocal * variance * confidence) + (2 / 3) * reciprocal * confidence;
        if (Math.abs(difference) > epsilon) return difference < 0 ? "up" : "down";
      }
    }
    return null;
  }

  #dropOldest(): void {
    const size = 2 ** (this.#levels.length - 1);
    const bucket = this.#levels.at(-1)?.shift();
    if (bucket === undefined) return;
    this.#rows -= size;
    this.#total -= bucket.total;
    const gap = bucket.total / size - this.#total / this.#rows;
    this.#spread -= bucket.spread + between(size, this.#rows, gap);
    while (this.#levels.length > 1 && this.#levels.at(-1)?.length === 0) this.#levels.pop();
  }
}

class Adwin implements Detector {
  readonly #delta: number;
  readonly #clock: number;
  #window = new Window();
  #ticks = 0;

  constructor(options: AdwinOptions) {
    this.#delta = options.delta ?? 0.002;
    this.#clock = options.clock ?? 32;
  }

  update(value: number): Alarm | null {
    this.#window.add(value);
    this.#ticks++;
    if (this.#ticks % this.#clock !== 0 || this.#window.rows <= GRACE) return null;
    const alarm = this.#window.shrink(this.#delta);
    if (alarm !== null) {
      this.#window = new Window();
      this.#ticks = 0;
    }
    return alarm;
  }

  archive(io: Archive): void {
    this.#ticks = io.number(this.#ticks);
    this.#window.archive(io);
  }
}

/** Starts anew after each alarm. Values should lie within about [0, 1]. */
export function createAdwin(options: AdwinOptions = {}): Detector {
  return new Adwin(options);
}
