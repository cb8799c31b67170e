// The estimator over a stream: what matured, what is gated, what concept drift looks like; and the same answer in any order.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Change, Truth } from "../../../src/facts/pair.ts";
import type { Prediction } from "../../../src/facts/prediction.ts";
import { createEstimates, type VersionEstimates } from "../../../src/measure/estimate/estimates.ts";
import { binarySpec, predictionOf, specFor } from "../../support/models.ts";
import { normal, overconfident, randomFrom, worldOf } from "./support.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 0, 20);
const FRESH = { refreshMs: 0 };

const windowOf = (answer: VersionEstimates | undefined, name: string) => {
  const found = answer?.windows.find(({ window }) => window === name);
  assert.ok(found);
  return found;
};
const valueOf = (answer: VersionEstimates | undefined, name: string, metric: string): number => {
  const found = windowOf(answer, name).metrics.find((one) => one.metric === metric);
  assert.ok(found, `${metric}: ${JSON.stringify(windowOf(answer, name).undefined)}`);
  return found.value;
};

test("a binary model is estimated where no label has come yet, and the estimate is judged where they have", () => {
  const random = randomFrom(11);
  const spec = binarySpec("credit", { labelHorizonMs: DAY });
  const world = worldOf(spec);
  const estimates = createEstimates(FRESH, world.needs);
  world.listen((change) => estimates.apply(change));
  let wrong = 0;
  for (let i = 0; i < 12_000; i++) {
    const ts = NOW - (i / 12_000) * 6 * DAY;
    const { score, positive } = overconfident(random);
    const row = world.predict({ ts: Math.floor(ts), score });
    if (ts <= NOW - DAY) world.label(row, positive ? 1 : 0);
    else if (score >= 0.5 !== positive) wrong++;
  }
  const [answer] = estimates.at(NOW);
  assert.equal(answer?.labels.long, 10_000);
  assert.equal(windowOf(answer, "24h").predictions, 2000);
  const metrics = windowOf(answer, "24h").metrics.map(({ metric }) => metric);
  assert.deepEqual(metrics, ["accuracy", "precision", "recall", "f1", "roc_auc"]);
  const accuracy = windowOf(answer, "24h").metrics[0];
  assert.ok(accuracy?.bounds);
  const realised = 1 - wrong / 2000;
  assert.ok(accuracy.bounds[0] < realised && realised < accuracy.bounds[1], `${accuracy.value} ${realised}`);
  const [error] = windowOf(answer, "24h").errors;
  assert.equal(error?.metric, "accuracy");
  assert.ok(Math.abs(error.estimated - error.realised) < 0.03);
  const [gap] = windowOf(answer, "24h").gaps;
  assert.ok(gap && Math.abs(gap.value) < gap.noise, "nothing has drifted");
});

test("until enough labels have matured there is no estimate, and the reason is given", () => {
  const world = worldOf(binarySpec("credit", { labelHorizonMs: DAY }));
  const estimates = createEstimates(FRESH, world.needs);
  world.listen((change) => estimates.apply(change));
  for (let i = 0; i < 1000; i++) {
    const row = world.predict({ ts: NOW - HOUR, score: (i % 100) / 100 });
    world.label(row, i % 2);
  }
  const young = windowOf(estimates.at(NOW)[0], "24h");
  assert.deepEqual(young.metrics, []);
  assert.equal(young.undefined["accuracy"], "calibration");
  assert.equal(young.predictions, 1000);
  const grown = windowOf(estimates.at(NOW + DAY)[0], "7d");
  assert.deepEqual(grown.undefined, {});
});

test("when the truth behind the scores changes, the map of the last day tells it long before that of the last week", () => {
  const random = randomFrom(5);
  const world = worldOf(binarySpec("credit", { labelHorizonMs: HOUR }));
  const estimates = createEstimates(FRESH, world.needs);
  world.listen((change) => estimates.apply(change));
  for (let i = 0; i < 16_000; i++) {
    const ts = Math.floor(NOW - 8 * DAY + (i / 16_000) * 8 * DAY);
    const { score, positive } = overconfident(random);
    const flipped = ts > NOW - DAY && random() < 0.5 ? random() < 0.5 : positive;
    world.label(world.predict({ ts, score }), flipped ? 1 : 0);
  }
  const [answer] = estimates.at(NOW);
  const [gap] = windowOf(answer, "24h").gaps;
  assert.equal(gap?.metric, "accuracy");
  assert.ok(gap.value < -2 * gap.noise, `${gap.value} against ${gap.noise}`);
});

