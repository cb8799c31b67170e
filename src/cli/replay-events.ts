// The lines of a recorded stream, and the small configuration of a golden case, as facts (rules: test/golden/SEMANTICS.md).

import type { LabelEvent } from "../facts/label.ts";
import type { ModelSpec, Task } from "../facts/model.ts";
import type { Prediction, Value } from "../facts/prediction.ts";
import { canonicalClass } from "../kernel/classes.ts";
import { parseExactly } from "../kernel/parse-exactly.ts";
import { Problem, Problems } from "../kernel/problem.ts";
import { checkPrediction, normaliseLabel } from "../measure/semantics.ts";

const WINDOWS = ["1h", "24h", "7d", "all"];
/** Labels join however late they come: a case says itself what is in a window. */
const FOREVER_MS = 1000 * 365 * 86_400_000;
const ID_MAX = 512;

type Fields = Readonly<Record<string, unknown>>;

export type ReplayEvent =
  | { readonly kind: "prediction"; readonly at: number; readonly prediction: Prediction }
  | { readonly kind: "label"; readonly at: number; readonly label: LabelEvent }
  | { readonly kind: "query"; readonly at: number; readonly name: string }
  | { readonly kind: "restart"; readonly at: number }
  | { readonly kind: "refused"; readonly what: "prediction" | "label" | "event"; readonly reason: string };

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const isName = (value: unknown): value is string => {
  return typeof value === "string" && value !== "" && value.length <= ID_MAX;
};
const isTime = (value: unknown): value is number => Number.isSafeInteger(value);

/** A JSON scalar as a value: booleans become the classes 1 and 0. undefined: it is none. */
function scalar(value: unknown): Value | undefined {
  if (typeof value === "boolean") return canonicalClass(value);
  if (typeof value === "bigint") return value.toString();
  return typeof value === "string" || typeof value === "number" ? value : undefined;
}

/** What was predicted or turned out, as the task of the model has it. undefined: it is no such value. */
function valueOf({ task }: ModelSpec, value: unknown): Value | undefined {
  if (task !== "regression") return scalar(value);
  // A regression model that answers true has not answered with a number.
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : undefined;
}

function isTask(value: unknown): value is Task {
  return value === "regression" || value === "binary" || value === "multiclass";
}

function parseModel(name: string, model: unknown): ModelSpec | Problem {
  const path = `models.${name}`;
  if (!isFields(model)) return new Problem("invalid_case", "expected an object", path);
  const { task, classes, positive, threshold, score_kind: scoreKind } = model;
  if (!isTask(task)) return new Problem("invalid_case", "task is regression, binary or multiclass", path);
  const names = Array.isArray(classes) ? classes.map(scalar).filter((each) => each !== undefined) : null;
  const margin = scoreKind === "margin";
  const positiveClass = scalar(positive);
  if (task === "binary" && (names === null || positiveClass === undefined)) {
    return new Problem("invalid_case", "a binary model needs classes and positive", path);
  }
  return {
    name,
    task,
    classes: names?.map(canonicalClass) ?? null,
    positive: positiveClass === undefined ? null : canonicalClass(positiveClass),
    threshold: typeof threshold === "number" ? threshold : 0.5,
    scoreKind: margin ? "margin" : "probability",
    labelOffset: 0,
    minSamples: 1,
    maxClasses: 20,
    labelHorizonMs: FOREVER_MS,
    windows: WINDOWS,
  };
}

