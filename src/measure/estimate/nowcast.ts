// What a window's metrics will be when the labels still expected are in. Rows with a label count as they are; of a row
// without one the chance that a label comes, and of which class, follows from its score, its age, and how long labels of
// either class take: a row that still waits long after positives usually come is hardly one.

import { Z95 } from "../wilson.ts";
import type { Calibration, Reading } from "./calibration.ts";
import type { LearntDelays } from "./delay-curves.ts";
import type { MetricEstimate } from "./track.ts";

/** Labelled rows of the window per score bucket (ascending), by what was decided: [negative, positive]. */
export interface LabelledRows {
  readonly scores: ArrayLike<number>;
  readonly positives: readonly [ArrayLike<number>, ArrayLike<number>];
  readonly negatives: readonly [ArrayLike<number>, ArrayLike<number>];
}

/** Rows without a label between two ages (ms), under the same buckets. */
export interface WaitingRows {
  readonly youngest: number;
  readonly oldest: number;
  readonly buckets: Iterable<{ readonly at: number; readonly decided: readonly [number, number] }>;
}

export interface NowcastBasis {
  readonly calibration: Calibration;
  readonly delays: LearntDelays;
  /** Share of the rows of each band that get a label at all. */
  readonly coverage: readonly number[];
}

/** Chances of one waiting row, and how they change with what they rest on. */
interface Chances {
  positive: number;
  negative: number;
  /** By the calibrated chance. */
  positiveByChance: number;
  negativeByChance: number;
  /** By the share of negatives, and of positives, that have come by its age. */
  positiveByArrived: [number, number];
  negativeByArrived: [number, number];
}

const TINY = 1e-12;
const NEVER: Readonly<Chances> = {
  positive: 0,
  negative: 0,
  positiveByChance: 0,
  negativeByChance: 0,
  positiveByArrived: [0, 0],
  negativeByArrived: [0, 0],
};

/**
 * With c the calibrated chance, k the share of rows that get a label, G the share of each class's labels that have come by
 * this age: positive = c k (1 - G1) / D, negative = (1 - c) k (1 - G0) / D, D = c (1 - k G1) + (1 - c)(1 - k G0).
 */
function chancesOf(c: number, k: number, [g0, g1]: readonly [number, number]): Readonly<Chances> {
  const d0 = 1 - k * g0;
  const d1 = 1 - k * g1;
  const d = c * d1 + (1 - c) * d0;
  if (d < TINY) return NEVER;
  const a0 = k * (1 - g0);
  const a1 = k * (1 - g1);
  const positive = (c * a1) / d;
  const negative = ((1 - c) * a0) / d;
  const ofPositives = (c * k) / d;
  const ofNegatives = ((1 - c) * k) / d;
  return {
    positive,
    negative,
    positiveByChance: (a1 * d0) / (d * d),
    negativeByChance: -(a0 * d1) / (d * d),
    positiveByArrived: [positive * ofNegatives, (positive - 1) * ofPositives],
    negativeByArrived: [(negative - 1) * ofNegatives, negative * ofPositives],
  };
}

/** Sums over the waiting rows of one score bucket and one decision. */
class Waiting {
  positive = 0;
  negative = 0;
  positiveSquare = 0;
  negativeSquare = 0;
  product = 0;
  positiveByChance = 0;
  negativeByChance = 0;
  /** Times the standard errors of the arrived shares: [of negatives, of positives]. */
  readonly positiveByArrived: [number, number] = [0, 0];
  readonly negativeByArrived: [number, number] = [0, 0];

  add(rows: number, chances: Readonly<Chances>, errors: readonly [number, number]): void {
    const { positive, negative } = chances;
    this.positive += rows * positive;
    this.negative += rows * negative;
    this.positiveSquare += rows * positive * positive;
    this.negativeSquare += rows * negative * negative;
    this.product += rows * positive * negative;
    this.positiveByChance += rows * chances.positiveByChance;
    this.negativeByChance += rows * chances.negativeByChance;
    for (const side of [0, 1] as const) {
      this.positiveByArrived[side] += rows * chances.positiveByArrived[side] * errors[side];
      this.negativeByArrived[side] += rows * chances.negativeByArrived[side] * errors[side];
    }
  }
}

