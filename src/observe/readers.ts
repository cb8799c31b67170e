// From an answer's JSON to rows: by the configured reader, or by the one that its shape calls for.

import type { JsonPath } from "../kernel/jsonpath.ts";
import { readPath } from "../kernel/jsonpath.ts";
import { firstOwn, isList, isObject, numberList, own } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { readOip } from "./oip.ts";
import type { OipRule } from "./oip.ts";
import { operationOf, readOpenAi } from "./openai.ts";
import {
  NOTHING,
  SCORES_NAMES,
  SCORE_NAMES,
  VALUE_NAMES,
  isSurelyPrediction,
  rowOf,
  saidScores,
} from "./row.ts";
import type { ElementRule, Row } from "./row.ts";
import type { FailureReason, ReaderName } from "./rules.ts";
import { ROWS_MAX } from "./tensor.ts";
import type { BinaryTail } from "./tensor.ts";

export interface ReadRule {
  readonly reader: ReaderName | null;
  readonly at: JsonPath | null;
  readonly element: ElementRule;
  readonly oip: OipRule;
}

export interface Answer {
  readonly json: unknown;
  /** Bytes behind the JSON head (Inference-Header-Content-Length). */
  readonly tail: BinaryTail | null;
}

type Rows = readonly Row[] | FailureReason;

const ROWS_NAMES: readonly string[] = ["results", "result", "output", "outputs"];
const ALL_SCORES: readonly string[] = [...SCORES_NAMES, ...SCORE_NAMES];

/** outputs + (model_name or a tensor's shape), or Triton's generate. */
function looksLikeOip(body: JsonObject): boolean {
  const outputs = own(body, "outputs");
  if (isList(outputs)) {
    const first = outputs[0];
    return isObject(first) && (typeof own(body, "model_name") === "string" || Object.hasOwn(first, "shape"));
  }
  return typeof own(body, "text_output") === "string";
}

/** Text made by a generating model, in OpenAI's shapes. */
function isGenerated(json: JsonObject): boolean {
  const operation = operationOf(json);
  return operation !== null && operation !== "embeddings";
}

/** Whether the rows of `json` are free text, as far as no rule says what to read. */
export function isFreeText(json: unknown, rule: ReadRule): boolean {
  if (isConfigured(rule.element) || !isObject(json)) return false;
  return rule.reader === "openai" || isGenerated(json) || typeof own(json, "text_output") === "string";
}

/** The reader that the shape of `json` calls for, or null. */
export function pickReader(json: unknown): ReaderName | null {
  if (isList(json)) return "rows";
  if (!isObject(json)) return null;
  if (looksLikeOip(json)) return "oip-v2";
  if (isGenerated(json)) return "openai";
  if (Object.hasOwn(json, "predictions")) return "predictions";
  if (ROWS_NAMES.some((name) => isList(own(json, name)))) return "rows";
  const named = firstOwn(json, VALUE_NAMES) ?? firstOwn(json, ALL_SCORES);
  return named === undefined ? null : "object";
}

/** Whether `json` is a prediction beyond doubt, so that a path that says nothing of predictions does not matter. */
export function isSure(json: unknown): boolean {
  if (isObject(json)) {
    if (looksLikeOip(json) || isGenerated(json)) return true;
    if (isList(own(json, "predictions"))) return true;
    if (isSurelyPrediction(json)) return true;
  }
  const rows = isList(json) ? json : arrayIn(json);
  const first = rows?.[0];
  return isObject(first) && isSurelyPrediction(first);
}

function arrayIn(json: unknown): readonly unknown[] | null {
  if (!isObject(json)) return null;
  for (const name of ROWS_NAMES) {
    const found = own(json, name);
    if (isList(found)) return found;
  }
  return null;
}

function elementsToRows(elements: readonly unknown[], rule: ElementRule): Rows {
  if (elements.length > ROWS_MAX) return "too_many_rows";
  return elements.length === 0 ? "no_prediction" : elements.map((element) => rowOf(element, rule));
}

