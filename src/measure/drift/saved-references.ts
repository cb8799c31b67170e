// References as text, to outlive a restart: the rows they were taken from may be forgotten by then.

import { ALL_BITS } from "../estimate/float-key.ts";
import { CategorySpread, createSpread, MERGED_BUCKETS, NumberSpread, type StreamKind } from "./spread.ts";
import type { TakenReference } from "./stream.ts";

export interface SavedReference {
  readonly model: string;
  readonly version: string;
  readonly stream: string;
  readonly kind: StreamKind;
  /** Unix ms. */
  readonly through: number;
  /** Mantissa bits that were told apart; 52 for categories. */
  readonly bits: number;
  readonly values: readonly (number | string)[];
  readonly counts: readonly number[];
}

export function columnsOf(taken: TakenReference): Pick<SavedReference, "bits" | "values" | "counts"> {
  const { spread } = taken;
  if (spread instanceof CategorySpread) {
    return { bits: ALL_BITS, values: [...spread.counts.keys()], counts: [...spread.counts.values()] };
  }
  if (!(spread instanceof NumberSpread)) return { bits: ALL_BITS, values: [], counts: [] };
  const at = Array.from({ length: spread.sketch.size }, (_, i) => i);
  return {
    bits: spread.sketch.bits,
    values: at.map((i) => spread.sketch.key(i)),
    counts: at.map((i) => spread.sketch.count(i, 0)),
  };
}

/** The reference that was saved. */
export function revive(saved: SavedReference): TakenReference {
  const spread = createSpread(saved.kind, MERGED_BUCKETS, { left: MERGED_BUCKETS });
  for (const [i, value] of saved.values.entries()) {
    const count = saved.counts[i] ?? 0;
    if (spread instanceof CategorySpread) spread.put(String(value), count);
    else if (spread instanceof NumberSpread && typeof value === "number") spread.put(value, count);
  }
  if (spread instanceof NumberSpread) spread.sketch.coarsenTo(saved.bits);
  return { spread, through: saved.through };
}