test("a regression's error is estimated from rows with similar predictions, and not out of their range", () => {
  const random = randomFrom(3);
  const world = worldOf(specFor("price", { labelHorizonMs: DAY }));
  const estimates = createEstimates(FRESH, world.needs);
  world.listen((change) => estimates.apply(change));
  let realised = 0;
  for (let i = 0; i < 8000; i++) {
    const recent = i >= 6000;
    // Errors grow with the prediction, and recent predictions are larger.
    const value = (recent ? 60 : 10) + 40 * random();
    const error = normal(random) * value * 0.1;
    const ts = recent ? NOW - HOUR : NOW - 3 * DAY + i;
    const row = world.predict({ ts, value });
    if (recent) realised += Math.abs(error) / 2000;
    else world.label(row, value - error);
  }
  for (let i = 0; i < 2000; i++) {
    const value = 60 + 40 * random();
    world.label(world.predict({ ts: NOW - 4 * DAY, value }), value - normal(random) * value * 0.1);
  }
  const mae = windowOf(estimates.at(NOW)[0], "24h").metrics.find(({ metric }) => metric === "mae");
  assert.ok(mae?.bounds);
  assert.ok(Math.abs(mae.value - realised) < 0.03 * realised + 0.2, `${mae.value} ${realised}`);
  assert.ok(mae.bounds[0] < realised && realised < mae.bounds[1]);
  for (let i = 0; i < 200; i++) world.predict({ ts: NOW - HOUR, value: 500 });
  const beyond = windowOf(estimates.at(NOW)[0], "24h");
  assert.deepEqual(beyond.undefined, { mae: "out_of_range", mse: "out_of_range", rmse: "out_of_range" });
});

test("several classes are estimated one against the rest", () => {
  const random = randomFrom(17);
  const classes = ["a", "b", "c"];
  const world = worldOf(specFor("iris", { task: "multiclass", classes, labelHorizonMs: DAY }));
  const estimates = createEstimates(FRESH, world.needs);
  world.listen((change) => estimates.apply(change));
  let right = 0;
  for (let i = 0; i < 9000; i++) {
    const recent = i >= 6000;
    const weights = classes.map(() => Math.exp(1.5 * normal(random)));
    const total = weights.reduce((sum, one) => sum + one, 0);
    const chances = weights.map((one) => one / total);
    const drawn = random();
    const actual = drawn < (chances[0] ?? 0) ? 0 : drawn < (chances[0] ?? 0) + (chances[1] ?? 0) ? 1 : 2;
    const best = chances.indexOf(Math.max(...chances));
    const scores = Object.fromEntries(classes.map((name, at) => [name, chances[at] ?? 0]));
    const ts = recent ? NOW - HOUR : NOW - 2 * DAY;
    const row = world.predict({ ts, value: classes[best] ?? "", scores });
    if (!recent) world.label(row, classes[actual] ?? "");
    else if (best === actual) right++;
  }
  const [answer] = estimates.at(NOW);
  assert.ok(Math.abs(valueOf(answer, "24h", "accuracy") - right / 3000) < 0.03);
  for (const metric of ["precision_macro", "recall_macro", "f1_macro", "roc_auc_ovr_macro"]) {
    assert.ok(valueOf(answer, "24h", metric) > 0.5);
  }
});

interface Planned {
  readonly prediction: Prediction;
  readonly truths: readonly (0 | 1 | null)[];
}

const truthOf = (value: 0 | 1 | null, ts: number): Truth | null =>
  value === null ? null : { value, ts, firstReceivedAt: ts };

/** The changes of one row, in its own order: predicted, labelled, corrected, taken back. */
function changesOf({ prediction, truths }: Planned, row: number): Change[] {
  const changes: Change[] = [{ kind: "predicted", row, prediction }];
  let before: Truth | null = null;
  for (const value of truths) {
    const after = truthOf(value, prediction.ts);
    changes.push({ kind: "truth", row, prediction, before, after });
    before = after;
  }
  return changes;
}

test("any order of rows, corrections and retractions ends in the same estimates as the final rows alone", () => {
  const spec = binarySpec("m", { labelHorizonMs: HOUR, windows: ["24h"] });
  const rowArb = fc.record({
    score: fc.integer({ min: 0, max: 40 }).map((i) => i / 40),
    ts: fc.integer({ min: NOW - 2 * DAY, max: NOW - 2 * HOUR }),
    truths: fc.array(fc.constantFrom<0 | 1 | null>(0, 1, null), { maxLength: 3 }),
  });
  const scenario = fc.tuple(
    fc.array(rowArb, { minLength: 700, maxLength: 800 }),
    fc.array(fc.nat(), { maxLength: 2000 }),
  );
  fc.assert(
    fc.property(scenario, ([rows, picks]) => {
      const planned = rows.map(({ score, ts, truths }, i) => ({
        prediction: predictionOf({ id: `r${i}`, ts, score }),
        truths,
      }));
      const needs = worldOf(spec).needs;
      const shuffled = createEstimates(FRESH, needs);
      const queues = planned.map((row, i) => changesOf(row, i));
      const open = queues.map((_, i) => i);
      let turn = 0;
      while (open.length > 0) {
        const at = (picks[turn++ % Math.max(1, picks.length)] ?? 0) % open.length;
        const queue = queues[open[at] ?? 0];
        const change = queue?.shift();
        if (change !== undefined) shuffled.apply(change);
        if (queue === undefined || queue.length === 0) open.splice(at, 1);
      }
      const plain = createEstimates(FRESH, needs);
      for (const [row, { prediction, truths }] of planned.entries()) {
        const last = truths.at(-1) ?? null;
        for (const change of changesOf({ prediction, truths: last === null ? [] : [last] }, row))
          plain.apply(change);
      }
      assert.deepEqual(shuffled.at(NOW), plain.at(NOW));
      for (const [row, { prediction, truths }] of planned.entries()) {
        const before = truthOf(truths.at(-1) ?? null, prediction.ts);
        shuffled.apply({ kind: "forgotten", row, prediction, before });
      }
      assert.deepEqual(shuffled.at(NOW), []);
      assert.equal(shuffled.counters().bucketsLeft, 4_000_000);
    }),
    { numRuns: 15 },
  );
});

