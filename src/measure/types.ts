// What the measuring room takes, needs and gives: the words in which the rest of the program speaks with it.

import type { Basis, Group } from "../facts/group.ts";
import type { ModelSpec } from "../facts/model.ts";
import type { Change, Truth } from "../facts/pair.ts";
import type { Prediction } from "../facts/prediction.ts";
import type { Archive } from "../kernel/archive.ts";
import type { DelayFigures } from "./delays.ts";
import type { ArrivalTotals, Components } from "./totals.ts";

export interface MeasureOptions {
  /** (model, version, slice) series. Beyond, slices go first, then new versions are not measured; both are counted. Default 200. */
  readonly seriesMax?: number;
  /** Different scores that all series together may count apart beyond their first 4,096 buckets each. Default 1,000,000 (about 60 MB). */
  readonly exactScoresMax?: number;
  /** Rows that a question may read for matured windows; beyond, they are "catching_up". Default 100,000, about half a second. */
  readonly questionRows?: number;
  /** Unix ms: when the first questions will be asked, if that is known; the windows are then filled as rows come. */
  readonly asOf?: number;
}

export interface ScanRange {
  readonly model: string;
  readonly version: string;
  /** Unix ms: fromTs < ts <= toTs. */
  readonly fromTs: number;
  readonly toTs: number;
  /** After more rows than this the scan may end, though not all have come. */
  readonly rowsMax?: number;
}

export interface MeasureNeeds {
  /** null: nothing is known of the model; its rows are counted, not measured. Asked once, and again at `rebuild`. */
  specOf(model: string): ModelSpec | null;
  /**
   * Retained rows of a range, in any order, with the truth that holds: exactly what the changes applied so far say,
   * neither less nor more. Never called within `apply`.
   */
  scan(range: ScanRange, visit: (row: number, prediction: Prediction, truth: Truth | null) => void): void;
  /**
   * Retained rows of a model in the order in which they were numbered, at most `rowsMax` of those (of all models) after a row.
   * Gives the row up to which all were visited; Infinity: the end; null: they cannot be read, none was. Absent: `reread` is `rebuild`.
   */
  walk?(
    of: { readonly model: string; readonly afterRow: number; readonly rowsMax: number },
    visit: (row: number, prediction: Prediction, truth: Truth | null) => void,
  ): number | null;
  /** Asked before a question. False: rows cannot be read now; then windows stay where they are. Absent: they can, always. */
  readable?(): boolean;
  /** Versions of the model that have retained rows: what `rebuild` reads of a model that was never applied. */
  versionsOf?(model: string): Iterable<string>;
}

export interface GroupFilter {
  readonly model?: string;
  readonly version?: string;
  readonly window?: string;
  readonly slice?: string;
  /** Default "all". */
  readonly basis?: Basis;
}

/** What one version has been doing. Times in Unix ms. */
export interface SeriesInfo {
  readonly model: string;
  readonly version: string;
  /** Earliest and latest ts seen. */
  readonly firstTs: number;
  readonly lastTs: number;
  readonly lastPredictionTs: number;
  /** null: no label joined yet. */
  readonly lastLabelReceivedAt: number | null;
  /** Retained rows, and how many of them have a label that holds. */
  readonly predictions: number;
  readonly labels: number;
}

/** Layer B: the summable components of one window. */
export interface WindowStats extends Components {
  readonly model: string;
  readonly version: string;
  readonly slice: string;
  readonly window: string;
  readonly basis: Basis;
  readonly predictions: number;
  readonly pairs: number;
}

/** What two ways to the same number disagree about. */
export interface Difference {
  readonly model: string;
  readonly version: string;
  /** "" or "name=value". */
  readonly slice: string;
  /** `24h total`, `1h pane 2026-01-05T10:00:00.000Z`, `all`, or `24h matured`. */
  readonly part: string;
  readonly field: string;
  readonly kept: unknown;
  readonly rebuilt: unknown;
}

export interface Verification {
  /** Panes and totals that were compared. */
  readonly compared: number;
  /** At most 100. */
  readonly differences: readonly Difference[];
}

/** Label delays of one version. */
export interface VersionDelays extends DelayFigures {
  readonly model: string;
  readonly version: string;
}

export interface MeasureCounters {
  readonly series: number;
  readonly droppedSlices: number;
  /** Predictions of versions that found no room, once per version. */
  readonly refusedVersions: number;
  /** Labels that hold but do not fit the model's task. */
  readonly unfitLabels: number;
}

export interface Measure {
  /** Takes one change of the ledger, in commit order. */
  apply(change: Change): void;
  /** The same for what the ledger tells again when it is opened: nothing of it counts as an arrival. */
  restore(change: Change): void;
  /**
   * Groups as of `at` (Unix ms), sorted by model, version, slice; windows in the order of the specification. On the basis
   * "matured" a window that cannot be given has no rows and says why in `undefined`: `too_few_labels`, `too_early` (it is
   * not known when labels stop coming), `catching_up` (more rows had to be read than one question may: ask again).
   */
  groups(at: number, filter?: GroupFilter): Group[];
  series(): SeriesInfo[];
  /** Layer A: totals by arrival of labels, first joins only; they never fall. null: unknown, or the task is unresolved. */
  arrival(model: string, version: string): Readonly<ArrivalTotals> | null;
  /** On the basis "matured" windows that cannot be given are left out. */
  windowStats(at: number, filter?: GroupFilter): WindowStats[];
  /** Label delays per version as of `at` (Unix ms). */
  delays(at: number): VersionDelays[];
  /** Moves what is behind on by a bounded number of rows: models that are read again, then matured windows. True: call again soon. */
  catchUp(at: number): boolean;
  /**
   * Forgets what was measured of the model and reads its rows again by `scan`: after its task was resolved or changed,
   * and at the start (then `versionsOf` must be given; `restore` does without).
   * Arrival totals go on when the task is the same, else start at 0; rows read again do not count as arrivals.
   */
  rebuild(model: string): void;
  /**
   * The same in steps of `catchUp`, when rows could not be read that had to be. Until all are read again the model's windows of both
   * bases have no rows, and are `catching_up`. When they cannot be read now either, it stays so until this is called again.
   */
  reread(model: string): void;
  /** A model is being read again: what is measured of it is not what the rows say. */
  readonly rereading: boolean;
  /**
   * Builds every pane and total of every version again from the stored rows, as of `at`, and compares: counts and sums bit
   * for bit; what is told from score histograms where both are exact.
   */
  verify(at: number): Verification;
  counters(): MeasureCounters;
  /**
   * Everything measured, to a checkpoint, or from one into a measure that holds nothing. Throws an ArchiveError when it was
   * measured by another specification; then `clear` must be called.
   */
  archive(io: Archive): void;
  /** Forgets everything. */
  clear(): void;
}
