// What the ledger tells the measuring room: a row was predicted, its truth changed, it was forgotten.

import type { Prediction, Value } from "./prediction.ts";

/** The current truth of a row: the value that holds and when we first heard any label for the row. */
export interface Truth {
  readonly value: Value;
  /** When the label that holds was established (Unix ms). */
  readonly ts: number;
  /** When the first label for this row reached us (Unix ms): the delay is counted to here. */
  readonly firstReceivedAt: number;
}

/**
 * A change of what is known, in commit order. `row` is the ledger's sequence number of the prediction.
 * `truth`: null -> Truth is a join, Truth -> Truth a correction, Truth -> null a retraction.
 */
export type Change =
  | { readonly kind: "predicted"; readonly row: number; readonly prediction: Prediction }
  | {
      readonly kind: "truth";
      readonly row: number;
      readonly prediction: Prediction;
      readonly before: Truth | null;
      readonly after: Truth | null;
    }
  | {
      readonly kind: "forgotten";
      readonly row: number;
      readonly prediction: Prediction;
      readonly before: Truth | null;
    };
