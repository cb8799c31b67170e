// What a row means once the model's task is known: the value, the score of the positive class, the scores by class.

import type { ModelSpec } from "../facts/model.ts";
import type { Prediction, Value } from "../facts/prediction.ts";
import { canonicalClass } from "../kernel/classes.ts";
import { numberOf } from "../kernel/parse-exactly.ts";
import { SCORES_MAX } from "./row.ts";
import type { Row } from "./row.ts";
import type { FailureReason } from "./rules.ts";

export type Fitted = Pick<Prediction, "value" | "score" | "scores">;
export type Fit = (row: Row) => Fitted | FailureReason;
type Scores = Readonly<Record<string, number>>;

/** Sums of single-precision numbers overshoot by as much. */
const SLACK = 1e-6;
const BINARY: readonly string[] = ["0", "1"];

/** `score` within [0, 1], rounding noise cut off; null when it is no probability. */
function probability(score: number): number | null {
  if (!(score >= -SLACK && score <= 1 + SLACK)) return null;
  return Math.min(1, Math.max(0, score));
}

function isClass(value: Value, classes: readonly string[]): boolean {
  return classes.includes(canonicalClass(value));
}

/** Scores by class name: as they were named, or by position. */
function scoresByClass(row: Row, classes: readonly string[] | null): Scores | null {
  if (row.named !== null) return row.named;
  if (row.list === null || row.list.length > SCORES_MAX) return null;
  if (classes !== null && classes.length !== row.list.length) return null;
  const scores: Record<string, number> = Object.create(null);
  row.list.forEach((score, at) => {
    scores[classes?.[at] ?? String(at)] = score;
  });
  return scores;
}

/** All of them as probabilities, or null. */
function probabilities(scores: Scores): Scores | null {
  const checked: Record<string, number> = Object.create(null);
  for (const name of Object.keys(scores)) {
    const p = probability(scores[name] ?? Number.NaN);
    if (p === null) return null;
    checked[name] = p;
  }
  return checked;
}

/** The class with the greatest score; of equals the first. */
function argmax(scores: Scores): string | null {
  let best: string | null = null;
  for (const name of Object.keys(scores)) {
    if (best === null || (scores[name] ?? 0) > (scores[best] ?? 0)) best = name;
  }
  return best;
}

/** By position, so that a list of more classes than are kept as scores still has a winner. */
function winner(row: Row, classes: readonly string[] | null): string | null {
  if (row.named !== null) return argmax(row.named);
  if (row.list === null || (classes !== null && classes.length !== row.list.length)) return null;
  let best = 0;
  for (let at = 1; at < row.list.length; at++) {
    if ((row.list[at] ?? 0) > (row.list[best] ?? 0)) best = at;
  }
  return classes?.[best] ?? String(best);
}

function fitRegression(row: Row): Fitted | FailureReason {
  const said = row.value ?? row.score;
  const value = said === null ? null : numberOf(said);
  if (value !== null) return { value, score: null, scores: null };
  return said === null && row.list !== null ? "unsupported" : "invalid_value";
}

interface BinaryTask {
  readonly classes: readonly string[];
  readonly positive: string;
  readonly margin: boolean;
  /** Every lone number is a score, also one that reads like a class. */
  readonly numbersAreScores: boolean;
}

/** The score of the positive class, wherever it stands; null when there is none. */
function binaryScore(row: Row, task: BinaryTask): number | null {
  if (row.named !== null) return row.named[task.positive] ?? null;
  if (row.list !== null) {
    const at = task.classes.indexOf(task.positive);
    return row.list.length === task.classes.length ? (row.list[at] ?? null) : null;
  }
  if (row.score !== null) return row.score;
  if (row.confidence === null || row.value === null) return null;
  const other = task.margin ? -row.confidence : 1 - row.confidence;
  return canonicalClass(row.value) === task.positive ? row.confidence : other;
}

function isLone(row: Row): boolean {
  return row.score === null && row.list === null && row.named === null && row.confidence === null;
}

