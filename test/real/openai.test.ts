// OpenAI's own client streaming through the sidecar from a real LiteLLM proxy: the same answers as without it, and what is told of them.

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { postJson, sampleSum, startSidecar, until } from "../support/sidecar.ts";
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
  const chat = async (base: string): Promise<readonly Told[]> => {
    const { stdout } = await run(litellm.python, [client, `${base}/v1`, String(ROUNDS)], {
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
  await sidecar.metricIs("outrider_exchanges_recorded_total", 2 * ROUNDS + 1);
  // The stream that was left half way may have been sent whole before the client was gone: then it is one more.
  const predicted = async (): Promise<number> =>
    await sidecar.metric("outrider_predictions_total", predictions);
  await until(async () => (await predicted()) >= 2 * ROUNDS);
  const text = await sidecar.metrics();
  const whole = sampleSum(text, "outrider_predictions_total", predictions) - 2 * ROUNDS;
  assert.ok(whole === 0 || whole === 1, `${whole} more predictions`);
  const metric = (name: string, labels: Record<string, string> = {}): number => sampleSum(text, name, labels);
  const output = sum(through, (one) => one.tokens + one.wholeTokens);
  const tokens = metric("outrider_tokens_total", { direction: "output" });
  assert.ok(tokens === output || (whole === 1 && tokens > output), `${tokens} tokens, not ${output}`);
  // The stream that was left half way counts its first token too.
  const streams = metric("outrider_time_to_first_token_seconds_count", {
    http_route: "/v1/chat/completions",
  });
  assert.ok(streams === ROUNDS || streams === ROUNDS + 1, `${streams} first tokens`);
  const told = metric("gen_ai_server_time_to_first_token_seconds_count", {
    gen_ai_operation_name: "chat",
    gen_ai_response_model: "mock-gpt",
  });
  assert.equal(told, streams);
  // The client's clock starts before ours and stops after it.
  const mean = metric("outrider_time_to_first_token_seconds_sum") / streams;
  const seen = Math.max(...through.map((one) => one.firstSeconds));
  assert.ok(mean > 0 && mean <= seen, `${mean} s, the client's longest ${seen} s`);

  const labels = through
    .flatMap(({ wholeId, ids }) => [wholeId, ...ids])
    .map((id) => ({ id, label: "good" }));
  const answer = await postJson(`${sidecar.api}/v1/labels`, labels);
  assert.equal(answer.body["joined"], 2 * ROUNDS, JSON.stringify(answer.body));
});
