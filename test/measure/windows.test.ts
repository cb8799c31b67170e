// Sliding windows against a plain count over all rows: at any instant, forwards and backwards, whatever happens between.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Group } from "../../src/facts/group.ts";
import type { ModelSpec, Task } from "../../src/facts/model.ts";
import type { Truth } from "../../src/facts/pair.ts";
import type { Prediction } from "../../src/facts/prediction.ts";
import { Problem } from "../../src/kernel/problem.ts";
import { createMeasure, type Measure, type MeasureNeeds } from "../../src/measure/measure.ts";
import { parseWindow } from "../../src/measure/windows.ts";
import { predictionOf, specFor } from "../support/models.ts";

const HOUR = 3_600_000;
const START = 1_767_571_200_000;

interface Row {
  readonly row: number;
  readonly prediction: Prediction;
  truth: Truth | null;
}

/** Rows with their truth, told to a measure, and the answer that follows from them directly. */
class Rows {
  readonly #rows: Row[] = [];
  readonly #spec: ModelSpec;
  measure: Measure;

  constructor(spec: ModelSpec) {
    this.#spec = spec;
    this.measure = this.fresh();
  }

  needs(): { specOf(): ModelSpec; scan: MeasureNeeds["scan"] } {
    return {
      specOf: () => this.#spec,
      scan: ({ version, fromTs, toTs }, visit) => {
        for (const { row, prediction, truth } of this.#rows) {
          const { ts } = prediction;
          if (prediction.version === version && ts > fromTs && ts <= toTs) visit(row, prediction, truth);
        }
      },
    };
  }

  fresh(): Measure {
    return createMeasure({}, this.needs());
  }

  add(prediction: Prediction): void {
    const row = { row: this.#rows.length, prediction, truth: null };
    this.#rows.push(row);
    this.measure.apply({ kind: "predicted", row: row.row, prediction });
  }

  label(at: number, value: number | string | null): void {
    const found = this.#rows[at % Math.max(1, this.#rows.length)];
    if (found === undefined) return;
    const { row, prediction, truth: before } = found;
    const ts = prediction.ts + 1000;
    const after = value === null ? null : { value, ts, firstReceivedAt: ts };
    if (before === null && after === null) return;
    found.truth = after;
    this.measure.apply({ kind: "truth", row, prediction, before, after });
  }

  forget(at: number): void {
    const [found] = this.#rows.splice(at % Math.max(1, this.#rows.length), 1);
    if (found === undefined) return;
    const { row, prediction, truth: before } = found;
    this.measure.apply({ kind: "forgotten", row, prediction, before });
  }

  restart(): void {
    this.measure = this.fresh();
    for (const { row, prediction, truth } of this.#rows) {
      this.measure.restore({ kind: "predicted", row, prediction });
      if (truth !== null) {
        this.measure.restore({ kind: "truth", row, prediction, before: null, after: truth });
      }
    }
  }

  /** The same from a measure that sees only the rows of one window, as "all". */
  byDefinition(at: number): Group[] {
    const groups: Group[] = [];
    for (const name of this.#spec.windows) {
      const { lengthMs } = parseWindow(name);
      const inside = ({ prediction: { ts } }: Row): boolean =>
        lengthMs === null || (ts > at - lengthMs && ts <= at);
      const plain = createMeasure(
        {},
        { specOf: () => ({ ...this.#spec, windows: ["all"] }), scan: () => assert.fail("no scan for all") },
      );
      for (const each of this.#rows.filter(inside)) {
        const { row, prediction, truth } = each;
        plain.apply({ kind: "predicted", row, prediction });
        if (truth !== null) plain.apply({ kind: "truth", row, prediction, before: null, after: truth });
      }
      groups.push(...plain.groups(at).map((group) => ({ ...group, window: name })));
    }
    return groups;
  }
}

type Step =
  | { readonly kind: "row"; readonly ts: number; readonly value: number; readonly slice: string | null }
  | { readonly kind: "label"; readonly at: number; readonly value: number | null }
  | { readonly kind: "forget"; readonly at: number }
  | { readonly kind: "ask"; readonly at: number }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "restart" }
  | { readonly kind: "rebuild" };

/** Few enough instants that rows lie on the very edge of windows and panes, or a millisecond beside it. */
const instant = fc
  .tuple(
    fc.constantFrom(0, 0, 1, 1, 2, 24, 25, 168, 169, 170, 200),
    fc.constantFrom(0, 0, 30, 60, 90, 600),
    fc.integer({ min: -1, max: 1 }),
  )
  .map(([hours, seconds, ms]) => START + hours * HOUR + seconds * 1000 + ms);
const value = fc.integer({ min: 0, max: 20 }).map((n) => n / 20);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("row" as const),
      ts: instant,
      value,
      slice: fc.constantFrom(null, "eu", "us"),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("label" as const), at: fc.nat(), value: fc.option(value) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget" as const), at: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("ask" as const), at: instant }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.constantFrom(-30_000, 0, 1, 20_000, 60_000, 300_000, 3_600_000),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "rebuild" as const }) },
);

const tasks: Readonly<Record<Task, Partial<ModelSpec>>> = {
  regression: {},
  binary: { task: "binary", classes: ["0", "1"], positive: "1" },
  multiclass: { task: "multiclass", classes: ["a", "b", "c"] },
};
const NAMES = ["a", "b", "c", "d"];

function predictionFor(task: Task, each: Extract<Step, { kind: "row" }>, id: string): Prediction {
  const { ts, value: said } = each;
  const slice = each.slice === null ? null : { region: each.slice };
  if (task === "regression") return predictionOf({ id, ts, slice, value: said });
  if (task === "binary") return predictionOf({ id, ts, slice, score: said });
  const scores = { a: said, b: (1 - said) / 2, c: (1 - said) / 2 };
  return predictionOf({ id, ts, slice, value: NAMES[Math.floor(said * 3.9)] ?? "a", scores });
}

function labelFor(task: Task, told: number | null): number | string | null {
  if (told === null || task === "regression") return told;
  return task === "binary" ? String(Math.round(told)) : (NAMES[Math.floor(told * 3.9)] ?? "a");
}

/** Groups without those that hold no prediction at all: a plain count does not know of them. */
const filled = (groups: readonly Group[]): Group[] => {
  const key = (group: Group): string => `${group.slice} ${group.window}`;
  return groups.filter((group) => group.n_predictions > 0).sort((a, b) => (key(a) < key(b) ? -1 : 1));
};

for (const task of ["regression", "binary", "multiclass"] as const) {
  test(`${task}: every window holds exactly T-W < ts <= T, bit for bit as if made afresh`, () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 90 }), instant, (steps, last) => {
        const windows = ["1h", "24h", "7d", "90m", "all"];
        const rows = new Rows(specFor("m", { ...tasks[task], windows }));
        let at = last;
        for (const [i, each] of [...steps, { kind: "ask" as const, at: last }].entries()) {
          if (each.kind === "row") rows.add(predictionFor(task, each, `r${i}`));
          else if (each.kind === "label") rows.label(each.at, labelFor(task, each.value));
          else if (each.kind === "forget") rows.forget(each.at);
          else if (each.kind === "restart") rows.restart();
          else if (each.kind === "rebuild") rows.measure.rebuild("m");
          else {
            at = each.kind === "wait" ? at + each.ms : each.at;
            assert.deepEqual(filled(rows.measure.groups(at)), filled(rows.byDefinition(at)));
          }
        }
      }),
      { numRuns: 300 },
    );
  });
}

