// The events of a generating model's stream put together to the answer it would have given in one piece.

import type { StreamEvent } from "./events.ts";
import { isList, isObject, own } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { operationOf } from "./openai.ts";
import { parseJsonText } from "./parse-json.ts";
import type { Operation } from "./rules.ts";

const CHOICES_MAX = 128;

/** Where choices carry what a model generated besides text that is shown: thoughts, refusals, calls of tools. */
const HIDDEN = ["reasoning_content", "reasoning", "refusal"];
/** Kept from whichever event says them first: LitServe gives every chunk another id. */
const FIRST_SAID = ["id", "model", "system_fingerprint", "model_name", "model_version"];

const isText = (value: unknown): value is string => typeof value === "string" && value !== "";

export class Assembly {
  readonly #texts = new Map<number, string>();
  readonly #said: Record<string, unknown> = Object.create(null);
  #shape: "choices" | "response" | "text_output" | null = null;
  #object: unknown = null;
  /** Bytes of the body up to the end of the first event with a token; null: none came. */
  firstTokenEnd: number | null = null;
  /** Events that held a token. */
  tokenEvents = 0;
  /** The stream said itself that it is complete. */
  finished = false;

  /** Adds one event. `text`: "left-out" when events before it are missing, so that what it adds is no whole. */
  add(event: StreamEvent, text: "kept" | "left-out"): void {
    if (event.data === "[DONE]") {
      this.finished = true;
      return;
    }
    const json = event.data.startsWith("{") ? parseJsonText(event.data) : undefined;
    if (!isObject(json)) return;
    const parts = this.#partsOf(json);
    if (parts === null) return;
    if (text === "left-out") return;
    if (parts.token) {
      this.tokenEvents++;
      this.firstTokenEnd ??= event.end;
    }
    for (const [index, piece] of parts.texts) {
      if (this.#texts.size < CHOICES_MAX || this.#texts.has(index)) {
        this.#texts.set(index, (this.#texts.get(index) ?? "") + piece);
      }
    }
  }

  #partsOf(json: JsonObject): Parts | null {
    const choices = own(json, "choices");
    if (isList(choices)) return this.#choices(json, choices);
    const type = own(json, "type");
    if (typeof type === "string" && type.startsWith("response.")) return this.#response(json, type);
    const text = own(json, "text_output");
    if (typeof text !== "string") return null;
    this.#shape ??= "text_output";
    this.#remember(json);
    return { token: text !== "", texts: [[0, text]] };
  }

  #choices(json: JsonObject, choices: readonly unknown[]): Parts {
    this.#shape ??= "choices";
    this.#object ??= own(json, "object");
    this.#remember(json);
    const texts: [number, string][] = [];
    let token = false;
    for (const choice of choices) {
      if (!isObject(choice)) continue;
      if (isText(own(choice, "finish_reason"))) this.finished = true;
      const delta = own(choice, "delta");
      const holder = isObject(delta) ? delta : choice;
      const text = own(holder, isObject(delta) ? "content" : "text");
      const index = own(choice, "index");
      if (typeof text === "string") texts.push([typeof index === "number" ? index : 0, text]);
      const calls = own(holder, "tool_calls");
      token ||= isText(text) || HIDDEN.some((name) => isText(own(holder, name)));
      token ||= (isList(calls) && calls.length > 0) || isObject(own(holder, "function_call"));
    }
    return { token, texts };
  }

  #response(json: JsonObject, type: string): Parts {
    this.#shape ??= "response";
    const whole = own(json, "response");
    if (isObject(whole)) this.#remember(whole);
    if (type === "response.completed" || type === "response.incomplete") this.finished = true;
    const delta = type.endsWith(".delta") ? own(json, "delta") : undefined;
    const shown = type === "response.output_text.delta" && typeof delta === "string";
    return { token: isText(delta), texts: shown ? [[0, delta]] : [] };
  }

  #remember(json: JsonObject): void {
    for (const name of FIRST_SAID) {
      const value = own(json, name);
      if (value !== undefined && value !== null) this.#said[name] ??= value;
    }
    const usage = own(json, "usage");
    // The last event tells the whole.
    if (isObject(usage)) this.#said["usage"] = usage;
  }

  /** `gen_ai.operation.name`; null: no event was of a known shape. */
  get operation(): Operation | null {
    if (this.#shape === null) return null;
    if (this.#shape === "text_output") return "text_completion";
    return operationOf({ object: this.#object }) ?? "chat";
  }

  /** The answer in one piece; null: no event was of a known shape. */
  answer(): JsonObject | null {
    if (this.#shape === null) return null;
    const texts = [...this.#texts].sort(([a], [b]) => a - b);
    if (this.#shape === "text_output") return { ...this.#said, text_output: texts[0]?.[1] ?? "" };
    const completion = this.operation === "text_completion";
    const choices = texts.map(([index, text]) =>
      completion ? { index, text } : { index, message: { role: "assistant", content: text } },
    );
    const nothing = { index: 0, message: { role: "assistant", content: null } };
    const object = completion ? "text_completion" : "chat.completion";
    return { ...this.#said, object, choices: choices.length === 0 ? [nothing] : choices };
  }

  /** Triton and MLServer end their streams without a word. */
  get endsSilently(): boolean {
    return this.#shape === "text_output";
  }
}

interface Parts {
  readonly token: boolean;
  readonly texts: readonly (readonly [number, string])[];
}
