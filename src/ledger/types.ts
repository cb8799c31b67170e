// What the ledger takes, needs and gives: the words in which the rest of the program speaks with record and join.

import type { CheckpointCount } from "./checkpoint-tally.ts";
import type { LabelEvent, LabelOutcome, LabelRevision, Told } from "../facts/label.ts";
import type { Change, Truth } from "../facts/pair.ts";
import type { ExchangeRecord, Prediction, Value } from "../facts/prediction.ts";
import type { Archive } from "../kernel/archive.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";

export interface LedgerOptions {
  /** The data directory; created with mode 0700. */
  readonly path: string;
  /** A prediction older than this (by its `ts`) is forgotten, with its labels. */
  readonly retentionMs: number;
  /** How long an early label waits, and how long an unlabelled prediction counts as open. */
  readonly labelHorizonMs: number;
  /** Early label revisions kept. Beyond it: new ones are rejected (`waiting_full`), never an acknowledged one dropped. */
  readonly waitingMax?: number;
  /** Predictions wait at most this long for company before they are committed. */
  readonly groupCommitMs: number;
  /** Above this many bytes in use the oldest rows are forgotten before their time. Absent: no limit but the disk's. */
  readonly sizeMaxBytes?: number;
  /** Rows of a segment; a file must be opened with the number it was made with. Default: 2^20. */
  readonly segmentRows?: number;
  /** Full segments whose names stay in memory; older ones are sealed by and by. Default: 2. */
  readonly residentSegments?: number;
  /** A checkpoint is written after so many changes, and at a close after a sixty-fourth of them. Default: 131,072, fewer in a store of less than 128 MiB. */
  readonly checkpointChanges?: number;
  /** So many bytes of a checkpoint are written in one step. */
  readonly checkpointBytes?: number;
  /** On a write-ahead log of so many pages of 4 KiB no transaction begins before it was emptied. Default: 4,096, in a store of less than 256 MiB a sixteenth of it. */
  readonly walPagesMax?: number;
  /** What may wait to be written; beyond it calls are refused as `busy`. Defaults: 262,144 items, 64 MiB. */
  readonly queueItemsMax?: number;
  readonly queueBytesMax?: number;
}

export type Normalised =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly message: string; readonly code?: string };

/** What listeners make of the changes, so that a start need not tell every stored row again. */
export interface Checkpointed {
  /** What wrote it, and by which rules: a checkpoint of another name is not read. */
  readonly name: string;
  /** Their state to the checkpoint, or from it; throws when it does not fit. */
  readonly archive: (io: Archive) => void;
  /** After that: they know of no change. */
  readonly clear: () => void;
  /** False: not now, since what they know is not what the rows say. Absent: it always is. */
  readonly ready?: () => boolean;
}

export interface LedgerNeeds {
  /** Absent: every start tells all rows. */
  readonly checkpointed?: Checkpointed;
  readonly clock: Clock;
  readonly log: Log;
  /**
   * Canonical form of a label for a model, or why it does not fit (`code`: `invalid_label` unless given). Called at
   * submission when the model is known, and at the join of an early label. Pure: it may be called again for a retry.
   */
  readonly normalise: (model: string, label: Told) => Normalised;
  /** By `open()`, before the first stored row is told: what was saved (`saveState`), so that rows find what is known of them. */
  readonly onLoading?: (saved: SavedStates) => void;
  /**
   * After each commit, in commit order; by `open()` for every stored row (predicted, then its truth), or, from a checkpoint on,
   * for what it does not cover: rows, changed truths, forgotten rows. Must not throw.
   */
  readonly onChanges: (changes: readonly Change[]) => void;
  /** Called within a transaction that makes these changes: what must be on disk if and only if they are. Must not throw. */
  readonly beside?: (changes: readonly Change[]) => Beside | null;
}

/** Values for `onLoading`, with the transaction of what they belong to. */
export interface Beside {
  readonly states: Iterable<readonly [key: string, value: string]>;
  /** It is on disk; called before the changes are told. */
  readonly kept: () => void;
}

/** What was saved under keys. */
export interface SavedStates {
  get(key: string): string | null;
  /** Those whose key begins with `prefix` and goes on, by key. */
  under(prefix: string): Iterable<readonly [key: string, value: string]>;
}

export type RefusalCause = "disk-full" | "read-only" | "io" | "corrupt" | "closed" | "busy";

export interface Refused {
  readonly kind: "refused";
  readonly cause: RefusalCause;
  readonly message: string;
}

export type OpenResult =
  | {
      readonly kind: "open";
      /** Predictions on disk, and early labels among the labels. */
      readonly rows: number;
      readonly waiting: number;
      /** Rows that could not be decoded and were left out. */
      readonly damaged: number;
      /** Why no checkpoint was used, and every row was read; null: one was. */
      readonly unchecked: string | null;
      readonly tookMs: number;
    }
  /** What stood in the way was moved to `file`; the ledger is open and new. */
  | { readonly kind: "quarantined"; readonly file: string; readonly why: string; readonly tookMs: number }
  /** Not open; `open()` may be called again. */
  | {
      readonly kind: "refused";
      readonly code: "locked" | "newer-schema" | "disk-full" | "read-only" | "io";
      readonly message: string;
    };

/** Counts predictions (rows), not exchanges. `invalid`: ids or numbers that break the contract of the fact. */
export interface RecordKept {
  readonly kind: "kept";
  readonly accepted: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly invalid: number;
}

export type RecordResult = RecordKept | Refused;

