// Spreads as text, to outlive a restart: references, whose rows may be forgotten by then, and hours of inputs, which have no rows.

import { ALL_BITS } from "../estimate/float-key.ts";
import type { State } from "../saved-states.ts";
import {
  CategorySpread,
  createSpread,
  MERGED_BUCKETS,
  NumberSpread,
  type Spread,
  type StreamKind,
} from "./spread.ts";

/** Keys of the store. */
export const DRIFT_STATES = "drift:";

/** "first": the reference that was taken; "span": what a configured span held; "hour": one hour of an input. */
export type SpreadRole = "first" | "span" | "hour";

/** Rows with from < ts <= through (Unix ms). */
export interface KeptSpread {
  readonly role: SpreadRole;
  readonly from: number;
  readonly through: number;
  readonly spread: Spread;
}

interface SpreadColumns {
  readonly kind: StreamKind;
  /** Mantissa bits that were told apart; 52 for categories. */
  readonly bits: number;
  readonly values: readonly (number | string)[];
  readonly counts: readonly number[];
}

export interface SavedSpread extends SpreadColumns, Omit<KeptSpread, "spread"> {
  readonly model: string;
  readonly version: string;
  readonly stream: string;
}

function columnsOf(spread: Spread): Pick<SpreadColumns, "bits" | "values" | "counts"> {
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

/** One stream's spread as a state: rows are only added to it, so that their number tells whether it has changed. */
export function stateOf(
  of: {
    readonly model: string;
    readonly version: string;
    readonly stream: string;
    readonly kind: StreamKind;
  },
  { role, from, through, spread }: KeptSpread,
): State {
  const { model, version, stream } = of;
  const saved = (): SavedSpread => ({ ...of, role, from, through, ...columnsOf(spread) });
  return {
    key: `${DRIFT_STATES}${JSON.stringify([model, version, stream, role, from])}`,
    token: spread.rows,
    text: () => JSON.stringify(saved()),
  };
}

/** The spread that was saved. */
export function revive({ kind, bits, values, counts }: SpreadColumns): Spread {
  const spread = createSpread(kind, MERGED_BUCKETS, { left: MERGED_BUCKETS });
  for (const [i, value] of values.entries()) {
    const count = counts[i] ?? 0;
    if (spread instanceof CategorySpread) spread.put(String(value), count);
    else if (spread instanceof NumberSpread && typeof value === "number") spread.put(value, count);
  }
  if (spread instanceof NumberSpread) spread.sketch.coarsenTo(bits);
  return spread;
}
