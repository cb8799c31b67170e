// Do 95 % intervals hold the truth in 95 of 100 samples? Simulated, with the same chance every time.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Group } from "../../src/facts/group.ts";
import type { ModelSpec } from "../../src/facts/model.ts";
import type { Prediction, Value } from "../../src/facts/prediction.ts";
import { createMeasure } from "../../src/measure/measure.ts";
import { binarySpec, predictionOf, specFor } from "../support/models.ts";
import { createRandom, type Random } from "../support/random.ts";

const RUNS = 300;
const TRUTH_ROWS = 200_000;

interface Row {
  readonly prediction: Partial<Prediction>;
  readonly label: Value;
}
type Draw = (random: Random) => Row;

function groupOf(spec: ModelSpec, rows: number, draw: () => Row): Group {
  const measure = createMeasure({}, { specOf: () => ({ ...spec, windows: ["all"] }), scan: () => undefined });
  for (let row = 0; row < rows; row++) {
    const { prediction: said, label } = draw();
    const prediction = predictionOf({ id: "r", ...said });
    measure.apply({ kind: "predicted", row, prediction });
    const after = { value: label, ts: 1, firstReceivedAt: 1 };
    measure.apply({ kind: "truth", row, prediction, before: null, after });
  }
  const [group] = measure.groups(1);
  assert.ok(group);
  return group;
}

/** Share of the samples whose interval holds the truth, by metric. */
function coverage(of: { spec: ModelSpec; rows: number; draw: Draw }): Map<string, number> {
  const random = createRandom(7);
  const draw = (): Row => of.draw(random);
  const large = groupOf(of.spec, TRUTH_ROWS, draw);
  const truth: Record<string, unknown> = { ...large.extra, ...large.metrics };
  const tally = new Map<string, { held: number; given: number }>();
  for (let run = 0; run < RUNS; run++) {
    for (const [name, interval] of Object.entries(groupOf(of.spec, of.rows, draw).intervals ?? {})) {
      const exact = truth[name];
      if (interval === null || typeof exact !== "number") continue;
      const { held, given } = tally.get(name) ?? { held: 0, given: 0 };
      const holds = interval.lower <= exact && exact <= interval.upper;
      tally.set(name, { held: held + Number(holds), given: given + 1 });
    }
  }
  return new Map([...tally].map(([name, { held, given }]) => [name, held / given]));
}

function assertHeld(shares: ReadonlyMap<string, number>, names: readonly string[], least: number): void {
  for (const name of names) {
    const share = shares.get(name) ?? 0;
    assert.ok(share >= least, `${name}: ${share} of the intervals hold the truth`);
  }
}

/** 300 runs tell 0.95 to +- 0.025. */
const LEAST = 0.92;
const SCORE_METRICS = ["roc_auc", "average_precision", "log_loss", "brier"];
const COUNT_METRICS = [
  "accuracy",
  "precision",
  "recall",
  "f1",
  "specificity",
  "balanced_accuracy",
  "prevalence",
];

const linear =
  (noise: (random: Random) => number): Draw =>
  (random) => {
    const value = 50 + 10 * random.gauss();
    return { prediction: { value }, label: value + noise(random) };
  };

/** Normal margins, `apart` standard deviations between the classes; the score is the true chance. */
const logistic =
  (prevalence: number, apart: number): Draw =>
  (random) => {
    const positive = random.next() < prevalence;
    const middle = Math.log(prevalence / (1 - prevalence));
    const margin = middle + apart * apart * (positive ? 0.5 : -0.5) + apart * random.gauss();
    return { prediction: { score: 1 / (1 + Math.exp(-margin)) }, label: positive ? "1" : "0" };
  };

test("normal errors: every interval of a regression holds", () => {
  const shares = coverage({ spec: specFor("m"), rows: 300, draw: linear((random) => 5 * random.gauss()) });
  assertHeld(shares, ["mse", "rmse", "mae", "r2", "me", "medae", "mape", "wape"], LEAST);
});

test("few errors: the intervals of squares hold all the same", () => {
  for (const noise of [
    (random: Random) => 5 * random.gauss(),
    (random: Random) => -5 * Math.log(1 - random.next()),
  ]) {
    const shares = coverage({ spec: specFor("m"), rows: 40, draw: linear(noise) });
    assertHeld(shares, ["mse", "rmse", "r2"], LEAST);
  }
});

