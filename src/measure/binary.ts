// Two classes: the confusion counts, the scores in order, and the metrics that follow from them.

import type { ModelSpec } from "../facts/model.ts";
import type { Prediction, Value } from "../facts/prediction.ts";
import { canonicalClass } from "../kernel/classes.ts";
import { type Archive, archiveInto } from "../kernel/archive.ts";
import { invariant } from "../kernel/problem.ts";
import type { RankedCounts } from "./auc.ts";
import { evaluateBinary, type ScoreView } from "./binary-metrics.ts";
import { CalibrationBins } from "./calibration.ts";
import { LossSums } from "./loss-sums.ts";
import { scoreBucket, SCORE_BOUNDS, sigmoid } from "./score-bounds.ts";
import { ScoreHistogram } from "./score-histogram.ts";
import type {
  ArrivalTotals,
  Components,
  ConfusionCell,
  Evaluation,
  ScoreCounts,
  Sign,
  Totals,
  TotalsKind,
  TotalsLimits,
  Yardstick,
} from "./totals.ts";

/** Probabilities are clipped to [2^-52, 1 - 2^-52] before their logarithm is taken. */
const CLIP = 2 ** -52;
/** Different scores counted apart; beyond, buckets. */
const EXACT_SCORES = 50_000;
const BUCKETS = 4096;
const SCORE_BUCKETS = SCORE_BOUNDS.length + 1;
const NEGATIVE = 0;
const POSITIVE = 1;

/** -log of a probability, clipped: at most 36.04. */
export function logLossOf(probability: number): number {
  return -Math.log(Math.min(Math.max(probability, CLIP), 1 - CLIP));
}

/** One pair, looked at once and added to many totals. */
interface DecisionPair {
  actual: typeof NEGATIVE | typeof POSITIVE;
  decided: typeof NEGATIVE | typeof POSITIVE;
  /** NaN: there is none. */
  score: number;
  /** Among SCORE_BOUNDS. */
  bucket: number;
  squared: number;
  logLoss: number;
}

interface BinaryRules {
  readonly positive: string;
  readonly negative: string;
  readonly threshold: number;
  readonly probability: boolean;
}

class BinaryTotals implements Totals {
  readonly #pair: DecisionPair;
  readonly #rules: BinaryRules;
  readonly #scores: ScoreHistogram | null;
  /** Only beside `#scores`: panes without them are read row by row. */
  readonly #squared = new LossSums();
  readonly #logLoss = new LossSums();
  readonly #bins = new CalibrationBins();
  /** Per bucket of SCORE_BOUNDS: negatives, then positives. Exact, also where `#scores` no longer is. */
  readonly #buckets = new Int32Array(2 * SCORE_BUCKETS);
  #tp = 0;
  #fp = 0;
  #fn = 0;
  #tn = 0;
  #scored = 0;

  constructor(pair: DecisionPair, rules: BinaryRules, scores: ScoreHistogram | null) {
    this.#pair = pair;
    this.#rules = rules;
    this.#scores = scores;
  }

  get mergeable(): boolean {
    return this.#scores !== null || this.#scored === 0;
  }

  get exact(): boolean {
    return this.#scores?.isExact ?? true;
  }