/** A lone number that is no class is a score (LitServe, Ray Serve); so are its neighbours in the same answer. */
function fitBinary(row: Row, task: BinaryTask): Fitted | FailureReason {
  const lone = typeof row.value === "number" && isLone(row);
  let value = row.value;
  let score = binaryScore(row, task);
  if (lone && task.numbersAreScores && typeof row.value === "number") {
    score = row.value;
    value = null;
  }
  if (value !== null && !isClass(value, task.classes)) return "invalid_value";
  if (score !== null && !task.margin) {
    score = probability(score);
    if (score === null) return "invalid_value";
  }
  return value === null && score === null ? "invalid_value" : { value, score, scores: null };
}

function fitMulticlass(row: Row, spec: ModelSpec, fixed: boolean): Fitted | FailureReason {
  const said = scoresByClass(row, spec.classes);
  const scores = said === null ? null : probabilities(said);
  if (said !== null && scores === null && spec.scoreKind === "probability") return "invalid_value";
  const value = row.value ?? winner(row, spec.classes);
  if (value === null) return row.list === null ? "invalid_value" : "unsupported";
  const known = spec.classes !== null && isClass(value, spec.classes);
  const fraction = typeof value === "number" && !Number.isInteger(value);
  // A fraction is a class only where somebody said so: by listing it, or by configuring an open set.
  if (fraction && !known && !(fixed && spec.classes === null)) return "invalid_value";
  // Learnt from class names: the score stays, for the day when the model is configured as binary.
  return { value, score: fixed ? null : row.score, scores };
}

/** The two scores of a binary answer, as the score of class "1". */
function pairScore(row: Row): number | null {
  if (row.list?.length === 2) return probability(row.list[1] ?? Number.NaN);
  if (row.named === null) return null;
  const names = Object.keys(row.named);
  return names.length === 2 && names.every((name) => BINARY.includes(name))
    ? probability(row.named["1"] ?? Number.NaN)
    : null;
}

/** Nothing is configured: what was said is kept so that the task can be learnt from it. */
function fitLoosely(row: Row): Fitted | FailureReason {
  if (row.list !== null && row.listKind === "bare" && row.value === null && row.score === null) {
    return "unsupported";
  }
  const value = row.value;
  const named = typeof value === "string" && !BINARY.includes(value);
  const pair = named ? null : pairScore(row);
  if (pair !== null) return { value, score: pair, scores: null };
  const said = named && row.named === null ? null : scoresByClass(row, null);
  const scores = said === null || row.list?.length === 1 ? null : probabilities(said);
  if (scores !== null) return { value: value ?? winner(row, null), score: null, scores };
  let score = row.score ?? (row.list?.length === 1 ? (row.list[0] ?? null) : null);
  if (score === null && row.confidence !== null && value !== null && !named) {
    score = canonicalClass(value) === "1" ? row.confidence : 1 - row.confidence;
  }
  if (value !== null) return { value, score, scores: null };
  // "score": 710 beside nothing else is a number that was predicted, not a probability.
  if (score !== null && probability(score) === null) return { value: score, score: null, scores: null };
  if (score !== null) return { value: null, score: probability(score), scores: null };
  const best = winner(row, null);
  return best === null ? "invalid_value" : { value: best, score: null, scores: null };
}

function hasScoreNumber(rows: readonly Row[], classes: readonly string[]): boolean {
  return rows.some((row) => typeof row.value === "number" && isLone(row) && !isClass(row.value, classes));
}

/** The rule for the rows of one answer. `fixed`: the task was configured, not learnt. */
export function fitFor(spec: ModelSpec | null, fixed: boolean, rows: readonly Row[]): Fit {
  if (spec === null || spec.task === "auto" || (spec.task === "binary" && !fixed)) return fitLoosely;
  if (spec.task === "regression") return fitRegression;
  if (spec.task === "multiclass") return (row) => fitMulticlass(row, spec, fixed);
  const classes = spec.classes ?? BINARY;
  const task: BinaryTask = {
    classes,
    positive: spec.positive ?? classes[1] ?? "1",
    margin: spec.scoreKind === "margin",
    numbersAreScores: hasScoreNumber(rows, classes),
  };
  return (row) => fitBinary(row, task);
}
