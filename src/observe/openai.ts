// Reader of OpenAI's shapes (llama.cpp, vLLM, LiteLLM, LitServe, KServe, ...): chat completions, completions, responses, embeddings.

import type { ModelSpec } from "../facts/model.ts";
import { fitFor } from "./fit.ts";
import type { Fit } from "./fit.ts";
import { isList, isObject, own } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { NOTHING, valueOf } from "./row.ts";
import type { Row } from "./row.ts";
import type { FailureReason, Operation } from "./rules.ts";

const CHOICES_MAX = 128;
const TOKENS_MAX = 1e9;

const OPERATIONS: ReadonlyMap<unknown, Operation> = new Map<unknown, Operation>([
  ["chat.completion", "chat"],
  ["chat.completion.chunk", "chat"],
  ["text_completion", "text_completion"],
  ["response", "chat"],
]);

/** What kind of generation `json` is the answer of, by its `object`; null: none of OpenAI's shapes. */
export function operationOf(json: unknown): Operation | null {
  if (!isObject(json)) return null;
  const object = own(json, "object");
  if (object === undefined) return null;
  const found = OPERATIONS.get(object);
  if (found !== undefined) return found;
  const data = own(json, "data");
  const first = isList(data) ? data[0] : undefined;
  return object === "list" && isObject(first) && own(first, "object") === "embedding" ? "embeddings" : null;
}

/** `usage`, in either spelling. Tokens; null: not said. */
export function usageOf(json: unknown): { readonly input: number | null; readonly output: number | null } {
  const usage = isObject(json) ? own(json, "usage") : undefined;
  if (!isObject(usage)) return { input: null, output: null };
  const count = (...names: string[]): number | null => {
    for (const name of names) {
      const value = own(usage, name);
      if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= TOKENS_MAX)
        return value;
    }
    return null;
  };
  return {
    input: count("prompt_tokens", "input_tokens"),
    output: count("completion_tokens", "output_tokens"),
  };
}

/** The text of one choice; null: it called tools, or refused. */
function textOfChoice(choice: unknown): unknown {
  if (!isObject(choice)) return null;
  const message = own(choice, "message");
  return isObject(message) ? own(message, "content") : own(choice, "text");
}

/** The text parts of a response's messages, joined. */
function textOfOutput(output: readonly unknown[]): string {
  let text = "";
  for (const item of output) {
    const content = isObject(item) ? own(item, "content") : undefined;
    for (const part of isList(content) ? content : []) {
      const said = isObject(part) && own(part, "type") === "output_text" ? own(part, "text") : undefined;
      if (typeof said === "string") text += said;
    }
  }
  return text;
}

function textRow(text: unknown): Row {
  return { ...NOTHING, value: typeof text === "string" ? valueOf(text.trim()) : null };
}

/** One row per choice, its value the text without white space around it, when that is short enough to be a class. */
export function readOpenAi(body: JsonObject): readonly Row[] | FailureReason {
  const choices = own(body, "choices");
  if (isList(choices)) {
    if (choices.length > CHOICES_MAX) return "too_many_rows";
    return choices.length === 0 ? "no_prediction" : choices.map((choice) => textRow(textOfChoice(choice)));
  }
  const output = own(body, "output");
  return isList(output) ? [textRow(textOfOutput(output))] : "no_prediction";
}

const UNTOLD: Fit = () => ({ value: null, score: null, scores: null });
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/**
 * What generated text means. Where no task is configured nothing is kept of it: it may say anything about anybody, and
 * is no class that could be learnt; the prediction itself is recorded, so that labels find it.
 */
export function fitText(spec: ModelSpec | null, fixed: boolean, rows: readonly Row[]): Fit {
  if (spec === null || !fixed) return UNTOLD;
  const fit = fitFor(spec, fixed, rows);
  if (spec.task !== "regression") return fit;
  return (row) =>
    fit(typeof row.value === "string" && NUMBER.test(row.value) ? { ...row, value: Number(row.value) } : row);
}
