// Doubles to small numbers, as a hash table on typed arrays: a Map of doubles takes three times the memory and the time.

const word = new Float64Array(1);
const halves = new Uint32Array(word.buffer);
const FIRST_PLACES = 16;
const EMPTY = -1;

function hashOf(key: number): number {
  word[0] = key;
  const mixed = Math.imul((halves[0] ?? 0) ^ Math.imul(halves[1] ?? 0, 0x9e3779b1), 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

/** Finds slots by their key; whoever owns the slots holds the keys (`keys[slot]`). No NaN, and 0 but not -0. */
export class KeyIndex {
  /** Slots, found by linear probing; at most half full. */
  #places = new Int32Array(FIRST_PLACES).fill(EMPTY);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The slot of `key`, or -1. */
  find(keys: Float64Array, key: number): number {
    const mask = this.#places.length - 1;
    for (let at = hashOf(key) & mask; ; at = (at + 1) & mask) {
      const slot = this.#places[at] ?? EMPTY;
      if (slot === EMPTY || keys[slot] === key) return slot;
    }
  }

  /** Adds a slot whose key stands in `keys` and is not here yet. */
  insert(keys: Float64Array, slot: number): void {
    if ((this.#size + 1) * 2 > this.#places.length) this.#grow(keys);
    this.#put(keys, slot);
    this.#size++;
  }

  /** Removes a slot whose key still stands in `keys`. */
  remove(keys: Float64Array, slot: number): void {
    const places = this.#places;
    const mask = places.length - 1;
    let hole = hashOf(keys[slot] ?? 0) & mask;
    while (places[hole] !== slot) hole = (hole + 1) & mask;
    // Those behind the hole move up, unless they would come to stand before their own place.
    for (let at = (hole + 1) & mask; places[at] !== EMPTY; at = (at + 1) & mask) {
      const home = hashOf(keys[places[at] ?? 0] ?? 0) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      places[hole] = places[at] ?? EMPTY;
      hole = at;
    }
    places[hole] = EMPTY;
    this.#size--;
  }

  clear(): void {
    this.#places = new Int32Array(FIRST_PLACES).fill(EMPTY);
    this.#size = 0;
  }

  #put(keys: Float64Array, slot: number): void {
    const mask = this.#places.length - 1;
    let at = hashOf(keys[slot] ?? 0) & mask;
    while (this.#places[at] !== EMPTY) at = (at + 1) & mask;
    this.#places[at] = slot;
  }

  #grow(keys: Float64Array): void {
    const before = this.#places;
    this.#places = new Int32Array(before.length * 2).fill(EMPTY);
    for (const slot of before) if (slot !== EMPTY) this.#put(keys, slot);
  }
}
