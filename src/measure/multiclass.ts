// Several classes: a sparse confusion matrix, the scores of each class in order, and the metrics that follow from them.

import type { ModelSpec } from "../facts/model.ts";
import type { Prediction, Value } from "../facts/prediction.ts";
import { canonicalClass } from "../kernel/classes.ts";
import { type Archive, archiveMap, numberKey } from "../kernel/archive.ts";
import { invariant } from "../kernel/problem.ts";
import { logLossOf } from "./binary.ts";
import { ClassNames } from "./class-names.ts";
import { LossSums } from "./loss-sums.ts";
import { AUC_CLASSES_MAX, evaluateMulticlass } from "./multiclass-metrics.ts";
import { ScoreHistogram } from "./score-histogram.ts";
import type {
  ArrivalTotals,
  Components,
  ConfusionCell,
  Evaluation,
  Sign,
  Totals,
  TotalsKind,
  TotalsLimits,
  Yardstick,
} from "./totals.ts";
import { OTHER_CLASS } from "./totals.ts";

/** Different scores of one class counted apart; beyond, buckets (fewer when there are many classes). */
const EXACT_SCORES = 50_000;
const BUCKETS_ALL_CLASSES = 4096;
const BUCKETS_MIN = 256;
/** Cells of a confusion matrix are keyed actual * RADIX + predicted. */
const RADIX = 65_536;

/** One pair, looked at once and added to many totals. */
interface ClassPair {
  /** Ids in ClassNames. */
  actual: number;
  predicted: number;
  /** The label's place among the configured classes; -1: the row has no scores, or the label is none of them. */
  side: number;
  /** Scores of the configured classes, in their order. */
  readonly scores: number[];
  logLoss: number;
  /** Sum over the classes of (score - outcome)^2. */
  squared: number;
}

interface ClassRules {
  /** Configured classes; empty when the set is open. */
  readonly classes: readonly string[];
  readonly names: ClassNames;
  readonly probability: boolean;
}

class MulticlassTotals implements Totals {
  readonly #pair: ClassPair;
  readonly #rules: ClassRules;
  readonly #cells = new Map<number, number>();
  readonly #scores: readonly ScoreHistogram[] | null;
  readonly #logLoss = new LossSums();
  readonly #brier = new LossSums();
  #scored = 0;

  constructor(pair: ClassPair, rules: ClassRules, scores: readonly ScoreHistogram[] | null) {
    this.#pair = pair;
    this.#rules = rules;
    this.#scores = scores;
  }

  get mergeable(): boolean {
    return this.#scores !== null || this.#scored === 0;
  }

  get exact(): boolean {
    return this.#scores?.every(({ isExact }) => isExact) ?? true;
  }

