// Counts per number in packed, sorted arrays: what one pane keeps of scores or predicted values. Exact while the different
// numbers are few, then coarser by one bit at a time. Sketches merge, and what was counted can be taken back.

import { type Archive, Kept } from "../../kernel/archive.ts";
import { ALL_BITS, floatKey } from "./float-key.ts";
import { KeyTable } from "./key-table.ts";

/** Buckets that all sketches together may hold beyond the first `FREE` of each; 8 + 4 x sides bytes a bucket. */
export interface BucketPurse {
  left: number;
}

export interface SketchShape {
  /** Kinds of rows that are counted apart. */
  readonly sides: number;
  /** Probabilities: told apart close to 1 as well as close to 0. */
  readonly mirrored: boolean;
  /** Buckets at most; beyond, precision falls. Also below it while the purse is empty. */
  readonly buckets: number;
  readonly purse: BucketPurse;
}

/** Buckets that every sketch may hold whatever the purse. */
const FREE = 64;
const FIRST = 8;
/** While many are merged, so many times the buckets are told apart before precision falls. */
const TABLE_FACTOR = 2;

export class Sketch {
  readonly #shape: SketchShape;
  #keys = new Float64Array(FIRST);
  #counts: Int32Array;
  #size = 0;
  /** Where the last row was counted: one that gets its label leaves a side of a bucket for another. */
  #last = 0;
  #bits = ALL_BITS;
  #borrowed = 0;
  readonly #kept = new Kept();

  constructor(shape: SketchShape) {
    this.#shape = shape;
    this.#counts = new Int32Array(FIRST * shape.sides);
  }

  get size(): number {
    return this.#size;
  }

  /** Mantissa bits that are told apart; 52: every number is. */
  get bits(): number {
    return this.#bits;
  }

  get isExact(): boolean {
    return this.#bits === ALL_BITS;
  }

  /** Ascending; a bucket holds the numbers from its key up to the next possible key (towards 0 for negative numbers). */
  key(at: number): number {
    return this.#keys[at] ?? Number.NaN;
  }

  count(at: number, side: number): number {
    return this.#counts[at * this.#shape.sides + side] ?? 0;
  }

