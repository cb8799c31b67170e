// OpenAI's own client streaming through the sidecar from a real LiteLLM proxy: the same answers as without it, and what is told of them.

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { postJson, sampleSum, startSidecar } from "../support/sidecar.ts";
import { run } from "./support/command.ts";
import { startLitellm } from "./support/litellm.ts";

const client = join(dirname(fileURLToPath(import.meta.url)), "python", "openai_client.py");
const ROUNDS = 5;

interface Told {
  readonly predictionId: string | null;
  readonly wholeId: string;
  readonly whole: string;
  readonly wholeTokens: number;
  readonly chunks: number;
  readonly text: string;
  readonly ids: readonly string[];
  readonly tokens: number;
  readonly promptTokens: number;
  readonly firstSeconds: number;
}

const sum = (all: readonly Told[], of: (one: Told) => number): number =>
  all.reduce((total, one) => total + of(one), 0);

test("chats through the sidecar are those without it, with tokens, first tokens and labels told", async () => {
  const litellm = await startLitellm({ after });
  const sidecar = await startSidecar({ upstream: litellm.url, args: ["--set", "telemetry.genai=true"] });
  after(() => sidecar.stop());
  const chat = async (base: string, rounds = ROUNDS): Promise<readonly Told[]> => {
    const { stdout } = await run(litellm.python, [client, `${base}/v1`, String(rounds)], {
      withinMs: 300_000,
    });
    return JSON.parse(stdout) as Told[];
  };
  const direct = await chat(litellm.url);
  const through = await chat(sidecar.traffic);
  const said = (all: readonly Told[]): unknown =>
    all.map(({ whole, text, chunks, tokens, promptTokens, ids }) => [
      whole,
      text,
      chunks,
      tokens,
      promptTokens,
      ids.length,
    ]);
  assert.deepEqual(said(through), said(direct));
  assert.equal(through[0]?.text, "This is a mock response streamed by the LiteLLM proxy.");
  assert.deepEqual(
    direct.map(({ predictionId }) => predictionId),
    direct.map(() => null),
  );
  for (const { predictionId } of through) assert.match(predictionId ?? "", /^[0-9a-f-]{36}$/);

  const predictions = { model: "mock-gpt" };
  await sidecar.metricIs("outrider_predictions_total", 2 * ROUNDS, predictions);
  const text = await sidecar.metrics();
  const metric = (name: string, labels: Record<string, string> = {}): number => sampleSum(text, name, labels);
  const output = sum(through, (one) => one.tokens + one.wholeTokens);
  assert.equal(metric("outrider_tokens_total", { direction: "output" }), output);
  const route = { http_route: "/v1/chat/completions" };
  assert.equal(metric("outrider_time_to_first_token_seconds_count", route), ROUNDS);
  const chats = { gen_ai_operation_name: "chat", gen_ai_response_model: "mock-gpt" };
  assert.equal(metric("gen_ai_server_time_to_first_token_seconds_count", chats), ROUNDS);
  // The client's clock starts before ours and stops after it.
  const firsts = metric("outrider_time_to_first_token_seconds_sum");
  const seen = sum(through, (one) => one.firstSeconds);
  assert.ok(firsts > 0 && firsts <= seen, `${firsts} s, the client's ${seen} s`);

  // A stream that is left half way may have been sent whole before the client was gone: then it is one more.
  await chat(sidecar.traffic, 0);
  await sidecar.metricIs("outrider_exchanges_recorded_total", 2 * ROUNDS + 1);
  await sidecar.metricIs("http_server_request_duration_seconds_count", 2 * ROUNDS + 1, route);
  const left = await sidecar.metrics();
  for (const [before, name, labels] of [
    [2 * ROUNDS, "outrider_predictions_total", predictions],
    [ROUNDS, "outrider_time_to_first_token_seconds_count", route],
  ] as const) {
    const more = sampleSum(left, name, labels) - before;
    assert.ok(more === 0 || more === 1, `${more} more of ${name}`);
  }

  const labels = through
    .flatMap(({ wholeId, ids }) => [wholeId, ...ids])
    .map((id) => ({ id, label: "good" }));
  const answer = await postJson(`${sidecar.api}/v1/labels`, labels);
  assert.equal(answer.body["joined"], 2 * ROUNDS, JSON.stringify(answer.body));
});
