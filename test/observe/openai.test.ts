// Generated text in OpenAI's shapes, in one piece and streamed: what is recorded of it, and when its tokens came.

import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, constants, createGzip } from "node:zlib";
import type { Exchange } from "../../src/facts/exchange.ts";
import { MARKS_MAX } from "../../src/facts/exchange.ts";
import { answer, binary, bytesOf, rigOf, ruleOf, said, specOf } from "./kit.ts";

const CHAT = "/v1/chat/completions";
const SSE = ["content-type", "text/event-stream; charset=utf-8"];
const clocks: Exchange["clocks"] = {
  requestEndMs: 10,
  headMs: 20,
  firstByteMs: 30,
  lastByteMs: 130,
  endMs: 131,
  longestGapMs: 40,
};

const chunk = (delta: unknown, more: object = {}): object => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  model: "tiny",
  system_fingerprint: "fp_1",
  choices: [{ index: 0, delta, finish_reason: null }],
  ...more,
});
const event = (json: unknown): string => `data: ${JSON.stringify(json)}\n\n`;
const ROLE = event(chunk({ role: "assistant", content: null }));
const token = (content: string): string => event(chunk({ content }));
const USAGE = event(chunk({}, { choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } }));
const DONE = "data: [DONE]\n\n";

/** A stream as it arrived: chunk k came at 30 + 10 k ms. */
function stream(pieces: readonly (string | Buffer)[], over: Partial<Exchange["response"]> = {}): Exchange {
  const parts = pieces.map((piece) => Buffer.from(piece));
  const marks: number[] = [];
  let at = 0;
  parts.forEach((part, k) => {
    if (k > 0) marks.push(at, 30 + 10 * k);
    at += part.length;
  });
  const response = { ...bytesOf(Buffer.concat(parts)), marks, ...over };
  return answer(null, { target: CHAT, headers: SSE, clocks, response });
}

test("a stream of several chunks gives one prediction, its tokens and their clocks", () => {
  const reading = rigOf().read(stream([ROLE, token("Hel"), token("lo"), token("!"), USAGE, DONE]));
  assert.equal(reading.kind, "predictions");
  assert.deepEqual([reading.model, reading.version, reading.route], ["tiny", "fp_1", CHAT]);
  assert.deepEqual(reading.aliases, ["chatcmpl-1"]);
  assert.deepEqual(said(reading), [[null, null, null]]);
  assert.deepEqual(reading.generation, {
    operation: "chat",
    requestModel: null,
    // The second chunk came at 40 ms, the request had ended at 10.
    firstTokenMs: 30,
    perTokenMs: 45,
    inputTokens: 7,
    outputTokens: 3,
    events: 6,
  });
});

test("events and characters that are cut anywhere are put together, whatever ends their lines", () => {
  const text = (ROLE + token("h\u00e9") + token("llo \u{1f600}") + USAGE + DONE).replaceAll("id: x", "");
  for (const ending of ["\n", "\r\n", "\r"]) {
    const bytes = Buffer.from(`: a comment${ending}id: 5${ending}${text.replaceAll("\n", ending)}`);
    for (const size of [1, 7, 64, 4096]) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
      const exchange = stream(pieces, pieces.length > MARKS_MAX ? { marks: [] } : {});
      const rig = rigOf([specOf("tiny", { task: "multiclass" })], [ruleOf("tiny")]);
      const reading = rig.read(exchange);
      assert.deepEqual(
        said(reading),
        [["h\u00e9llo \u{1f600}", null, null]],
        `${JSON.stringify(ending)} ${size}`,
      );
      assert.equal(reading.generation?.outputTokens, 3);
    }
  }
});

test("two events in one chunk, and a first event that is no token: the first token is the first text", () => {
  const { generation } = rigOf().read(stream([": ping\n\n", ROLE + token("a"), token("b"), DONE]));
  assert.deepEqual([generation?.firstTokenMs, generation?.events], [30, 4]);
  const thinking = event(chunk({ reasoning_content: "hm" }));
  assert.equal(rigOf().read(stream([ROLE, thinking, token("a"), DONE])).generation?.firstTokenMs, 30);
  const call = event(chunk({ tool_calls: [{ index: 0, function: { name: "f", arguments: "" } }] }));
  assert.equal(rigOf().read(stream([ROLE, call, DONE])).generation?.firstTokenMs, 30);
});

