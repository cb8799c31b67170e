// Rows by time, finer for what is young: the age of what still waits, in a few hundred bins however many rows there are.
//
// A row lies in the first tier whose floor is not above its time. Floors move up with the clock, and what falls below one
// is merged into the next tier; a row is therefore found again by its time alone, and can be taken back.

import { type Archive, archiveMap, numberKey } from "../kernel/archive.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

interface TierPlan {
  readonly stepMs: number;
  /** How far back from now the tier reaches. */
  readonly spanMs: number;
}

/** A bin's length is at most a tenth of the age of its rows, from ten seconds on. */
export const FINE_TIERS: readonly TierPlan[] = [
  { stepMs: SECOND, spanMs: 2 * MINUTE },
  { stepMs: 10 * SECOND, spanMs: 20 * MINUTE },
  { stepMs: MINUTE, spanMs: 3 * HOUR },
  { stepMs: 10 * MINUTE, spanMs: 36 * HOUR },
  { stepMs: HOUR, spanMs: 8 * DAY },
  { stepMs: 6 * HOUR, spanMs: 32 * DAY },
  { stepMs: DAY, spanMs: 128 * DAY },
  { stepMs: 128 * DAY, spanMs: Number.POSITIVE_INFINITY },
];
/** A tenth of that memory, for bins that hold much. */
export const COARSE_TIERS: readonly TierPlan[] = [
  { stepMs: 10 * SECOND, spanMs: 5 * MINUTE },
  { stepMs: MINUTE, spanMs: HOUR },
  { stepMs: 10 * MINUTE, spanMs: 12 * HOUR },
  { stepMs: HOUR, spanMs: 3 * DAY },
  { stepMs: 6 * HOUR, spanMs: 16 * DAY },
  { stepMs: 128 * DAY, spanMs: Number.POSITIVE_INFINITY },
];
/** Bins of a tier beyond its plan: between two moves of the clock, or for times in the future. Then the older half goes a tier up. */
const BINS_MAX = 600;

export interface BinKind<T> {
  create(): T;
  merge(into: T, from: T): void;
  isEmpty(bin: T): boolean;
}

interface Tier<T> extends TierPlan {
  /** Index of its first bin; what is older belongs to the next tier. */
  floor: number;
  readonly bins: Map<number, T>;
}

export class TieredBins<T> {
  readonly #kind: BinKind<T>;
  readonly #tiers: readonly Tier<T>[];
  /** The bin that was changed last: neighbours in time come together. */
  #last: { readonly tier: Tier<T>; readonly at: number; readonly bin: T } | null = null;

  constructor(kind: BinKind<T>, plan: readonly TierPlan[]) {
    this.#kind = kind;
    this.#tiers = plan.map((tier) => ({
      ...tier,
      floor: Number.NEGATIVE_INFINITY,
      bins: new Map<number, T>(),
    }));
  }

  /** Changes the bin of a time, by so much; one that is empty afterwards goes. */
  change(ts: number, by: (bin: T, times: number) => void, times = 1): void {
    const last = this.#last;
    // A bin lies in one tier with all its times: floors are ends of the next tier's bins.
    if (last !== null && Math.floor(ts / last.tier.stepMs) === last.at) {
      by(last.bin, times);
      if (!this.#kind.isEmpty(last.bin)) return;
      last.tier.bins.delete(last.at);
      this.#last = null;
      return;
    }
    for (const [place, tier] of this.#tiers.entries()) {
      const at = Math.floor(ts / tier.stepMs);
      if (at < tier.floor) continue;
      let bin = tier.bins.get(at);
      if (bin === undefined) {
        bin = this.#kind.create();
        tier.bins.set(at, bin);
      }
      by(bin, times);
      this.#last = { tier, at, bin };
      if (this.#kind.isEmpty(bin)) {
        tier.bins.delete(at);
        this.#last = null;
      }
      if (tier.bins.size > BINS_MAX) this.#trim(place, tier);
      return;
    }
  }

  /** Moves the floors to what is young at `now` (Unix ms). They never go back. */
  advance(now: number): void {
    for (const [place, tier] of this.#tiers.entries()) this.#raise(place, now - tier.spanMs);
  }

  /** Every bin with the span of time it covers (Unix ms), in no order. */
  each(visit: (bin: T, fromTs: number, toTs: number) => void): void {
    for (const { bins, stepMs } of this.#tiers) {
      for (const [at, bin] of bins) visit(bin, at * stepMs, (at + 1) * stepMs);
    }
  }

  archive(io: Archive, each: (bin: T) => void): void {
    const binOf = (known: T | undefined): T => {
      const bin = known ?? this.#kind.create();
      each(bin);
      return bin;
    };
    for (const tier of this.#tiers) {
      tier.floor = io.number(tier.floor);
      archiveMap(io, tier.bins, { key: numberKey(io), value: binOf });
    }
    this.#last = null;
  }

  get size(): number {
    return this.#tiers.reduce((sum, { bins }) => sum + bins.size, 0);
  }

  #trim(place: number, tier: Tier<T>): void {
    const next = this.#tiers[place + 1];
    if (next === undefined) return;
    const ascending = [...tier.bins.keys()].sort((a, b) => a - b);
    const median = (ascending[ascending.length >> 1] ?? 0) * tier.stepMs;
    // Never so low that nothing goes.
    this.#raise(place, median + next.stepMs);
  }

  /** What is older than `floorTs` goes to the next tier; whole bins of that tier only. */
  #raise(place: number, floorTs: number): void {
    const tier = this.#tiers[place];
    const next = this.#tiers[place + 1];
    if (tier === undefined || next === undefined) return;
    const floor = (Math.floor(floorTs / next.stepMs) * next.stepMs) / tier.stepMs;
    if (floor <= tier.floor) return;
    tier.floor = floor;
    this.#last = null;
    for (const [at, bin] of tier.bins) {
      if (at >= floor) continue;
      tier.bins.delete(at);
      const above = Math.floor((at * tier.stepMs) / next.stepMs);
      const into = next.bins.get(above);
      if (into === undefined) next.bins.set(above, bin);
      else this.#kind.merge(into, bin);
    }
  }
}
