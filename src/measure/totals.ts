// What every task's sufficient statistics can do: take a pair in, take it back, merge, and answer.

import type { MetricInterval } from "../facts/group.ts";
import type { Prediction, Value } from "../facts/prediction.ts";
import type { Archive } from "../kernel/archive.ts";
import type { ExactPurse } from "./score-histogram.ts";

export type Sign = 1 | -1;

/** Metrics of one set of labelled rows. Absent ones are null, with a reason in `undefined`. */
export interface Evaluation {
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly undefined: Readonly<Record<string, string>>;
  readonly confusion?:
    | Readonly<Record<string, number>>
    | Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly extra: Readonly<Record<string, unknown>>;
  readonly intervals?: Intervals;
  /** What the best constant prediction would score on the same labels. */
  readonly baseline?: Baseline;
}

/** By metric; null: the metric has a value, but no interval can be given. */
export type Intervals = Readonly<Record<string, MetricInterval | null>>;
export type Baseline = Readonly<Record<string, number | null>>;

export interface ConfusionCell {
  readonly actual: string;
  readonly predicted: string;
  readonly correct: boolean;
  readonly count: number;
}

/** Counts per bound of SCORE_BOUNDS and one above all: not cumulative. */
export interface ScoreCounts {
  readonly positive: readonly number[];
  readonly negative: readonly number[];
}

/** The summable components of the metrics: exact over replicas when they are added up. */
export interface Components {
  readonly regression: RegressionComponents | null;
  readonly classification: ClassificationComponents | null;
}

export interface RegressionComponents {
  /** Sum of (prediction - label)^2; null while a row's square is beyond the doubles. */
  readonly squaredError: number | null;
  /** Sums of |prediction - label| where the prediction is too high / too low. */
  readonly absoluteErrorOver: number;
  readonly absoluteErrorUnder: number;
  /** null without rows. */
  readonly labelMean: number | null;
  /** Sum of (label - mean)^2. */
  readonly labelM2: number;
}

export interface ClassificationComponents {
  readonly confusion: readonly ConfusionCell[];
  /** Binary with scores only. */
  readonly scores: ScoreCounts | null;
  /** Sums over the rows that have scores; null for margins. */
  readonly logLoss: number | null;
  readonly squaredScoreError: number | null;
  /** Rows that have scores. */
  readonly scored: number;
}

/** Sufficient statistics of a set of pairs. All of it is order-independent and exactly retractable. */
export interface Totals {
  /** Adds the pair that the yardstick read last, or takes it back. */
  add(sign: Sign): void;
  /** Adds or takes away all of `other` (made by the same yardstick). */
  merge(other: Totals, sign: Sign): void;
  /** An empty one for pairs that then go to each of `peers` (of this task) by `merge`, at no loss. It is never asked. */
  gathering(peers: readonly Totals[]): Totals;
  /** False when it counted scores without keeping them: then only its rows can be merged. */
  readonly mergeable: boolean;
  /** False: there were too many different scores, errors or labels to count each apart; some figures are approximate. */
  readonly exact: boolean;
  /** `labeled`: how many pairs it holds. */
  evaluate(labeled: number): Evaluation;
  components(labeled: number): Components;
  /** To a checkpoint, or, newly made, from one. */
  archive(io: Archive): void;
  /** Gives back borrowed memory; call before dropping it. */
  release(): void;
}

/** `total`: everything; `pane`: sums and counts only, no scores. */
export type TotalsKind = "total" | "pane";

/** How one model is measured, from its specification. */
export interface Yardstick {
  /** Looks at a pair; true when it fits the task. The pair is then added with `Totals.add` until the next `read`. */
  read(prediction: Prediction, truth: Value): boolean;
  create(kind: TotalsKind): Totals;
  /** What its totals refer to; before them. */
  archive(io: Archive): void;
  /** Counts the pair last read in the arrival-time totals. */
  arrive(arrival: ArrivalTotals): void;
}

/** Totals by arrival of labels: only ever grow, first joins only. Plain sums, since counters are compared by their growth. */
export interface ArrivalTotals {
  /** Pairs that fitted the task. */
  pairs: number;
  squaredError: number;
  absoluteErrorOver: number;
  absoluteErrorUnder: number;
  /** Sums of |label - labelOffset|, apart for labels above and below the offset. */
  labelDeviationPositive: number;
  labelDeviationNegative: number;
  labelSquaredDeviation: number;
  readonly labelOffset: number;
  /** actual -> predicted -> pairs; at most `maxClasses` classes on each side, the rest under `_OTHER`. */
  readonly confusion: Map<string, Map<string, number>>;
  /** Not cumulative; one entry per SCORE_BOUNDS and one above all. */
  readonly scoresPositive: number[];
  readonly scoresNegative: number[];
  logLoss: number;
  squaredScoreError: number;
}

export interface TotalsLimits {
  readonly purse: ExactPurse;
}

export const OTHER_CLASS = "_OTHER";
