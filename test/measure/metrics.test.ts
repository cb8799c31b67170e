// Every metric against its definition, whatever the order, with rows corrected, taken back and merged; and what is undefined.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Group } from "../../src/facts/group.ts";
import type { ModelSpec } from "../../src/facts/model.ts";
import type { Prediction, Value } from "../../src/facts/prediction.ts";
import { createBinaryYardstick } from "../../src/measure/binary.ts";
import { createMeasure } from "../../src/measure/measure.ts";
import { createMulticlassYardstick } from "../../src/measure/multiclass.ts";
import { createRegressionYardstick } from "../../src/measure/regression.ts";
import type { Evaluation, Yardstick } from "../../src/measure/totals.ts";
import { binaryByDefinition, constantRegression, regressionByDefinition } from "../support/definitions.ts";
import { binarySpec, predictionOf, specFor } from "../support/models.ts";
import { createRandom } from "../support/random.ts";

interface Pair {
  readonly prediction: Prediction;
  readonly label: Value;
}

const purse = () => ({ left: 1_000_000 });
const CLASSES = ["a", "b", "c"];
const TASKS: Readonly<Record<string, { spec: ModelSpec; yardstick: (spec: ModelSpec) => Yardstick }>> = {
  regression: { spec: specFor("m"), yardstick: createRegressionYardstick },
  binary: { spec: binarySpec("m"), yardstick: (spec) => createBinaryYardstick(spec, { purse: purse() }) },
  multiclass: {
    spec: specFor("m", { task: "multiclass", classes: CLASSES }),
    yardstick: (spec) => createMulticlassYardstick(spec, { purse: purse() }),
  },
};

function groupOf(spec: ModelSpec, pairs: readonly Pair[]): Group {
  const measure = createMeasure({}, { specOf: () => ({ ...spec, windows: ["all"] }), scan: () => undefined });
  for (const [row, { prediction, label }] of pairs.entries()) {
    measure.apply({ kind: "predicted", row, prediction });
    const after = { value: label, ts: 1, firstReceivedAt: 1 };
    measure.apply({ kind: "truth", row, prediction, before: null, after });
  }
  const [group] = measure.groups(1);
  assert.ok(group);
  return group;
}

/** Paths of numbers that JSON cannot say. */
function notFinite(of: unknown, at = ""): string[] {
  if (typeof of === "number") return Number.isFinite(of) ? [] : [at];
  if (typeof of !== "object" || of === null) return [];
  return Object.entries(of).flatMap(([name, each]) => notFinite(each, `${at}.${name}`));
}

const value = fc.oneof(
  fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(1e9, 1e-9),
);
const share = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.integer({ min: 0, max: 10 }).map((n) => n / 10),
);
const PAIRS: Readonly<Record<string, fc.Arbitrary<Pair>>> = {
  regression: fc.record({ said: value, label: value }).map(({ said, label }) => {
    return { prediction: predictionOf({ id: "r", value: said }), label };
  }),
  binary: fc.record({ score: fc.option(share), label: fc.constantFrom("0", "1") }).map(({ score, label }) => {
    return { prediction: predictionOf({ id: "r", score, value: score === null ? "1" : null }), label };
  }),
  multiclass: fc
    .record({
      a: share,
      b: share,
      said: fc.constantFrom(...CLASSES),
      label: fc.constantFrom(...CLASSES, "z"),
    })
    .map(({ a, b, said, label }) => {
      const scores = { a: a / 2, b: b / 2, c: 1 - a / 2 - b / 2 };
      return { prediction: predictionOf({ id: "r", value: said, scores }), label };
    }),
};

