// Slices as series: figures, reasons where there is none, and the room that both share.

import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue } from "../../src/catalogue.ts";
import type { Group } from "../../src/facts/group.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createRecorder } from "../../src/telemetry/recorder.ts";
import { createTimelinessMetrics } from "../../src/telemetry/timeliness-metrics.ts";
import { handClock } from "../support/hand-clock.ts";

const MIN_SAMPLES = 5;

function sliceOf(over: Partial<Group>): Group {
  return {
    model: "m",
    version: "1",
    slice: "region=eu",
    window: "24h",
    n_predictions: 10,
    n_labeled: 5,
    coverage: 0.5,
    metrics: {},
    undefined: {},
    extra: {},
    ...over,
  };
}

/** `name label values = value` of the slices, and how many were left out. */
async function seriesOf(
  slices: readonly Group[],
  names = /^outrider_slice_(quality|metric)/,
): Promise<{ series: string[]; leftOut: number }> {
  const recorder = createRecorder({
    catalogue,
    clock: handClock(),
    log: silentLog,
    runtimeMetrics: "leave-out",
  });
  createTimelinessMetrics(recorder, {
    delays: () => [],
    slices: () => slices,
    dropped: () => ({}),
    unfitLabels: () => 0,
    minSamplesOf: () => MIN_SAMPLES,
  });
  const { families } = await recorder.snapshot();
  const told = families.flatMap((family) =>
    family.kind === "number"
      ? family.series.map((one) => {
          const { name } = family.descriptor;
          return {
            name,
            line: [name, ...Object.values(one.labels), "=", one.value].join(" "),
            value: one.value,
          };
        })
      : [],
  );
  const dropped = told.find(({ line }) => line.startsWith("outrider_series_dropped_total slice_series "));
  const series = told.filter(({ name }) => names.test(name));
  return { series: series.map(({ line }) => line), leftOut: dropped?.value ?? Number.NaN };
}

test("a metric of a slice has a figure or the reason why there is none", async () => {
  const { series, leftOut } = await seriesOf([
    sliceOf({
      metrics: { accuracy: 0.9, precision: null },
      undefined: { precision: "no_predicted_positive" },
    }),
    sliceOf({
      slice: "region=us",
      n_labeled: MIN_SAMPLES - 1,
      metrics: { accuracy: 1, recall: null },
      undefined: { recall: "no_actual_positive" },
    }),
    // A matured window that is not known yet is told once, for the version.
    sliceOf({ basis: "matured", undefined: { any: "too_early" } }),
  ]);
  assert.deepEqual(series, [
    "outrider_slice_quality m 1 region=eu 24h all accuracy = 0.9",
    "outrider_slice_metric_undefined m 1 region=eu 24h all precision no_predicted_positive = 1",
    "outrider_slice_metric_undefined m 1 region=us 24h all accuracy below_min_samples = 1",
    "outrider_slice_metric_undefined m 1 region=us 24h all recall no_actual_positive = 1",
  ]);
  assert.equal(leftOut, 0);
});

test("slices of a model whose task is not known yet are counted; those of a window that is not known are not", async () => {
  const { series } = await seriesOf(
    [
      sliceOf({ undefined: { any: "unresolved_task" } }),
      sliceOf({ basis: "matured", undefined: { any: "too_early" } }),
      sliceOf({ slice: "region=us", undefined: { any: "catching_up" } }),
    ],
    /^outrider_slice_/,
  );
  assert.deepEqual(series, [
    "outrider_slice_predictions m 1 region=eu 24h all = 10",
    "outrider_slice_pairs m 1 region=eu 24h all = 5",
  ]);
});

test("figures and reasons share their room; the slices with fewest predictions are left out of both", async () => {
  const names = Array.from({ length: 10 }, (_, i) => `metric_${i}`);
  const slices = Array.from({ length: 200 }, (_, i) =>
    sliceOf({
      slice: `customer=${i}`,
      n_predictions: 1000 - i,
      n_labeled: i % 2 === 0 ? 0 : MIN_SAMPLES,
      metrics: Object.fromEntries(names.map((name) => [name, i % 2 === 0 ? null : 0.5])),
      undefined: i % 2 === 0 ? Object.fromEntries(names.map((name) => [name, "no_labels"])) : {},
    }),
  );
  const { series, leftOut } = await seriesOf(slices);
  assert.equal(series.length, 1800);
  assert.equal(leftOut, 20);
  assert.ok(!series.some((line) => /customer=1(8|9)\d /.test(line)));
});
