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

  label(at: number, value: number | string | null, delayMs = 1000): void {
    const found = this.#rows[at % Math.max(1, this.#rows.length)];
    if (found === undefined) return;
    const { row, prediction, truth: before } = found;
    const ts = prediction.ts + delayMs;
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

  /** The same from a measure that sees only the rows of one window, as "all"; the windows end `lagMs` before `at`. */
  byDefinition(at: number, lagMs = 0): Group[] {
    const end = at - lagMs;
    const groups: Group[] = [];
    for (const name of this.#spec.windows) {
      const { lengthMs } = parseWindow(name);
      const inside = ({ prediction: { ts } }: Row): boolean =>
        (lengthMs === null && (lagMs === 0 || ts <= end)) ||
        (lengthMs !== null && ts > end - lengthMs && ts <= end);
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
const filled = (groups: readonly Group[]): Omit<Group, "maturity" | "basis">[] => {
  const key = (group: Group): string => `${group.slice} ${group.window}`;
  return groups
    .filter((group) => group.n_predictions > 0)
    .map(({ maturity: _maturity, basis: _basis, ...group }) => group)
    .sort((a, b) => (key(a) < key(b) ? -1 : 1));
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
            if (i % 10 === 0) assert.deepEqual(rows.measure.verify(at).differences, []);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
}

const MATURED = { basis: "matured" as const };
/** Enough rows with short and long delays, so that the lag is known from the start, and moves. */
const aged = fc.array(
  fc.record({
    ageMs: fc.integer({ min: 0, max: 9 * 24 * HOUR }),
    delayMs: fc.constantFrom(500, 20_000, 7 * HOUR),
  }),
  { minLength: 40, maxLength: 80 },
);

for (const task of ["regression", "binary"] as const) {
  test(`${task}: a matured window ends at the lag that the delays tell and holds exactly its rows`, () => {
    let answered = 0;
    fc.assert(
      fc.property(aged, fc.array(step, { maxLength: 60 }), (history, steps) => {
        const windows = ["1h", "24h", "7d", "all"];
        const rows = new Rows(specFor("m", { ...tasks[task], windows }));
        for (const [i, { ageMs, delayMs }] of history.entries()) {
          const said = (i % 21) / 20;
          const each = {
            kind: "row" as const,
            ts: START - ageMs,
            value: said,
            slice: i % 3 === 0 ? "eu" : null,
          };
          rows.add(predictionFor(task, each, `h${i}`));
          rows.label(i, labelFor(task, ((i * 7) % 21) / 20), delayMs);
        }
        let at = START;
        for (const [i, each] of [...steps, { kind: "wait" as const, ms: 1 }].entries()) {
          if (each.kind === "row") rows.add(predictionFor(task, each, `r${i}`));
          else if (each.kind === "label") rows.label(each.at, labelFor(task, each.value));
          else if (each.kind === "forget") rows.forget(each.at);
          else if (each.kind === "restart") rows.restart();
          else if (each.kind === "rebuild") rows.measure.rebuild("m");
          else {
            at += each.kind === "wait" ? each.ms : (each.at % 7) * 1800_000;
            const lagMs = rows.measure.delays(at)[0]?.lagMs ?? null;
            const groups = rows.measure.groups(at, MATURED);
            if (lagMs === null) assert.ok(groups.every((group) => group.undefined["any"] === "too_early"));
            else assert.deepEqual(filled(groups), filled(rows.byDefinition(at, lagMs)));
            assert.deepEqual(rows.measure.verify(at).differences, []);
            answered += lagMs === null ? 0 : 1;
          }
        }
      }),
      { numRuns: 200 },
    );
    assert.ok(answered > 100, `${answered} answers`);
  });
}

test("a matured window that is asked again and again reads few rows", () => {
  const rows = new Rows(specFor("m", { windows: ["1h", "24h"] }));
  let read = 0;
  let reads = 0;
  const needs = rows.needs();
  rows.measure = createMeasure(
    { asOf: START },
    {
      specOf: () => needs.specOf(),
      scan: (range, visit) => {
        reads++;
        needs.scan(range, (row, prediction, truth) => {
          read++;
          visit(row, prediction, truth);
        });
      },
    },
  );
  for (let i = 0; i < 4000; i++) rows.add(predictionOf({ id: `r${i}`, ts: START - i * 10_000, value: 1 }));
  for (let i = 0; i < 4000; i++) rows.label(i, 2, 60_000);
  rows.measure.groups(START, MATURED);
  const first = read;
  assert.ok(first < 100, `${first} rows for the first answer`);
  reads = 0;
  for (let i = 1; i <= 1000; i++) rows.measure.groups(START + i * 1000, MATURED);
  assert.ok(read - first < 600 && reads < 40, `${read - first} rows in ${reads} readings for 1,000 answers`);
});

test("a matured window that has to read much says so, and is there after a few more questions", () => {
  const rows = new Rows(specFor("m", { windows: ["24h"] }));
  rows.measure = rows.fresh();
  for (let i = 0; i < 30_000; i++) rows.add(predictionOf({ id: `r${i}`, ts: START - i * 10_000, value: 1 }));
  for (let i = 0; i < 30_000; i++) rows.label(i, 2, i % 5 === 0 ? 30 * HOUR : 1000);
  let steps = 0;
  while (rows.measure.catchUp(START)) assert.ok(++steps < 100);
  assert.ok(steps >= 1, `${steps} steps`);
  const [group] = rows.measure.groups(START, MATURED);
  assert.deepEqual([group?.n_predictions, group?.n_labeled, group?.metrics["mse"]], [8640, 8640, 1]);
});

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