  add(sign: Sign): void {
    const { actual, predicted, side, scores, logLoss, squared } = this.#pair;
    this.#count(actual * RADIX + predicted, sign);
    if (side < 0) return;
    this.#scored += sign;
    this.#logLoss.add(logLoss, sign);
    this.#brier.add(squared, sign);
    if (this.#scores === null) return;
    for (const [i, histogram] of this.#scores.entries()) histogram.add(scores[i] ?? 0, side, sign);
  }

  merge(other: Totals, sign: Sign): void {
    invariant(other instanceof MulticlassTotals, "totals of one task");
    for (const [cell, count] of other.#cells) this.#count(cell, sign * count);
    this.#scored += sign * other.#scored;
    this.#logLoss.merge(other.#logLoss, sign);
    this.#brier.merge(other.#brier, sign);
    // Gathered pairs may be as many that went as that came: what they hold counts, not how many they are.
    if (this.#scores === null || (other.#scored === 0 && other.#scores === null)) return;
    for (const [i, histogram] of this.#scores.entries()) {
      const theirs = other.#scores?.[i];
      invariant(theirs, "scores to merge");
      histogram.merge(theirs, sign);
    }
  }

  gathering(peers: readonly Totals[]): Totals {
    const gathered = this.#scores?.map((_, i) =>
      ScoreHistogram.gathering(
        peers.flatMap((peer) => (peer instanceof MulticlassTotals ? (peer.#scores?.[i] ?? []) : [])),
      ),
    );
    return new MulticlassTotals(this.#pair, this.#rules, gathered ?? null);
  }

  evaluate(labeled: number): Evaluation {
    const { classes, probability } = this.#rules;
    return evaluateMulticlass({
      rows: labeled,
      confusion: this.#confusion(),
      scored: this.#scored,
      classes,
      columns: this.#scored === 0 ? null : (this.#scores?.map((histogram) => histogram.columns()) ?? null),
      losses: probability ? { logLoss: this.#logLoss, brier: this.#brier } : null,
    });
  }

  components(): Components {
    const confusion: ConfusionCell[] = [];
    for (const [actual, row] of this.#confusion()) {
      for (const [predicted, count] of row) {
        confusion.push({ actual, predicted, correct: actual === predicted, count });
      }
    }
    const logLoss = this.#rules.probability && this.#scored > 0 ? this.#logLoss.value() : null;
    return {
      regression: null,
      classification: { confusion, scores: null, logLoss, squaredScoreError: null, scored: this.#scored },
    };
  }

  archive(io: Archive): void {
    archiveMap(io, this.#cells, { key: numberKey(io), value: (count) => io.number(count ?? 0) });
    this.#logLoss.archive(io);
    this.#brier.archive(io);
    this.#scored = io.number(this.#scored);
    for (const histogram of this.#scores ?? []) histogram.archive(io);
  }

  release(): void {
    for (const histogram of this.#scores ?? []) histogram.release();
  }

  #count(cell: number, by: number): void {
    const count = (this.#cells.get(cell) ?? 0) + by;
    if (count === 0) this.#cells.delete(cell);
    else this.#cells.set(cell, count);
  }

  /** By name, so that sums over it do not depend on the order of arrival. */
  #confusion(): Map<string, Map<string, number>> {
    const { names } = this.#rules;
    const cells = [...this.#cells].map(([cell, count]) => {
      const [actual, predicted] = [names.nameOf(Math.floor(cell / RADIX)), names.nameOf(cell % RADIX)];
      return { actual, predicted, count };
    });
    const order = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);
    cells.sort((a, b) => order(a.actual, b.actual) || order(a.predicted, b.predicted));
    const confusion = new Map<string, Map<string, number>>();
    for (const { actual, predicted, count } of cells) {
      const row = confusion.get(actual) ?? new Map<string, number>();
      confusion.set(actual, row.set(predicted, count));
    }
    return confusion;
  }
}

class MulticlassYardstick implements Yardstick {
  readonly #rules: ClassRules;
  readonly #limits: TotalsLimits;
  readonly #maxClasses: number;
  readonly #sides: ReadonlyMap<string, number>;
  readonly #pair: ClassPair = { actual: 0, predicted: 0, side: -1, scores: [], logLoss: 0, squared: 0 };

  constructor(spec: ModelSpec, limits: TotalsLimits) {
    const classes = spec.classes ?? [];
    this.#rules = {
      classes,
      names: new ClassNames(classes),
      probability: spec.scoreKind === "probability",
    };
    this.#limits = limits;
    this.#maxClasses = spec.maxClasses;
    this.#sides = new Map(classes.map((name, i) => [name, i]));
  }

  read(prediction: Prediction, truth: Value): boolean {
    if (prediction.value === null) return false;
    const pair = this.#pair;
    const actual = canonicalClass(truth);
    pair.actual = this.#rules.names.idOf(actual);
    pair.predicted = this.#rules.names.idOf(canonicalClass(prediction.value));
    pair.side = this.#readScores(prediction.scores) ? (this.#sides.get(actual) ?? -1) : -1;
    pair.logLoss = 0;
    pair.squared = 0;
    if (pair.side < 0 || !this.#rules.probability) return true;
    pair.logLoss = logLossOf(pair.scores[pair.side] ?? 0);
    for (const [i, score] of pair.scores.entries()) pair.squared += (score - (i === pair.side ? 1 : 0)) ** 2;
    return true;
  }

  archive(io: Archive): void {
    this.#rules.names.archive(io);
  }

  create(kind: TotalsKind): Totals {
    const sides = this.#rules.classes.length;
    if (kind === "pane" || sides === 0 || sides > AUC_CLASSES_MAX) {
      return new MulticlassTotals(this.#pair, this.#rules, null);
    }
    const buckets = Math.max(BUCKETS_MIN, Math.floor(BUCKETS_ALL_CLASSES / sides));
    const limits = { exact: EXACT_SCORES, buckets, purse: this.#limits.purse };
    const shape = { sides, mirrored: this.#rules.probability };
    const scores = this.#rules.classes.map(() => new ScoreHistogram(shape, limits));
    return new MulticlassTotals(this.#pair, this.#rules, scores);
  }

  arrive(arrival: ArrivalTotals): void {
    const { names } = this.#rules;
    const { actual, predicted, side, logLoss } = this.#pair;
    arrival.pairs++;
    const name = this.#capped(arrival, names.nameOf(actual));
    const row = arrival.confusion.get(name) ?? new Map<string, number>();
    arrival.confusion.set(name, row);
    const said = this.#capped(arrival, names.nameOf(predicted));
    row.set(said, (row.get(said) ?? 0) + 1);
    if (side >= 0) arrival.logLoss += logLoss;
  }

  /** Classes beyond `maxClasses` share one name in the counters. A known name stays known. */
  #capped(arrival: ArrivalTotals, name: string): string {
    const { confusion } = arrival;
    if (confusion.has(name)) return name;
    if (confusion.size >= this.#maxClasses) return OTHER_CLASS;
    confusion.set(name, new Map());
    return name;
  }

  /** Copies the scores of all configured classes; false when one is missing. */
  #readScores(scores: Prediction["scores"]): boolean {
    if (scores === null) return false;
    for (const [i, name] of this.#rules.classes.entries()) {
      const score = Object.hasOwn(scores, name) ? scores[name] : undefined;
      if (score === undefined) return false;
      this.#pair.scores[i] = score;
    }
    return true;
  }
}

export function createMulticlassYardstick(spec: ModelSpec, limits: TotalsLimits): Yardstick {
  return new MulticlassYardstick(spec, limits);
}
