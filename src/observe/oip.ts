// Reader of the Open Inference Protocol v2 (MLServer, Triton, KServe): `outputs`, each a tensor; or `text_output`.

import { isList, numberList, own } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { NOTHING, SCORES_MAX, rowOf, valueOf } from "./row.ts";
import type { ElementRule, Row } from "./row.ts";
import type { FailureReason } from "./rules.ts";
import { TensorReader } from "./tensor.ts";
import type { BinaryTail, Tensor } from "./tensor.ts";

export interface OipRule {
  /** Names of outputs; null: chosen by name. */
  readonly prediction: string | null;
  readonly scores: string | null;
  readonly sumToOne: boolean;
}

/** What comes with one answer. */
export interface OipParts {
  /** The bytes behind the JSON head, or null. */
  readonly tail: BinaryTail | null;
  /** Names for the indices of the classification extension. */
  readonly classes: readonly string[] | null;
}

const SAYS_CLASS = /label|predict|class/i;
const SAYS_SCORE = /prob|score/i;
/** Classification extension: "score:index" or "score:index:label". */
const RANKED = /^(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?):(\d{1,9})(?::(.{1,512}))?$/is;
const OUTPUTS_MAX = 256;
const VALUES_PLAIN: ElementRule = { prediction: null, score: null, scores: null, sumToOne: true };

/** Positions of the output with the prediction and the one with its scores; -1: there is none. */
function choose(names: readonly string[], rule: OipRule): { value: number; scores: number } {
  let value = -1;
  let scores = -1;
  if (rule.prediction !== null) value = names.indexOf(rule.prediction);
  if (rule.scores !== null) scores = names.indexOf(rule.scores);
  const configured = rule.prediction !== null || rule.scores !== null;
  if (configured) return { value, scores };
  const isScore = names.map((name) => SAYS_SCORE.test(name));
  value = names.findIndex((name, at) => isScore[at] === false && SAYS_CLASS.test(name));
  if (value < 0) value = isScore.indexOf(false);
  return { value, scores: isScore.indexOf(true) };
}

/** A row of the classification extension; null when the texts are something else. */
function rankedRow(cells: readonly unknown[], classes: readonly string[] | null): Row | null {
  if (cells.length > SCORES_MAX) return null;
  const named: Record<string, number> = Object.create(null);
  for (const cell of cells) {
    const match = typeof cell === "string" ? RANKED.exec(cell) : null;
    if (match === null) return null;
    const index = match[2] ?? "";
    named[match[3] ?? classes?.[Number(index)] ?? String(Number(index))] = Number(match[1]);
  }
  return { ...NOTHING, named };
}

function cellsOf(tensor: Tensor, row: number): readonly unknown[] {
  return tensor.data.slice(row * tensor.width, (row + 1) * tensor.width);
}

interface Place {
  readonly row: number;
  readonly sumToOne: boolean;
  readonly classes: readonly string[] | null;
}

function valueRow(tensor: Tensor, place: Place): Row {
  const { row, sumToOne, classes } = place;
  if (tensor.width === 1 && tensor.datatype !== "BYTES") {
    return { ...NOTHING, value: valueOf(tensor.data[row]) };
  }
  const cells = cellsOf(tensor, row);
  const ranked = tensor.datatype === "BYTES" ? rankedRow(cells, classes) : null;
  return ranked ?? rowOf(cells, { ...VALUES_PLAIN, sumToOne });
}

function withScores(row: Row, tensor: Tensor, place: Place): Row {
  const cells = cellsOf(tensor, place.row);
  const ranked = tensor.datatype === "BYTES" ? rankedRow(cells, place.classes) : null;
  if (ranked !== null) return { ...row, named: ranked.named };
  const list = numberList(cells);
  // A score that is no number spoils its row: what remains would be a different statement.
  if (list === null) return NOTHING;
  if (list.length === 1) return { ...row, score: list[0] ?? null };
  return { ...row, list, listKind: "said" };
}

/** Rows of `outputs`, or of `text_output`. */
export function readOip(body: JsonObject, parts: OipParts, rule: OipRule): readonly Row[] | FailureReason {
  const outputs = own(body, "outputs");
  if (!isList(outputs)) {
    const text = valueOf(own(body, "text_output"));
    return text === null ? "no_prediction" : [{ ...NOTHING, value: text }];
  }
  if (outputs.length === 0) return "no_prediction";
  if (outputs.length > OUTPUTS_MAX) return "unsupported";
  const reader = new TensorReader(outputs, parts.tail);
  const chosen = choose(
    outputs.map((_, at) => reader.nameAt(at)),
    rule,
  );
  if (chosen.value < 0 && chosen.scores < 0) return "no_prediction";
  const values = chosen.value < 0 ? null : reader.read(chosen.value);
  if (typeof values === "string") return values;
  const scores = chosen.scores < 0 ? null : reader.read(chosen.scores);
  if (typeof scores === "string") return scores;
  if (values !== null && scores !== null && values.rows !== scores.rows) return "row_count";
  const count = values?.rows ?? scores?.rows ?? 0;
  const rows: Row[] = [];
  for (let at = 0; at < count; at++) {
    const place = { row: at, sumToOne: rule.sumToOne, classes: parts.classes };
    const row = values === null ? NOTHING : valueRow(values, place);
    rows.push(scores === null ? row : withScores(row, scores, place));
  }
  return rows;
}
