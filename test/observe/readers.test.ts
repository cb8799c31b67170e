// Shapes of answers and configured rules: which value, which score, which scores.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ModelSpec } from "../../src/facts/model.ts";
import type { ModelRule } from "../../src/observe/extractor.ts";
import { answer, binary, rigOf, ruleOf, said, specOf } from "./kit.ts";

interface Case {
  readonly body: unknown;
  readonly rows?: readonly unknown[];
  readonly reason?: string;
}

function check(cases: readonly Case[], spec: ModelSpec | null = null, rule: ModelRule | null = null): void {
  for (const { body, rows = [], reason = null } of cases) {
    const rig = rigOf(spec === null ? [] : [spec], rule === null ? [] : [rule]);
    const reading = rig.extractor.read(answer(body));
    const shown = JSON.stringify(body);
    assert.deepEqual(said(reading), rows, shown);
    assert.equal(reading.failure?.reason ?? null, reason, shown);
    assert.equal(reading.kind, rows.length > 0 ? "predictions" : "unreadable", shown);
  }
}

const churn = (extract: Partial<ModelRule["extract"]> = {}): ModelRule =>
  ruleOf("churn", { match: { path: "/predict" }, extract });

test("without configuration the shape decides", () => {
  check([
    {
      body: { predictions: [[3.5], [4]] },
      rows: [
        [3.5, null, null],
        [4, null, null],
      ],
    },
    { body: { predictions: 3 }, rows: [[3, null, null]] },
    { body: { predictions: "spam" }, rows: [["spam", null, null]] },
    { body: { predictions: { label: "a", probability: 0.25 } }, rows: [["a", 0.25, null]] },
    {
      body: { predictions: [true, false] },
      rows: [
        [1, null, null],
        [0, null, null],
      ],
    },
    {
      body: {
        predictions: [1, 0],
        probabilities: [
          [0.1, 0.9],
          [0.8, 0.2],
        ],
      },
      rows: [
        [1, 0.9, null],
        [0, 0.2, null],
      ],
    },
    {
      body: { prediction: [1, 0], probability: [0.9, 0.2] },
      rows: [
        [1, 0.9, null],
        [0, 0.2, null],
      ],
    },
    { body: { prediction: [0.25, 0.75] }, rows: [[null, 0.75, null]] },
    {
      body: { prediction: { class: "b", scores: { a: 0.2, b: 0.8 } } },
      rows: [["b", null, { a: 0.2, b: 0.8 }]],
    },
    { body: [[0.2, 0.3, 0.5]], rows: [["2", null, { 0: 0.2, 1: 0.3, 2: 0.5 }]] },
    {
      body: [
        [
          { label: "x", score: 0.9 },
          { label: "y", score: 0.1 },
        ],
      ],
      rows: [["x", null, { x: 0.9, y: 0.1 }]],
    },
    { body: { results: [{ label: 0, confidence: 0.75 }] }, rows: [[0, 0.25, null]] },
    { body: { score: 710 }, rows: [[710, null, null]] },
    { body: { output: "yes" }, rows: [["yes", null, null]] },
    { body: { probabilities: { "0": 0.25, "1": 0.75 } }, rows: [[null, 0.75, null]] },
    { body: [[1.5, 2.5]], reason: "unsupported" },
    { body: { predictions: [] }, reason: "no_prediction" },
    { body: { predictions: [1, 0], probabilities: [0.5] }, reason: "row_count" },
    { body: { error: "model not loaded" }, reason: "no_prediction" },
    { body: '{"predictions": [NaN, 1.5]}', rows: [[1.5, null, null]], reason: "invalid_value" },
    { body: '{"predictions": [1e999]}', reason: "invalid_value" },
    { body: "\ufeff[2.5]", rows: [[2.5, null, null]] },
    { body: "<html>", reason: "not_json" },
    { body: '{"predictions": [0.5', reason: "not_json" },
    { body: "", reason: "no_prediction" },
    { body: "x".repeat(600), reason: "not_json" },
    { body: ["x".repeat(600)], reason: "invalid_value" },
  ]);
});

test("open inference protocol: the prediction's output is chosen by name, the tensor cut by shape", () => {
  const oip = (...outputs: unknown[]): unknown => ({ model_name: "default", outputs });
  check([
    {
      body: oip(
        { name: "embedding", shape: [2, 3], datatype: "FP32", data: [1, 2, 3, 4, 5, 6] },
        { name: "label", shape: [2], datatype: "BYTES", data: ["a", "b"] },
      ),
      rows: [
        ["a", null, null],
        ["b", null, null],
      ],
    },
    {
      body: oip({ name: "probs", shape: [1, 3], datatype: "FP32", data: [[0.1, 0.2, 0.7]] }),
      rows: [["2", null, { 0: 0.1, 1: 0.2, 2: 0.7 }]],
    },
    {
      body: oip({ name: "out", shape: [2, 1], datatype: "FP64", data: [[1.5], [2.5]] }),
      rows: [
        [1.5, null, null],
        [2.5, null, null],
      ],
    },
    {
      body: oip({ name: "probs", shape: [1, 2], datatype: "BYTES", data: ["0.75:1:dog", "0.25:0:cat"] }),
      rows: [["dog", null, { dog: 0.75, cat: 0.25 }]],
    },
    { body: oip({ name: "predict", shape: [3], datatype: "FP32", data: [1, 2] }), reason: "row_count" },
    { body: oip({ name: "predict", shape: [10_001], datatype: "FP32", data: [1] }), reason: "too_many_rows" },
    { body: oip({ name: "predict", shape: [-1], datatype: "FP32", data: [1] }), reason: "row_count" },
    { body: oip({ name: "predict", shape: ["2"], datatype: "FP32", data: [1] }), reason: "row_count" },
    { body: oip({ name: "predict" }), reason: "no_prediction" },
    {
      body: oip(
        { name: "predict", shape: [2], datatype: "INT64", data: [1, 0] },
        { name: "proba", shape: [1, 2], datatype: "FP32", data: [0.5, 0.5] },
      ),
      reason: "row_count",
    },
  ]);
});

