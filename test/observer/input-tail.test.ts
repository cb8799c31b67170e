// Captured inputs and kills: what drift knows of them is what it would know without.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Prediction } from "../../src/facts/prediction.ts";
import { createDrift, type Drift } from "../../src/measure/drift/drift.ts";
import { DRIFT_STATES } from "../../src/measure/drift/saved-spreads.ts";
import type { ReferenceRule } from "../../src/measure/drift/stream.ts";
import { type InputRow, InputTail, TAIL_STATES } from "../../src/observer/input-tail.ts";
import { parseTail } from "../../src/observer/parse-tail.ts";
import { predictionOf, specFor } from "../support/models.ts";

const HOUR = 3_600_000;
const NOW = Date.UTC(2026, 0, 20);
/** Ends within an hour: what lies before and after it must stay apart. */
const RULE: ReferenceRule = { kind: "span", from: NOW - 3 * HOUR, to: NOW - 90 * 60_000 };

/** Drift, and a store whose transactions happen or do not. */
class Life {
  readonly #stored = new Map<string, string>();
  readonly #rows: Prediction[] = [];
  drift = this.#create();
  #tail = new InputTail();

  #create(): Drift {
    const options = { refreshMs: 0, windows: ["1h", "24h"], referenceOf: () => RULE };
    return createDrift(options, {
      specOf: () => specFor("m"),
      versionsOf: () => new Set(this.#rows.map(({ version }) => version)),
      scan: (_, visit) => {
        for (const [row, prediction] of this.#rows.entries()) visit(row, prediction, null);
      },
    });
  }

  #set(states: Iterable<readonly [string, string | null]>): void {
    for (const [key, text] of states) {
      if (text === null) this.#stored.delete(key);
      else this.#stored.set(key, text);
    }
  }

  commit(rows: readonly (InputRow & { readonly prediction: Prediction })[], happens = true): void {
    const beside = this.#tail.write(rows);
    if (!happens) return;
    this.#set(beside?.states ?? []);
    beside?.kept();
    for (const { prediction, inputs } of rows) {
      this.#rows.push(prediction);
      this.drift.apply({ kind: "predicted", row: this.#rows.length, prediction });
      for (const { name, value } of inputs) this.drift.input(prediction, name, value);
    }
  }

  save(): void {
    for (const { states, saved } of [this.drift.unsaved(), this.#tail.unsaved()]) {
      this.#set(states);
      saved();
    }
  }

  start(withInputs = true): void {
    const under = (prefix: string) =>
      [...this.#stored].filter(([key]) => key.startsWith(prefix)).toSorted(([a], [b]) => (a < b ? -1 : 1));
    this.drift = this.#create();
    this.drift.load(under(DRIFT_STATES), withInputs);
    this.#tail = new InputTail();
    this.#tail.load(under(TAIL_STATES), withInputs);
    for (const [row, prediction] of this.#rows.entries())
      this.drift.restore({ kind: "predicted", row, prediction });
    this.#tail.replay(this.drift);
  }

  get tails(): number {
    return [...this.#stored.keys()].filter((key) => key.startsWith(TAIL_STATES)).length;
  }

  inputs(): unknown {
    return this.drift
      .at(NOW)
      .map(({ version, streams }) => [
        version,
        streams
          .filter(({ stream }) => stream.startsWith("input:"))
          .toSorted((a, b) => (a.stream < b.stream ? -1 : 1)),
      ]);
  }
}

const value = fc.oneof(
  fc.constantFrom(0, 1, 7.25, 1e300),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const row = fc.record({
  version: fc.constantFrom("1", "2"),
  agoMs: fc.integer({ min: 0, max: 4 * HOUR }),
  age: value,
  city: fc.option(fc.constantFrom("Bern", "Chur", "Genf")),
});
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ rows: fc.array(row, { minLength: 1, maxLength: 60 }), happens: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.constantFrom("save" as const, "kill" as const) },
);

test("any commits, savings and kills end in the same windows of inputs as one life without", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const [life, whole] = [new Life(), new Life()];
      let ids = 0;
      for (const each of steps) {
        if (each === "save") life.save();
        else if (each === "kill") life.start();
        else {
          const rows = each.rows.map(({ version, agoMs, age, city }) => ({
            prediction: predictionOf({ id: `r${ids++}`, model: "m", version, ts: NOW - agoMs, value: 1 }),
            inputs: [{ name: "age", value: age }, ...(city === null ? [] : [{ name: "city", value: city }])],
          }));
          // Most transactions happen.
          const happens = each.happens || rows.length > 20;
          life.commit(rows, happens);
          if (happens) whole.commit(rows);
        }
      }
      life.start();
      assert.deepEqual(life.inputs(), whole.inputs());
      life.save();
      assert.equal(life.tails, 0);
      life.start();
      assert.deepEqual(life.inputs(), whole.inputs());
    }),
    { numRuns: 150, seed: 4 },
  );
});

const rowsOf = (count: number, values: number): InputRow[] =>
  Array.from({ length: count }, (_, i) => ({
    prediction: { model: "m", version: "1", ts: NOW },
    inputs: Array.from({ length: values }, (__, j) => ({ name: `i${j}`, value: i + j / 100 })),
  }));

test("states are small, however large a commit is, and no more than the cap", () => {
  const tail = new InputTail();
  const beside = tail.write(rowsOf(1000, 18));
  const states = [...(beside?.states ?? [])];
  assert.equal(states.length, Math.ceil(18 / 4), "four inputs of 1,000 values each");
  for (const [, text] of states) assert.ok(text.length < 512 * 1024);
  assert.equal(
    states.flatMap(([, text]) => parseTail(text)).reduce((sum, [, , , , values]) => sum + values.length, 0),
    18_000,
  );
  beside?.kept();
  let more = 0;
  for (let next = tail.write(rowsOf(1, 1)); next !== null; next = tail.write(rowsOf(1, 1))) {
    next.kept();
    more++;
  }
  assert.equal(more, 20_000 - states.length);
  assert.equal([...tail.unsaved().states].length, 20_000);
});

test("inputs that are no longer to be kept are dropped, and what is damaged is left out", () => {
  const life = new Life();
  life.commit([{ prediction: predictionOf({ id: "r", ts: NOW }), inputs: [{ name: "age", value: 1 }] }]);
  assert.equal(life.tails, 1);
  life.start(false);
  assert.deepEqual(life.inputs(), [["1", []]]);
  life.save();
  assert.equal(life.tails, 0);
  const fine = ["m", "1", 5, "age", [[1, 2]]];
  const wrong = [
    null,
    [],
    ["m", "1", "5", "age", []],
    ["m", "1", 5, "age", [[1]]],
    ["m", "1", 5, "age", [[1, -1]]],
  ];
  assert.deepEqual(parseTail(JSON.stringify([fine, ...wrong])), [fine]);
  for (const text of ["", "{", "{}", "1"]) assert.deepEqual(parseTail(text), []);
});