  total(side: number): number {
    let sum = 0;
    for (let at = 0; at < this.#size; at++) sum += this.count(at, side);
    return sum;
  }

  /** Counts one row (sign 1) or takes it back (sign -1). */
  add(value: number, side: number, sign: 1 | -1): void {
    this.#kept.changing();
    const at = this.#place(floatKey(value, this.#bits, this.#shape.mirrored));
    const cell = at * this.#shape.sides + side;
    this.#counts[cell] = (this.#counts[cell] ?? 0) + sign;
    if (sign === -1) this.#dropIfEmpty(at);
    else this.#fit();
  }

  /** Counts `count` rows of one value at once. */
  put(value: number, side: number, count: number): void {
    this.#kept.changing();
    const at = this.#place(floatKey(value, this.#bits, this.#shape.mirrored));
    const cell = at * this.#shape.sides + side;
    this.#counts[cell] = (this.#counts[cell] ?? 0) + count;
    this.#fit();
  }

  /** Adds all of `other` (same sides). Precision falls to the coarser of the two. */
  merge(other: Sketch): void {
    if (other.#size === 0) return;
    this.#kept.changing();
    if (this.#size === 0) this.#bits = other.#bits;
    if (this.#bits > other.#bits) this.#coarsen(other.#bits);
    const keys = this.#bits === other.#bits ? other.#keys : other.#keysAt(this.#bits);
    const missing = this.#missing(keys, other.#size);
    if (missing > 0) this.#weave(keys, other.#size, missing);
    const { sides } = this.#shape;
    let into = 0;
    for (let at = 0; at < other.#size; at++) {
      while (this.#keys[into] !== keys[at]) into++;
      for (let side = 0; side < sides; side++) {
        const cell = into * sides + side;
        this.#counts[cell] = (this.#counts[cell] ?? 0) + (other.#counts[at * sides + side] ?? 0);
      }
    }
    this.#fit();
  }

  /** Adds all of each of `others` (same sides), at the precision of the coarsest: `merge` of each, but in one pass. */
  mergeAll(others: Iterable<Sketch>): void {
    const parts = [this, ...others].filter(({ size }) => size > 0);
    if (parts.length === 0) return;
    this.#kept.changing();
    const { sides, buckets } = this.#shape;
    let bits = Math.min(...parts.map((part) => part.bits));
    let table = new KeyTable(sides);
    for (const part of parts) {
      part.#addTo(table, bits);
      if (table.size <= TABLE_FACTOR * buckets) continue;
      // All together cannot be told apart any finer than these alone.
      this.#become(table, bits);
      this.#coarsen(this.#bitsFor(buckets));
      bits = this.#bits;
      table = new KeyTable(sides);
      this.#addTo(table, bits);
    }
    this.#become(table, bits);
    this.#fit();
  }

  #addTo(table: KeyTable, bits: number): void {
    const { sides } = this.#shape;
    const keys = this.#bits === bits ? this.#keys : this.#keysAt(bits);
    for (let at = 0; at < this.#size; at++) table.add(keys[at] ?? 0, this.#counts, at * sides);
  }

  #become(table: KeyTable, bits: number): void {
    const { keys, counts } = table.sorted();
    this.#keys = keys;
    this.#counts = counts;
    this.#size = keys.length;
    this.#bits = bits;
  }

  /** The keys as they are with fewer bits; equal ones stand side by side. */
  #keysAt(bits: number): Float64Array {
    const { mirrored } = this.#shape;
    const keys = new Float64Array(this.#size);
    for (let at = 0; at < keys.length; at++) keys[at] = floatKey(this.#keys[at] ?? 0, bits, mirrored);
    return keys;
  }

  /** How many different ones of the first `size` `keys` are not here. */
  #missing(keys: Float64Array, size: number): number {
    let missing = 0;
    let mine = 0;
    let last = Number.NaN;
    for (let at = 0; at < size; at++) {
      const key = keys[at] ?? 0;
      if (key === last) continue;
      last = key;
      while (mine < this.#size && (this.#keys[mine] ?? 0) < key) mine++;
      if (mine === this.#size || this.#keys[mine] !== key) missing++;
    }
    return missing;
  }

  /** Makes empty buckets for the `missing` keys. */
  #weave(others: Float64Array, size: number, missing: number): void {
    const { sides } = this.#shape;
    const keys = new Float64Array(this.#size + missing);
    const counts = new Int32Array(keys.length * sides);
    let mine = 0;
    let its = 0;
    for (let at = 0; at < keys.length; at++) {
      const left = mine < this.#size ? (this.#keys[mine] ?? 0) : Number.POSITIVE_INFINITY;
      const right = its < size ? (others[its] ?? 0) : Number.POSITIVE_INFINITY;
      keys[at] = Math.min(left, right);
      if (left <= right) {
        for (let side = 0; side < sides; side++)
          counts[at * sides + side] = this.#counts[mine * sides + side] ?? 0;
        mine++;
      }
      while (its < size && others[its] === keys[at]) its++;
    }
    this.#keys = keys;
    this.#counts = counts;
    this.#size = keys.length;
  }

  /** Gives up precision until no more than `bits` are told apart: numbers of two sketches are then under the same keys. */
  coarsenTo(bits: number): void {
    this.#kept.changing();
    if (this.#bits > bits) this.#coarsen(bits);
    this.#borrow();
  }

  archive(io: Archive): void {
    io.part(this.#kept, (part) => this.#archive(part));
  }

  #archive(io: Archive): void {
    const { sides } = this.#shape;
    const keys = io.float64s(this.#keys.subarray(0, this.#size));
    const counts = io.int32s(this.#counts.subarray(0, this.#size * sides));
    this.#bits = io.number(this.#bits);
    const borrowed = io.number(this.#borrowed);
    if (!io.reading) return;
    this.#size = keys.length;
    this.#borrowed = borrowed;
    this.#shape.purse.left -= borrowed;
    this.#keys = new Float64Array(Math.max(FIRST, keys.length));
    this.#keys.set(keys);
    this.#counts = new Int32Array(this.#keys.length * sides);
    this.#counts.set(counts);
  }

  /** Gives back what was borrowed from the purse: call before the sketch is dropped. */
  release(): void {
    this.#kept.changing();
    this.#shape.purse.left += this.#borrowed;
    this.#borrowed = 0;
  }

  #place(key: number): number {
    if (this.#last < this.#size && this.#keys[this.#last] === key) return this.#last;
    this.#last = this.#search(key);
    return this.#last;
  }

  #search(key: number): number {
    let low = 0;
    let high = this.#size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#keys[middle] ?? 0) < key) low = middle + 1;
      else high = middle;
    }
    if (low < this.#size && this.#keys[low] === key) return low;
    const { sides } = this.#shape;
    if (this.#size === this.#keys.length) this.#grow();
    this.#keys.copyWithin(low + 1, low, this.#size);
    this.#counts.copyWithin((low + 1) * sides, low * sides, this.#size * sides);
    this.#keys[low] = key;
    this.#counts.fill(0, low * sides, (low + 1) * sides);
    this.#size++;
    return low;
  }

  #grow(): void {
    const keys = new Float64Array(this.#keys.length * 2);
    keys.set(this.#keys);
    this.#keys = keys;
    const counts = new Int32Array(keys.length * this.#shape.sides);
    counts.set(this.#counts);
    this.#counts = counts;
  }

  #dropIfEmpty(at: number): void {
    const { sides } = this.#shape;
    for (let cell = at * sides; cell < (at + 1) * sides; cell++) if (this.#counts[cell] !== 0) return;
    this.#keys.copyWithin(at, at + 1, this.#size);
    this.#counts.copyWithin(at * sides, (at + 1) * sides, this.#size * sides);
    this.#size--;
    if (this.#size === 0) this.#bits = ALL_BITS;
    this.#borrow();
  }

  #fit(): void {
    if (this.#size > this.#shape.buckets && this.#bits > 0) this.#coarsen(this.#bitsFor(this.#shape.buckets));
    while (!this.#borrow() && this.#bits > 0) this.#coarsen(this.#bits - 1);
  }

  /** The most bits, fewer than now, under which no more than `buckets` keys differ; 0 if there are none. */
  #bitsFor(buckets: number): number {
    let [fits, least] = [0, this.#bits];
    while (least - fits > 1) {
      const middle = (fits + least) >> 1;
      if (this.#differentAt(middle) <= buckets) fits = middle;
      else least = middle;
    }
    return fits;
  }

  #differentAt(bits: number): number {
    const { mirrored } = this.#shape;
    let different = 0;
    let last = Number.NaN;
    for (let at = 0; at < this.#size; at++) {
      const key = floatKey(this.key(at), bits, mirrored);
      if (key !== last) different++;
      last = key;
    }
    return different;
  }

  /** Takes from the purse what is held beyond the free buckets; false when it has not as much. */
  #borrow(): boolean {
    const wanted = Math.max(0, this.#size - FREE) - this.#borrowed;
    if (wanted > this.#shape.purse.left) return false;
    this.#shape.purse.left -= wanted;
    this.#borrowed += wanted;
    return true;
  }

  #coarsen(bits: number): void {
    const { sides, mirrored } = this.#shape;
    this.#bits = bits;
    let size = 0;
    for (let at = 0; at < this.#size; at++) {
      const key = floatKey(this.#keys[at] ?? 0, this.#bits, mirrored);
      if (size > 0 && this.#keys[size - 1] === key) {
        for (let side = 0; side < sides; side++) {
          const cell = (size - 1) * sides + side;
          this.#counts[cell] = (this.#counts[cell] ?? 0) + (this.#counts[at * sides + side] ?? 0);
        }
        continue;
      }
      this.#keys[size] = key;
      this.#counts.copyWithin(size * sides, at * sides, (at + 1) * sides);
      size++;
    }
    this.#size = size;
  }
}
