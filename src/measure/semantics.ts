// Which predictions and labels can be measured at all, and the one spelling of a label (golden SEMANTICS rules 5 and 6).

import type { Told } from "../facts/label.ts";
import type { ModelSpec } from "../facts/model.ts";
import type { Prediction, Value } from "../facts/prediction.ts";
import { canonicalClass } from "../kernel/classes.ts";
import { numberOf } from "../kernel/parse-exactly.ts";

export type NormalisedLabel =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly message: string };

export type PredictionVerdict = { readonly ok: true } | { readonly ok: false; readonly reason: string };

const FINE: PredictionVerdict = Object.freeze({ ok: true });

/** Foreign text in a message: short, and visibly quoted. */
function shown(value: Told): string {
  const plain = typeof value === "object" ? value.className : value;
  const text = typeof plain === "string" ? JSON.stringify(plain) : String(plain);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/**
 * The value as it is stored and compared: a finite number for regression, a canonical class name for classes.
 * A model whose task is not resolved, or that nothing is known of (null), keeps what came.
 */
export function normaliseLabel(spec: ModelSpec | null, told: Told): NormalisedLabel {
  const label = typeof told === "object" ? told.className : told;
  if (typeof label === "number" && !Number.isFinite(label)) {
    return { ok: false, message: `the label ${shown(label)} is not a finite number` };
  }
  if (spec === null || spec.task === "auto") return { ok: true, value: label };
  if (spec.task === "regression") {
    const value = typeof told === "object" ? null : numberOf(told);
    if (value !== null) return { ok: true, value };
    return {
      ok: false,
      message: `${spec.name} is a regression model: the label ${shown(label)} is no number`,
    };
  }
  const name = canonicalClass(label);
  if (name === "") return { ok: false, message: "the label is an empty string" };
  if (spec.task === "binary" && spec.classes !== null && !spec.classes.includes(name)) {
    const known = spec.classes.map(shown).join(", ");
    return { ok: false, message: `the label ${shown(label)} is no class of ${spec.name} (${known})` };
  }
  return { ok: true, value: name };
}

function isScore(spec: ModelSpec, score: number): boolean {
  return Number.isFinite(score) && (spec.scoreKind === "margin" || (score >= 0 && score <= 1));
}

const refused = (reason: string): PredictionVerdict => ({ ok: false, reason });

/** Whether the prediction can ever be measured under `spec`; `reason` is a stable word. */
export function checkPrediction(spec: ModelSpec, prediction: Prediction): PredictionVerdict {
  const { value, score, scores } = prediction;
  if (score !== null && !isScore(spec, score)) return refused("score_out_of_range");
  if (scores !== null && !Object.values(scores).every((each) => isScore(spec, each))) {
    return refused("score_out_of_range");
  }
  if (typeof value === "number" && !Number.isFinite(value)) return refused("not_finite");
  switch (spec.task) {
    case "regression":
      return typeof value === "number" ? FINE : refused("not_a_number");
    case "binary":
      if (value === null) return score === null ? refused("no_prediction") : FINE;
      if (spec.classes === null || spec.classes.includes(canonicalClass(value))) return FINE;
      return refused("unknown_class");
    case "multiclass":
      return value === null || value === "" ? refused("no_prediction") : FINE;
    case "auto":
      return value === null && score === null && scores === null ? refused("no_prediction") : FINE;
    default: {
      const never: never = spec.task;
      return never;
    }
  }
}