for (const [task, { spec, yardstick }] of Object.entries(TASKS)) {
  const pair = PAIRS[task];
  assert.ok(pair);
  const pairs = fc.array(pair, { maxLength: 40 });

  test(`${task}: any order, with rows that came and went and parts merged, ends in the same bits`, () => {
    fc.assert(
      fc.property(pairs, pairs, fc.infiniteStream(fc.nat()), (stay, go, chance) => {
        const yard = yardstick(spec);
        const evaluate = (list: readonly Pair[]): Evaluation => {
          const totals = yard.create("total");
          for (const each of list) {
            yard.read(each.prediction, each.label);
            totals.add(1);
          }
          return totals.evaluate(list.length);
        };
        const expected = evaluate(stay);
        const shuffled = stay.map((each) => ({ each, key: chance.next().value ?? 0 }));
        shuffled.sort((a, b) => a.key - b.key);
        assert.deepEqual(evaluate(shuffled.map(({ each }) => each)), expected);
        const parts = [yard.create("total"), yard.create("total")] as const;
        for (const [i, each] of [...go, ...stay, ...stay].entries()) {
          yard.read(each.prediction, each.label);
          parts[i % 2 === 0 ? 0 : 1].add(1);
        }
        const whole = yard.create("total");
        for (const part of parts) whole.merge(part, 1);
        for (const each of [...go, ...stay]) {
          yard.read(each.prediction, each.label);
          whole.add(-1);
        }
        assert.deepEqual(whole.evaluate(stay.length), expected);
      }),
    );
  });

  test(`${task}: an interval holds its metric, and is there for each that has a value`, () => {
    fc.assert(
      fc.property(pairs, (list) => {
        if (list.length === 0) return;
        const group = groupOf(spec, list);
        const figures: Record<string, unknown> = { ...group.extra, ...group.metrics };
        for (const [name, interval] of Object.entries(group.intervals ?? {})) {
          const figure = figures[name];
          if (interval === null) continue;
          assert.ok(typeof figure === "number", `${name} has an interval but no value`);
          assert.ok(
            interval.lower - 1e-9 * Math.abs(figure) - 1e-12 <= figure,
            `${name}: ${interval.lower} above ${figure}`,
          );
          assert.ok(
            interval.upper + 1e-9 * Math.abs(figure) + 1e-12 >= figure,
            `${name}: ${interval.upper} below ${figure}`,
          );
        }
        for (const [name, figure] of Object.entries(group.metrics)) {
          if (figure !== null) assert.ok(name in (group.intervals ?? {}), `${name} has no interval`);
        }
        assert.deepEqual(notFinite(group), []);
      }),
    );
  });
}

function assertClose(group: Group, expected: Readonly<Record<string, number>>): void {
  const figures: Record<string, unknown> = { ...group.extra, ...group.metrics };
  for (const [name, wanted] of Object.entries(expected)) {
    const found = figures[name];
    assert.ok(typeof found === "number", `${name} is missing`);
    assert.ok(
      Math.abs(found - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted)),
      `${name} ${found}, not ${wanted}`,
    );
  }
}

test("regression metrics and their constant baselines follow their definitions", () => {
  const plain = fc.double({ min: 1, max: 100, noNaN: true });
  const rows = fc.array(fc.record({ said: plain, label: plain }), { minLength: 2, maxLength: 60 });
  fc.assert(
    fc.property(rows, (list) => {
      const labels = list.map(({ label }) => label);
      fc.pre(Math.max(...labels) - Math.min(...labels) > 1e-3);
      const pairs = list.map(({ said, label }) => {
        return { prediction: predictionOf({ id: "r", value: said }), label };
      });
      const group = groupOf(specFor("m"), pairs);
      const { r2 = 0, ...others } = regressionByDefinition(list);
      assertClose(group, others);
      assert.ok(Math.abs((group.metrics["r2"] ?? Number.NaN) - r2) <= 1e-9 * Math.max(1, Math.abs(r2)));
      assertClose({ ...group, metrics: {}, extra: group.baseline ?? {} }, constantRegression(labels));
    }),
  );
});

