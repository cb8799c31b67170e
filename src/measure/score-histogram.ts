// Counts per score, for everything that needs the order of scores (AUC first of all): exact while scores are few,
// then buckets on the leading bits of the double, coarser by one bit whenever there are too many. A label can be taken back.

import { bucketEnd, MANTISSA_BITS, sharedBits, truncate } from "./float-bits.ts";
import { type Archive, Kept } from "../kernel/archive.ts";
import { invariant } from "../kernel/problem.ts";
import { KeyIndex } from "./key-index.ts";

const FIRST_SLOTS = 8;

/** A common purse of exact entries: what all histograms together may hold beyond their own `buckets`. */
export interface ExactPurse {
  left: number;
}

export interface HistogramLimits {
  /** Different scores up to which counts stay exact. At least `buckets`. */
  readonly exact: number;
  /** Buckets once they are not. */
  readonly buckets: number;
  readonly purse: ExactPurse;
}

/** Sorted by score. `counts[side][i]` belongs to `scores[i]`; `mixed[i]`: different scores share the bucket. */
export interface Columns {
  readonly scores: Float64Array;
  readonly counts: readonly Float64Array[];
  readonly mixed: Uint8Array;
}

export interface HistogramShape {
  /** How many kinds of rows are counted apart: 2 for binary, one per class for multiclass. */
  readonly sides: number;
  /** Probabilities: mirrored around 1, so that scores close to 1 are told apart as well as those close to 0. */
  readonly mirrored: boolean;
}

export class ScoreHistogram {
  readonly #shape: HistogramShape;
  readonly #limits: HistogramLimits;
  #bits = MANTISSA_BITS;
  #borrowed = 0;
  readonly #slots = new KeyIndex();
  #counts: Int32Array;
  /** Key of each slot; NaN: nobody's. */
  #keys: Float64Array;
  /** Slots in the order of their keys when last asked; since then some came, and some of these went. */
  #order: Int32Array = new Int32Array(0);
  #came: number[] = [];
  #went: number[] = [];
  readonly #free: number[] = [];
  /** The only score in a bucket, NaN once there are two; empty while exact, when the key says it. */
  #firsts = new Float64Array(0);
  readonly #kept = new Kept();

  constructor(shape: HistogramShape, limits: HistogramLimits) {
    this.#shape = shape;
    this.#limits = limits;
    this.#counts = new Int32Array(FIRST_SLOTS * shape.sides);
    this.#keys = new Float64Array(FIRST_SLOTS).fill(Number.NaN);
  }

