// Counts per score, for everything that needs the order of scores (AUC first of all): exact while scores are few,
// then buckets on the leading bits of the double, coarser by one bit whenever there are too many. A label can be taken back.

const MANTISSA_BITS = 52;
const FIRST_SLOTS = 8;

const word = new Float64Array(1);
const halves = new Uint32Array(word.buffer);
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;

/** `value` with all but the leading `bits` bits of its mantissa cleared. */
function truncate(value: number, bits: number): number {
  word[0] = value;
  const cleared = MANTISSA_BITS - bits;
  if (cleared >= 32) {
    halves[LOW] = 0;
    halves[1 - LOW] = (halves[1 - LOW] ?? 0) & (-1 << (cleared - 32));
  } else halves[LOW] = (halves[LOW] ?? 0) & (-1 << cleared);
  return word[0] + 0;
}

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
  readonly #slots = new Map<number, number>();
  #counts: Int32Array;
  /** Key of each slot; NaN: nobody's. */
  #keys: Float64Array;
  /** Slots in the order of their keys when last asked; since then some came, and some of these went. */
  #order: Int32Array = new Int32Array(0);
  #came: number[] = [];
  #went: number[] = [];
  readonly #free: number[] = [];
  /** The only score in a bucket, NaN once there are two; unused while exact. */
  #firsts: Float64Array;

  constructor(shape: HistogramShape, limits: HistogramLimits) {
    this.#shape = shape;
    this.#limits = limits;
    this.#counts = new Int32Array(FIRST_SLOTS * shape.sides);
    this.#keys = new Float64Array(FIRST_SLOTS).fill(Number.NaN);
    this.#firsts = new Float64Array(FIRST_SLOTS);
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
    const slot = this.#slotOf(score, score);
    const at = slot * this.#shape.sides + side;
    this.#counts[at] = (this.#counts[at] ?? 0) + sign;
    if (sign === -1) this.#dropIfEmpty(score, slot);
    else this.#fit();
  }

  /** Adds or takes away the rows of `other` (same shape). Precision falls to the coarser of the two. */
  merge(other: ScoreHistogram, sign: 1 | -1): void {
    while (this.#bits > other.#bits) this.#coarsen();
    const sides = this.#shape.sides;
    for (const [key, from] of other.#slots) {
      const first = other.isExact ? key : (other.#firsts[from] ?? Number.NaN);
      const slot = this.#slotOf(key, first);
      for (let side = 0; side < sides; side++) {
        const at = slot * sides + side;
        this.#counts[at] = (this.#counts[at] ?? 0) + sign * (other.#counts[from * sides + side] ?? 0);
      }
      this.#dropIfEmpty(key, slot);
    }
    this.#fit();
  }

  /** Gives back what was borrowed from the common purse: call it before the histogram is dropped. */
  release(): void {
    this.#limits.purse.left += this.#borrowed;
    this.#borrowed = 0;
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

  /** Slots by key. Only what came since the last time is sorted. */
  #sort(): Int32Array {
    const came = Float64Array.from(this.#came, (slot) => this.#keys[slot] ?? Number.NaN).sort();
    const order = new Int32Array(this.#slots.size);
    let next = 0;
    let at = 0;
    for (const slot of this.#order) {
      const key = this.#keys[slot] ?? Number.NaN;
      if (Number.isNaN(key)) continue;
      for (; (came[next] ?? Number.NaN) < key; next++) order[at++] = this.#slots.get(came[next] ?? 0) ?? 0;
      order[at++] = slot;
    }
    // NaN sorts last: those that came and went.
    for (; at < order.length; next++) order[at++] = this.#slots.get(came[next] ?? 0) ?? 0;
    this.#order = order;
    this.#came = [];
    this.#free.push(...this.#went);
    this.#went = [];
    return order;
  }

  #keyOf(score: number): number {
    if (this.#bits === MANTISSA_BITS) return score + 0;
    // 1 - s is exact from 0.5 on, and so is its truncation's way back.
    if (this.#shape.mirrored && score >= 0.5) return 1 - truncate(1 - score, this.#bits);
    return truncate(score, this.#bits);
  }

  #slotOf(score: number, first: number): number {
    const key = this.#keyOf(score);
    const known = this.#slots.get(key);
    if (known !== undefined) {
      if (!this.isExact && this.#firsts[known] !== first) this.#firsts[known] = Number.NaN;
      return known;
    }
    const slot = this.#free.pop() ?? this.#slots.size + this.#went.length;
    if (slot >= this.#firsts.length) this.#grow();
    this.#slots.set(key, slot);
    this.#keys[slot] = key;
    this.#firsts[slot] = first;
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

  #dropIfEmpty(score: number, slot: number): void {
    const sides = this.#shape.sides;
    for (let at = slot * sides; at < (slot + 1) * sides; at++) if (this.#counts[at] !== 0) return;
    this.#slots.delete(this.#keyOf(score));
    this.#keys[slot] = Number.NaN;
    // Not used again before the order is told: it may still stand there.
    this.#went.push(slot);
    if (this.#went.length > this.#slots.size + FIRST_SLOTS) this.#sort();
    if (this.#slots.size === 0) this.#bits = MANTISSA_BITS;
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
    while (this.#slots.size > buckets && this.#bits > 0) this.#coarsen();
  }

  #coarsen(): void {
    const exact = this.isExact;
    const old = [...this.#slots];
    const { sides } = this.#shape;
    const counts = this.#counts;
    const firsts = this.#firsts;
    this.release();
    this.#bits--;
    this.#slots.clear();
    this.#free.length = 0;
    this.#order = new Int32Array(0);
    this.#came = [];
    this.#went = [];
    this.#counts = new Int32Array(counts.length);
    this.#keys.fill(Number.NaN);
    this.#firsts = new Float64Array(firsts.length);
    for (const [key, from] of old) {
      const slot = this.#slotOf(key, exact ? key : (firsts[from] ?? Number.NaN));
      for (let side = 0; side < sides; side++) {
        const at = slot * sides + side;
        this.#counts[at] = (this.#counts[at] ?? 0) + (counts[from * sides + side] ?? 0);
      }
    }
  }
}
