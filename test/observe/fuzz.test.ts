// Bodies of every kind that is read, broken at will: the reading is never a fault of ours, never without bounds, and stays what it was.

import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import type { Exchange } from "../../src/facts/exchange.ts";
import { FAILURE_REASONS } from "../../src/observe/extractor.ts";
import { fuzzRun, heapBytes } from "../support/fuzz.ts";
import { mutated, mutations } from "../support/mutations.ts";
import { recordings } from "../support/recordings.ts";
import { answer, binary, rigOf, ruleOf, specOf } from "./kit.ts";

const SERVERS = [
  "mlserver",
  "kserve",
  "triton",
  "mlflow-scoring",
  "bentoml",
  "litserve",
  "ray-serve",
  "torchserve",
  "fastapi",
  "llama-cpp",
  "litellm",
];
const recorded: readonly Exchange[] = SERVERS.flatMap((server) => [...recordings(server).values()]);

const rigs = [
  rigOf(),
  rigOf([binary("m")], [ruleOf("m")]),
  rigOf([specOf("m", { task: "regression" })], [ruleOf("m", { extract: { reader: "oip-v2" } })]),
  rigOf(
    [specOf("m", { task: "multiclass" })],
    [ruleOf("m", { extract: { reader: "openai", version: "$.a.b[0]" } })],
  ),
];

const CODINGS: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  identity: (bytes) => bytes,
  gzip: (bytes) => gzipSync(bytes),
  deflate: (bytes) => deflateSync(bytes),
  br: (bytes) => brotliCompressSync(bytes),
  zstd: (bytes) => zstdCompressSync(bytes),
};

/** A recorded exchange whose bodies were broken, before or after they were compressed. */
const broken = fc
  .record({
    exchange: fc.constantFrom(...recorded),
    coding: fc.constantFrom(...Object.keys(CODINGS)),
    before: mutations,
    after: fc.option(mutations, { nil: [] }),
    kept: fc.constantFrom<Exchange["response"]["kept"]>("whole", "whole", "truncated"),
    jsonBytes: fc.option(fc.nat(400), { nil: null }),
    marks: fc.array(fc.double(), { maxLength: 10 }),
  })
  .map(({ exchange, coding, before, after, kept, jsonBytes, marks }): Exchange => {
    const make = CODINGS[coding] ?? ((bytes: Buffer) => bytes);
    const bytes = mutated(make(mutated(Buffer.from(exchange.response.bytes), before)), after);
    const lines = [
      ...(coding === "identity" ? [] : ["content-encoding", coding]),
      ...(jsonBytes === null ? [] : ["inference-header-content-length", String(jsonBytes)]),
    ];
    const response = {
      bytes,
      total: bytes.length,
      kept,
      marks: marks.slice(0, marks.length & ~1),
      tail: bytes.subarray(-50),
    };
    return {
      ...exchange,
      responseHeaders: [...exchange.responseHeaders, ...lines],
      requestHeaders: [...exchange.requestHeaders, ...lines],
      response,
      request: { ...response, bytes: mutated(Buffer.from(exchange.request.bytes), after) },
    };
  });

function assertSound(exchange: Exchange, which: number): void {
  const before = [Buffer.from(exchange.response.bytes), Buffer.from(exchange.request.bytes)];
  const reading = (rigs[which] ?? rigOf()).read(exchange);
  assert.ok(
    before[0]?.equals(exchange.response.bytes) && before[1]?.equals(exchange.request.bytes),
    "bytes are only read",
  );
  assert.notEqual(reading.failure?.reason, "internal", reading.failure?.detail ?? "");
  if (reading.failure !== null) assert.ok(FAILURE_REASONS.includes(reading.failure.reason));
  assert.ok(reading.predictions.length <= 10_000 && reading.aliases.length <= 8);
  assert.match(reading.model, /^[A-Za-z0-9_.:/@+-]{0,128}$/);
  for (const { value, score } of reading.predictions) {
    assert.ok(typeof value !== "number" || Number.isFinite(value));
    assert.ok(score === null || Number.isFinite(score));
  }
  const {
    firstTokenMs = null,
    perTokenMs = null,
    inputTokens = null,
    outputTokens = null,
    events = null,
  } = reading.generation ?? {};
  for (const figure of [firstTokenMs, perTokenMs, inputTokens, outputTokens, events]) {
    assert.ok(
      figure === null || (Number.isFinite(figure) && figure >= 0),
      JSON.stringify(reading.generation),
    );
  }
}

test("recorded bodies, broken: the reading stays sound, and the bytes are only read", async (t) => {
  const { seed, numRuns } = fuzzRun(t, 600);
  const before = heapBytes();
  fc.assert(
    fc.property(broken, fc.nat(rigs.length - 1), (exchange, which) => assertSound(exchange, which)),
    { seed, numRuns, endOnFailure: true },
  );
  // What unpacked the compressed ones is let go when the turn of the loop is over.
  await new Promise((resolve) => setImmediate(resolve));
  const after = heapBytes();
  if (before !== null && after !== null)
    assert.ok(after - before < 16 * 1024 * 1024, `grew by ${after - before} bytes`);
});

test("a recorded body reads the same before and after hundreds of broken ones", (t) => {
  const { seed } = fuzzRun(t, 1);
  const rig = rigOf();
  const whole = recorded.map((exchange) => JSON.stringify(rig.extractor.read(exchange).generation));
  fc.assert(
    fc.property(broken, (exchange) => {
      rig.extractor.read(exchange);
    }),
    { seed, numRuns: 300 },
  );
  assert.deepEqual(
    recorded.map((exchange) => JSON.stringify(rig.extractor.read(exchange).generation)),
    whole,
  );
  assert.equal(rig.extractor.read(answer([1])).kind, "predictions");
});
