// What a version's track takes and shows.

import type { Truth } from "../facts/pair.ts";
import type { Prediction } from "../facts/prediction.ts";
import type { Bin } from "./bin.ts";
import type { DelayGap } from "./delays.ts";
import type { SeriesLimit } from "./series-limit.ts";
import type { ArrivalTotals, Yardstick } from "./totals.ts";
import type { Window } from "./windows.ts";

export interface RowReader {
  /** Rows fromTs < ts <= toTs of this version as they are now; after more than `rowsMax` some may be missing. */
  (range: { fromTs: number; toTs: number; rowsMax?: number }, visit: RowVisitor): void;
}
/** `known`: the change is told again (at the start), nothing has just arrived. */
export type News = "arriving" | "known";
export type RowVisitor = (row: number, prediction: Prediction, truth: Truth | null) => void;

export interface TrackSetup {
  readonly version: string;
  readonly windows: readonly Window[];
  readonly yardstick: Yardstick | null;
  readonly arrival: ArrivalTotals;
  /** After this, no more labels are expected. */
  readonly labelHorizonMs: number;
  readonly read: RowReader;
  readonly limit: SeriesLimit;
  /** When known, the windows are kept from the first row on, as of then. */
  readonly at: number | null;
}

export interface Answering {
  readonly window: string | undefined;
  readonly slice: string | undefined;
}

/** Why there is no matured window: its end is not known, or more rows must be read than one question may. */
export type MaturedGap = DelayGap | "catching_up";

export interface Held {
  readonly bin: Bin;
  /** Not null: the bin is empty, and this is why. */
  readonly gap: MaturedGap | null;
}

export interface NamedBin {
  readonly slice: string;
  readonly name: string;
  readonly bin: Bin;
}

/** Called for every window of every series; `order` is the window's place in the specification. */
export type BinVisitor = (slice: string, window: { name: string; order: number }, held: Held) => void;
