// Regression: exact sums of errors and labels, and how they are distributed.

import type { ModelSpec } from "../facts/model.ts";
import type { Prediction, Value } from "../facts/prediction.ts";
import type { Archive } from "../kernel/archive.ts";
import { numberOf } from "../kernel/parse-exactly.ts";
import { invariant } from "../kernel/problem.ts";
import { CountedRows } from "./counted-rows.ts";
import { spreadOf } from "./order-statistics.ts";
import { evaluateRegression } from "./regression-metrics.ts";
import { createErrorPairs, type ErrorPairs } from "./error-columns.ts";
import { RegressionSums } from "./regression-sums.ts";
import { ScoreHistogram } from "./score-histogram.ts";
import type { ArrivalTotals, Components, Evaluation, Sign, Totals, TotalsKind, Yardstick } from "./totals.ts";

/** Different values counted apart, for medians and extremes; beyond, buckets. At most some 150 KB a histogram. */
const VALUES_MAX = 2048;

const createHistogram = (): ScoreHistogram =>
  new ScoreHistogram(
    { sides: 1, mirrored: false },
    { exact: VALUES_MAX, buckets: VALUES_MAX, purse: { left: 0 } },
  );

interface Spreads {
  readonly errors: ScoreHistogram;
  readonly labels: ScoreHistogram;
}

/** The pair that was read last. */
interface Pair {
  label: number;
  /** label - prediction. */
  error: number;
}

/** Pairs that wait together for the sums: 1 KB. */
const WAITING_MAX = 64;

class RegressionTotals implements Totals {
  readonly mergeable = true;
  readonly #pair: Pair;
  readonly #sums: RegressionSums;
  readonly #centre: number;
  /** |error| and label of each row. */
  readonly #errors: ScoreHistogram;
  readonly #labels: ScoreHistogram;
  /** Pairs that are not in the sums yet; null: there never were any. */
  #waiting: ErrorPairs | null = null;
  #waits = 0;

  constructor(pair: Pair, centre: number, of: Spreads) {
    this.#pair = pair;
    this.#centre = centre;
    this.#sums = new RegressionSums(centre);
    this.#errors = of.errors;
    this.#labels = of.labels;
  }

  get exact(): boolean {
    return this.#errors.isExact && this.#labels.isExact;
  }

  add(sign: Sign): void {
    const { label, error } = this.#pair;
    const waiting = (this.#waiting ??= createErrorPairs(WAITING_MAX));
    const at = this.#waits++;
    waiting.labels[at] = label;
    waiting.errors[at] = error;
    waiting.signs[at] = sign;
    if (this.#waits === WAITING_MAX) this.#settle();
    const absolute = Math.abs(error);
    if (absolute !== Infinity) this.#errors.add(absolute, 0, sign);
    this.#labels.add(label, 0, sign);
  }

  /** Before the sums are asked. */
  #settle(): void {
    if (this.#waiting !== null && this.#waits > 0) this.#sums.add(this.#waiting, this.#waits);
    this.#waits = 0;
  }

  merge(other: Totals, sign: Sign): void {
    if (other instanceof CountedRows && other.mergeable) return;
    invariant(other instanceof RegressionTotals, "totals of one task");
    other.#settle();
    this.#sums.merge(other.#sums, sign);
    this.#errors.merge(other.#errors, sign);
    this.#labels.merge(other.#labels, sign);
  }

  gathering(peers: readonly Totals[]): Totals {
    const ours = peers.filter((peer) => peer instanceof RegressionTotals);
    return new RegressionTotals(this.#pair, this.#centre, {
      errors: ScoreHistogram.gathering(ours.map((peer) => peer.#errors)),
      labels: ScoreHistogram.gathering(ours.map((peer) => peer.#labels)),
    });
  }

  evaluate(labeled: number): Evaluation {
    this.#settle();
    const spreads = { errors: spreadOf(this.#errors), labels: spreadOf(this.#labels) };
    return evaluateRegression(labeled, this.#sums, spreads);
  }

  components(labeled: number): Components {
    this.#settle();
    const sums = this.#sums;
    return {
      regression: {
        squaredError: sums.overflow > 0 ? null : sums.squared.value(),
        absoluteErrorOver: sums.over.value(),
        absoluteErrorUnder: sums.under.value(),
        labelMean: labeled === 0 ? null : sums.label.mean(labeled),
        labelM2: sums.labelM2(labeled),
      },
      classification: null,
    };
  }

  archive(io: Archive): void {
    this.#settle();
    this.#sums.archive(io);
    this.#errors.archive(io);
    this.#labels.archive(io);
  }

  release(): void {
    // The histograms have a purse of their own.
  }
}

class RegressionYardstick implements Yardstick {
  readonly #offset: number;
  readonly #pair: Pair = { label: 0, error: 0 };

  constructor(spec: ModelSpec) {
    this.#offset = spec.labelOffset;
  }

  read(prediction: Prediction, truth: Value): boolean {
    // Digits: the label came before it was known that the model is a regression.
    const value = prediction.value === null ? null : numberOf(prediction.value);
    const label = numberOf(truth);
    if (value === null || label === null || !Number.isFinite(value) || !Number.isFinite(label)) return false;
    this.#pair.label = label;
    this.#pair.error = label - value;
    return true;
  }

  create(kind: TotalsKind): Totals {
    if (kind === "pane") return new CountedRows();
    const spreads = { errors: createHistogram(), labels: createHistogram() };
    return new RegressionTotals(this.#pair, this.#offset, spreads);
  }

  archive(): void {
    // Nothing is kept here from pair to pair.
  }

  arrive(arrival: ArrivalTotals): void {
    const { label, error } = this.#pair;
    const squared = error * error;
    const deviation = label - this.#offset;
    // An infinite addend would poison a counter for good.
    if (!Number.isFinite(squared) || !Number.isFinite(deviation * deviation)) return;
    arrival.pairs++;
    arrival.squaredError += squared;
    if (error < 0) arrival.absoluteErrorOver += Math.abs(error);
    else arrival.absoluteErrorUnder += error;
    if (deviation >= 0) arrival.labelDeviationPositive += deviation;
    else arrival.labelDeviationNegative -= deviation;
    arrival.labelSquaredDeviation += deviation * deviation;
  }
}

export function createRegressionYardstick(spec: ModelSpec): Yardstick {
  return new RegressionYardstick(spec);
}
