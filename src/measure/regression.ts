// Regression: exact sums of errors and labels, and the metrics that follow from them.

import type { ModelSpec } from "../facts/model.ts";
import type { Prediction, Value } from "../facts/prediction.ts";
import { invariant } from "../kernel/problem.ts";
import { ratio, UNIT_BITS } from "./exact-rational.ts";
import { ExactSquares, ExactSum, squareInto, type Square } from "./exact-sum.ts";
import type { ArrivalTotals, Components, Evaluation, Sign, Totals, Yardstick } from "./totals.ts";

/** A label this close to 0 makes a relative error meaningless. */
const ZERO_TARGET = 2 ** -52;

/** One pair, looked at once and added to many totals. */
interface ErrorPair {
  label: number;
  labelSquare: Square;
  absolute: number;
  /** The prediction is above the label. */
  over: boolean;
  squared: number;
  fourth: number;
  relative: number;
}

class RegressionTotals implements Totals {
  readonly mergeable = true;
  readonly #pair: ErrorPair;
  readonly #over = new ExactSum();
  readonly #under = new ExactSum();
  readonly #squared = new ExactSum();
  readonly #fourth = new ExactSum();
  readonly #relative = new ExactSum();
  readonly #label = new ExactSum();
  readonly #labelSize = new ExactSum();
  readonly #labelSquared = new ExactSquares();
  /** Rows whose error, square, fourth power or relative error is no double. */
  #infinite = 0;
  #overflow = 0;
  #fourthOverflow = 0;
  #relativeOverflow = 0;
  #zeroTargets = 0;

  constructor(pair: ErrorPair) {
    this.#pair = pair;
  }

