// One set of rows: how many predictions and labels it holds, and the task's sums over the labelled ones.

import { type Archive, archiveFlag } from "../kernel/archive.ts";
import type { Components, Evaluation, Totals, TotalsKind, Yardstick } from "./totals.ts";

/** What one row does to a bin. */
export interface Step {
  readonly predictions: -1 | 0 | 1;
  /** Not 0: the pair that the yardstick read last comes in or goes out. */
  readonly pairs: -1 | 0 | 1;
  /** Pairs whose first label came within the label horizon. */
  readonly inTime: -1 | 0 | 1;
}

export const PREDICTED: Step = { predictions: 1, pairs: 0, inTime: 0 };
export const UNPREDICTED: Step = { predictions: -1, pairs: 0, inTime: 0 };
/** By whether the first label came within the label horizon. */
const PAIRED = {
  inTime: { predictions: 0, pairs: 1, inTime: 1 },
  late: { predictions: 0, pairs: 1, inTime: 0 },
} as const;
const UNPAIRED = {
  inTime: { predictions: 0, pairs: -1, inTime: -1 },
  late: { predictions: 0, pairs: -1, inTime: 0 },
} as const;

export function pairing(sign: 1 | -1, isLate: boolean): Step {
  return (sign === 1 ? PAIRED : UNPAIRED)[isLate ? "late" : "inTime"];
}

const UNRESOLVED: Evaluation = Object.freeze({
  metrics: Object.freeze({}),
  undefined: Object.freeze({ any: "unresolved_task" }),
  extra: Object.freeze({}),
});
const NO_COMPONENTS: Components = Object.freeze({ regression: null, classification: null });

export class Bin {
  readonly #yardstick: Yardstick | null;
  readonly #kind: TotalsKind;
  #predictions = 0;
  #labeled = 0;
  #inTime = 0;
  /** Made when the first pair comes: most panes of a quiet model never see one. */
  #totals: Totals | null = null;
  #evaluation: Evaluation | null = null;
  #components: Components | null = null;

  /** `yardstick` null: the task is not known; rows are counted only. */
  constructor(yardstick: Yardstick | null, kind: TotalsKind) {
    this.#yardstick = yardstick;
    this.#kind = kind;
  }

  get predictions(): number {
    return this.#predictions;
  }

  get labeled(): number {
    return this.#labeled;
  }

  /** Labelled rows whose first label came within the label horizon. */
  get inTime(): number {
    return this.#inTime;
  }

  /** False: only its rows can be merged into another bin. */
  get mergeable(): boolean {
    return this.#totals?.mergeable ?? true;
  }

  /** False: some figures rest on buckets of scores, errors or labels. */
  get exact(): boolean {
    return this.#totals?.exact ?? true;
  }

  take(step: Step): void {
    this.count(step);
    if (step.pairs !== 0 && this.#yardstick !== null) this.#ownOf(this.#yardstick).add(step.pairs);
  }

  /** Counts the row; its pair comes later, with `gather`. Before that the bin must not be asked for metrics. */
  count(step: Step): void {
    this.#predictions += step.predictions;
    if (step.pairs === 0) return;
    this.#labeled += step.pairs;
    this.#inTime += step.inTime;
    this.#evaluation = null;
    this.#components = null;
  }

  /** Takes in pairs that were counted before. */
  gather(pairs: Totals): void {
    if (this.#yardstick !== null) this.#ownOf(this.#yardstick).merge(pairs, 1);
  }

  /** Where pairs for all of `bins` can be gathered; null: nothing is kept of pairs, or of bins. */
  static gathering(bins: readonly Bin[]): Totals | null {
    const totals = bins.flatMap((bin) => (bin.#yardstick === null ? [] : [bin.#ownOf(bin.#yardstick)]));
    return totals[0]?.gathering(totals) ?? null;
  }

  merge(other: Bin, sign: 1 | -1): void {
    this.#predictions += sign * other.#predictions;
    if (other.#totals === null && other.#labeled === 0) return;
    this.#labeled += sign * other.#labeled;
    this.#inTime += sign * other.#inTime;
    this.#evaluation = null;
    this.#components = null;
    if (this.#yardstick !== null && other.#totals !== null) {
      this.#ownOf(this.#yardstick).merge(other.#totals, sign);
    }
  }

  evaluate(): Evaluation {
    if (this.#yardstick === null) return UNRESOLVED;
    this.#evaluation ??= this.#ownOf(this.#yardstick).evaluate(this.#labeled);
    return this.#evaluation;
  }

  components(): Components {
    if (this.#yardstick === null) return NO_COMPONENTS;
    this.#components ??= this.#ownOf(this.#yardstick).components(this.#labeled);
    return this.#components;
  }

  archive(io: Archive): void {
    this.#predictions = io.number(this.#predictions);
    this.#labeled = io.number(this.#labeled);
    this.#inTime = io.number(this.#inTime);
    if (archiveFlag(io, this.#totals !== null) && this.#yardstick !== null)
      this.#ownOf(this.#yardstick).archive(io);
  }

  /** Gives back borrowed memory; call before dropping it. */
  release(): void {
    this.#totals?.release();
  }

  #ownOf(yardstick: Yardstick): Totals {
    this.#totals ??= yardstick.create(this.#kind);
    return this.#totals;
  }
}