/** What one more positive, and one more negative, of a bucket changes in the metric. */
type Slopes = (at: number, decided: 0 | 1) => readonly [positive: number, negative: number];

const DECISIONS = [0, 1] as const;

class WindowNowcast {
  readonly #labelled: LabelledRows;
  readonly #basis: NowcastBasis;
  readonly #size: number;
  /** By decision and bucket; undefined where no row waits. */
  readonly #waiting: readonly [(Waiting | undefined)[], (Waiting | undefined)[]];
  readonly #readings: Reading[];
  readonly #bands: number[];

  constructor(labelled: LabelledRows, basis: NowcastBasis) {
    this.#labelled = labelled;
    this.#basis = basis;
    this.#size = labelled.scores.length;
    const nobody = (): undefined[] => Array.from({ length: this.#size }, () => undefined);
    this.#waiting = [nobody(), nobody()];
    this.#readings = Array.from(labelled.scores, (score) => {
      const reading: Reading = { chance: 0, lower: 0, upper: 0, share: 0 };
      basis.calibration.read(score, reading);
      return reading;
    });
    this.#bands = Array.from(labelled.scores, (score) => basis.delays.bandOf(score));
  }

  wait({ youngest, oldest, buckets }: WaitingRows): void {
    const { delays, coverage } = this.#basis;
    const ages = { youngest, oldest };
    const bands = Array.from({ length: delays.bands }, (_, band) => {
      const arrived = [delays.arrived(band, false, ages), delays.arrived(band, true, ages)] as const;
      const errors = [
        delays.errorOf(band, false, arrived[0]),
        delays.errorOf(band, true, arrived[1]),
      ] as const;
      return { arrived, errors };
    });
    for (const { at, decided } of buckets) {
      const band = this.#bands[at] ?? 0;
      const known = bands[band];
      const chance = this.#readings[at]?.chance ?? 0;
      if (known === undefined) continue;
      const chances = chancesOf(chance, coverage[band] ?? 1, known.arrived);
      for (const side of DECISIONS)
        if (decided[side] > 0) this.#of(side, at).add(decided[side], chances, known.errors);
    }
  }