test("a compressed stream is timed by what each of its chunks unfolds to", async () => {
  const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH });
  const pieces: Buffer[] = [];
  gzip.on("data", (piece: Buffer) => pieces.push(piece));
  const marks: number[] = [];
  for (const [k, text] of [ROLE, token("one"), token("two"), USAGE + DONE].entries()) {
    if (k > 0) marks.push(Buffer.concat(pieces).length, 30 + 10 * k);
    await new Promise<void>((resolve) => gzip.write(text, () => gzip.flush(constants.Z_SYNC_FLUSH, resolve)));
  }
  await new Promise<void>((resolve) => gzip.on("end", resolve).end());
  const response = { ...bytesOf(Buffer.concat(pieces)), marks };
  const headers = [...SSE, "content-encoding", "gzip"];
  const reading = rigOf().read(answer(null, { target: CHAT, headers, clocks, response }));
  assert.deepEqual([reading.kind, reading.generation?.firstTokenMs], ["predictions", 30]);
  const cut = { ...response, bytes: response.bytes.subarray(0, marks[4]), kept: "truncated" as const };
  const head = rigOf().read(answer(null, { target: CHAT, headers, clocks, response: cut }));
  assert.deepEqual([head.kind, head.generation?.firstTokenMs], ["predictions", 30]);
  const broken = bytesOf(brotliCompressSync(Buffer.from(ROLE)));
  assert.equal(rigOf().read(answer(null, { target: CHAT, headers, response: broken })).generation, null);
});

test("of a stream longer than the copy the usage is read from its end, and its text is no class", () => {
  const long = stream([ROLE, token("yes"), token("no")], {
    kept: "truncated",
    total: 1e6,
    tail: Buffer.from(`nt":"cut"}}]}\n\n${token("x")}${USAGE}${DONE}`),
  });
  const reading = rigOf().read(long);
  const { firstTokenMs, inputTokens, outputTokens, events } = reading.generation ?? {};
  assert.deepEqual([firstTokenMs, inputTokens, outputTokens, events], [30, 7, 3, null]);
  assert.deepEqual(said(reading), [[null, null, null]]);
  const configured = rigOf([specOf("tiny", { task: "multiclass" })], [ruleOf("tiny")]).read(long);
  assert.deepEqual([configured.kind, configured.failure?.reason], ["unreadable", "truncated"]);
});

test("a stream that ends without its end is no answer of a configured model", () => {
  const rig = rigOf([specOf("tiny", { task: "multiclass" })], [ruleOf("tiny")]);
  assert.equal(rig.read(stream([ROLE, token("a")])).failure?.reason, "truncated");
  assert.equal(rig.read(stream([ROLE, token("a"), DONE])).failure, null);
});

test("a client that left in the middle leaves the first token's time, and no prediction", () => {
  const left = { ...stream([ROLE, token("a"), token("b")]), abortedBy: "client" as const };
  const reading = rigOf().read(left);
  assert.deepEqual([reading.kind, reading.generation?.firstTokenMs], ["none", 30]);
});

test("a client that leaves once the stream has said that it is whole leaves a prediction; a server that breaks off there does not", () => {
  const whole = stream([ROLE, token("a"), USAGE + DONE]);
  const reading = rigOf().read({ ...whole, abortedBy: "client" });
  assert.deepEqual([reading.kind, said(reading)], ["predictions", [[null, null, null]]]);
  assert.equal(rigOf().read({ ...whole, abortedBy: "upstream" }).kind, "none");
  const config = [[specOf("tiny", { task: "multiclass" })], [ruleOf("tiny")]] as const;
  assert.deepEqual(said(rigOf(...config).read({ ...whole, abortedBy: "client" })), [["a", null, null]]);
});

test("text is a class, or a number, where the task is configured; elsewhere nothing of it is kept", () => {
  const chat = (content: unknown): object => ({
    object: "chat.completion",
    model: "judge",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
  });
  const ask = (content: unknown, task: Parameters<typeof specOf>[1]) =>
    rigOf([specOf("judge", task)], [ruleOf("judge")]).read(answer(chat(content), { target: CHAT }));
  assert.deepEqual(said(ask(" spam\n", { task: "multiclass", classes: ["spam", "ham"] })), [
    ["spam", null, null],
  ]);
  assert.equal(
    ask("eggs", { task: "binary", classes: ["ham", "spam"], positive: "spam" }).failure?.reason,
    "invalid_value",
  );
  assert.deepEqual(said(ask(" -3.5e1 ", { task: "regression" })), [[-35, null, null]]);
  assert.equal(ask("about 3", { task: "regression" }).failure?.reason, "invalid_value");
  const rig = rigOf();
  assert.deepEqual(said(rig.read(answer(chat("anything"), { target: CHAT }))), [[null, null, null]]);
  assert.equal(rig.book.specOf("judge")?.task, "auto");
  const path = ruleOf("judge", { extract: { prediction: "$.choices[0].message.content" } });
  const spec = specOf("judge", { task: "multiclass" });
  assert.deepEqual(said(rigOf([spec], [path]).read(answer(chat("cat"), { target: CHAT }))), [
    ["cat", null, null],
  ]);
});

