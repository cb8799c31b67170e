// Answers made to hurt: nothing throws, nothing takes long, nothing leaks into prototypes.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Exchange } from "../../src/facts/exchange.ts";
import { FAILURE_REASONS } from "../../src/observe/extractor.ts";
import type { Reading } from "../../src/observe/extractor.ts";
import { answer, binary, bytesOf, rigOf, ruleOf, specOf } from "./kit.ts";

const V2 = "/v2/models/m/infer";

/** Holds for whatever was read. */
function assertSound(exchange: Exchange, reading: Reading): void {
  assert.notEqual(reading.failure?.reason, "internal", reading.failure?.detail ?? "");
  if (reading.failure !== null) {
    assert.ok(FAILURE_REASONS.includes(reading.failure.reason));
    assert.ok(reading.failure.detail.length <= 64);
  }
  assert.equal(reading.kind === "predictions", reading.predictions.length > 0);
  assert.ok(reading.aliases.length <= 8 && new Set(reading.aliases).size === reading.aliases.length);
  for (const alias of reading.aliases)
    assert.ok(alias.length >= 1 && alias.length <= 512 && alias !== exchange.id);
  assert.ok(/^[A-Za-z0-9_.:/@+-]{0,128}$/.test(reading.model) && /^[\w.:/@+-]{1,128}$/.test(reading.version));
  for (const { value, score, scores, id } of reading.predictions) {
    // Of text that a model generated nothing is kept where no task is configured.
    assert.ok(value !== null || score !== null || exchange.response.bytes.length > 0);
    assert.ok(typeof value !== "number" || Number.isFinite(value));
    assert.ok(score === null || Number.isFinite(score));
    assert.ok(id === exchange.id || /^:\d+$/.test(id.slice(exchange.id.length)));
    for (const p of Object.values(scores ?? {})) assert.ok(p >= 0 && p <= 1);
  }
}

function readSound(exchange: Exchange): Reading {
  const reading = rigOf().extractor.read(exchange);
  assertSound(exchange, reading);
  return reading;
}

test("deep nesting is refused, not followed", () => {
  for (const depth of [10, 1000, 30_000]) {
    const lists = "[".repeat(depth) + "1" + "]".repeat(depth);
    readSound(answer(lists));
    readSound(answer(`{"outputs":[{"name":"p","shape":[1],"data":${lists}}]}`, { target: V2 }));
    readSound(answer(`{"prediction":`.repeat(depth) + "1" + "}".repeat(depth)));
  }
});

test("keys of Object.prototype are keys like any other", () => {
  const reading = readSound(
    answer('{"prediction":"a","scores":{"__proto__":0.5,"constructor":0.5},"__proto__":{"id":"evil"}}'),
  );
  assert.deepEqual(Object.keys(reading.predictions[0]?.scores ?? {}), ["__proto__", "constructor"]);
  assert.deepEqual(reading.aliases, []);
  assert.equal(Reflect.get({}, "id"), undefined);
  assert.equal(readSound(answer('{"__proto__":{"prediction":1}}')).failure?.reason, "no_prediction");
  const named = readSound(answer('{"label":"__proto__","score":0.5,"model_name":"__proto__"}'));
  assert.deepEqual([named.model, named.predictions[0]?.value], ["__proto__", "__proto__"]);
  const slices = [{ name: "__proto__", header: "x-s", body: null, maxValues: 3 }];
  const rig = rigOf([], [ruleOf("m", { match: { path: "/predict" }, slices })]);
  const [first] = rig.extractor.read(answer([1], { requestHeaders: ["x-s", "v"] })).predictions;
  assert.deepEqual(Object.entries(first?.slice ?? {}), [["__proto__", "v"]]);
});

test("more rows than the cap are refused as a whole", () => {
  const rows = (count: number): string => `[${"1,".repeat(count - 1)}1]`;
  assert.equal(readSound(answer(rows(10_000))).predictions.length, 10_000);
  assert.equal(readSound(answer(rows(10_001))).failure?.reason, "too_many_rows");
  assert.equal(readSound(answer(rows(1_000_000))).failure?.reason, "too_many_rows");
  const tensor = `{"outputs":[{"name":"p","shape":[1000000],"data":${rows(1_000_000)}}]}`;
  assert.equal(readSound(answer(tensor, { target: V2 })).failure?.reason, "too_many_rows");
});

test("invalid UTF-8, lone surrogates, duplicate keys and lying lengths are survived", () => {
  readSound(answer(Buffer.from([0x5b, 0x22, 0xff, 0xfe, 0x22, 0x5d])));
  readSound(answer('["\\ud800"]'));
  assert.equal(readSound(answer('{"prediction":1.5,"prediction":2.5}')).predictions[0]?.value, 2.5);
  for (const length of ["0", "5", "999999999", "-1", "1e3", "x"]) {
    readSound(answer({ outputs: [] }, { target: V2, headers: ["Inference-Header-Content-Length", length] }));
  }
  for (const size of [-1, 0, 7, 1e9, "8", null]) {
    const json = JSON.stringify({
      outputs: [{ name: "p", shape: [1], datatype: "BYTES", parameters: { binary_data_size: size } }],
    });
    const body = Buffer.concat([Buffer.from(json), Buffer.from([255, 255, 255, 255, 1, 2])]);
    readSound(
      answer(body, { target: V2, headers: ["Inference-Header-Content-Length", String(json.length)] }),
    );
  }
});