  #of(decided: 0 | 1, at: number): Waiting {
    const waiting = this.#waiting[decided][at] ?? new Waiting();
    this.#waiting[decided][at] = waiting;
    return waiting;
  }

  /** Rows of a bucket that are, or will be, positive and negative. */
  #rows(at: number, decided: 0 | 1): readonly [number, number] {
    const waiting = this.#waiting[decided][at];
    return [
      (this.#labelled.positives[decided][at] ?? 0) + (waiting?.positive ?? 0),
      (this.#labelled.negatives[decided][at] ?? 0) + (waiting?.negative ?? 0),
    ];
  }

  get expected(): number {
    let sum = 0;
    for (const side of this.#waiting)
      for (const waiting of side) if (waiting !== undefined) sum += waiting.positive + waiting.negative;
    return sum;
  }

  metrics(): MetricEstimate[] {
    const counts: [[number, number], [number, number]] = [
      [0, 0],
      [0, 0],
    ];
    for (let at = 0; at < this.#size; at++) {
      for (const decided of DECISIONS) {
        const [positive, negative] = this.#rows(at, decided);
        counts[decided][0] += positive;
        counts[decided][1] += negative;
      }
    }
    const [[fn, tn], [tp, fp]] = counts;
    const found: MetricEstimate[] = [];
    const put = (metric: string, [part, whole]: readonly [number, number], slopes: (m: number) => Slopes) => {
      if (!(whole > 0)) return;
      const value = part / whole;
      found.push({ metric, value, bounds: this.#bounds(value, slopes(value)) });
    };
    const all = tp + fp + fn + tn;
    put("accuracy", [tp + tn, all], (m) => (_, decided) => {
      return decided === 1 ? [(1 - m) / all, -m / all] : [-m / all, (1 - m) / all];
    });
    put("precision", [tp, tp + fp], (m) => (_, decided) => {
      return decided === 1 ? [(1 - m) / (tp + fp), -m / (tp + fp)] : [0, 0];
    });
    put("recall", [tp, tp + fn], (m) => (_, decided) => [(decided - m) / (tp + fn), 0]);
    const sum = 2 * tp + fp + fn;
    put("f1", [2 * tp, sum], (m) => (_, decided) => {
      return decided === 1 ? [(2 - 2 * m) / sum, -m / sum] : [-m / sum, 0];
    });
    const area = this.#area(tp + fn, fp + tn);
    if (area !== null) found.push(area);
    return found;
  }

  #area(positives: number, negatives: number): MetricEstimate | null {
    if (!(positives > 0 && negatives > 0)) return null;
    const pairs = positives * negatives;
    const effects: [number, number][] = [];
    let [below, passed, wins] = [0, 0, 0];
    for (let at = 0; at < this.#size; at++) {
      const [p0, n0] = this.#rows(at, 0);
      const [p1, n1] = this.#rows(at, 1);
      const [p, n] = [p0 + p1, n0 + n1];
      wins += p * (below + n / 2);
      effects.push([below + n / 2, positives - passed - p / 2]);
      below += n;
      passed += p;
    }
    const value = wins / pairs;
    const slopes: Slopes = (at) => {
      const [asPositive, asNegative] = effects[at] ?? [0, 0];
      return [asPositive / pairs - value / positives, asNegative / pairs - value / negatives];
    };
    return { metric: "roc_auc", value, bounds: this.#bounds(value, slopes) };
  }

  /**
   * Labelled rows are certain. To the chance in each waiting row come the labels behind the calibration (per block) and
   * those behind the delays (per band and class; the errors of all ages of a band are taken to go together).
   */
  #bounds(value: number, slopes: Slopes): readonly [number, number] {
    const { calibration, delays } = this.#basis;
    const blocks = new Float64Array(calibration.blocks.length);
    const arrivals = Array.from({ length: delays.bands }, (): [number, number] => [0, 0]);
    let variance = 0;
    for (let at = 0; at < this.#size; at++) {
      const reading = this.#readings[at];
      const arrival = arrivals[this.#bands[at] ?? 0];
      for (const decided of DECISIONS) {
        const waiting = this.#waiting[decided][at];
        if (waiting === undefined || reading === undefined || arrival === undefined) continue;
        const [p, n] = slopes(at, decided);
        variance += (waiting.positive - waiting.positiveSquare) * p * p;
        variance += (waiting.negative - waiting.negativeSquare) * n * n - 2 * waiting.product * p * n;
        const net = waiting.positiveByChance * p + waiting.negativeByChance * n;
        blocks[reading.lower] = (blocks[reading.lower] ?? 0) + net * (1 - reading.share);
        blocks[reading.upper] = (blocks[reading.upper] ?? 0) + net * reading.share;
        for (const side of DECISIONS) {
          arrival[side] += waiting.positiveByArrived[side] * p + waiting.negativeByArrived[side] * n;
        }
      }
    }
    for (const [at, { chance, labels }] of calibration.blocks.entries()) {
      variance += ((blocks[at] ?? 0) ** 2 * chance * (1 - chance)) / labels;
    }
    for (const [of0, of1] of arrivals) variance += of0 * of0 + of1 * of1;
    const half = Z95 * Math.sqrt(Math.max(0, variance));
    return [Math.max(0, value - half), Math.min(1, value + half)];
  }
}

/** `waiting`: one entry per pane of the window. */
export function nowcastClassifier(
  labelled: LabelledRows,
  waiting: Iterable<WaitingRows>,
  basis: NowcastBasis,
): { readonly expected: number; readonly metrics: readonly MetricEstimate[] } {
  const nowcast = new WindowNowcast(labelled, basis);
  for (const rows of waiting) nowcast.wait(rows);
  return { expected: nowcast.expected, metrics: nowcast.metrics() };
}
