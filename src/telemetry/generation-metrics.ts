// Streams and generated text: when the first token came, how fast the others did, how many there were.

import { OVERFLOW_VALUE } from "../catalogue.ts";
import type { Reading } from "./exchange-metrics.ts";
import type { Recorder } from "./recorder.ts";

/** What was read of one answer; milliseconds. null: not said, or not known. */
export interface Generation {
  /** `gen_ai.operation.name`; null: a stream of some other kind. */
  readonly operation: string | null;
  readonly requestModel: string | null;
  readonly firstTokenMs: number | null;
  readonly perTokenMs: number | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly events: number | null;
}

export interface GenerationMetricsOptions {
  /** Whether gen_ai_server_* are recorded too. */
  readonly conventions: boolean;
}

export interface GenerationMetrics {
  observe(generation: Generation, reading: Reading): void;
}

/** OpenAI's API is all that is seen here; the conventions ask for the format's name where the provider is not known. */
const PROVIDER = "openai";
/** Names of models that clients asked for; further ones are `_OTHER`. */
const REQUEST_MODELS_MAX = 20;

class GenerationCounter implements GenerationMetrics {
  readonly #recorder: Recorder;
  readonly #conventions: boolean;
  readonly #requestModels = new Set<string>();

  constructor(recorder: Recorder, options: GenerationMetricsOptions) {
    this.#recorder = recorder;
    this.#conventions = options.conventions;
  }

  observe(generation: Generation, reading: Reading): void {
    const { firstTokenMs, perTokenMs, inputTokens, outputTokens, events } = generation;
    const { model, version, route } = reading;
    const recorder = this.#recorder;
    const place = { http_route: route, model, version };
    if (firstTokenMs !== null) {
      recorder.histogram("outrider_time_to_first_token_seconds").observe(place, firstTokenMs / 1000);
    }
    if (perTokenMs !== null) {
      recorder.histogram("outrider_time_per_output_token_seconds").observe(place, perTokenMs / 1000);
    }
    const tokens = recorder.counter("outrider_tokens_total");
    if (inputTokens !== null) tokens.inc({ model, version, direction: "input" }, inputTokens);
    if (outputTokens !== null) tokens.inc({ model, version, direction: "output" }, outputTokens);
    if (events !== null) recorder.counter("outrider_stream_events_total").inc({ model, version }, events);
    if (this.#conventions && generation.operation !== null) this.#observeByConvention(generation, model);
  }

  #observeByConvention(
    { operation, requestModel, firstTokenMs, perTokenMs }: Generation,
    model: string,
  ): void {
    const labels = {
      gen_ai_operation_name: operation ?? "",
      gen_ai_provider_name: PROVIDER,
      gen_ai_request_model: this.#requestModel(requestModel),
      gen_ai_response_model: model,
    };
    if (firstTokenMs !== null) {
      this.#recorder
        .histogram("gen_ai_server_time_to_first_token_seconds")
        .observe(labels, firstTokenMs / 1000);
    }
    if (perTokenMs !== null) {
      this.#recorder
        .histogram("gen_ai_server_time_per_output_token_seconds")
        .observe(labels, perTokenMs / 1000);
    }
  }

  /** Clients choose this name: it must not make series without end. */
  #requestModel(name: string | null): string {
    if (name === null || this.#requestModels.has(name)) return name ?? "";
    if (this.#requestModels.size >= REQUEST_MODELS_MAX) return OVERFLOW_VALUE;
    this.#requestModels.add(name);
    return name;
  }
}

export function createGenerationMetrics(
  recorder: Recorder,
  options: GenerationMetricsOptions,
): GenerationMetrics {
  return new GenerationCounter(recorder, options);
}
