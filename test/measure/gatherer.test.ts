// Labels between two questions are gathered; whoever asks, whenever, sees what a recompute would show.

import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { ModelSpec } from "../../src/facts/model.ts";
import type { Truth } from "../../src/facts/pair.ts";
import type { Prediction } from "../../src/facts/prediction.ts";
import { createMeasure, type Measure } from "../../src/measure/measure.ts";
import { ScoreHistogram } from "../../src/measure/score-histogram.ts";
import { compareGroups } from "../../src/measure/verify.ts";
import { binarySpec, predictionOf, specFor } from "../support/models.ts";
import { random } from "../support/random.ts";

const NOW = 1_767_571_200_000;
const CLASSES = ["a", "b", "c"];
const SPECS = [
  specFor("m"),
  binarySpec("m"),
  specFor("m", { task: "multiclass", classes: CLASSES, windows: ["1h", "all"] }),
];

type Row = { readonly prediction: Prediction; truth: Truth | null };

function measureOf(spec: ModelSpec, rows: readonly Row[], asOf: number): Measure {
  return createMeasure(
    { asOf },
    {
      specOf: () => spec,
      versionsOf: () => ["1"],
      scan: ({ fromTs, toTs }, visit) => {
        for (const [row, { prediction, truth }] of rows.entries()) {
          if (prediction.ts > fromTs && prediction.ts <= toTs) visit(row, prediction, truth);
        }
      },
    },
  );
}

function rowOf(spec: ModelSpec, id: string, chance: () => number): Row {
  const slice = chance() < 0.5 ? { region: chance() < 0.5 ? "eu" : "us" } : null;
  const of = { id, ts: NOW - Math.floor(chance() ** 4 * 9 * 86_400_000), slice };
  if (spec.task === "regression")
    return { prediction: predictionOf({ ...of, value: chance() * 9 }), truth: null };
  if (spec.task === "binary") return { prediction: predictionOf({ ...of, score: chance() }), truth: null };
  const a = chance() / 2;
  const scores = { a, b: 0.5 - a, c: 0.5 };
  return { prediction: predictionOf({ ...of, value: a > 0.3 ? "a" : "c", scores }), truth: null };
}

function labelOf(spec: ModelSpec, chance: () => number): Truth["value"] {
  if (spec.task === "regression") return Math.floor(chance() * 1500) / 7;
  return spec.task === "binary"
    ? String(Math.floor(chance() * 2))
    : (CLASSES[Math.floor(chance() * 3)] ?? "a");
}

for (const spec of SPECS) {
  test(`joined, corrected, retracted and forgotten labels of a ${spec.task} model equal a recompute`, () => {
    const chance = random(7);
    const rows: Row[] = [];
    const measure = measureOf(spec, rows, NOW);
    for (let row = 0; row < 3000; row++) {
      const fresh = rowOf(spec, `r${row}`, chance);
      rows.push(fresh);
      measure.apply({ kind: "predicted", row, prediction: fresh.prediction });
    }
    for (let step = 0; step < 12_000; step++) {
      const row = Math.floor(chance() * rows.length);
      const held = rows[row];
      assert.ok(held);
      const { prediction, truth: before } = held;
      const gone = before !== null && chance() < 0.2;
      const after = gone ? null : { value: labelOf(spec, chance), ts: NOW, firstReceivedAt: NOW + step };
      held.truth = after;
      measure.apply({ kind: "truth", row, prediction, before, after });
      if (step % 2999 === 0) measure.groups(NOW + step * 1000);
    }
    const at = NOW + 14_400_000;
    const { compared, differences } = measure.verify(at);
    assert.ok(compared > 15, `${compared} compared`);
    assert.deepEqual(differences, []);
    const again = measureOf(spec, rows, at);
    again.rebuild("m");
    assert.deepEqual(measure.windowStats(at), again.windowStats(at));
    assert.deepEqual(compareGroups(measure.groups(at), again.groups(at)), []);
  });
}

suite("histograms that gather", () => {
  const shape = { sides: 2, mirrored: true };
  const limits = (): ConstructorParameters<typeof ScoreHistogram>[1] => ({
    exact: 300,
    buckets: 64,
    purse: { left: 1000 },
  });

  test("what is gathered and merged equals what was added, exact or in buckets, though rows come and go between", () => {
    for (const count of [50, 5000]) {
      const chance = random(count);
      const direct = new ScoreHistogram(shape, limits());
      const merged = new ScoreHistogram(shape, limits());
      const held: { score: number; side: number }[] = [];
      for (let batch = 0; batch < 20; batch++) {
        const gathering = ScoreHistogram.gathering([merged]);
        for (let i = 0; i < count / 20; i++) {
          const back = chance() < 0.3 ? held.pop() : undefined;
          const { score, side } = back ?? { score: chance(), side: chance() < 0.4 ? 1 : 0 };
          for (const histogram of [direct, gathering])
            histogram.add(score, side, back === undefined ? 1 : -1);
          if (back === undefined) held.unshift({ score, side });
        }
        merged.merge(gathering, 1);
      }
      assert.equal(merged.bits, direct.bits);
      assert.deepEqual(merged.columns().scores, direct.columns().scores);
      assert.deepEqual(merged.columns().counts, direct.columns().counts);
    }
  });

  test("a histogram in buckets that loses its last rows while others come keeps the buckets of those that came", () => {
    const kept = new ScoreHistogram(shape, { exact: 4, buckets: 2, purse: { left: 0 } });
    for (const score of [0.1, 0.101, 0.102, 0.4]) kept.add(score, 0, 1);
    assert.ok(!kept.isExact);
    const gathering = ScoreHistogram.gathering([kept]);
    for (const score of [0.1, 0.101, 0.102, 0.4]) gathering.add(score, 0, -1);
    for (const score of [0.2, 0.2001]) gathering.add(score, 1, 1);
    kept.merge(gathering, 1);
    const { counts, mixed } = kept.columns();
    assert.deepEqual(
      counts.map((side) => [...side]),
      [[0], [2]],
    );
    assert.deepEqual([...mixed], [1]);
  });
});
