// The element rule: what one element of an answer says, before it is known what the model's task is.

import type { Value } from "../facts/prediction.ts";
import type { JsonPath } from "../kernel/jsonpath.ts";
import { readPath } from "../kernel/jsonpath.ts";
import { firstOwn, isFiniteNumber, isList, isObject, numberList, own, unwrapped } from "./json.ts";
import type { JsonObject } from "./json.ts";

/** Longer texts are no class names; more classes than this are not kept as scores. */
const VALUE_CHARACTERS_MAX = 512;
export const SCORES_MAX = 1000;
const SUM_TOLERANCE = 1e-6;

/** One row as it was said. Everything null: nothing could be made of it. */
export interface Row {
  readonly value: Value | null;
  /** A score of the positive class. */
  readonly score: number | null;
  /** A score of the predicted class, whichever it is. */
  readonly confidence: number | null;
  /** Scores by position of the class. */
  readonly list: readonly number[] | null;
  /** "said": a name said they are scores; "sums": they sum to 1; "bare": just numbers. */
  readonly listKind: "said" | "sums" | "bare";
  /** Scores by name of the class; without prototype. */
  readonly named: Readonly<Record<string, number>> | null;
}

/** How elements are looked at: where configured, by path; else by the usual names. */
export interface ElementRule {
  readonly prediction: JsonPath | null;
  readonly score: JsonPath | null;
  readonly scores: JsonPath | null;
  readonly sumToOne: boolean;
}

export const NOTHING: Row = Object.freeze({
  value: null,
  score: null,
  confidence: null,
  list: null,
  listKind: "bare",
  named: null,
});

export const VALUE_NAMES: readonly string[] = [
  "prediction",
  "predicted",
  "predicted_label",
  "predicted_class",
  "predicted_value",
  "label",
  "class",
  "class_name",
  "class_id",
  "value",
  "output",
];
export const SCORE_NAMES: readonly string[] = ["score", "probability", "proba", "prob"];
export const SCORES_NAMES: readonly string[] = [
  "scores",
  "probabilities",
  "probas",
  "predict_proba",
  "class_probabilities",
];
const SURE_NAMES: readonly string[] = [
  "prediction",
  "predicted_label",
  "predicted_class",
  "predicted_value",
  "probability",
  "proba",
  "probabilities",
  "predict_proba",
];
const CLASS_NAMES: readonly string[] = ["label", "class", "class_name", "class_id"];
const BESIDE_CLASS: readonly string[] = ["score", "scores", "confidence"];

/** Whether the names in `object` leave no doubt, even on a path that says nothing of predictions. */
export function isSurelyPrediction(object: JsonObject): boolean {
  if (firstOwn(object, SURE_NAMES) !== undefined) return true;
  return firstOwn(object, CLASS_NAMES) !== undefined && firstOwn(object, BESIDE_CLASS) !== undefined;
}

/** A class or a number; booleans become 1 and 0; null when it is neither. */
export function valueOf(raw: unknown): Value | null {
  if (isFiniteNumber(raw)) return raw;
  if (typeof raw === "boolean") return raw ? 1 : 0;
  return typeof raw === "string" && raw !== "" && raw.length <= VALUE_CHARACTERS_MAX ? raw : null;
}

/** Probabilities, as far as one can see: two or more numbers in [0, 1] that sum to 1. */
export function sumsToOne(list: readonly number[]): boolean {
  if (list.length < 2) return false;
  let sum = 0;
  for (const number of list) {
    if (number < -SUM_TOLERANCE || number > 1 + SUM_TOLERANCE) return false;
    sum += number;
  }
  return Math.abs(sum - 1) <= SUM_TOLERANCE;
}

function namedScores(object: JsonObject): Readonly<Record<string, number>> | null {
  const names = Object.keys(object);
  if (names.length === 0 || names.length > SCORES_MAX) return null;
  const named: Record<string, number> = Object.create(null);
  for (const name of names) {
    const score = object[name];
    if (!isFiniteNumber(score) || name === "" || name.length > VALUE_CHARACTERS_MAX) return null;
    named[name] = score;
  }
  return named;
}