  add(sign: Sign): void {
    const pair = this.#pair;
    this.#label.add(sign * pair.label);
    this.#labelSize.add(sign * Math.abs(pair.label));
    this.#labelSquared.add(pair.labelSquare, sign);
    if (pair.absolute === Infinity) this.#infinite += sign;
    else (pair.over ? this.#over : this.#under).add(sign * pair.absolute);
    if (pair.squared === Infinity) this.#overflow += sign;
    else this.#squared.add(sign * pair.squared);
    if (pair.fourth === Infinity) this.#fourthOverflow += sign;
    else this.#fourth.add(sign * pair.fourth);
    if (Math.abs(pair.label) < ZERO_TARGET) this.#zeroTargets += sign;
    else if (pair.relative === Infinity) this.#relativeOverflow += sign;
    else this.#relative.add(sign * pair.relative);
  }

  merge(other: Totals, sign: Sign): void {
    invariant(other instanceof RegressionTotals, "totals of one task");
    this.#over.merge(other.#over, sign);
    this.#under.merge(other.#under, sign);
    this.#squared.merge(other.#squared, sign);
    this.#fourth.merge(other.#fourth, sign);
    this.#relative.merge(other.#relative, sign);
    this.#label.merge(other.#label, sign);
    this.#labelSize.merge(other.#labelSize, sign);
    this.#labelSquared.merge(other.#labelSquared, sign);
    this.#infinite += sign * other.#infinite;
    this.#overflow += sign * other.#overflow;
    this.#fourthOverflow += sign * other.#fourthOverflow;
    this.#relativeOverflow += sign * other.#relativeOverflow;
    this.#zeroTargets += sign * other.#zeroTargets;
  }

  evaluate(labeled: number): Evaluation {
    const names = ["mse", "rmse", "mae", "r2"] as const;
    if (labeled === 0) {
      const reasons = names.map((name) => [name, "no_labels"]);
      return {
        metrics: { mse: null, rmse: null, mae: null, r2: null },
        undefined: Object.fromEntries(reasons),
        extra: {},
      };
    }
    const reasons: Record<string, string> = {};
    const mse = this.#overflow > 0 ? null : this.#squared.mean(labeled);
    const mae = this.#infinite > 0 ? null : this.#absolute().mean(labeled);
    if (mse === null) reasons["mse"] = reasons["rmse"] = "overflow";
    if (mae === null) reasons["mae"] = "overflow";
    const r2 = this.#determination(labeled);
    if (typeof r2 === "string") reasons["r2"] = r2;
    const extra = this.#extra(labeled);
    if (this.#zeroTargets > 0) reasons["mape"] = "zero_target";
    return {
      metrics: {
        mse,
        rmse: mse === null ? null : Math.sqrt(mse),
        mae,
        r2: typeof r2 === "number" ? r2 : null,
      },
      undefined: reasons,
      extra,
    };
  }

  components(labeled: number): Components {
    const mean = labeled === 0 ? null : this.#label.mean(labeled);
    return {
      regression: {
        squaredError: this.#overflow > 0 ? null : this.#squared.value(),
        absoluteErrorOver: this.#over.value(),
        absoluteErrorUnder: this.#under.value(),
        labelMean: mean,
        labelM2: labeled === 0 ? 0 : ratio(this.#spread(labeled), BigInt(labeled) << (2n * UNIT_BITS)),
      },
      classification: null,
    };
  }

  release(): void {
    // Nothing is borrowed here.
  }

  #absolute(): ExactSum {
    const sum = new ExactSum();
    sum.merge(this.#over, 1);
    sum.merge(this.#under, 1);
    return sum;
  }

  /** n * (sum of squares of the labels around their mean), exactly, in units of 2^-2148. */
  #spread(labeled: number): bigint {
    const sum = this.#label.units();
    return BigInt(labeled) * this.#labelSquared.units() - sum * sum;
  }

  /** 1 - SSE/SST, rounded once; or why there is none. */
  #determination(labeled: number): number | "overflow" | "too_few" | "constant_target" {
    if (this.#overflow > 0) return "overflow";
    if (labeled < 2) return "too_few";
    const spread = this.#spread(labeled);
    if (spread === 0n) return "constant_target";
    const error = (BigInt(labeled) * this.#squared.units()) << UNIT_BITS;
    return ratio(spread - error, spread);
  }

  #extra(labeled: number): Record<string, unknown> {
    const extra: Record<string, unknown> = {};
    if (this.#infinite === 0) {
      const bias = new ExactSum();
      bias.merge(this.#under, 1);
      bias.merge(this.#over, -1);
      extra["me"] = bias.mean(labeled);
      const labels = this.#labelSize.value();
      extra["wape"] = labels > 0 ? this.#absolute().value() / labels : null;
    }
    extra["mape"] = this.#zeroTargets > 0 || this.#relativeOverflow > 0 ? null : this.#relative.mean(labeled);
    if (labeled < 2 || this.#overflow > 0) return extra;
    const squares = this.#squared.units();
    extra["mae_se"] = standardError(labeled, squares << UNIT_BITS, this.#absolute().units());
    if (this.#fourthOverflow === 0) {
      extra["mse_se"] = standardError(labeled, this.#fourth.units() << UNIT_BITS, squares);
    }
    return extra;
  }
}

/** Standard error of a mean (n - 1 below) from the sum of squares (units of 2^-2148) and the sum (2^-1074). */
function standardError(count: number, squares: bigint, sum: bigint): number {
  const n = BigInt(count);
  const spread = n * squares - sum * sum;
  // The squares were rounded one by one: equal values may leave a speck below zero.
  return spread <= 0n ? 0 : Math.sqrt(ratio(spread, (n * n * (n - 1n)) << (2n * UNIT_BITS)));
}

class RegressionYardstick implements Yardstick {
  readonly #offset: number;
  readonly #pair: ErrorPair = {
    label: 0,
    labelSquare: { high: 0, low: 0, units: 0n },
    absolute: 0,
    over: false,
    squared: 0,
    fourth: 0,
    relative: 0,
  };

  constructor(spec: ModelSpec) {
    this.#offset = spec.labelOffset;
  }

  read(prediction: Prediction, truth: Value): boolean {
    const value = prediction.value;
    if (typeof value !== "number" || typeof truth !== "number") return false;
    if (!Number.isFinite(value) || !Number.isFinite(truth)) return false;
    const pair = this.#pair;
    const error = truth - value;
    pair.label = truth;
    squareInto(pair.labelSquare, truth);
    pair.absolute = Math.abs(error);
    pair.over = error < 0;
    pair.squared = error * error;
    pair.fourth = pair.squared * pair.squared;
    pair.relative = pair.absolute / Math.abs(truth);
    return true;
  }

  create(): Totals {
    return new RegressionTotals(this.#pair);
  }

  arrive(arrival: ArrivalTotals): void {
    const pair = this.#pair;
    const deviation = pair.label - this.#offset;
    // An infinite addend would poison a counter for good.
    if (!Number.isFinite(pair.squared) || !Number.isFinite(deviation * deviation)) return;
    arrival.pairs++;
    arrival.squaredError += pair.squared;
    if (pair.over) arrival.absoluteErrorOver += pair.absolute;
    else arrival.absoluteErrorUnder += pair.absolute;
    if (deviation >= 0) arrival.labelDeviationPositive += deviation;
    else arrival.labelDeviationNegative -= deviation;
    arrival.labelSquaredDeviation += deviation * deviation;
  }
}

export function createRegressionYardstick(spec: ModelSpec): Yardstick {
  return new RegressionYardstick(spec);
}
