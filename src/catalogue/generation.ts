// Families about streamed answers and generated text, whatever made them.

import type { Descriptor } from "./descriptor.ts";

/** Bounds of the conventions for generative AI (semantic-conventions-genai), in seconds. */
const FIRST_TOKEN_SECONDS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];
const PER_TOKEN_SECONDS = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
/** Tokens of small models come faster than the conventions' first bound. */
const FAST_TOKEN_SECONDS = [0.0005, 0.001, 0.0025, 0.005, ...PER_TOKEN_SECONDS];
const GEN_AI = [
  "gen_ai_operation_name",
  "gen_ai_provider_name",
  "gen_ai_request_model",
  "gen_ai_response_model",
];

export const generationFamilies: readonly Descriptor[] = [
  {
    name: "outrider_time_to_first_token_seconds",
    otel: { name: "outrider.time_to_first_token", unit: "s" },
    type: "histogram",
    labels: ["http_route", "model", "version"],
    help: "Streamed text: time from the end of the request to the arrival of the first token.",
    buckets: FIRST_TOKEN_SECONDS,
  },
  {
    name: "outrider_time_per_output_token_seconds",
    otel: { name: "outrider.time_per_output_token", unit: "s" },
    type: "histogram",
    labels: ["http_route", "model", "version"],
    help: "Streamed text: time per token after the first, one observation per stream. Its inverse is tokens per second.",
    buckets: FAST_TOKEN_SECONDS,
  },
  {
    name: "outrider_tokens_total",
    otel: { name: "outrider.tokens", unit: "{token}" },
    type: "counter",
    labels: ["model", "version", "direction"],
    help: "Tokens by the usage that answers report: input and output.",
  },
  {
    name: "outrider_stream_events_total",
    otel: { name: "outrider.stream.events", unit: "{event}" },
    type: "counter",
    labels: ["model", "version"],
    help: "Events of streamed answers (server-sent events or JSON lines) that were copied whole.",
  },
  {
    name: "gen_ai_server_time_to_first_token_seconds",
    otel: { name: "gen_ai.server.time_to_first_token", unit: "s" },
    type: "histogram",
    labels: GEN_AI,
    help: "Time to generate first token for successful responses. Opt-in: telemetry.genai.",
    buckets: FIRST_TOKEN_SECONDS,
  },
  {
    name: "gen_ai_server_time_per_output_token_seconds",
    otel: { name: "gen_ai.server.time_per_output_token", unit: "s" },
    type: "histogram",
    labels: GEN_AI,
    help: "Time per output token generated after the first token for successful responses. Opt-in: telemetry.genai.",
    buckets: PER_TOKEN_SECONDS,
  },
];