/** Rows whose scores stand in a list of their own beside the values: {predictions: [...], probabilities: [...]}. */
function zipped(body: JsonObject, values: readonly unknown[], rule: ElementRule): Rows {
  const rows = elementsToRows(values, rule);
  const scores = firstOwn(body, ALL_SCORES);
  if (typeof rows === "string" || !isList(scores)) return rows;
  if (scores.length !== rows.length) {
    // One row of scores beside one value is an element in itself, however long it is.
    return rows.length === 1 ? [withList(rows[0] ?? NOTHING, scores)] : "row_count";
  }
  return rows.map((row, at) => withList(row, scores[at]));
}

function withList(row: Row, raw: unknown): Row {
  const said = saidScores(raw);
  return {
    ...row,
    score: said.score ?? row.score,
    list: said.list ?? row.list,
    listKind: said.list === null ? row.listKind : "said",
    named: said.named ?? row.named,
  };
}

/** Where the rule says what to read, nothing else is read. */
export function isConfigured(rule: ElementRule): boolean {
  return rule.prediction !== null || rule.score !== null || rule.scores !== null;
}

function readPredictions(json: unknown, rule: ElementRule): Rows {
  const found = isObject(json) ? own(json, "predictions") : undefined;
  if (!isObject(json) || found === undefined || found === null) return "no_prediction";
  if (isList(found)) return isConfigured(rule) ? elementsToRows(found, rule) : zipped(json, found, rule);
  if (isObject(found)) return readObject(found, rule);
  return [rowOf(found, rule)];
}

function readRows(json: unknown, at: JsonPath | null, rule: ElementRule): Rows {
  const found = at === null ? json : readPath(json, at);
  const elements = isList(found) ? found : at === null ? arrayIn(json) : null;
  if (elements === null) return "no_prediction";
  return elementsToRows(elements, rule);
}

/** A list that is several rows, not one row's probabilities: of texts, of 0 and 1, or one that does not sum to 1. */
function columnOf(raw: unknown, rule: ElementRule): readonly unknown[] | null {
  if (!isList(raw) || raw.length < 2) return null;
  const numbers = numberList(raw);
  if (numbers === null) return raw.every((member) => !isList(member)) ? raw : null;
  if (numbers.every((number) => Number.isInteger(number))) return raw;
  return rowOf(numbers, rule).listKind === "sums" ? null : raw;
}

function isEmpty(row: Row): boolean {
  return row.value === null && row.score === null && row.list === null && row.named === null;
}

function readObject(json: unknown, rule: ElementRule): Rows {
  if (!isObject(json)) return "no_prediction";
  if (isConfigured(rule)) {
    const row = rowOf(json, rule);
    return isEmpty(row) ? "no_prediction" : [row];
  }
  const column = columnOf(firstOwn(json, VALUE_NAMES), rule);
  if (column !== null) return zipped(json, column, rule);
  const row = rowOf(json, rule);
  return isEmpty(row) && firstOwn(json, VALUE_NAMES) === undefined ? "no_prediction" : [row];
}

/** Rows of an answer, or why there are none. `classes`: names by index, where configured. */
export function readAnswer(answer: Answer, rule: ReadRule, classes: readonly string[] | null): Rows {
  const { json, tail } = answer;
  const fallback = isConfigured(rule.element) ? "object" : null;
  const reader = rule.reader ?? (rule.at === null ? (pickReader(json) ?? fallback) : "rows");
  switch (reader) {
    case "oip-v2":
      return isObject(json) ? readOip(json, { tail, classes }, rule.oip) : "no_prediction";
    case "predictions":
      return readPredictions(json, rule.element);
    case "rows":
      return readRows(json, rule.at, rule.element);
    case "openai":
      if (isConfigured(rule.element)) return readObject(json, rule.element);
      return isObject(json) ? readOpenAi(json) : "no_prediction";
    case "object":
      return readObject(json, rule.element);
    case null:
      return "no_prediction";
    default:
      return reader satisfies never;
  }
}