test("a quiet model is asked again without reading a row", () => {
  let reads = 0;
  const measure = createMeasure({ asOf: START }, { specOf: () => specFor("m"), scan: () => void reads++ });
  measure.apply({ kind: "predicted", row: 1, prediction: predictionOf({ id: "a", ts: START, value: 1 }) });
  for (let i = 0; i < 1000; i++) measure.groups(START + i * 1000);
  assert.equal(reads, 0);
});

test("rows at the edge are read once for many small steps, and again when one of them changes", () => {
  const rows = new Rows(specFor("m", { windows: ["1h"] }));
  let reads = 0;
  const needs = rows.needs();
  rows.measure = createMeasure(
    { asOf: START },
    {
      specOf: () => needs.specOf(),
      scan: (range, visit) => {
        reads++;
        needs.scan(range, visit);
      },
    },
  );
  for (let i = 0; i < 600; i++) rows.add(predictionOf({ id: `r${i}`, ts: START + i * 1000, value: 1 }));
  for (let i = 0; i < 600; i++) rows.label(i, 2);
  for (let second = 0; second < 300; second++) {
    const at = START + HOUR + second * 1000;
    if (second === 150) rows.label(155, 7);
    const [group] = rows.measure.groups(at);
    assert.deepEqual([group?.n_predictions, group?.n_labeled], [599 - second, 599 - second]);
    if (second === 154 || second === 156)
      assert.equal(group?.metrics["mse"], second === 154 ? (444 + 36) / 445 : 1);
  }
  assert.ok(reads <= 7, `${reads} reads for 300 steps`);
});

test("window names are lengths or all; panes divide a window into at most 180 pieces", () => {
  const minute = 60_000;
  assert.deepEqual(parseWindow("1h"), { name: "1h", lengthMs: HOUR, stepMs: minute });
  assert.equal(parseWindow("24h").stepMs, 10 * minute);
  assert.equal(parseWindow("7d").stepMs, HOUR);
  assert.equal(parseWindow("30d").stepMs, 6 * HOUR);
  assert.equal(parseWindow("all").lengthMs, null);
  for (const name of ["", "1", "h", "0h", "-1h", "1.5h", "1y", "99999999999999d", "1h "]) {
    assert.throws(() => parseWindow(name), Problem);
  }
});