test("versions beyond the cap are left out whole and counted; reading a model again gives the same estimates", () => {
  const world = worldOf(binarySpec("m", { labelHorizonMs: HOUR }));
  const estimates = createEstimates({ ...FRESH, versionsMax: 2 }, world.needs);
  world.listen((change) => estimates.apply(change));
  for (let i = 0; i < 1200; i++) {
    const row = world.predict({ ts: NOW - 3 * HOUR, version: String(i % 3), score: (i % 97) / 97 });
    world.label(row, i % 2);
  }
  const before = estimates.at(NOW);
  assert.deepEqual(
    before.map(({ version }) => version),
    ["0", "1"],
  );
  assert.equal(estimates.counters().refusedVersions, 1);
  estimates.rebuild("m");
  assert.deepEqual(estimates.at(NOW), before);
});

test("a full purse of buckets makes panes coarser, not larger", () => {
  const world = worldOf(binarySpec("m", { labelHorizonMs: HOUR }));
  const estimates = createEstimates({ ...FRESH, bucketsMax: 100 }, world.needs);
  world.listen((change) => estimates.apply(change));
  const random = randomFrom(2);
  for (let i = 0; i < 5000; i++) {
    const { score, positive } = overconfident(random);
    world.label(world.predict({ ts: NOW - 3 * HOUR - (i % 48) * HOUR, score }), positive ? 1 : 0);
  }
  assert.ok(estimates.counters().bucketsLeft >= 0);
  const [answer] = estimates.at(NOW);
  const whole = createEstimates(FRESH, world.needs);
  whole.rebuild("m");
  const fine = valueOf(whole.at(NOW)[0], "7d", "accuracy");
  assert.ok(Math.abs(valueOf(answer, "7d", "accuracy") - fine) < 0.02);
});

test("what is worked out in parts is what one question gives, and only for those who asked", () => {
  for (const task of ["binary", "regression", "multiclass"] as const) {
    const classes = task === "multiclass" ? ["a", "b"] : null;
    const spec =
      task === "binary"
        ? binarySpec("credit", { labelHorizonMs: DAY })
        : specFor("credit", { task, labelHorizonMs: DAY, classes });
    const random = randomFrom(3);
    const world = worldOf(spec);
    const estimates = createEstimates({}, world.needs);
    const asked = createEstimates({}, world.needs);
    for (const each of [estimates, asked]) world.listen((change) => each.apply(change));
    for (let i = 0; i < 2000; i++) {
      const { score, positive } = overconfident(random);
      const value = task === "regression" ? 100 * score : score >= 0.5 ? "a" : "b";
      const scores = task === "multiclass" ? { a: score, b: 1 - score } : null;
      const ts = Math.floor(NOW - (i / 2000) * 4 * DAY);
      const row = world.predict({ ts, score: task === "binary" ? score : null, value, scores });
      const truth =
        task === "regression"
          ? 100 * random()
          : task === "binary"
            ? positive
              ? 1
              : 0
            : positive
              ? "a"
              : "b";
      if (ts <= NOW - DAY) world.label(row, truth);
    }
    assert.equal(estimates.work(NOW), false, "nobody has asked");
    assert.deepEqual(estimates.latest(NOW), []);
    let parts = 1;
    while (estimates.work(NOW)) parts++;
    assert.ok(parts > 5, `${task}: ${parts}`);
    const expected = asked.at(NOW);
    assert.ok((expected[0]?.windows.length ?? 0) > 0);
    assert.deepEqual(estimates.latest(NOW), expected);
    assert.equal(estimates.work(NOW), false, "it is fresh");
    assert.deepEqual(estimates.latest(NOW + HOUR), [], "nobody is told what is an hour old");
    assert.equal(estimates.work(NOW + HOUR), true);
    estimates.clear();
    assert.equal(estimates.work(NOW + HOUR), false, "its rows are gone");
  }
});
