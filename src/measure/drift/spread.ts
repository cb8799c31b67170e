// How the values of one stream are spread: numbers in a sketch, categories in counts. What panes and references are made of.

import { type Archive, archiveMap, archiveTexts, textKey } from "../../kernel/archive.ts";
import { type BucketPurse, Sketch } from "../estimate/sketch.ts";

export type StreamKind = "number" | "probability" | "category";
export type StreamValue = number | string;

/** Buckets of an hour, and of a merged span. */
export const PANE_BUCKETS = 256;
export const MERGED_BUCKETS = 2048;
/** Categories of one stream; further ones are counted together. */
const CATEGORIES_MAX = 50;
export const OTHER_CATEGORY = "_OTHER";

export interface Spread {
  readonly rows: number;
  add(value: StreamValue, sign: 1 | -1): void;
  merge(other: Spread): void;
  archive(io: Archive): void;
  release(): void;
}

export class NumberSpread implements Spread {
  readonly sketch: Sketch;
  #rows = 0;

  constructor(kind: "number" | "probability", buckets: number, purse: BucketPurse) {
    this.sketch = new Sketch({ sides: 1, mirrored: kind === "probability", buckets, purse });
  }

  get rows(): number {
    return this.#rows;
  }

  add(value: StreamValue, sign: 1 | -1): void {
    if (typeof value !== "number") return;
    this.sketch.add(value, 0, sign);
    this.#rows += sign;
  }

  put(value: number, count: number): void {
    this.sketch.put(value, 0, count);
    this.#rows += count;
  }

  merge(other: Spread): void {
    if (!(other instanceof NumberSpread)) return;
    this.sketch.merge(other.sketch);
    this.#rows += other.#rows;
  }

  archive(io: Archive): void {
    this.#rows = io.number(this.#rows);
    this.sketch.archive(io);
  }

  release(): void {
    this.sketch.release();
  }
}

export class CategorySpread implements Spread {
  readonly counts = new Map<string, number>();
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  add(value: StreamValue, sign: 1 | -1): void {
    this.put(String(value), sign);
  }

  put(name: string, count: number): void {
    const total = (this.counts.get(name) ?? 0) + count;
    if (total === 0) this.counts.delete(name);
    else this.counts.set(name, total);
    this.#rows += count;
  }

  merge(other: Spread): void {
    if (!(other instanceof CategorySpread)) return;
    for (const [name, count] of other.counts) this.put(name, count);
  }

  archive(io: Archive): void {
    this.#rows = io.number(this.#rows);
    archiveMap(io, this.counts, { key: textKey(io), value: (count) => io.number(count ?? 0) });
  }

  release(): void {
    this.counts.clear();
  }
}

export function createSpread(kind: StreamKind, buckets: number, purse: BucketPurse): Spread {
  return kind === "category" ? new CategorySpread() : new NumberSpread(kind, buckets, purse);
}

/** What did not find a place of its own, over all streams. Only grows. */
export interface Tally {
  otherValues: number;
}

/** The categories of one stream that are told apart, first come: always the same ones afterwards, so that counts can be taken back. */
export class CategoryNames {
  readonly #known = new Set<string>();
  readonly #tally: Tally;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  archive(io: Archive): void {
    archiveTexts(io, this.#known);
  }

  of(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#known.size >= CATEGORIES_MAX) {
      this.#tally.otherValues++;
      return OTHER_CATEGORY;
    }
    this.#known.add(value);
    return value;
  }
}