  /** An empty one without limits, for rows that then go to each of `peers` by `merge`: as fine as the finest of them. */
  static gathering(peers: readonly ScoreHistogram[]): ScoreHistogram {
    const limits = { exact: Infinity, buckets: Infinity, purse: { left: 0 } };
    const [first] = peers;
    invariant(first, "histograms to gather for");
    const gathering = new ScoreHistogram(first.#shape, limits);
    const bits = peers.reduce((finest, peer) => Math.max(finest, peer.#bits), 0);
    if (bits < MANTISSA_BITS) gathering.#coarsenTo(bits);
    return gathering;
  }

  /** Leading mantissa bits that are told apart; 52: every score is. */
  get bits(): number {
    return this.#bits;
  }

  get isExact(): boolean {
    return this.#bits === MANTISSA_BITS;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Counts one row of `side` (sign 1) or takes it back (sign -1). */
  add(score: number, side: number, sign: 1 | -1): void {
    this.#kept.changing();
    const slot = this.#slotOf(score, score);
    const at = slot * this.#shape.sides + side;
    this.#counts[at] = (this.#counts[at] ?? 0) + sign;
    if (sign === -1) this.#dropIfEmpty(slot);
    else if (this.#slots.size > this.#limits.buckets || this.#borrowed > 0) this.#fit();
  }

  /** Adds or takes away the rows of `other` (same shape). Precision falls to the coarser of the two. */
  merge(other: ScoreHistogram, sign: 1 | -1): void {
    this.#kept.changing();
    if (this.#bits > other.#bits) this.#coarsenTo(other.#bits);
    const sides = this.#shape.sides;
    const keys = other.#keys;
    for (let from = 0; from < keys.length; from++) {
      const key = keys[from] ?? Number.NaN;
      if (Number.isNaN(key)) continue;
      const first = other.isExact ? key : (other.#firsts[from] ?? Number.NaN);
      const slot = this.#slotOf(key, first);
      for (let side = 0; side < sides; side++) {
        const at = slot * sides + side;
        this.#counts[at] = (this.#counts[at] ?? 0) + sign * (other.#counts[from * sides + side] ?? 0);
      }
    }
    // Only now: one that is empty for a moment would begin anew, finer than what is still to come.
    for (const key of keys) {
      const slot = Number.isNaN(key) ? -1 : this.#slotAt(this.#keyOf(key));
      if (slot >= 0) this.#dropIfEmpty(slot);
    }
    this.#fit();
  }

  /** Gives back what was borrowed from the common purse: call it before the histogram is dropped. */
  release(): void {
    this.#kept.changing();
    this.#limits.purse.left += this.#borrowed;
    this.#borrowed = 0;
  }

  archive(io: Archive): void {
    io.part(this.#kept, (part) => this.#archive(part));
  }

  #archive(io: Archive): void {
    const { sides } = this.#shape;
    const order = this.#sort();
    const counts = new Int32Array(order.length * sides);
    for (let at = 0; at < order.length; at++) {
      const slot = order[at] ?? 0;
      for (let side = 0; side < sides; side++)
        counts[at * sides + side] = this.#counts[slot * sides + side] ?? 0;
    }
    const column = (of: Float64Array): Float64Array => {
      const sorted = new Float64Array(order.length);
      for (let at = 0; at < order.length; at++) sorted[at] = of[order[at] ?? 0] ?? 0;
      return sorted;
    };
    this.#bits = io.number(this.#bits);
    const borrowed = io.number(this.#borrowed);
    const keys = io.float64s(column(this.#keys));
    const read = io.int32s(counts);
    const firsts = this.isExact ? new Float64Array(0) : io.float64s(column(this.#firsts));
    if (!io.reading) return;
    this.#limits.purse.left -= borrowed;
    this.#borrowed = borrowed;
    this.#counts = new Int32Array(FIRST_SLOTS * sides);
    this.#keys = new Float64Array(FIRST_SLOTS).fill(Number.NaN);
    this.#firsts = new Float64Array(this.isExact ? 0 : FIRST_SLOTS);
    for (const [at, key] of keys.entries()) {
      const slot = this.#slotOf(key, firsts[at] ?? 0);
      this.#counts.set(read.subarray(at * sides, (at + 1) * sides), slot * sides);
    }
  }

  columns(): Columns {
    const order = this.#sort();
    const size = order.length;
    const sides = this.#shape.sides;
    const scores = new Float64Array(size);
    const mixed = new Uint8Array(size);
    const counts = Array.from({ length: sides }, () => new Float64Array(size));
    for (let i = 0; i < size; i++) {
      const slot = order[i] ?? 0;
      scores[i] = this.#keys[slot] ?? 0;
      if (!this.isExact && Number.isNaN(this.#firsts[slot])) mixed[i] = 1;
    }
    for (const [side, column] of counts.entries()) {
      for (let i = 0; i < size; i++) column[i] = this.#counts[(order[i] ?? 0) * sides + side] ?? 0;
    }
    return { scores, counts, mixed };
  }

  /** Sorted like `columns`: the scores of an entry lie between low and high; equal where it holds one score only. */
  ranges(): { readonly low: Float64Array; readonly high: Float64Array } {
    const order = this.#sort();
    const low = new Float64Array(order.length);
    const high = new Float64Array(order.length);
    for (const [i, slot] of order.entries()) {
      const key = this.#keys[slot] ?? 0;
      const only = this.isExact ? key : (this.#firsts[slot] ?? Number.NaN);
      if (!Number.isNaN(only)) low[i] = high[i] = only;
      else if (this.#shape.mirrored && key >= 0.5) {
        low[i] = Math.max(0.5, 1 - bucketEnd(1 - key, this.#bits));
        high[i] = key;
      } else {
        // Truncation goes towards 0, so the bucket of 0 reaches to both sides.
        const end = bucketEnd(Math.abs(key), this.#bits);
        low[i] = key > 0 || this.#shape.mirrored ? key : -end;
        high[i] = key < 0 ? key : end;
      }
    }
    return { low, high };
  }

  /** Slots by key. Only what came since the last time is sorted. */
  #sort(): Int32Array {
    if (this.#came.length === 0 && this.#went.length === 0) return this.#order;
    const came = Float64Array.from(this.#came, (slot) => this.#keys[slot] ?? Number.NaN).sort();
    const order = new Int32Array(this.#slots.size);
    let next = 0;
    let at = 0;
    for (const slot of this.#order) {
      const key = this.#keys[slot] ?? Number.NaN;
      if (Number.isNaN(key)) continue;
      for (; (came[next] ?? Number.NaN) < key; next++) order[at++] = this.#slotAt(came[next] ?? 0);
      order[at++] = slot;
    }
    // NaN sorts last: those that came and went.
    for (; at < order.length; next++) order[at++] = this.#slotAt(came[next] ?? 0);
    this.#order = order;
    this.#came = [];
    this.#free.push(...this.#went);
    this.#went = [];
    return order;
  }

  #slotAt(key: number): number {
    return this.#slots.find(this.#keys, key);
  }

  #keyOf(score: number): number {
    if (this.#bits === MANTISSA_BITS) return score + 0;
    // 1 - s is exact from 0.5 on, and so is its truncation's way back.
    if (this.#shape.mirrored && score >= 0.5) return 1 - truncate(1 - score, this.#bits);
    return truncate(score, this.#bits);
  }

  #slotOf(score: number, first: number): number {
    const key = this.#keyOf(score);
    const known = this.#slotAt(key);
    if (known >= 0) {
      if (!this.isExact && this.#firsts[known] !== first) this.#firsts[known] = Number.NaN;
      return known;
    }
    const slot = this.#free.pop() ?? this.#slots.size + this.#went.length;
    if (slot >= this.#keys.length) this.#grow();
    this.#keys[slot] = key;
    this.#slots.insert(this.#keys, slot);
    if (!this.isExact) this.#firsts[slot] = first;
    this.#came.push(slot);
    return slot;
  }

  #grow(): void {
    const counts = new Int32Array(this.#counts.length * 2);
    counts.set(this.#counts);
    this.#counts = counts;
    const firsts = new Float64Array(this.#firsts.length * 2);
    firsts.set(this.#firsts);
    this.#firsts = firsts;
    const keys = new Float64Array(this.#keys.length * 2).fill(Number.NaN);
    keys.set(this.#keys);
    this.#keys = keys;
  }

  #dropIfEmpty(slot: number): void {
    const sides = this.#shape.sides;
    for (let at = slot * sides; at < (slot + 1) * sides; at++) if (this.#counts[at] !== 0) return;
    this.#slots.remove(this.#keys, slot);
    this.#keys[slot] = Number.NaN;
    // Not used again before the order is told: it may still stand there.
    this.#went.push(slot);
    if (this.#went.length > this.#slots.size + FIRST_SLOTS) this.#sort();
    if (this.#slots.size > 0 || this.isExact) return;
    this.#bits = MANTISSA_BITS;
    this.#firsts = new Float64Array(0);
  }

  #fit(): void {
    const { exact, buckets, purse } = this.#limits;
    const over = this.#slots.size - buckets;
    if (over <= 0) {
      if (this.#borrowed > 0) this.release();
      return;
    }
    if (this.isExact && this.#slots.size <= exact) {
      const wanted = over - this.#borrowed;
      if (wanted <= 0) return;
      if (wanted <= purse.left) {
        purse.left -= wanted;
        this.#borrowed += wanted;
        return;
      }
    }
    this.release();
    // At 0 bits only exponents are told apart: at most some 4,100 buckets, whatever comes.
    if (this.#bits > 0) this.#coarsenTo(this.#bitsFor(buckets));
  }

  /** The most bits, below those of now, at which no more than `buckets` buckets are occupied; at least 0. */
  #bitsFor(buckets: number): number {
    const order = this.#sort();
    const { mirrored } = this.#shape;
    /** Neighbours by the number of bits they share. */
    const sharing = new Int32Array(MANTISSA_BITS + 1);
    let occupied = 1;
    for (let i = 1; i < order.length; i++) {
      const below = this.#keys[order[i - 1] ?? 0] ?? 0;
      const above = this.#keys[order[i] ?? 0] ?? 0;
      const upper = mirrored && below >= 0.5;
      const split = mirrored && below < 0.5 && above >= 0.5;
      const shared = split ? -1 : upper ? sharedBits(1 - above, 1 - below) : sharedBits(below, above);
      if (shared < 0) occupied++;
      else sharing[shared] = (sharing[shared] ?? 0) + 1;
    }
    let bits = 0;
    // With one bit more those that share exactly `bits` part.
    while (bits + 1 < this.#bits && occupied + (sharing[bits] ?? 0) <= buckets) {
      occupied += sharing[bits] ?? 0;
      bits++;
    }
    return bits;
  }

  #coarsenTo(bits: number): void {
    const exact = this.isExact;
    const old = this.#sort();
    const { sides } = this.#shape;
    const keys = this.#keys;
    const counts = this.#counts;
    const firsts = this.#firsts;
    this.release();
    this.#bits = bits;
    this.#slots.clear();
    this.#free.length = 0;
    this.#order = new Int32Array(0);
    this.#came = [];
    this.#went = [];
    this.#counts = new Int32Array(FIRST_SLOTS * sides);
    this.#keys = new Float64Array(FIRST_SLOTS).fill(Number.NaN);
    this.#firsts = new Float64Array(FIRST_SLOTS);
    for (const from of old) {
      const key = keys[from] ?? 0;
      const slot = this.#slotOf(key, exact ? key : (firsts[from] ?? Number.NaN));
      for (let side = 0; side < sides; side++) {
        const at = slot * sides + side;
        this.#counts[at] = (this.#counts[at] ?? 0) + (counts[from * sides + side] ?? 0);
      }
    }
  }
}
