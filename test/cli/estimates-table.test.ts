// The table of estimates and nowcasts that `outrider quality` shows beside the realised figures.

import assert from "node:assert/strict";
import { test } from "node:test";
import { estimatesTable } from "../../src/cli/estimates-table.ts";
import { parseEstimates } from "../../src/cli/parse-estimates.ts";

const ESTIMATE = {
  model: "credit",
  version: "2",
  window: "24h",
  estimated: {
    accuracy: { value: 0.91234, lower: 0.9, upper: 0.92 },
    f1_macro: { value: 0.5, lower: null, upper: null },
  },
  errors: { accuracy: { estimated: 0.91, realised: 0.9 } },
  nowcast: {
    expected_labels: 40,
    metrics: { accuracy: { value: 0.89, lower: 0.88, upper: 0.9 } },
    errors: { accuracy: { estimated: 0.88, realised: 0.9 } },
  },
};

test("one line a metric: nowcast and estimate with their bounds, each with how far off it was", () => {
  const lines = estimatesTable(parseEstimates({ estimates: [ESTIMATE] }))
    .trimEnd()
    .split("\n")
    .map((line) => line.split(/ {2,}/).map((cell) => cell.trim()));
  assert.deepEqual(lines[0], [
    "model",
    "version",
    "window",
    "metric",
    "when all labels are in",
    "was off by",
    "estimated",
    "was off by",
  ]);
  assert.deepEqual(lines.slice(-2), [
    [
      "credit",
      "2",
      "24h",
      "accuracy",
      "0.8900 [0.8800, 0.9000]",
      "-0.020",
      "0.9123 [0.9000, 0.9200]",
      "0.010",
    ],
    ["credit", "2", "24h", "f1_macro", "-", "-", "0.5000", "-"],
  ]);
});

test("nothing is shown of nothing, of another shape, or of what an older sidecar answers", () => {
  for (const answer of [
    null,
    [],
    {},
    { estimates: {} },
    { estimates: [1, null] },
    { estimates: [{ model: "m" }] },
  ])
    assert.equal(estimatesTable(parseEstimates(answer)), "");
});
