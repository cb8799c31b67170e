// The rule of revisions, and nothing else: the greatest `ts` holds, at equal `ts` the later arrival.

import type { LabelResult } from "../facts/label.ts";

export interface Verdict {
  readonly result: Extract<LabelResult, "joined" | "duplicate" | "corrected" | "stale" | "retracted">;
  /** The new revision holds from now on. */
  readonly takes: boolean;
  /** It is kept for display although it does not hold. */
  readonly shown: boolean;
}

interface Dated<V> {
  readonly value: V;
  readonly ts: number;
}

/**
 * `value` null retracts. A newer revision with the value that holds is a duplicate, but its `ts` holds from now on: an
 * older correction that arrives later must lose against it.
 */
export function judge<V>(holds: Dated<V | null> | null, next: Dated<V | null>): Verdict {
  if (holds === null) return { result: "joined", takes: true, shown: true };
  const same = next.value === holds.value;
  if (next.ts < holds.ts) return { result: same ? "duplicate" : "stale", takes: false, shown: !same };
  if (same) return { result: "duplicate", takes: next.ts > holds.ts, shown: next.ts > holds.ts };
  return { result: next.value === null ? "retracted" : "corrected", takes: true, shown: true };
}

const WEIGHT: Readonly<Record<LabelResult, number>> = {
  joined: 6,
  corrected: 5,
  retracted: 4,
  waiting: 3,
  stale: 2,
  duplicate: 1,
  rejected: 0,
};

/** One word for a label that reached several rows: what changed most. */
export function strongest(results: readonly LabelResult[]): LabelResult {
  let best: LabelResult = "rejected";
  for (const result of results) if (WEIGHT[result] > WEIGHT[best]) best = result;
  return best;
}