test("a body of escaped quotes does not take quadratic time", () => {
  // That would be many minutes.
  const began = performance.now();
  readSound(answer(`{"NaN": "${'\\"'.repeat(200_000)}`));
  readSound(answer(`[${'"'.repeat(200_001)} NaN`));
  assert.ok(performance.now() - began < 30_000);
});

test("many paths, models and slice values leave bounded traces", () => {
  const slices = [{ name: "s", header: "x-s", body: null, maxValues: 5 }];
  const rig = rigOf([], [ruleOf("ruled", { match: { path: "/r" }, slices })]);
  const routes = new Set<string>();
  const models = new Set<string>();
  const seen = new Set<string>();
  for (let i = 0; i < 2000; i++) {
    const reading = rig.read(answer({ prediction: 1, model_name: `m${i}` }, { target: `/a-${i}-b/c` }));
    routes.add(reading.route);
    models.add(reading.model);
    const [first] = rig.read(answer([1], { target: "/r", requestHeaders: ["x-s", `v${i}`] })).predictions;
    seen.add(first?.slice?.["s"] ?? "");
  }
  assert.ok(routes.size <= 51 && models.size <= 21 && seen.size === 6);
});

const specs = [
  specOf("m", { task: "regression" }),
  binary("m"),
  binary("m", { scoreKind: "margin" }),
  specOf("m", { task: "multiclass", classes: ["a", "b"] }),
  specOf("m", { task: "multiclass" }),
  specOf("m"),
];
const paths = [
  "/predict",
  V2,
  "/v1/models/m:predict",
  "/x",
  "/",
  "*",
  "http://h/predict",
  "/v2/models/%E0%A4%A/infer",
];
const tokens = fc.constantFrom(
  "outputs",
  "predictions",
  "label",
  "score",
  "scores",
  "data",
  "shape",
  "name",
  "model",
  "id",
  "output",
  "__proto__",
);
const json = fc.letrec((tie) => ({
  node: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom<unknown>(null, true, 0, 1, 2, 0.5, -1, 1e308, "a", "", "0.5:1", "x".repeat(600)),
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(tokens, tie("node"), { maxKeys: 5, noNullPrototype: true }),
  ),
})).node;

test("whatever JSON comes, the reading is sound for every task", () => {
  const rigs = specs.map((spec) => rigOf([spec], [ruleOf("m")]));
  fc.assert(
    fc.property(json, fc.constantFrom(...paths), fc.nat(5), (body, target, which) => {
      const exchange = answer(body, { target, asked: body });
      const reading = rigs[which]?.extractor.read(exchange);
      if (reading !== undefined) assertSound(exchange, reading);
    }),
    { numRuns: 1500 },
  );
});

test("whatever bytes come, nothing throws", () => {
  const rig = rigOf(specs.slice(0, 1), [
    ruleOf("m", { slices: [{ name: "s", header: null, body: "$.a[0]", maxValues: 3 }] }),
  ]);
  const header = fc.constantFrom(
    "content-encoding",
    "Content-Type",
    "inference-header-content-length",
    "ce-id",
    "x-model-version",
  );
  const headers = fc
    .array(fc.tuple(header, fc.oneof(fc.string(), fc.constantFrom("gzip", "br", "deflate", "zstd", "12"))), {
      maxLength: 4,
    })
    .map((pairs) => pairs.flat());
  const kept = fc.constantFrom<Exchange["response"]["kept"]>("whole", "whole", "whole", "truncated", "shed");
  fc.assert(
    fc.property(
      fc.record({
        body: fc.uint8Array({ maxLength: 200 }),
        asked: fc.uint8Array({ maxLength: 100 }),
        target: fc.oneof(fc.constantFrom(...paths), fc.webPath(), fc.string()),
        method: fc.constantFrom("POST", "GET", "PUT", "BREW"),
        status: fc.constantFrom(200, 201, 206, 404, 500, null),
        headers,
        kept,
      }),
      ({ body, asked, kept: how, headers: responseHeaders, ...rest }) => {
        const exchange = answer(null, {
          ...rest,
          responseHeaders,
          requestHeaders: responseHeaders,
          request: { ...bytesOf(""), bytes: asked },
          response: { bytes: body, total: body.length, kept: how },
        });
        assertSound(exchange, rig.extractor.read(exchange));
      },
    ),
    { numRuns: 1500 },
  );
});
