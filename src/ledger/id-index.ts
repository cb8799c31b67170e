// hash -> numbers, in one typed array with linear probing: 8 bytes a slot, nothing for the collector to walk.
// Several entries may share a hash; whoever asks verifies against the row on disk.

const EMPTY = 0;
const REMOVED = 0xffffffff;
const FIRST_SLOTS = 1024;
const LOAD_MAX = 0.6;
/** A large index grows once, to what a full segment needs: each growth leaves a hole in memory and holds the loop. */
const LARGE_SLOTS = 1 << 17;
const FULL_SLOTS = 1 << 21;

export class IdIndex {
  /** hash, ref + 1, hash, ref + 1, ... */
  #cells: Uint32Array;
  #mask: number;
  /** A slot is the hash's leading bits, so that slots in order are hashes nearly in order: see `within`. */
  #shift: number;
  /** Slots in use, removed ones included. */
  #used = 0;
  #live = 0;

  constructor(expected = 0) {
    let slots = FIRST_SLOTS;
    while (slots * LOAD_MAX < expected) slots *= 2;
    if (slots > LARGE_SLOTS && slots < FULL_SLOTS) slots = FULL_SLOTS;
    this.#cells = new Uint32Array(slots * 2);
    this.#mask = slots - 1;
    this.#shift = shiftFor(slots);
  }

  get size(): number {
    return this.#live;
  }

  get bytes(): number {
    return this.#cells.byteLength;
  }

  /** `ref` is at most 2^32 - 3. */
  add(hash: number, ref: number): void {
    if (this.#used + 1 > (this.#mask + 1) * LOAD_MAX) this.#rehash();
    this.#put(hash, ref + 1);
    this.#used++;
    this.#live++;
  }

  /** Removes one entry; its slot is reclaimed at the next growth. */
  remove(hash: number, ref: number): void {
    const cells = this.#cells;
    for (let slot = hash >>> this.#shift; ; slot = (slot + 1) & this.#mask) {
      const held = cells[slot * 2 + 1] ?? EMPTY;
      if (held === EMPTY) return;
      if (held === ref + 1 && cells[slot * 2] === hash) {
        cells[slot * 2 + 1] = REMOVED;
        this.#live--;
        return;
      }
    }
  }

  /** Pushes every ref under `hash`, plus `base`, onto `into`. */
  collect(hash: number, base: number, into: number[]): void {
    const cells = this.#cells;
    for (let slot = hash >>> this.#shift; ; slot = (slot + 1) & this.#mask) {
      const held = cells[slot * 2 + 1] ?? EMPTY;
      if (held === EMPTY) return;
      if (cells[slot * 2] === hash && held !== REMOVED) into.push(held - 1 + base);
    }
  }

  /** Visits every entry with from <= hash < to, without sorting: what was displaced lies before the next empty slot. */
  within(from: number, to: number, visit: (hash: number, ref: number) => void): void {
    const cells = this.#cells;
    const last = (to - 1) >>> this.#shift;
    for (let at = from >>> this.#shift, steps = 0; steps <= this.#mask; at++, steps++) {
      const slot = at & this.#mask;
      const held = cells[slot * 2 + 1] ?? EMPTY;
      if (held === EMPTY && at > last) return;
      const hash = cells[slot * 2] ?? 0;
      if (held !== EMPTY && held !== REMOVED && hash >= from && hash < to) visit(hash, held - 1);
    }
  }

  #put(hash: number, held: number): void {
    const cells = this.#cells;
    let slot = hash >>> this.#shift;
    while (cells[slot * 2 + 1] !== EMPTY) slot = (slot + 1) & this.#mask;
    cells[slot * 2] = hash;
    cells[slot * 2 + 1] = held;
  }

  #rehash(): void {
    const old = this.#cells;
    let slots = this.#mask + 1;
    while (this.#live + 1 > slots * LOAD_MAX * 0.75) slots *= 2;
    if (slots > LARGE_SLOTS && slots < FULL_SLOTS) slots = FULL_SLOTS;
    this.#cells = new Uint32Array(slots * 2);
    this.#mask = slots - 1;
    this.#shift = shiftFor(slots);
    this.#used = this.#live;
    for (let at = 0; at < old.length; at += 2) {
      const held = old[at + 1] ?? EMPTY;
      if (held !== EMPTY && held !== REMOVED) this.#put(old[at] ?? 0, held);
    }
  }
}

function shiftFor(slots: number): number {
  return 32 - Math.log2(slots);
}
