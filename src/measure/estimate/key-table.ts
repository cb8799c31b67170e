// Counts per key of many sketches, gathered in any order and then sorted.

import { KeyIndex } from "../key-index.ts";

const FIRST_SLOTS = 1024;

export class KeyTable {
  readonly #sides: number;
  readonly #slots = new KeyIndex();
  #keys = new Float64Array(FIRST_SLOTS);
  #counts: Int32Array;

  constructor(sides: number) {
    this.#sides = sides;
    this.#counts = new Int32Array(FIRST_SLOTS * sides);
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Adds `counts[from]` and what follows, one count per side. */
  add(key: number, counts: Int32Array, from: number): void {
    const sides = this.#sides;
    const into = this.#slotOf(key) * sides;
    for (let side = 0; side < sides; side++) {
      this.#counts[into + side] = (this.#counts[into + side] ?? 0) + (counts[from + side] ?? 0);
    }
  }

  #slotOf(key: number): number {
    const known = this.#slots.find(this.#keys, key);
    if (known >= 0) return known;
    const slot = this.#slots.size;
    if (slot === this.#keys.length) this.#grow();
    this.#keys[slot] = key;
    this.#slots.insert(this.#keys, slot);
    return slot;
  }

  #grow(): void {
    const keys = new Float64Array(this.#keys.length * 2);
    keys.set(this.#keys);
    this.#keys = keys;
    const counts = new Int32Array(keys.length * this.#sides);
    counts.set(this.#counts);
    this.#counts = counts;
  }

  /** By key, ascending. */
  sorted(): { readonly keys: Float64Array<ArrayBuffer>; readonly counts: Int32Array<ArrayBuffer> } {
    const sides = this.#sides;
    const keys = this.#keys.slice(0, this.#slots.size).sort();
    const counts = new Int32Array(keys.length * sides);
    for (let at = 0; at < keys.length; at++) {
      const slot = this.#slots.find(this.#keys, keys[at] ?? 0);
      for (let side = 0; side < sides; side++)
        counts[at * sides + side] = this.#counts[slot * sides + side] ?? 0;
    }
    return { keys, counts };
  }
}