test("binary metrics follow their definitions", () => {
  const rows = fc.array(fc.record({ score: share, positive: fc.boolean() }), { minLength: 4, maxLength: 60 });
  fc.assert(
    fc.property(rows, (list) => {
      fc.pre(list.some(({ positive }) => positive) && list.some(({ positive }) => !positive));
      fc.pre(list.some(({ score }) => score >= 0.5) && list.some(({ score }) => score < 0.5));
      const pairs = list.map(({ score, positive }) => {
        return { prediction: predictionOf({ id: "r", score }), label: positive ? "1" : "0" };
      });
      assertClose(groupOf(binarySpec("m"), pairs), binaryByDefinition(list));
    }),
  );
});

const decided = (says: string, label: string): Pair => ({
  prediction: predictionOf({ id: "r", value: says }),
  label,
});
const scored = (score: number, label: string): Pair => ({
  prediction: predictionOf({ id: "r", score }),
  label,
});
/** Everything without a value, with the reason. */
const reasonsOf = (group: Group): Record<string, unknown> => ({
  ...group.undefined,
  ...Object(group.extra["undefined"]),
});

test("what is undefined says why, and what is merely zero is zero", () => {
  const spec = binarySpec("m");
  const noScores = {
    average_precision: "no_scores",
    log_loss: "no_scores",
    brier: "no_scores",
    ece10: "no_scores",
  };
  assert.deepEqual(reasonsOf(groupOf(spec, [decided("0", "0"), decided("0", "0")])), {
    ...noScores,
    precision: "no_predicted_positive",
    recall: "no_actual_positive",
    f1: "no_positive",
    roc_auc: "no_scores",
    balanced_accuracy: "single_class",
    mcc: "single_class",
  });
  const missed = groupOf(spec, [decided("0", "1"), decided("0", "0")]);
  assert.equal(missed.metrics["f1"], 0);
  assert.equal(reasonsOf(missed)["mcc"], "single_predicted_class");
  const onlyPositive = groupOf(spec, [scored(0.9, "1")]);
  assert.equal(reasonsOf(onlyPositive)["roc_auc"], "single_class");
  assert.equal(reasonsOf(onlyPositive)["specificity"], "no_actual_negative");
  assert.ok(typeof onlyPositive.extra["log_loss"] === "number");
  const margins = groupOf({ ...spec, scoreKind: "margin" }, [scored(3, "1"), scored(-3, "0")]);
  assert.equal(reasonsOf(margins)["brier"], "no_probabilities");
  assert.equal(margins.metrics["roc_auc"], 1);
  const tied = groupOf(spec, [scored(0.4, "1"), scored(0.4, "0"), scored(0.4, "0")]);
  assert.equal(tied.metrics["roc_auc"], 0.5);
  assert.equal(tied.extra["average_precision"], 1 / 3);
});

test("regression says zero_target, constant_target, too_few and overflow", () => {
  const pair = (said: number, label: number): Pair => ({
    prediction: predictionOf({ id: "r", value: said }),
    label,
  });
  const one = groupOf(specFor("m"), [pair(1, 0)]);
  assert.deepEqual(reasonsOf(one), { r2: "too_few", mape: "zero_target", wape: "zero_target" });
  assert.equal(one.extra["medae"], 1);
  assert.deepEqual(reasonsOf(groupOf(specFor("m"), [pair(1, 0.1), pair(2, 0.1)])), { r2: "constant_target" });
  const beyond = groupOf(specFor("m"), [pair(-1e200, 1e200), pair(1, 2)]);
  assert.equal(reasonsOf(beyond)["mse"], "overflow");
  assert.equal(beyond.metrics["mae"], 1e200);
  assert.equal(beyond.extra["max_error"], 2e200);
  const infinite = groupOf(specFor("m"), [pair(-1e308, 1.7e308), pair(1, 2)]);
  assert.equal(reasonsOf(infinite)["medae"], "overflow");
});