/** [{label, score}, ...]: every class of one row with its score. */
function labelledScores(list: readonly unknown[]): Readonly<Record<string, number>> | null {
  if (list.length === 0 || list.length > SCORES_MAX) return null;
  const named: Record<string, number> = Object.create(null);
  for (const member of list) {
    const label = isObject(member) ? own(member, "label") : undefined;
    const score = isObject(member) ? own(member, "score") : undefined;
    if (typeof label !== "string" || label.length > VALUE_CHARACTERS_MAX || !isFiniteNumber(score))
      return null;
    named[label] = score;
  }
  return named;
}

/** What stands under a name that means scores: one number, a list by position, or an object by class. */
export function saidScores(raw: unknown): Pick<Row, "score" | "list" | "named"> {
  const plain = unwrapped(raw);
  if (isFiniteNumber(plain)) return { score: plain, list: null, named: null };
  if (isObject(plain)) return { score: null, list: null, named: namedScores(plain) };
  const list = numberList(plain);
  if (list === null && isList(plain)) return { score: null, list: null, named: labelledScores(plain) };
  return { score: null, list, named: null };
}

function listRow(members: readonly unknown[], rule: ElementRule): Row {
  const list = numberList(members);
  if (list !== null) {
    return { ...NOTHING, list, listKind: rule.sumToOne && sumsToOne(list) ? "sums" : "bare" };
  }
  return { ...NOTHING, named: labelledScores(members) };
}

function withScores(row: Row, raw: unknown): Row {
  if (raw === undefined || raw === null) return row;
  const said = saidScores(raw);
  return {
    value: row.value,
    score: said.score ?? row.score,
    confidence: row.confidence,
    list: said.list ?? row.list,
    listKind: said.list === null ? row.listKind : "said",
    named: said.named ?? row.named,
  };
}

function configuredRow(element: unknown, rule: ElementRule): Row {
  let row = NOTHING;
  if (rule.prediction !== null) row = plainRow(readPath(element, rule.prediction), rule);
  if (rule.score !== null) row = withScores(row, readPath(element, rule.score));
  if (rule.scores !== null) row = withScores(row, readPath(element, rule.scores));
  return row;
}

function objectRow(object: JsonObject, rule: ElementRule, depth: number): Row {
  const said = firstOwn(object, VALUE_NAMES);
  let row = NOTHING;
  if (said !== undefined) {
    const inner = unwrapped(said);
    if (!isObject(inner)) row = plainRow(inner, rule);
    else if (depth < 2) row = objectRow(inner, rule, depth + 1);
  }
  row = withScores(row, firstOwn(object, SCORE_NAMES));
  row = withScores(row, firstOwn(object, SCORES_NAMES));
  const confidence = own(object, "confidence");
  return isFiniteNumber(confidence) ? { ...row, confidence } : row;
}

/** A scalar, or a list by the sum-to-1 rule. */
function plainRow(raw: unknown, rule: ElementRule): Row {
  const element = unwrapped(raw);
  if (isList(element)) return listRow(element, rule);
  return {
    value: valueOf(element),
    score: null,
    confidence: null,
    list: null,
    listKind: "bare",
    named: null,
  };
}

/** Reads one element: a scalar, [x], a list of scores, or an object with configured or usual names. */
export function rowOf(raw: unknown, rule: ElementRule): Row {
  const configured = rule.prediction !== null || rule.score !== null || rule.scores !== null;
  const element = unwrapped(raw);
  const whole = rule.score?.length === 0 || rule.prediction?.length === 0;
  if (configured && (isObject(element) || isList(element) || whole)) return configuredRow(element, rule);
  return isObject(element) ? objectRow(element, rule, 0) : plainRow(element, rule);
}
