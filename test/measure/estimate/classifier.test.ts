// Expected performance of classifiers: right on average, with bounds that hold, on models whose chances are known.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  estimateClassifier,
  type ClassifierMetric,
  CLASSIFIER_METRICS,
} from "../../../src/measure/estimate/cbpe.ts";
import { predictionsOf, realisedOf } from "../../../src/measure/estimate/decisions.ts";
import { decisionsOf, EVERYTHING, overconfident, randomFrom } from "./support.ts";

interface Trial {
  readonly bias: Readonly<Record<ClassifierMetric, number>>;
  readonly covered: Readonly<Record<ClassifierMetric, number>>;
}

function simulate(runs: number, labels: number, rows: number): Trial {
  const random = randomFrom(labels);
  const bias = { accuracy: 0, precision: 0, recall: 0, f1: 0, roc_auc: 0 };
  const covered = { accuracy: 0, precision: 0, recall: 0, f1: 0, roc_auc: 0 };
  for (let run = 0; run < runs; run++) {
    const reference = Array.from({ length: labels }, () => overconfident(random));
    const served = Array.from({ length: rows }, () => overconfident(random, 0.5));
    const learnt = decisionsOf(reference, true);
    const { map } = learnt.calibration(learnt.rows(EVERYTHING, "coarse"));
    assert.ok(map);
    const seen = decisionsOf(served, true).rows(EVERYTHING, "coarse");
    const estimates = estimateClassifier(predictionsOf(seen), map);
    const truth = realisedOf(seen);
    for (const metric of CLASSIFIER_METRICS) {
      const estimate = estimates[metric];
      const realised = truth[metric];
      assert.ok(estimate && realised !== null);
      bias[metric] += (estimate.value - realised) / runs;
      if (estimate.lower <= realised && realised <= estimate.upper) covered[metric] += 1 / runs;
    }
  }
  return { bias, covered };
}

for (const [labels, biasMax, coverageMin] of [
  [300, 0.012, 0.88],
  [1000, 0.012, 0.88],
  [5000, 0.005, 0.88],
] as const) {
  test(`with ${labels} labels the estimates are right on average and their bounds hold what is realised`, () => {
    const { bias, covered } = simulate(200, labels, 2000);
    for (const metric of CLASSIFIER_METRICS) {
      assert.ok(Math.abs(bias[metric]) < biasMax, `${metric}: bias ${bias[metric]}`);
      assert.ok(covered[metric] >= coverageMin, `${metric}: coverage ${covered[metric]}`);
    }
  });
}

test("raw scores of an overconfident model would be far off, the calibrated estimate is not", () => {
  const random = randomFrom(7);
  const learnt = decisionsOf(
    Array.from({ length: 20_000 }, () => overconfident(random)),
    true,
  );
  const rows = learnt.rows(EVERYTHING, "coarse");
  const { map } = learnt.calibration(rows);
  assert.ok(map);
  const { scores, decidedNegative, decidedPositive } = predictionsOf(rows);
  let taken = 0;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] ?? 0;
    taken += (decidedPositive[i] ?? 0) * score + (decidedNegative[i] ?? 0) * (1 - score);
  }
  const realised = realisedOf(rows).accuracy ?? 0;
  assert.ok(taken / 20_000 - realised > 0.05, "the scores promise too much");
  const estimate = estimateClassifier(predictionsOf(rows), map).accuracy;
  assert.ok(Math.abs((estimate?.value ?? 0) - realised) < 0.002);
});

test("no map is made of fewer than 300 labels, or fewer than 30 of a class", () => {
  const rows = (positives: number, negatives: number) => {
    const row = (positive: boolean, i: number) => ({ score: (i % 50) / 50, chance: 0.5, positive });
    const made = [
      ...Array.from({ length: positives }, (_, i) => row(true, i)),
      ...Array.from({ length: negatives }, (_, i) => row(false, i)),
    ];
    const decisions = decisionsOf(made, true);
    return decisions.calibration(decisions.rows(EVERYTHING, "coarse")).map;
  };
  assert.equal(rows(150, 149), null);
  assert.equal(rows(29, 1000), null);
  assert.equal(rows(1000, 29), null);
  assert.ok(rows(30, 270));
});
