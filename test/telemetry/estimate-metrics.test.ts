// Estimates and drift as they are exported.

import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue } from "../../src/catalogue.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createDrift } from "../../src/measure/drift/drift.ts";
import { createEstimates } from "../../src/measure/estimate/estimates.ts";
import { createEstimateMetrics } from "../../src/telemetry/estimate-metrics.ts";
import { createRecorder } from "../../src/telemetry/recorder.ts";
import { overconfident, randomFrom, worldOf } from "../measure/estimate/support.ts";
import { handClock } from "../support/hand-clock.ts";
import { binarySpec } from "../support/models.ts";

test("estimates, their errors and gaps, distances and alarms become series; what is undefined tells why", async () => {
  const recorder = createRecorder({
    catalogue,
    clock: handClock(),
    log: silentLog,
    runtimeMetrics: "leave-out",
  });
  createEstimateMetrics(recorder, {
    estimates: () => [
      {
        model: "m",
        version: "1",
        labels: { long: 900, short: 100 },
        windows: [
          {
            window: "24h",
            metrics: [{ metric: "accuracy", value: 0.75, bounds: [0.5, 1] }],
            gaps: [{ metric: "accuracy", value: -0.25, noise: 0.125 }],
            errors: [{ metric: "accuracy", estimated: 0.75, realised: 0.5 }],
            nowcast: {
              expected: 40,
              metrics: [{ metric: "accuracy", value: 0.625, bounds: [0.5, 0.75] }],
              undefined: { precision: "no_predicted_positive" },
            },
            nowcastErrors: [{ metric: "accuracy", estimated: 0.625, realised: 0.75 }],
            undefined: { precision: "no_predicted_positive" },
          },
        ],
      },
    ],
    drift: () => [
      {
        model: "m",
        version: "1",
        streams: [
          {
            stream: "class",
            referenceRows: 1000,
            windows: [
              { window: "24h", rows: 3, distances: null, reason: "too_few" },
              {
                window: "7d",
                rows: 300,
                distances: { psi: 0.5, psiNoise: 0.25, jensenShannon: 0.125, ks: null, wasserstein: null },
                reason: null,
              },
            ],
          },
        ],
        alarms: [{ detector: "adwin", direction: "up", alarms: 2, lastTs: 5000 }],
        behindMs: 1500,
      },
    ],
    leftOut: () => [{ part: "drift", refusedVersions: 1, droppedValues: 2, bucketsLeft: 10 }],
  });
  const { families } = await recorder.snapshot();
  const lines = families.flatMap((family) =>
    family.kind === "number" && /_(estimated?|nowcast|drift)_/.test(family.descriptor.name)
      ? family.series.map(
          ({ labels, value }) => `${family.descriptor.name} ${Object.values(labels).join(" ")} = ${value}`,
        )
      : [],
  );
  const estimated = "outrider_estimated_quality";
  assert.deepEqual(lines, [
    `${estimated} m 1 24h accuracy = 0.75`,
    `${estimated}_ci_lower m 1 24h accuracy = 0.5`,
    `${estimated}_ci_upper m 1 24h accuracy = 1`,
    `${estimated}_matured m 1 24h accuracy = 0.75`,
    `${estimated}_realised m 1 24h accuracy = 0.5`,
    `${estimated}_error m 1 24h accuracy = 0.25`,
    `${estimated}_calibration_gap m 1 24h accuracy = -0.25`,
    `${estimated}_calibration_gap_noise m 1 24h accuracy = 0.125`,
    `${estimated}_labels m 1 7d = 900`,
    `${estimated}_labels m 1 24h = 100`,
    `${estimated}_undefined m 1 24h precision no_predicted_positive = 1`,
    "outrider_nowcast_quality m 1 24h accuracy = 0.625",
    "outrider_nowcast_quality_ci_lower m 1 24h accuracy = 0.5",
    "outrider_nowcast_quality_ci_upper m 1 24h accuracy = 0.75",
    "outrider_nowcast_quality_expected_labels m 1 24h = 40",
    "outrider_nowcast_quality_earlier m 1 24h accuracy = 0.625",
    "outrider_nowcast_quality_realised m 1 24h accuracy = 0.75",
    "outrider_nowcast_quality_error m 1 24h accuracy = -0.125",
    "outrider_nowcast_quality_undefined m 1 24h precision no_predicted_positive = 1",
    "outrider_drift_rows m 1 class 24h = 3",
    "outrider_drift_rows m 1 class 7d = 300",
    "outrider_drift_reference_rows m 1 class = 1000",
    "outrider_drift_psi m 1 class 7d = 0.5",
    "outrider_drift_psi_noise m 1 class 7d = 0.25",
    "outrider_drift_jensen_shannon m 1 class 7d = 0.125",
    "outrider_drift_undefined m 1 class 24h too_few = 1",
    "outrider_concept_drift_alarms_total m 1 adwin up = 2",
    "outrider_concept_drift_last_alarm_timestamp_seconds m 1 adwin up = 5",
    "outrider_concept_drift_behind_seconds m 1 = 1.5",
    "outrider_estimate_left_out_total drift versions = 1",
    "outrider_estimate_left_out_total drift values = 2",
    "outrider_estimate_buckets_left drift = 10",
  ]);
});

test("what the measuring room answers is exported as it is", async () => {
  const clock = handClock();
  const random = randomFrom(1);
  const world = worldOf(binarySpec("credit", { labelHorizonMs: 3_600_000 }));
  const estimates = createEstimates({}, world.needs);
  const drift = createDrift({}, world.needs);
  world.listen((change) => {
    estimates.apply(change);
    drift.apply(change);
  });
  for (let i = 0; i < 4000; i++) {
    const ts = clock.wallMs() - Math.floor(((i + 1) / 4000) * 5 * 86_400_000);
    const { score, positive } = overconfident(random);
    world.label(world.predict({ ts, score }), positive ? 1 : 0);
  }
  const recorder = createRecorder({ catalogue, clock, log: silentLog, runtimeMetrics: "leave-out" });
  createEstimateMetrics(recorder, {
    estimates: () => estimates.at(clock.wallMs()),
    drift: () => drift.at(clock.wallMs()),
    leftOut: () => [
      { part: "estimates", ...estimates.counters() },
      { part: "drift", ...drift.counters() },
    ],
  });
  const { families } = await recorder.snapshot();
  const names = new Set(families.map(({ descriptor }) => descriptor.name));
  for (const name of [
    "outrider_estimated_quality",
    "outrider_estimated_quality_error",
    "outrider_estimated_quality_calibration_gap",
    "outrider_drift_psi",
    "outrider_drift_wasserstein",
    "outrider_concept_drift_alarms_total",
    "outrider_estimate_left_out_total",
  ]) {
    assert.ok(names.has(name), name);
  }
});
