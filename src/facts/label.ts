// The truth about a prediction, as it was told to us: revisions, never overwritten.

import type { Value } from "./prediction.ts";

/**
 * A value that may be a class but is no number: true and false (the classes 1 and 0), and a JSON text that spells an integer no
 * double can hold. (Such an integer itself is kept as its digits.)
 */
export interface ClassOnly {
  readonly className: string;
}

/** A label's value as it was told, before it is known what the model's task makes of it. */
export type Told = Value | ClassOnly;

/** One label event as it came in, before it is known what it belongs to. */
export interface LabelEvent {
  /** A prediction id, `<exchange id>`, `<exchange id>:<row>` or an alias. 1-512 characters. */
  readonly id: string;
  /** null when the sender did not name one. */
  readonly model: string | null;
  /** null retracts. An array labels the rows of one exchange in order. */
  readonly label: Told | null | readonly (Told | null)[];
  /** When the label was established (Unix ms). The greatest holds; at equal `ts` the later arrival. */
  readonly ts: number;
  /** When it reached us (Unix ms). */
  readonly receivedAt: number;
  /**
   * Nobody said it: the value that silence stands for, `afterMs` after the prediction. It is put only to rows of which
   * nothing was ever said and which are that old, under that time; whatever is said later holds against it.
   */
  readonly absent?: { readonly afterMs: number };
}

/** What became of a label event; values of `result` in `outrider_labels_total`. */
export type LabelResult =
  | "joined"
  | "waiting"
  | "duplicate"
  | "corrected"
  | "stale"
  | "retracted"
  | "rejected";

export interface LabelOutcome {
  readonly result: LabelResult;
  /** Set when rejected: `invalid_label`, `ambiguous_model`, `ambiguous_id`, `label_count_mismatch`, `unknown_model`, ... */
  readonly code: string | null;
  readonly message: string | null;
  /** The series it concerned, when known. */
  readonly model: string | null;
  readonly version: string | null;
}

/** A stored revision, for display. */
export interface LabelRevision {
  readonly id: string;
  readonly model: string | null;
  readonly label: Value | null | readonly (Value | null)[];
  readonly ts: number;
  readonly receivedAt: number;
  /** `current`: it holds; `superseded`: a newer one holds; `waiting`: its prediction is not known yet; `invalid`: it does not fit the model's task. */
  readonly state: "current" | "superseded" | "waiting" | "invalid";
  /** Nobody said it: no label came in time, and silence stands for this value. */
  readonly absent?: true;
}
