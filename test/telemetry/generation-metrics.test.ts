// Series of streams and generated text.

import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue } from "../../src/catalogue.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createGenerationMetrics, type Generation } from "../../src/telemetry/generation-metrics.ts";
import { createRecorder } from "../../src/telemetry/recorder.ts";
import { handClock } from "../support/hand-clock.ts";

const reading = { model: "tiny", version: "fp_1", route: "/v1/chat/completions" };
const generation: Generation = {
  operation: "chat",
  requestModel: "alias",
  firstTokenMs: 30,
  perTokenMs: 45,
  inputTokens: 7,
  outputTokens: 3,
  events: 6,
};

/** Series by family after `observed`: labels, and the value or the sum. */
async function told(conventions: boolean, observed: readonly Generation[]): Promise<Map<string, unknown[]>> {
  const recorder = createRecorder({
    catalogue,
    clock: handClock(),
    log: silentLog,
    runtimeMetrics: "leave-out",
  });
  const metrics = createGenerationMetrics(recorder, { conventions });
  for (const one of observed) metrics.observe(one, reading);
  const found = new Map<string, unknown[]>();
  for (const family of (await recorder.snapshot()).families) {
    if (!/token|stream_events/.test(family.descriptor.name)) continue;
    const series =
      family.kind === "histogram"
        ? family.series.map(({ labels, sum }) => [labels, sum])
        : family.series.map(({ labels, value }) => [labels, value]);
    if (series.length > 0) found.set(family.descriptor.name, series);
  }
  return found;
}

test("a stream tells its first token, its speed, its tokens and its events", async () => {
  const place = { http_route: reading.route, model: "tiny", version: "fp_1" };
  const { model, version } = reading;
  assert.deepEqual(
    [...(await told(false, [generation]))],
    [
      ["outrider_time_to_first_token_seconds", [[place, 0.03]]],
      ["outrider_time_per_output_token_seconds", [[place, 0.045]]],
      [
        "outrider_tokens_total",
        [
          [{ model, version, direction: "input" }, 7],
          [{ model, version, direction: "output" }, 3],
        ],
      ],
      ["outrider_stream_events_total", [[{ model, version }, 6]]],
    ],
  );
});

test("the conventions' names are told only when they are asked for, and not of other streams", async () => {
  const labels = {
    gen_ai_operation_name: "chat",
    gen_ai_provider_name: "openai",
    gen_ai_request_model: "alias",
    gen_ai_response_model: "tiny",
  };
  const found = await told(true, [generation, { ...generation, operation: null }]);
  assert.deepEqual(found.get("gen_ai_server_time_to_first_token_seconds"), [[labels, 0.03]]);
  assert.deepEqual(found.get("gen_ai_server_time_per_output_token_seconds"), [[labels, 0.045]]);
});

test("models that clients ask for are series for twenty of them, then _OTHER", async () => {
  const asked = Array.from({ length: 50 }, (_, at) => ({ ...generation, requestModel: `m${at}` }));
  const series = (await told(true, asked)).get("gen_ai_server_time_to_first_token_seconds") ?? [];
  assert.equal(series.length, 21);
});