test("per class and in the whole, several classes have averages, areas and losses", () => {
  const spec = specFor("m", { task: "multiclass", classes: CLASSES });
  const row = (said: string, label: string, scores: Record<string, number>): Pair => ({
    prediction: predictionOf({ id: "r", value: said, scores }),
    label,
  });
  const group = groupOf(spec, [
    row("a", "a", { a: 0.8, b: 0.1, c: 0.1 }),
    row("b", "b", { a: 0.2, b: 0.5, c: 0.3 }),
    row("c", "b", { a: 0.1, b: 0.4, c: 0.5 }),
    row("c", "c", { a: 0.1, b: 0.2, c: 0.7 }),
  ]);
  const close = (found: unknown, wanted: number): void =>
    assert.ok(
      typeof found === "number" && Math.abs(found - wanted) < 1e-12,
      `${String(found)}, not ${wanted}`,
    );
  close(group.metrics["f1_macro"], (1 + 2 / 3 + 2 / 3) / 3);
  close(group.extra["brier"], (0.06 + 0.38 + 0.62 + 0.14) / 4);
  close(group.extra["log_loss"], -Math.log(0.8 * 0.5 * 0.4 * 0.7) / 4);
  close(group.extra["balanced_accuracy"], (1 + 0.5 + 1) / 3);
  const ofB = Object(Object(group.extra["per_class"])["b"]);
  assert.equal(ofB.support, 2);
  assert.equal(ofB.recall, 0.5);
  assert.equal(ofB.precision, 1);
  assert.equal(group.baseline?.["accuracy"], 0.5);
  close(group.baseline?.["log_loss"], 1.5 * Math.log(2));
  assert.equal(group.baseline?.["roc_auc_ovo_macro"], 0.5);
  assert.deepEqual(Object.keys(group.intervals ?? {}).filter((name) => name.startsWith("roc_auc")).length, 4);
});

test("the area of one class against the rest has the interval that the same scores have with two classes", () => {
  const random = createRandom(11);
  const rows = Array.from({ length: 300 }, () => {
    const parts = CLASSES.map(() => random.next());
    const sum = parts.reduce((all, part) => all + part, 0);
    const scores = Object.fromEntries(CLASSES.map((name, i) => [name, (parts[i] ?? 0) / sum]));
    return { scores, label: CLASSES[Math.floor(random.next() * CLASSES.length)] ?? "a" };
  });
  const { extra } = groupOf(
    specFor("m", { task: "multiclass", classes: CLASSES }),
    rows.map(({ scores, label }) => ({ prediction: predictionOf({ id: "r", value: "a", scores }), label })),
  );
  for (const name of CLASSES) {
    const { intervals } = groupOf(
      binarySpec("m"),
      rows.map(({ scores, label }) => ({
        prediction: predictionOf({ id: "r", score: scores[name] ?? 0 }),
        label: label === name ? "1" : "0",
      })),
    );
    const interval = intervals?.["roc_auc"];
    assert.deepEqual(Object(extra["roc_auc_ovr_ci"])[name], [interval?.lower, interval?.upper]);
  }
});

test("errors that are nearly alike have the standard error of what they differ by, not of the rounding of their squares", () => {
  const of = (errors: readonly number[]) => {
    const pairs = errors.map((label, row) => ({
      prediction: predictionOf({ id: `${row}`, value: 0 }),
      label,
    }));
    const { extra, intervals } = groupOf(specFor("m"), pairs);
    const me = intervals?.["me"];
    const numbers = [
      extra["mae_se"],
      extra["mse_se"],
      me === null || me === undefined ? null : me.upper - me.lower,
    ];
    return numbers.map(Number);
  };
  assert.deepEqual(of([0.1, 0.1, 0.1]), [0, 0, 0]);
  // The sample's deviation is 1e-3, the standard error a square root of 3 less.
  const [mae = 0, mse = 0, me = 0] = of([-1e9, -1e9 - 2 ** -10, -1e9 + 2 ** -10]);
  const expected = 2 ** -10 / Math.sqrt(3);
  assert.ok(Math.abs(mae / expected - 1) < 1e-3, `${mae}`);
  assert.ok(Math.abs(mse / (2e9 * expected) - 1) < 1e-3, `${mse}`);
  assert.ok(Math.abs(me / (2 * 1.96 * expected) - 1) < 1e-3, `${me}`);
});
