// What one labelled row costs, by task: the numbers whose means are compared.

import type { ModelSpec } from "../../facts/model.ts";
import type { Prediction, Value } from "../../facts/prediction.ts";
import { canonicalClass } from "../../kernel/classes.ts";
import { logLossOf } from "../binary.ts";
import type { LossKind } from "./strata.ts";

/** Named as the metric that is its mean. Lower is better. */
export interface Loss {
  readonly name: "error_rate" | "mae" | "mse" | "log_loss" | "brier";
  readonly kind: LossKind;
}

/** NaN where the row does not say, e.g. no score. In the order of `losses`. */
export type Costs = readonly number[];

export interface LossReader {
  readonly losses: readonly Loss[];
  /** null: the row and its label do not fit the task. */
  read(prediction: Prediction, truth: Value): Costs | null;
}

const ERROR_RATE: Loss = { name: "error_rate", kind: "share" };
const LOG_LOSS: Loss = { name: "log_loss", kind: "amount" };
const BRIER: Loss = { name: "brier", kind: "amount" };

const REGRESSION: LossReader = {
  losses: [
    { name: "mae", kind: "amount" },
    { name: "mse", kind: "amount" },
  ],
  read: ({ value }, truth) => {
    if (typeof value !== "number" || typeof truth !== "number") return null;
    const error = value - truth;
    return [Math.abs(error), error * error];
  },
};

function binaryReader(spec: ModelSpec): LossReader {
  const positive = spec.positive ?? "1";
  const negative = spec.classes?.find((name) => name !== positive) ?? "0";
  const probability = spec.scoreKind === "probability";
  return {
    losses: probability ? [ERROR_RATE, LOG_LOSS, BRIER] : [ERROR_RATE],
    read: ({ value, score }, truth) => {
      const actual = canonicalClass(truth);
      if ((actual !== positive && actual !== negative) || (value === null && score === null)) return null;
      const is = actual === positive;
      const says = value === null ? (score ?? 0) >= spec.threshold : canonicalClass(value) === positive;
      const wrong = says === is ? 0 : 1;
      if (!probability) return [wrong];
      if (score === null) return [wrong, Number.NaN, Number.NaN];
      const miss = score - (is ? 1 : 0);
      return [wrong, logLossOf(is ? score : 1 - score), miss * miss];
    },
  };
}

function multiclassReader(spec: ModelSpec): LossReader {
  const probability = spec.scoreKind === "probability";
  return {
    losses: probability ? [ERROR_RATE, LOG_LOSS] : [ERROR_RATE],
    read: ({ value, scores }, truth) => {
      if (value === null) return null;
      const actual = canonicalClass(truth);
      const wrong = canonicalClass(value) === actual ? 0 : 1;
      if (!probability) return [wrong];
      const given = scores !== null && Object.hasOwn(scores, actual) ? scores[actual] : undefined;
      return [wrong, given === undefined ? Number.NaN : logLossOf(given)];
    },
  };
}

/** null: the task is not resolved; nothing can be compared. */
export function createLossReader(spec: ModelSpec | null): LossReader | null {
  if (spec === null) return null;
  switch (spec.task) {
    case "auto":
      return null;
    case "regression":
      return REGRESSION;
    case "binary":
      return binaryReader(spec);
    case "multiclass":
      return multiclassReader(spec);
    default: {
      const never: never = spec.task;
      return never;
    }
  }
}