test("several choices are several predictions; responses, completions and embeddings are read too", () => {
  const rig = rigOf([binary("b", { classes: ["no", "yes"], positive: "yes" })], [ruleOf("b")]);
  const two = {
    object: "text_completion",
    model: "b",
    choices: [
      { index: 0, text: "yes" },
      { index: 1, text: " no" },
    ],
    usage: { prompt_tokens: 1, completion_tokens: 2 },
  };
  const reading = rig.read(answer(two, { target: "/v1/completions", asked: { model: "alias" } }));
  assert.deepEqual(said(reading), [
    ["yes", null, null],
    ["no", null, null],
  ]);
  assert.deepEqual(
    [reading.generation?.operation, reading.generation?.requestModel],
    ["text_completion", "alias"],
  );
  const output = [
    { type: "reasoning", content: [] },
    { type: "message", content: [{ type: "output_text", text: "yes" }] },
  ];
  const response = {
    id: "resp_1",
    object: "response",
    model: "b",
    output,
    usage: { input_tokens: 4, output_tokens: 5 },
  };
  const whole = rig.read(answer(response, { target: "/v1/responses" }));
  assert.deepEqual([said(whole), whole.generation?.inputTokens], [[["yes", null, null]], 4]);
  const again = rig.read(answer(response, { target: "/v1/responses/resp_1", method: "GET" }));
  assert.equal(again.kind, "none");
  const vectors = {
    object: "list",
    model: "e",
    data: [{ object: "embedding", embedding: [1] }],
    usage: { prompt_tokens: 9 },
  };
  const embedded = rigOf().read(answer(vectors, { target: "/v1/embeddings" }));
  assert.deepEqual([embedded.kind, embedded.model, embedded.generation?.inputTokens], ["none", "e", 9]);
});

test("the responses API streams its own kinds of events", () => {
  const made = (type: string, more: object): string => `event: ${type}\n${event({ type, ...more })}`;
  const head = { id: "resp_1", model: "tiny", object: "response" };
  const pieces = [
    made("response.created", { response: head }),
    made("response.output_text.delta", { delta: "ye" }),
    made("response.output_text.delta", { delta: "s" }),
    made("response.completed", { response: { ...head, usage: { input_tokens: 1, output_tokens: 2 } } }),
  ];
  const rig = rigOf([specOf("tiny", { task: "multiclass" })], [ruleOf("tiny")]);
  const reading = rig.read({ ...stream(pieces), target: "/v1/responses" });
  assert.deepEqual(said(reading), [["yes", null, null]]);
  assert.deepEqual([reading.generation?.firstTokenMs, reading.generation?.outputTokens], [30, 2]);
});

test("streams that nobody can read still tell how many events they had", () => {
  const lines = '{"a":1}\n{"a":2}\n';
  const untyped = rigOf().read(answer(lines, { target: "/stream", headers: [] }));
  assert.deepEqual([untyped.kind, untyped.generation?.events], ["none", 2]);
  const pretty = rigOf().read(answer('{\n  "prediction": 1\n}\n', { headers: [] }));
  assert.deepEqual([pretty.kind, pretty.generation], ["predictions", null]);
  const text = rigOf().read(answer("plain text", { target: "/stream", headers: SSE }));
  assert.equal(text.generation?.events, 0);
  assert.equal(rigOf().read(answer('{"prediction":1}', { headers: [] })).generation, null);
});

test("a chunk beyond those whose arrival is kept has no time", () => {
  const pieces = Array.from({ length: MARKS_MAX + 5 }, () => ": ping\n\n");
  const exchange = stream([...pieces, token("late"), DONE]);
  const marks = [...(exchange.response.marks ?? [])].slice(0, 2 * MARKS_MAX);
  marks[2 * MARKS_MAX - 1] = Number.NaN;
  const reading = rigOf().read({ ...exchange, response: { ...exchange.response, marks } });
  assert.equal(reading.generation?.firstTokenMs, null);
  assert.equal(reading.generation?.perTokenMs, null);
});