/** One outcome per event, in order. */
export type LabelBatchResult =
  | { readonly kind: "kept"; readonly outcomes: readonly LabelOutcome[] }
  | Refused;

/** A batch of a sender: `batch` is committed together with the batch's last exchange. */
export interface BatchMark {
  readonly session: string;
  readonly batch: number;
}

export interface FoundPrediction {
  readonly row: number;
  readonly id: string;
  readonly exchangeId: string;
  readonly aliases: readonly string[];
  readonly model: string;
  readonly version: string;
  readonly slice: Readonly<Record<string, string>> | null;
  readonly ts: number;
  readonly prediction: Value | null;
  readonly score: number | null;
  readonly scores: Readonly<Record<string, number>> | null;
  readonly traceId: string | null;
  readonly exchange: {
    readonly method: string;
    readonly route: string;
    readonly status: number | null;
    readonly durationMs: number;
    readonly ttfbMs: number | null;
  };
  /** Newest first; at most 100. */
  readonly labels: readonly LabelRevision[];
}

export interface ScanRange {
  readonly model: string;
  readonly version: string;
  readonly fromTs: number;
  readonly toTs: number;
  /** After more rows than this the scan ends, with the block of rows in which it was. Default: none. */
  readonly rowsMax?: number;
}

export interface WalkRange {
  readonly model: string;
  /** Rows are numbered in the order in which they came, from 1. */
  readonly afterRow: number;
  readonly rowsMax: number;
}

export type RowVisitor = (row: number, prediction: Prediction, truth: Truth | null) => void;

export interface SweepResult {
  /** Predictions forgotten by this step. */
  readonly forgotten: number;
  /** Early labels given up by this step. */
  readonly expired: number;
  /** Call again soon: this step ended by its limit, not for lack of work. */
  readonly more: boolean;
  /** The clock jumped: nothing is deleted until it has stayed there for five minutes. */
  readonly held: boolean;
  readonly tookMs: number;
  /** Set when the step could not be written; nothing was forgotten. */
  readonly trouble: string | null;
}

export interface SeriesStats {
  readonly model: string;
  readonly version: string;
  readonly rows: number;
  readonly labelled: number;
  /** Unlabelled and younger than the label horizon (to the hour). */
  readonly pending: number;
  /** Passed the horizon without a label since start; monotonic. */
  readonly expired: number;
  readonly firstTs: number;
  readonly lastTs: number;
}

/** The write-ahead log, since the store was opened. */
export interface WalStats {
  /** Steps that brought it into the file, and those of them that a transaction had to wait for. */
  readonly steps: number;
  readonly forced: number;
  readonly failed: number;
  /** Of the largest step. */
  readonly pagesMax: number;
}

export interface LedgerStats {
  readonly rows: number;
  readonly labelled: number;
  /** Sum of `pending`. */
  readonly open: number;
  readonly waiting: number;
  /** Early labels given up since start. */
  readonly waitingExpired: number;
  /** Early labels that did not fit their prediction when it came, since start. */
  readonly waitingInvalid: number;
  /** Predictions forgotten since start: past the retention, and the oldest of a store above its size. */
  readonly forgottenByAge: number;
  readonly forgottenBySize: number;
  readonly sizeBytes: number;
  /** Of these, the file of the write-ahead log. */
  readonly walBytes: number;
  readonly wal: WalStats;
  readonly writeErrors: number;
  readonly queuedItems: number;
  readonly queuedBytes: number;
  /** Calls refused because the queue was full. */
  readonly busy: number;
  /** Rows that could not be decoded. */
  readonly damaged: number;
  /** Why the last write failed; null when it succeeded. */
  readonly trouble: string | null;
  /** Since start. */
  readonly checkpoints: readonly CheckpointCount[];
  readonly series: readonly SeriesStats[];
}

export interface Ledger {
  /** Never throws for a broken file. May be called again after `refused`. */
  open(): OpenResult;
  /** Queued; resolves when on disk or refused. Duplicate: same (model, version, id), equal content; else conflict; the first stays. */
  record(exchanges: readonly ExchangeRecord[], mark: BatchMark | null): Promise<RecordResult>;
  label(events: readonly LabelEvent[]): Promise<LabelBatchResult>;
  /** Last batch committed for the session. */
  lastMark(session: string): number | null;
  /** By prediction id, exchange id, row id or alias; at most 1,000. */
  find(id: string): readonly FoundPrediction[];
  /** Every revision for that id, joined or waiting; at most 1,000. */
  labelsOf(id: string): readonly LabelRevision[];
  /** Rows of a series with fromTs < ts <= toTs and their current truth, in row order. False: not all of them could be read. */
  scan(of: ScanRange, visit: RowVisitor): boolean;
  /**
   * The rows of all versions of a model after a row, in row order, a few at a time. Gives the row up to which all were visited;
   * Infinity: there are no more for now. null: they could not be read, and none was visited.
   */
  walk(of: WalkRange, visit: RowVisitor): number | null;
  /** False: the file cannot be had now, and every question is answered as if there was nothing. It is tried again here. */
  readable(): boolean;
  /** Durable small values (at most 1 MiB each). false: not saved. */
  saveState(key: string, value: string): boolean;
  /** Several at once, all or none; null drops the key. */
  saveStates(states: Iterable<readonly [key: string, value: string | null]>): boolean;
  loadState(key: string): string | null;
  /** One small step of retention. */
  sweep(nowMs: number): SweepResult;
  stats(): LedgerStats;
  /** Commits what is queued, synchronously. */
  flushNow(): void;
  /** Flushes, checkpoints, closes. Safe before open and twice. */
  close(): Promise<void>;
}
