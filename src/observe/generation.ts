// What an answer in one piece says of the work of the model that generated it.

import { isObject, own } from "./json.ts";
import { modelName } from "./names.ts";
import { operationOf, usageOf } from "./openai.ts";
import type { Generation } from "./rules.ts";

/** null: the answer is none of OpenAI's. */
export function generationOf(answer: unknown): Generation | null {
  const operation = operationOf(answer);
  if (operation === null) return null;
  const { input, output } = usageOf(answer);
  return {
    operation,
    requestModel: null,
    firstTokenMs: null,
    perTokenMs: null,
    inputTokens: input,
    outputTokens: output,
    events: null,
  };
}

/** `model` of a request; null when none is named. */
export function requestModelOf(request: unknown): string | null {
  return isObject(request) ? modelName(own(request, "model")) : null;
}
