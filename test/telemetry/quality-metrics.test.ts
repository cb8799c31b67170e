import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue, SCORE_BOUNDS } from "../../src/catalogue.ts";
import type { ModelSpec } from "../../src/facts/model.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createArrivalMetrics, type ArrivalFigures } from "../../src/telemetry/arrival-metrics.ts";
import { createQualityMetrics, type QualityGroup } from "../../src/telemetry/quality-metrics.ts";
import { createRecorder, type Recorder } from "../../src/telemetry/recorder.ts";
import { createWindowMetrics, type WindowFigures } from "../../src/telemetry/window-metrics.ts";
import { handClock } from "../support/hand-clock.ts";

function specOf(over: Partial<ModelSpec>): ModelSpec {
  return {
    name: "m",
    task: "regression",
    classes: null,
    positive: null,
    threshold: 0.5,
    scoreKind: "probability",
    labelOffset: 0,
    minSamples: 1,
    maxClasses: 20,
    labelHorizonMs: 1,
    windows: ["24h"],
    ...over,
  };
}

function groupOf(over: Partial<QualityGroup>): QualityGroup {
  return {
    model: "m",
    version: "1",
    slice: "",
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

function setUp(): { recorder: Recorder; series: () => Promise<string[]> } {
  const clock = handClock();
  const recorder = createRecorder({ catalogue, clock, log: silentLog, runtimeMetrics: "leave-out" });
  /** `name{label="value"} value` of everything about quality. */
  const series = async (): Promise<string[]> => {
    clock.advance(1000);
    const { families } = await recorder.snapshot();
    return families.flatMap((family) => {
      const { name } = family.descriptor;
      if (!/_(quality|label|metric|regression|classification|window|score)_/.test(name)) return [];
      const values = ({ labels }: { labels: Readonly<Record<string, string>> }): string =>
        Object.values(labels).join(" ");
      return family.kind === "number"
        ? family.series.map((one) => `${name} ${values(one)} = ${one.value}`)
        : family.series.map((one) => `${name} ${values(one)} = ${one.counts.join(",")}`);
    });
  };
  return { recorder, series };
}

test("a regression's group becomes gauges; what is undefined is told with its reason", async () => {
  const { recorder, series } = setUp();
  const group = groupOf({
    metrics: { mse: 4, rmse: 2, mae: 1.5, r2: null },
    undefined: { r2: "constant_target" },
    extra: { me: -0.5 },
    maturity: 0.25,
  });
  createQualityMetrics(recorder, { groups: () => [group], specOf: () => specOf({}) });
  assert.deepEqual(await series(), [
    "outrider_label_coverage_ratio m 1 24h all = 0.5",
    "outrider_label_maturity_ratio m 1 24h = 0.25",
    "outrider_quality_samples m 1 24h all = 5",
    "outrider_quality_mse m 1 24h all = 4",
    "outrider_quality_rmse m 1 24h all = 2",
    "outrider_quality_mae m 1 24h all = 1.5",
    "outrider_quality_bias m 1 24h all = 0.5",
    "outrider_metric_undefined m 1 24h all r2 constant_target = 1",
  ]);
});

test("binary and multiclass groups have their families; slices are left out", async () => {
  const { recorder, series } = setUp();
  const groups = [
    groupOf({
      metrics: { accuracy: 0.9, precision: 0.8, recall: 0.7, f1: 0.75, roc_auc: 0.95 },
      extra: { log_loss: 0.3, brier: 0.1, mcc: 0.5 },
      basis: "matured",
    }),
    groupOf({ slice: "region=eu", metrics: { accuracy: 0.1 } }),
    groupOf({
      model: "wine",
      metrics: { accuracy: 1, f1_macro: 0.5, roc_auc_ovr_weighted: 1, precision_micro: null },
    }),
  ];
  createQualityMetrics(recorder, { groups: () => groups, specOf: () => specOf({ task: "binary" }) });
  const found = (await series()).filter((line) => line.startsWith("outrider_quality"));
  assert.deepEqual(found, [
    "outrider_quality_samples m 1 24h matured = 5",
    "outrider_quality_samples wine 1 24h all = 5",
    "outrider_quality_log_loss m 1 24h matured = 0.3",
    "outrider_quality_brier m 1 24h matured = 0.1",
    "outrider_quality_accuracy_ratio m 1 24h matured = 0.9",
    "outrider_quality_accuracy_ratio wine 1 24h all = 1",
    "outrider_quality_precision_ratio m 1 24h matured = 0.8",
    "outrider_quality_recall_ratio m 1 24h matured = 0.7",
    "outrider_quality_f1_ratio m 1 24h matured = 0.75",
    "outrider_quality_auc_ratio m 1 24h matured = 0.95",
    "outrider_quality_multiclass_ratio wine 1 24h all f1 macro = 0.5",
    "outrider_quality_multiclass_ratio wine 1 24h all roc_auc_ovr weighted = 1",
    "outrider_quality_mcc m 1 24h matured = 0.5",
  ]);
});

test("intervals, baselines, bounds and the reasons of further metrics are series by metric", async () => {
  const { recorder, series } = setUp();
  const normal = { level: 0.95, method: "normal" } as const;
  const group = groupOf({
    extra: { me: -0.5, medae: 2, medae_bound: 0.1, undefined: { mape: "overflow", toString: 3 } },
    intervals: {
      mae: { ...normal, lower: 1, upper: 3 },
      me: { ...normal, lower: -2, upper: 0 },
      max_error: null,
    },
    baseline: { mae: 4, mae_bound: 0.25, me: 0, r2: null },
  });
  createQualityMetrics(recorder, { groups: () => [group], specOf: () => specOf({}) });
  const found = (await series()).filter((line) => !/samples|coverage/.test(line));
  assert.deepEqual(found, [
    "outrider_quality_bias m 1 24h all = 0.5",
    "outrider_quality_medae m 1 24h all = 2",
    "outrider_quality_interval m 1 24h all mae lower = 1",
    "outrider_quality_interval m 1 24h all mae upper = 3",
    "outrider_quality_interval m 1 24h all bias lower = 0",
    "outrider_quality_interval m 1 24h all bias upper = 2",
    "outrider_quality_bound m 1 24h all medae = 0.1",
    "outrider_quality_constant_baseline m 1 24h all mae = 4",
    "outrider_quality_constant_baseline m 1 24h all bias = 0",
    "outrider_quality_constant_baseline_bound m 1 24h all mae = 0.25",
    "outrider_metric_undefined m 1 24h all mape overflow = 1",
  ]);
});

test("below the least number of samples the figures go, the samples stay and the reason is told", async () => {
  const { recorder, series } = setUp();
  let labelled = 5;
  createQualityMetrics(recorder, {
    groups: () => [
      groupOf({
        n_labeled: labelled,
        metrics: { mse: 4, r2: null, no_such: 1 },
        undefined: { r2: "constant_target" },
        extra: { me: -0.5, medae: 2, mse_se: 1 },
        coverage: null,
      }),
    ],
    specOf: () => specOf({ minSamples: 5 }),
  });
  assert.deepEqual(await series(), [
    "outrider_quality_samples m 1 24h all = 5",
    "outrider_quality_mse m 1 24h all = 4",
    "outrider_quality_bias m 1 24h all = 0.5",
    "outrider_quality_medae m 1 24h all = 2",
    "outrider_metric_undefined m 1 24h all r2 constant_target = 1",
  ]);
  labelled = 4;
  assert.deepEqual(await series(), [
    "outrider_quality_samples m 1 24h all = 4",
    "outrider_metric_undefined m 1 24h all r2 constant_target = 1",
    "outrider_metric_undefined m 1 24h all mse below_min_samples = 1",
    "outrider_metric_undefined m 1 24h all medae below_min_samples = 1",
    "outrider_metric_undefined m 1 24h all bias below_min_samples = 1",
  ]);
});

test("metric names from outside cannot reach into objects or make families", async () => {
  const { recorder, series } = setUp();
  const metrics = JSON.parse('{"__proto__": 1, "constructor": 2, "no_such": 3, "mse": "4"}') as Record<
    string,
    number
  >;
  createQualityMetrics(recorder, { groups: () => [groupOf({ metrics })], specOf: () => null });
  assert.ok((await series()).every((line) => !line.startsWith("outrider_quality_mse")));
});

const counts = (at: number, count: number): number[] =>
  Array.from({ length: SCORE_BOUNDS.length + 1 }, (_, i) => (i === at ? count : 0));

function figuresOf(over: Partial<ArrivalFigures["totals"]> = {}): ArrivalFigures {
  return {
    model: "m",
    version: "1",
    totals: {
      pairs: 0,
      squaredError: 0,
      absoluteErrorOver: 0,
      absoluteErrorUnder: 0,
      labelDeviationPositive: 0,
      labelDeviationNegative: 0,
      labelSquaredDeviation: 0,
      labelOffset: 100,
      confusion: new Map(),
      scoresPositive: counts(-1, 0),
      scoresNegative: counts(-1, 0),
      logLoss: 0,
      squaredScoreError: 0,
      ...over,
    },
  };
}

test("arrival totals of a regression begin at 0, before the first label", async () => {
  const { recorder, series } = setUp();
  let figures = figuresOf();
  createArrivalMetrics(recorder, { arrivals: () => [figures], specOf: () => specOf({}) });
  const regression = async (): Promise<string[]> =>
    (await series()).filter((line) => line.startsWith("outrider_regression"));
  assert.deepEqual(await regression(), [
    "outrider_regression_pairs_total m 1 = 0",
    "outrider_regression_squared_error_total m 1 = 0",
    "outrider_regression_absolute_error_total m 1 over = 0",
    "outrider_regression_absolute_error_total m 1 under = 0",
    "outrider_regression_label_deviation_total m 1 positive = 0",
    "outrider_regression_label_deviation_total m 1 negative = 0",
    "outrider_regression_label_squared_deviation_total m 1 = 0",
    "outrider_regression_label_offset m 1 = 100",
  ]);
  figures = figuresOf({ pairs: 2, squaredError: 5, absoluteErrorOver: 2, absoluteErrorUnder: 1 });
  const after = await regression();
  assert.ok(after.includes("outrider_regression_pairs_total m 1 = 2"));
  assert.ok(after.includes("outrider_regression_absolute_error_total m 1 over = 2"));
  assert.equal((await series()).filter((line) => line.includes("score_bucket_info")).length, 33);
});

test("arrival totals of a binary model begin with the whole matrix at 0", async () => {
  const { recorder, series } = setUp();
  let figures = figuresOf();
  const spec = specOf({ task: "binary", classes: ["0", "1"], positive: "1" });
  createArrivalMetrics(recorder, { arrivals: () => [figures], specOf: () => spec });
  const matrix = async (): Promise<string[]> =>
    (await series()).filter((line) => line.startsWith("outrider_classification_pairs"));
  const cell = "outrider_classification_pairs_total m 1";
  assert.deepEqual(await matrix(), [
    `${cell} 0 0 true = 0`,
    `${cell} 0 1 false = 0`,
    `${cell} 1 0 false = 0`,
    `${cell} 1 1 true = 0`,
  ]);
  figures = figuresOf({
    pairs: 3,
    confusion: new Map([
      ["1", new Map([["1", 2]])],
      ["_OTHER", new Map([["_OTHER", 1]])],
    ]),
    scoresPositive: counts(33, 2),
    logLoss: 0.5,
  });
  assert.deepEqual(await matrix(), [
    `${cell} 0 0 true = 0`,
    `${cell} 0 1 false = 0`,
    `${cell} 1 0 false = 0`,
    `${cell} 1 1 true = 2`,
    `${cell} _OTHER _OTHER false = 1`,
  ]);
  const all = await series();
  assert.ok(all.includes("outrider_classification_log_loss_total m 1 = 0.5"));
  assert.ok(all.includes(`outrider_classification_score m 1 positive = ${counts(33, 2).join(",")}`));
});

test("windows become summable parts; scores only where rank metrics are asked for over replicas", async () => {
  const { recorder, series } = setUp();
  const regression: WindowFigures = {
    model: "m",
    version: "1",
    window: "1h",
    basis: "matured",
    predictions: 10,
    pairs: 5,
    regression: { squaredError: null, absoluteErrorOver: 3, absoluteErrorUnder: 1, labelMean: 7, labelM2: 2 },
    classification: null,
  };
  const scores = { positive: counts(0, 2), negative: counts(33, 3) };
  const confusion = [{ actual: "1", predicted: "0", correct: false, count: 5 }];
  const binary: WindowFigures = {
    ...regression,
    model: "b",
    regression: null,
    classification: { confusion, scores, logLoss: 1.5, squaredScoreError: 0.75, scored: 5 },
  };
  createWindowMetrics(recorder, { windows: () => [regression, binary, { ...binary, window: "24h" }] });
  const lines = await series();
  assert.deepEqual(
    lines.filter((line) => line.includes(" m 1 ")),
    [
      "outrider_window_predictions m 1 1h matured = 10",
      "outrider_window_pairs m 1 1h matured = 5",
      "outrider_window_absolute_error m 1 1h matured over = 3",
      "outrider_window_absolute_error m 1 1h matured under = 1",
      "outrider_window_label_mean m 1 1h matured = 7",
      "outrider_window_label_m2 m 1 1h matured = 2",
    ],
  );
  assert.ok(lines.includes("outrider_window_confusion b 1 24h matured 1 0 false = 5"));
  const scored = lines.filter((line) => line.startsWith("outrider_window_score "));
  assert.equal(scored.length, 68);
  assert.ok(lines.includes("outrider_window_scored_pairs b 1 24h matured = 5"));
  assert.ok(lines.includes("outrider_window_log_loss b 1 24h matured = 1.5"));
  assert.ok(lines.includes("outrider_window_squared_score_error b 1 24h matured = 0.75"));
  assert.ok(scored.includes("outrider_window_score b 1 24h matured positive 0.000335 = 2"));
  assert.ok(scored.includes("outrider_window_score b 1 24h matured negative 0.999665 = 0"));
  assert.ok(scored.includes("outrider_window_score b 1 24h matured negative +Inf = 3"));
});
