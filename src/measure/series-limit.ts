// How many series (a version, or one slice of it) are measured at all: slices make room for versions, never the reverse.

import type { Archive } from "../kernel/archive.ts";

/** A version that could give up a slice. */
export interface SliceOwner {
  /** Predictions of its smallest slice; null when it has none. */
  smallestSlice(): { readonly predictions: number; drop(): void } | null;
}

export class SeriesLimit {
  readonly #max: number;
  readonly #owners: () => Iterable<SliceOwner>;
  #used = 0;
  #droppedSlices = 0;
  #refusedVersions = 0;

  constructor(max: number, owners: () => Iterable<SliceOwner>) {
    this.#max = max;
    this.#owners = owners;
  }

  get used(): number {
    return this.#used;
  }

  /** Slices not measured, or no longer, because there was no room. */
  get droppedSlices(): number {
    return this.#droppedSlices;
  }

  get refusedVersions(): number {
    return this.#refusedVersions;
  }

  archive(io: Archive): void {
    this.#used = io.number(this.#used);
    this.#droppedSlices = io.number(this.#droppedSlices);
    this.#refusedVersions = io.number(this.#refusedVersions);
  }

  clear(): void {
    this.#used = 0;
    this.#droppedSlices = 0;
    this.#refusedVersions = 0;
  }

  admitSlice(): boolean {
    if (this.#used < this.#max) {
      this.#used++;
      return true;
    }
    this.#droppedSlices++;
    return false;
  }

  /** Drops the smallest slice of all when there is no room; false when there is none left to drop. */
  admitVersion(): boolean {
    if (this.#used >= this.#max && !this.#makeRoom()) {
      this.#refusedVersions++;
      return false;
    }
    this.#used++;
    return true;
  }

  leave(series: number): void {
    this.#used -= series;
  }

  #makeRoom(): boolean {
    let smallest: { readonly predictions: number; drop(): void } | null = null;
    for (const owner of this.#owners()) {
      const slice = owner.smallestSlice();
      if (slice !== null && (smallest === null || slice.predictions < smallest.predictions)) smallest = slice;
    }
    if (smallest === null) return false;
    smallest.drop();
    this.#droppedSlices++;
    this.#used--;
    return true;
  }
}
