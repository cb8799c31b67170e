import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue } from "../../src/catalogue.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { createComparisonMetrics, type ComparisonFigures } from "../../src/telemetry/comparison-metrics.ts";
import { createRecorder } from "../../src/telemetry/recorder.ts";

async function seriesOf(figures: readonly ComparisonFigures[]): Promise<string[]> {
  const recorder = createRecorder({
    catalogue,
    clock: systemClock,
    log: silentLog,
    runtimeMetrics: "leave-out",
  });
  createComparisonMetrics(recorder, {
    comparisons: () => figures,
    counters: () => ({ late: 3, crowded: 0, droppedVersions: 1 }),
  });
  const { families } = await recorder.snapshot();
  return families.flatMap((family) =>
    family.kind === "number" && family.descriptor.name.startsWith("outrider_comparison_")
      ? family.series.map(
          ({ labels, value }) => `${[family.descriptor.name, ...Object.values(labels)].join(" ")} = ${value}`,
        )
      : [],
  );
}

const figures = (over: Partial<ComparisonFigures> = {}): ComparisonFigures => ({
  model: "m",
  baseline: "1",
  candidate: "2",
  metrics: [
    {
      metric: "mae",
      difference: 0.5,
      lower: 0.25,
      upper: 0.75,
      p: 0.01,
      rows: { baseline: 900, candidate: 300 },
    },
  ],
  ...over,
});

test("a comparison becomes its difference, bounds, p-value and rows; what is left out is counted", async () => {
  assert.deepEqual(await seriesOf([figures()]), [
    "outrider_comparison_difference m mae 1 2 = 0.5",
    "outrider_comparison_lower m mae 1 2 = 0.25",
    "outrider_comparison_upper m mae 1 2 = 0.75",
    "outrider_comparison_p_value m mae 1 2 = 0.01",
    "outrider_comparison_rows m mae 1 2 1 = 900",
    "outrider_comparison_rows m mae 1 2 2 = 300",
    "outrider_comparison_rows_left_out_total late = 3",
    "outrider_comparison_rows_left_out_total crowded = 0",
    "outrider_comparison_versions_dropped_total = 1",
  ]);
});

test("without bounds there is no series for them, and only the ten newest pairs of a model have any", async () => {
  const rows = { baseline: 5, candidate: 5 };
  const metrics = [{ metric: "mae", difference: null, lower: null, upper: null, p: 1, rows }];
  const pairs = Array.from({ length: 14 }, (_, i) =>
    figures({ baseline: `${i}`, candidate: `${i + 1}`, metrics }),
  );
  const found = await seriesOf(pairs);
  const values = found.filter((line) => line.startsWith("outrider_comparison_p_value"));
  assert.equal(values.length, 10);
  assert.equal(values[0], "outrider_comparison_p_value m mae 4 5 = 1");
  assert.ok(!found.some((line) => /_(difference|lower|upper) /.test(line)));
});