test("a configured binary model: scores by position of its positive class, classes checked", () => {
  const spec = binary("churn", { classes: ["stay", "go"], positive: "stay" });
  check(
    [
      { body: [["go"]], rows: [["go", null, null]] },
      { body: [[0.25, 0.75]], rows: [[null, 0.25, null]] },
      { body: { label: "go", confidence: 0.75 }, rows: [["go", 0.25, null]] },
      { body: { label: "go", scores: { stay: 0.25, go: 0.75 } }, rows: [["go", 0.25, null]] },
      { body: { label: "maybe", score: 0.5 }, reason: "invalid_value" },
      { body: { label: "go", score: 1.5 }, reason: "invalid_value" },
      { body: { label: "go", score: 1.0000001 }, rows: [["go", 1, null]] },
      { body: { output: 0.3 }, rows: [[null, 0.3, null]] },
      { body: [0.3, 1.3], rows: [[null, 0.3, null]], reason: "invalid_value" },
    ],
    spec,
    churn(),
  );
  const margin = binary("churn", { scoreKind: "margin", threshold: 0 });
  check(
    [
      {
        body: [-3.5, 1, 0.25],
        rows: [
          [null, -3.5, null],
          [null, 1, null],
          [null, 0.25, null],
        ],
      },
    ],
    margin,
    churn(),
  );
});

test("a configured multiclass model: scores by class, the greatest decides where nothing else does", () => {
  const spec = specOf("churn", { task: "multiclass", classes: ["a", "b", "c"] });
  check(
    [
      { body: [[0.2, 0.5, 0.3]], rows: [["b", null, { a: 0.2, b: 0.5, c: 0.3 }]] },
      {
        body: { label: "c", probabilities: [0.2, 0.5, 0.3] },
        rows: [["c", null, { a: 0.2, b: 0.5, c: 0.3 }]],
      },
      { body: { label: "d" }, rows: [["d", null, null]] },
      { body: [[2, 3, 4]], reason: "invalid_value" },
      { body: [0.5], reason: "invalid_value" },
    ],
    spec,
    churn(),
  );
  const logits = specOf("churn", { task: "multiclass", classes: ["a", "b", "c"], scoreKind: "margin" });
  check([{ body: [[2, -3, 4]], rows: [["c", null, null]] }], logits, churn());
});

test("a configured regression model: numbers are values, also 0, 1 and what is called a score", () => {
  check(
    [
      {
        body: [0, 1, 2.5],
        rows: [
          [0, null, null],
          [1, null, null],
          [2.5, null, null],
        ],
      },
      { body: { score: 0.5 }, rows: [[0.5, null, null]] },
      { body: "[1767655200000000001]", rows: [[1_767_655_200_000_000_000, null, null]] },
      { body: [[0.25, 0.75]], reason: "unsupported" },
      { body: ["4"], reason: "invalid_value" },
    ],
    specOf("churn", { task: "regression" }),
    churn(),
  );
});

test("the sum-to-1 rule can be switched off", () => {
  check([{ body: [[0.25, 0.75]], reason: "unsupported" }], null, churn({ sumToOne: false }));
});

test("configured names and paths are what is read", () => {
  const body = { data: { rows: [{ y: { hat: 4.5 }, label: "ignored" }, { y: { hat: 5.5 } }] } };
  const rule = churn({ reader: "rows", at: "$.data.rows", prediction: "$.y.hat" });
  check(
    [
      {
        body,
        rows: [
          [4.5, null, null],
          [5.5, null, null],
        ],
      },
    ],
    null,
    rule,
  );
  const element = churn({ score: "$" });
  check(
    [
      {
        body: { predictions: [1, 0] },
        rows: [
          [null, 1, null],
          [null, 0, null],
        ],
      },
    ],
    binary("churn"),
    element,
  );
  const deep = churn({ prediction: "$.answer.class", scores: "$.answer.p" });
  check(
    [
      { body: { answer: { class: "b", p: { a: 0.5, b: 0.5 } } }, rows: [["b", null, { a: 0.5, b: 0.5 }]] },
      { body: { answer: {} }, reason: "no_prediction" },
    ],
    null,
    deep,
  );
  const named = churn({ reader: "oip-v2", prediction: "y", score: "p" });
  const outputs = [
    { name: "x", shape: [1], datatype: "FP32", data: [9] },
    { name: "p", shape: [1], datatype: "FP32", data: [0.5] },
    { name: "y", shape: [1], datatype: "INT32", data: [1] },
  ];
  check([{ body: { outputs }, rows: [[1, 0.5, null]] }], binary("churn"), named);
});

test("classes of a configured model name the indices of the classification extension", () => {
  const body = {
    model_name: "default",
    outputs: [{ name: "probs", shape: [1, 2], datatype: "BYTES", data: ["0.75:2", "0.2:0"] }],
  };
  const spec = specOf("churn", { task: "multiclass", classes: ["a", "b", "c"] });
  check([{ body, rows: [["c", null, { c: 0.75, a: 0.2 }]] }], spec, churn());
});
