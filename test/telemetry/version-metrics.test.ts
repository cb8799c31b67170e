// The version ledger as series: where a baseline comes from, and how far live quality is from it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue } from "../../src/catalogue.ts";
import type { Group } from "../../src/facts/group.ts";
import type { VersionRecord } from "../../src/facts/version.ts";
import { isLoss } from "../../src/kernel/metric-names.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createRecorder } from "../../src/telemetry/recorder.ts";
import { createVersionMetrics, type VersionNeeds } from "../../src/telemetry/version-metrics.ts";
import { handClock } from "../support/hand-clock.ts";

function record(version: string, evaluation: Record<string, number> | null): VersionRecord {
  const registration =
    evaluation === null
      ? null
      : { artifact: null, trainingData: null, parameters: {}, evaluation, tags: {}, description: null };
  return { model: "m", version, stage: "none", registration, since: 0, actor: "ci", mirrored: false };
}

function group(version: string, over: Partial<Group>): Group {
  return {
    model: "m",
    version,
    slice: "",
    window: "24h",
    basis: "matured",
    n_predictions: 4,
    n_labeled: 4,
    coverage: 1,
    metrics: {},
    undefined: {},
    extra: {},
    ...over,
  };
}

async function series(needs: Partial<VersionNeeds>): Promise<string[]> {
  const recorder = createRecorder({
    catalogue,
    clock: handClock(),
    log: silentLog,
    runtimeMetrics: "leave-out",
  });
  createVersionMetrics(recorder, {
    models: () => [],
    records: () => [],
    seen: () => [],
    groups: () => [],
    configuredOf: () => null,
    isLoss,
    ...needs,
  });
  const { families } = await recorder.snapshot();
  return families.flatMap((family) =>
    family.kind === "number" && family.descriptor.name.startsWith("outrider_quality_baseline")
      ? family.series.map(({ labels, value }) =>
          [family.descriptor.name.slice(17), ...Object.values(labels), value].join(" "),
        )
      : [],
  );
}

test("a metric's baseline is what the version was registered with, else what the configuration says", async () => {
  const found = await series({
    seen: () => [{ model: "m", versions: ["1", "2"] }],
    records: () => [record("1", { rmse: 4 }), record("3", { rmse: 1 })],
    configuredOf: () => ({ metrics: { rmse: 5, mae: 3 }, margin: 0.2 }),
  });
  assert.deepEqual(found, [
    "baseline m 1 rmse registered 4",
    "baseline m 1 mae configured 3",
    "baseline m 2 rmse configured 5",
    "baseline m 2 mae configured 3",
    "baseline_margin_ratio m 0.2",
  ]);
});

test("the gap is positive when live quality is worse, for errors and for scores, on either basis", async () => {
  const found = await series({
    seen: () => [{ model: "m", versions: ["1"] }],
    configuredOf: () => ({ metrics: { rmse: 5, r2: 0.5, mae: 1 }, margin: 0.1 }),
    groups: () => [
      group("1", { metrics: { rmse: 7, r2: 0.75, mae: null } }),
      group("1", { basis: "all", metrics: { rmse: 4 } }),
      group("1", { slice: "region=eu", metrics: { rmse: 9 } }),
      group("2", { metrics: { rmse: 9 } }),
    ],
  });
  assert.deepEqual(
    found.filter((line) => line.startsWith("baseline_gap")),
    [
      "baseline_gap m 1 24h matured rmse 2",
      "baseline_gap m 1 24h matured r2 -0.25",
      "baseline_gap m 1 24h all rmse -1",
    ],
  );
});

test("without evaluation and configuration there is no baseline; a registered one has the usual margin", async () => {
  const seen = (): { model: string; versions: string[] }[] => [{ model: "m", versions: ["1"] }];
  assert.deepEqual(await series({ seen }), []);
  const found = await series({ seen, records: () => [record("1", { accuracy: 0.9 })] });
  assert.deepEqual(found, ["baseline m 1 accuracy registered 0.9", "baseline_margin_ratio m 0.1"]);
});
