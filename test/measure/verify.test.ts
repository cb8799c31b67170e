// Verification finds what does not follow from the rows, and names it.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Truth } from "../../src/facts/pair.ts";
import type { Prediction } from "../../src/facts/prediction.ts";
import { createMeasure, type Measure } from "../../src/measure/measure.ts";
import { compareSheets } from "../../src/measure/verify.ts";
import { predictionOf, specFor } from "../support/models.ts";

const NOW = 1_767_571_200_000;

/** 100 rows of the last 100 minutes with their labels, in a measure and in a store that can be changed behind its back. */
function world(): { measure: Measure; rows: { prediction: Prediction; truth: Truth | null }[] } {
  const rows: { prediction: Prediction; truth: Truth | null }[] = [];
  const measure = createMeasure(
    { asOf: NOW },
    {
      specOf: () => specFor("m", { windows: ["1h", "all"] }),
      scan: ({ fromTs, toTs }, visit) => {
        for (const [row, { prediction, truth }] of rows.entries()) {
          if (prediction.ts > fromTs && prediction.ts <= toTs) visit(row, prediction, truth);
        }
      },
    },
  );
  for (let i = 0; i < 100; i++) {
    const ts = NOW - i * 60_000;
    const slice = { region: i % 2 === 0 ? "eu" : "us" };
    const prediction = predictionOf({ id: `r${i}`, ts, value: i / 7, slice });
    const truth = { value: i / 11, ts: ts + 10, firstReceivedAt: ts + 500 };
    rows.push({ prediction, truth });
    measure.apply({ kind: "predicted", row: i, prediction });
    measure.apply({ kind: "truth", row: i, prediction, before: null, after: truth });
  }
  return { measure, rows };
}

test("panes and totals that follow from the rows are all compared and equal", () => {
  const { measure } = world();
  measure.groups(NOW + 1);
  measure.groups(NOW + 1, { basis: "matured" });
  const { compared, differences } = measure.verify(NOW + 90_000);
  assert.deepEqual(differences, []);
  assert.ok(compared > 120, `${compared} compared`);
});

test("one label that differs by a billionth is found in its totals and its slice, and nowhere else", () => {
  const { measure, rows } = world();
  const row = rows[10];
  assert.ok(row?.truth);
  row.truth = { ...row.truth, value: 10 / 11 + 1e-9 };
  const { differences } = measure.verify(NOW);
  assert.ok(differences.length > 0);
  const parts = new Set(differences.map(({ slice, part }) => `${slice}: ${part}`));
  assert.ok(parts.has(": 1h total") && parts.has("region=eu: 1h total"));
  assert.ok(![...parts].some((part) => part.startsWith("region=us")));
});

test("a row that is gone from the store is told with both counts", () => {
  const { measure, rows } = world();
  rows.pop();
  const found = measure
    .verify(NOW)
    .differences.find(({ part, field }) => part === "all" && field === "predictions");
  assert.deepEqual([found?.model, found?.version, found?.kept, found?.rebuilt], ["m", "1", 100, 99]);
});

test("where scores share buckets, what rests on them may differ; counts may not", () => {
  const sheetOf = (area: number, labeled: number) => ({
    labeled,
    says: {
      extra: {
        roc_auc_bound: 1e-5,
        roc_auc_ovr: { "a.b": area, "0": area },
        roc_auc_ovr_ci: { "0": [area - 0.1, area + 0.1] },
      },
    },
  });
  assert.deepEqual(compareSheets(sheetOf(0.5, 3), sheetOf(0.50001, 3)), []);
  assert.deepEqual(
    compareSheets(sheetOf(0.5, 3), sheetOf(0.50001, 4)).map(({ field }) => field),
    ["labeled"],
  );
});