test("labels far from 0 and close together: R2 keeps an interval, at the worst a wider one", () => {
  const draw =
    (from: number): Draw =>
    (random) => {
      const value = from + random.gauss();
      return { prediction: { value }, label: value + random.gauss() / 2 };
    };
  for (const [from, method] of [
    [500, "delta_hall_t"],
    [1e6, "delta_hall_t_wide"],
  ] as const) {
    assertHeld(coverage({ spec: specFor("m"), rows: 200, draw: draw(from) }), ["r2"], LEAST);
    const random = createRandom(3);
    const group = groupOf(specFor("m"), 500, () => draw(from)(random));
    assert.equal(group.intervals?.["r2"]?.method, method);
  }
  const random = createRandom(3);
  const near = groupOf(specFor("m", { labelOffset: 1e6 }), 500, () => draw(1e6)(random));
  assert.equal(near.intervals?.["r2"]?.method, "delta_hall_t");
});

test("errors that lean to one side: the intervals hold, those of the median by construction", () => {
  const draw = linear((random) => -5 * Math.log(1 - random.next()));
  const shares = coverage({ spec: specFor("m"), rows: 300, draw });
  assertHeld(shares, ["mse", "rmse", "mae", "r2", "me", "medae", "wape"], LEAST);
});

test("heavy tails: MAE and the median hold; the interval of MSE holds more often than not, and says that it may not", () => {
  const student = (random: Random): number => {
    const chi = random.gauss() ** 2 + random.gauss() ** 2 + random.gauss() ** 2;
    return (5 * random.gauss()) / Math.sqrt(chi / 3);
  };
  const spec = specFor("m");
  const shares = coverage({ spec, rows: 300, draw: linear(student) });
  assertHeld(shares, ["medae", "me"], LEAST);
  assertHeld(shares, ["mae"], 0.9);
  assertHeld(shares, ["mse", "rmse"], 0.84);
  assertHeld(shares, ["r2"], 0.87);
  const random = createRandom(3);
  const group = groupOf(spec, 2000, () => linear(student)(random));
  assert.equal(group.intervals?.["mse"]?.flag, "kurtosis");
  const normal = groupOf(spec, 2000, () => linear((each) => each.gauss())(random));
  assert.equal(normal.intervals?.["mse"]?.flag, undefined);
});

for (const [prevalence, apart, rows] of [
  [0.5, 1.5, 60],
  [0.1, 2, 300],
  [0.3, 3, 1000],
] as const) {
  test(`prevalence ${prevalence}, ${apart} deviations apart, ${rows} rows: the intervals of two classes hold`, () => {
    const shares = coverage({ spec: binarySpec("m"), rows, draw: logistic(prevalence, apart) });
    assertHeld(shares, [...COUNT_METRICS, "mcc", "ece10"], 0.91);
    assertHeld(shares, SCORE_METRICS, 0.905);
  });
}

test("few positives: precision, recall, F1, AUC and average precision still hold", () => {
  const shares = coverage({ spec: binarySpec("m"), rows: 500, draw: logistic(0.02, 2) });
  assertHeld(shares, ["precision", "recall", "f1", "roc_auc", "average_precision"], LEAST);
  assertHeld(shares, ["mcc"], 0.86);
});

test("several classes: averages, coefficient, losses and areas hold", () => {
  const weights = [0.5, 0.3, 0.15, 0.05];
  const spec = specFor("m", { task: "multiclass", classes: ["c0", "c1", "c2", "c3"] });
  const draw: Draw = (random) => {
    let actual = 0;
    for (let left = random.next(); actual < 3 && left > (weights[actual] ?? 1); actual++) {
      left -= weights[actual] ?? 0;
    }
    const odds = weights.map((_, i) => Math.exp(random.gauss() + (i === actual ? 2 : 0)));
    const sum = odds.reduce((total, each) => total + each, 0);
    const scores = Object.fromEntries(odds.map((each, i) => [`c${i}`, each / sum]));
    return { prediction: { value: `c${odds.indexOf(Math.max(...odds))}`, scores }, label: `c${actual}` };
  };
  const shares = coverage({ spec, rows: 300, draw });
  const averages = ["macro", "weighted"].flatMap((average) =>
    ["precision", "recall", "f1", "roc_auc_ovr", "roc_auc_ovo"].map((name) => `${name}_${average}`),
  );
  assertHeld(shares, ["accuracy", ...averages, "balanced_accuracy", "mcc", "log_loss", "brier"], LEAST);
});
