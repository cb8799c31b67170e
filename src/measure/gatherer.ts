// Pairs on their way to the totals: a labelled row is looked at once, not once for every window that holds it.
//
// All totals are sums over pairs, so what is gathered can be added to them later, in any order. Before anybody asks, it must be.

import { Bin, type Step } from "./bin.ts";
import type { Totals } from "./totals.ts";

/** Different sets of windows that are gathered for apart; rows of one age share one. */
const SETS_MAX = 8;

interface Gathered {
  /** One bit per window that holds the rows. */
  readonly windows: number;
  readonly bins: readonly Bin[];
  readonly pairs: Totals | null;
}

export class Gatherer {
  #sets: Gathered[] = [];

  /** Takes the pair that the yardstick read last, for the windows whose bits are set; `binsOf` gives their bins. */
  take(windows: number, binsOf: (windows: number) => readonly Bin[], step: Step): void {
    let set = this.#sets.find((each) => each.windows === windows);
    if (set === undefined) {
      if (this.#sets.length >= SETS_MAX) this.settle();
      const bins = binsOf(windows);
      set = { windows, bins, pairs: Bin.gathering(bins) };
      this.#sets.push(set);
    }
    for (const bin of set.bins) bin.count(step);
    if (step.pairs !== 0) set.pairs?.add(step.pairs);
  }

  /** Adds what was gathered to the bins. Call it before they are asked or replaced. */
  settle(): void {
    const sets = this.#sets;
    this.#sets = [];
    for (const { bins, pairs } of sets) {
      if (pairs === null) continue;
      for (const bin of bins) bin.gather(pairs);
      pairs.release();
    }
  }
}