  add(sign: Sign): void {
    const { actual, decided, score, bucket, squared, logLoss } = this.#pair;
    if (actual === POSITIVE) {
      if (decided === POSITIVE) this.#tp += sign;
      else this.#fn += sign;
    } else if (decided === POSITIVE) this.#fp += sign;
    else this.#tn += sign;
    if (Number.isNaN(score)) return;
    this.#scored += sign;
    if (this.#scores === null) return;
    this.#scores.add(score, actual, sign);
    const at = actual * SCORE_BUCKETS + bucket;
    this.#buckets[at] = (this.#buckets[at] ?? 0) + sign;
    if (!this.#rules.probability) return;
    this.#squared.add(squared, sign);
    this.#logLoss.add(logLoss, sign);
    this.#bins.add(score, actual, sign);
  }

  merge(other: Totals, sign: Sign): void {
    invariant(other instanceof BinaryTotals, "totals of one task");
    this.#tp += sign * other.#tp;
    this.#fp += sign * other.#fp;
    this.#fn += sign * other.#fn;
    this.#tn += sign * other.#tn;
    this.#scored += sign * other.#scored;
    // Gathered pairs may be as many that went as that came: what they hold counts, not how many they are.
    if (this.#scores === null || (other.#scored === 0 && other.#scores === null)) return;
    this.#squared.merge(other.#squared, sign);
    this.#logLoss.merge(other.#logLoss, sign);
    this.#bins.merge(other.#bins, sign);
    for (const [i, count] of other.#buckets.entries())
      this.#buckets[i] = (this.#buckets[i] ?? 0) + sign * count;
    invariant(other.#scores, "scores to merge");
    this.#scores.merge(other.#scores, sign);
  }

  gathering(peers: readonly Totals[]): Totals {
    const scores = peers.flatMap((peer) => (peer instanceof BinaryTotals ? (peer.#scores ?? []) : []));
    const gathered = this.#scores === null ? null : ScoreHistogram.gathering(scores);
    return new BinaryTotals(this.#pair, this.#rules, gathered);
  }

  evaluate(): Evaluation {
    const counts = { tp: this.#tp, fp: this.#fp, fn: this.#fn, tn: this.#tn };
    return evaluateBinary(counts, this.#scoreView());
  }

  components(): Components {
    const { positive, negative, probability } = this.#rules;
    const cell = (actual: string, predicted: string, count: number): ConfusionCell => {
      return { actual, predicted, correct: actual === predicted, count };
    };
    return {
      regression: null,
      classification: {
        confusion: [
          cell(positive, positive, this.#tp),
          cell(negative, positive, this.#fp),
          cell(positive, negative, this.#fn),
          cell(negative, negative, this.#tn),
        ],
        scores: this.#scoreCounts(),
        logLoss: probability ? this.#logLoss.value() : null,
        squaredScoreError: probability ? this.#squared.value() : null,
        scored: this.#scored,
      },
    };
  }

  archive(io: Archive): void {
    this.#tp = io.number(this.#tp);
    this.#fp = io.number(this.#fp);
    this.#fn = io.number(this.#fn);
    this.#tn = io.number(this.#tn);
    this.#scored = io.number(this.#scored);
    if (this.#scores === null) return;
    this.#scores.archive(io);
    this.#squared.archive(io);
    this.#logLoss.archive(io);
    this.#bins.archive(io);
    archiveInto(io, this.#buckets);
  }

  release(): void {
    this.#scores?.release();
  }

  #scoreView(): ScoreView | null {
    const rows = this.#scored;
    const ranked = rows === 0 ? null : this.#ranked();
    if (ranked === null) return null;
    const probability = this.#rules.probability
      ? { logLoss: this.#logLoss, brier: this.#squared, calibration: this.#bins.evaluate(rows) }
      : null;
    return { rows, positives: ranked.positives.reduce((sum, count) => sum + count, 0), ranked, probability };
  }

  #ranked(): RankedCounts | null {
    if (this.#scores === null) return null;
    const { scores, counts, mixed } = this.#scores.columns();
    const [negatives, positives] = counts;
    invariant(negatives && positives, "two sides");
    return { scores, positives, negatives, mixed };
  }

  #scoreCounts(): ScoreCounts | null {
    if (this.#scored === 0 || this.#scores === null) return null;
    return {
      negative: Array.from(this.#buckets.subarray(0, SCORE_BUCKETS)),
      positive: Array.from(this.#buckets.subarray(SCORE_BUCKETS)),
    };
  }
}

class BinaryYardstick implements Yardstick {
  readonly #rules: BinaryRules;
  readonly #limits: TotalsLimits;
  readonly #pair: DecisionPair = {
    actual: 0,
    decided: 0,
    score: Number.NaN,
    bucket: 0,
    squared: 0,
    logLoss: 0,
  };

  constructor(spec: ModelSpec, limits: TotalsLimits) {
    const positive = spec.positive ?? "1";
    this.#rules = {
      positive,
      negative: spec.classes?.find((name) => name !== positive) ?? "0",
      threshold: spec.threshold,
      probability: spec.scoreKind === "probability",
    };
    this.#limits = limits;
  }

  read(prediction: Prediction, truth: Value): boolean {
    const { positive, negative, threshold, probability } = this.#rules;
    const pair = this.#pair;
    const actual = canonicalClass(truth);
    if (actual !== positive && actual !== negative) return false;
    const { value, score } = prediction;
    if (value === null && score === null) return false;
    pair.actual = actual === positive ? POSITIVE : NEGATIVE;
    const says = value === null ? (score ?? 0) >= threshold : canonicalClass(value) === positive;
    pair.decided = says ? POSITIVE : NEGATIVE;
    pair.score = score ?? Number.NaN;
    if (score !== null) pair.bucket = scoreBucket(probability ? score : sigmoid(score));
    if (score === null || !probability) return true;
    const miss = score - pair.actual;
    pair.squared = miss * miss;
    pair.logLoss = logLossOf(pair.actual === POSITIVE ? score : 1 - score);
    return true;
  }

  archive(): void {
    // Nothing is kept here from pair to pair.
  }

  create(kind: TotalsKind): Totals {
    const { probability } = this.#rules;
    const limits = { exact: EXACT_SCORES, buckets: BUCKETS, purse: this.#limits.purse };
    const scores = kind === "pane" ? null : new ScoreHistogram({ sides: 2, mirrored: probability }, limits);
    return new BinaryTotals(this.#pair, this.#rules, scores);
  }

  arrive(arrival: ArrivalTotals): void {
    const { positive, negative, probability } = this.#rules;
    const { actual, decided, score, bucket, squared, logLoss } = this.#pair;
    arrival.pairs++;
    const row = arrival.confusion.get(actual === POSITIVE ? positive : negative);
    const predicted = decided === POSITIVE ? positive : negative;
    row?.set(predicted, (row.get(predicted) ?? 0) + 1);
    if (Number.isNaN(score)) return;
    const counts = actual === POSITIVE ? arrival.scoresPositive : arrival.scoresNegative;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    if (!probability) return;
    arrival.squaredScoreError += squared;
    arrival.logLoss += logLoss;
  }
}

export function createBinaryYardstick(spec: ModelSpec, limits: TotalsLimits): Yardstick {
  return new BinaryYardstick(spec, limits);
}