/** The models of a case file (`config.json` of a golden case). Throws `Problems` with all that is wrong. */
export function parseCase(text: string): Map<string, ModelSpec> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Problem("invalid_case", `not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const models = isFields(json) ? json["models"] : undefined;
  if (!isFields(models)) throw new Problem("invalid_case", "expected an object with the key models");
  const specs = new Map<string, ModelSpec>();
  const problems: Problem[] = [];
  for (const [name, model] of Object.entries(models)) {
    const spec = parseModel(name, model);
    if (spec instanceof Problem) problems.push(spec);
    else specs.set(name, spec);
  }
  if (problems.length > 0) throw new Problems(problems);
  return specs;
}

/** A value of a slice is a text, as it is live: true stays "true"; only classes have one spelling for it and 1. */
function parseSlice(slice: unknown): Prediction["slice"] {
  if (!isFields(slice)) return null;
  const values: [string, string][] = [];
  for (const [name, value] of Object.entries(slice)) {
    if (["string", "number", "boolean", "bigint"].includes(typeof value)) values.push([name, String(value)]);
  }
  return values.length === 0 ? null : Object.fromEntries(values);
}

/** Scores by class; undefined when one is no number. */
function parseScores(scores: unknown): Prediction["scores"] | undefined {
  if (scores === undefined || scores === null) return null;
  if (!isFields(scores)) return undefined;
  const known: [string, number][] = [];
  for (const [name, score] of Object.entries(scores)) {
    if (typeof score !== "number") return undefined;
    known.push([name, score]);
  }
  return Object.fromEntries(known);
}

type SpecOf = (model: string) => ModelSpec | null;

function parsePrediction(event: Fields, at: number, specOf: SpecOf): ReplayEvent {
  const refused = (reason: string): ReplayEvent => ({ kind: "refused", what: "prediction", reason });
  const { id, model, version, ts } = event;
  if (!isName(id) || !isName(model) || !isName(version)) return refused("missing_id");
  if (!isTime(ts)) return refused("missing_ts");
  const spec = specOf(model);
  if (spec === null) return refused("unknown_model");
  // What a task has no use for is not looked at either: "unknown fields may be ignored".
  const scores = spec.task === "regression" || spec.task === "binary" ? null : parseScores(event["scores"]);
  const score = spec.task === "regression" || spec.task === "multiclass" ? null : (event["score"] ?? null);
  const said = event["prediction"] ?? null;
  const value = said === null ? null : valueOf(spec, said);
  if (scores === undefined || value === undefined || (score !== null && typeof score !== "number")) {
    return refused("invalid_prediction");
  }
  const prediction = { model, version, id, ts, value, score, scores, slice: parseSlice(event["slice"]) };
  const verdict = checkPrediction(spec, prediction);
  return verdict.ok ? { kind: "prediction", at, prediction } : refused(verdict.reason);
}

function parseLabel(event: Fields, at: number, specOf: SpecOf): ReplayEvent {
  const refused = (reason: string): ReplayEvent => ({ kind: "refused", what: "label", reason });
  const { id, model, ts, label: told } = event;
  if (!isName(id) || !isName(model) || told === undefined) return refused("missing_field");
  const since = ts === undefined ? at : ts;
  if (!isTime(since)) return refused("invalid_ts");
  const spec = specOf(model);
  if (spec === null) return refused("unknown_model");
  if (told === null)
    return { kind: "label", at, label: { id, model, label: null, ts: since, receivedAt: at } };
  const value = valueOf(spec, told);
  if (value === undefined) return refused("invalid_label");
  const normal = normaliseLabel(spec, value);
  if (!normal.ok) return refused("invalid_label");
  return { kind: "label", at, label: { id, model, label: normal.value, ts: since, receivedAt: at } };
}

/** Python writes numbers that JSON does not have; nothing can be made of them, but the rest of their line holds. */
const NO_NUMBER = /(?<=[:,[]\s*)(?:NaN|-?Infinity)(?=\s*[,}\]])/g;

/** Integers that a number cannot hold keep their digits where they may be classes. */
const isValueKey = (key: string): boolean => key === "prediction" || key === "label";

/** undefined: no JSON. */
function parseLine(line: string): unknown {
  for (const text of [line, line.replace(NO_NUMBER, "{}")]) {
    try {
      return parseExactly(text, isValueKey, BigInt);
    } catch {
      // The second reading decides.
    }
  }
  return undefined;
}

/** One line of a recorded stream. What cannot be used is `refused`, never an error: the stream goes on. */
export function parseEvent(line: string, specOf: SpecOf): ReplayEvent {
  const refused = (reason: string): ReplayEvent => ({ kind: "refused", what: "event", reason });
  const event = parseLine(line);
  if (event === undefined) return refused("not_json");
  if (!isFields(event)) return refused("not_an_object");
  const { kind, at, name, ts } = event;
  const when = at ?? ts;
  if (!isTime(when)) return refused("missing_at");
  switch (kind) {
    case "prediction":
      return parsePrediction(event, when, specOf);
    case "label":
      return parseLabel(event, when, specOf);
    case "query":
      return { kind, at: when, name: typeof name === "string" ? name : "" };
    case "restart":
      return { kind, at: when };
    default:
      return refused("unknown_kind");
  }
}
