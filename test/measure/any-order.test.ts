// Estimates, nowcasts and drift with captured inputs, through the join: whatever the order of predictions and labels, whatever
// came twice, was corrected, withdrawn or contradicted, and however often all began anew, they are those of the final rows alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { LabelEvent } from "../../src/facts/label.ts";
import type { ModelSpec } from "../../src/facts/model.ts";
import type { Change } from "../../src/facts/pair.ts";
import type { Prediction, Value } from "../../src/facts/prediction.ts";
import { createDrift, type Drift, type DriftOptions } from "../../src/measure/drift/drift.ts";
import {
  createEstimates,
  type Estimates,
  type EstimatesNeeds,
} from "../../src/measure/estimate/estimates.ts";
import { binarySpec, predictionOf, specFor } from "../support/models.ts";
import { createPlainJoin } from "../support/plain-join.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 0, 20);
const FRESH = { refreshMs: 0 };
const CITIES = ["Bern", "Genf", "Chur"];

type Task = "binary" | "regression" | "multiclass";

const SPECS: Readonly<Record<Task, ModelSpec>> = {
  binary: binarySpec("m", { labelHorizonMs: 2 * DAY, windows: ["1h", "24h", "7d"] }),
  regression: specFor("m", { labelHorizonMs: 2 * DAY, windows: ["1h", "24h", "7d"] }),
  multiclass: specFor("m", {
    task: "multiclass",
    classes: ["0", "1", "2"],
    labelHorizonMs: 2 * DAY,
    windows: ["24h", "7d"],
  }),
};

const referenceOf: NonNullable<DriftOptions["referenceOf"]> = (_model, _version, stream) =>
  stream === "input:age"
    ? { kind: "baseline", reference: { kind: "bins", edges: [0, 20, 40, 60], counts: [9, 9, 9] } }
    : { kind: "span", from: NOW - 4 * DAY, to: NOW - 2 * DAY };

interface MadeRow {
  /** 0 to 40. */
  readonly said: number;
  readonly ageMs: number;
  /** Revisions in order of their time; null withdraws. */
  readonly labels: readonly (number | null)[];
  readonly delayMs: number;
}

const madeRow: fc.Arbitrary<MadeRow> = fc.record({
  said: fc.integer({ min: 0, max: 40 }),
  ageMs: fc.oneof(
    { weight: 3, arbitrary: fc.integer({ min: 2 * DAY, max: 5 * DAY }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 * DAY }) },
  ),
  labels: fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 0, max: 40 }).map((label) => [label]) },
    { weight: 1, arbitrary: fc.array(fc.option(fc.integer({ min: 0, max: 40 })), { maxLength: 3 }) },
  ),
  delayMs: fc.integer({ min: 0, max: 2 * DAY }),
});

const idOf = (i: number): string => `r${i}`;

function predicted(task: Task, { said, ageMs }: MadeRow, i: number): Prediction {
  const at = { id: idOf(i), model: "m", ts: NOW - ageMs };
  const score = said / 40;
  if (task === "regression") return predictionOf({ ...at, value: said });
  if (task === "binary") return predictionOf({ ...at, score });
  const scores = { "0": score, "1": (1 - score) / 2, "2": (1 - score) / 2 };
  return predictionOf({ ...at, value: String(said % 3), scores });
}

/** Labels follow what was said, so that there are enough of each class to learn from. */
function truth(task: Task, { said }: MadeRow, label: number): Value {
  if (task === "regression") return said + label / 10;
  if (task === "binary") return label < said ? "1" : "0";
  return String((label < 25 ? said : label) % 3);
}

const inputsOf = ({ said, ageMs }: MadeRow): [string, number | string][] => [
  ["age", (said * 7) % 61],
  ["city", CITIES[ageMs % 3] ?? ""],
];

/** What is told: a prediction, or one revision of a label. */
type Told = (world: World) => void;

class World {
  readonly #task: Task;
  readonly #rows: readonly MadeRow[];
  readonly #join = createPlainJoin((change) => this.#apply(change));
  readonly #needs: EstimatesNeeds;
  readonly #disk = new Map<string, string>();
  #estimates: Estimates;
  #drift: Drift;

  constructor(task: Task, rows: readonly MadeRow[]) {
    this.#task = task;
    this.#rows = rows;
    this.#needs = {
      specOf: () => SPECS[task],
      versionsOf: () => ["1"],
      scan: (range, visit) => this.#join.scan(range, visit),
      maturedUntil: (_model, _version, at) => at - DAY,
      completeUntil: (_model, _version, at) => at - 2 * DAY,
    };
    this.#estimates = createEstimates(FRESH, this.#needs);
    this.#drift = createDrift({ ...FRESH, referenceOf }, this.#needs);
  }

  #apply(change: Change): void {
    this.#estimates.apply(change);
    this.#drift.apply(change);
    if (change.kind !== "predicted") return;
    // As the observer does: inputs of a prediction that was taken as new.
    const { prediction } = change;
    const row = this.#rows[Number(prediction.id.slice(1))];
    for (const [name, value] of row === undefined ? [] : inputsOf(row))
      this.#drift.input(prediction, name, value);
  }

  predict(i: number): void {
    const row = this.#rows[i];
    if (row !== undefined) this.#join.record([predicted(this.#task, row, i)]);
  }

  /** Another prediction under the same id: the first one stays. */
  contradict(i: number): void {
    const row = this.#rows[i];
    if (row !== undefined) this.#join.record([predicted(this.#task, { ...row, said: 40 - row.said }, i)]);
  }

  label(i: number, revision: number): void {
    const row = this.#rows[i];
    const label = row?.labels[revision];
    if (row === undefined || label === undefined) return;
    const value = label === null ? null : truth(this.#task, row, label);
    const ts = NOW - row.ageMs;
    const event: LabelEvent = {
      id: idOf(i),
      model: "m",
      label: value,
      ts: ts + revision,
      receivedAt: ts + row.delayMs,
    };
    this.#join.label([event]);
  }

  restart(): void {
    for (const { states, saved } of [this.#estimates.unsaved(), this.#drift.unsaved()]) {
      for (const [key, value] of states) {
        if (value === null) this.#disk.delete(key);
        else this.#disk.set(key, value);
      }
      saved();
    }
    this.#estimates = createEstimates(FRESH, this.#needs);
    this.#drift = createDrift({ ...FRESH, referenceOf }, this.#needs);
    this.#drift.load(this.#disk, true);
    this.rebuild();
  }

  rebuild(): void {
    this.#estimates.rebuild("m");
    this.#drift.rebuild("m");
  }

  answers() {
    const streams = this.#drift.at(NOW).map((of) => ({
      ...of,
      streams: of.streams.toSorted((a, b) => (a.stream < b.stream ? -1 : 1)),
    }));
    return { estimates: this.#estimates.at(NOW), drift: streams };
  }
}

/** All that is told about the rows, some of it twice. */
function tellings(rows: readonly MadeRow[], twice: readonly number[]): Told[] {
  const told = rows.flatMap(({ labels }, i): Told[] => [
    (world) => world.predict(i),
    ...labels.map(
      (_, revision): Told =>
        (world) =>
          world.label(i, revision),
    ),
  ]);
  const again = twice.flatMap((at) => told[at % told.length] ?? []);
  return [...told, ...again];
}

for (const task of ["binary", "regression", "multiclass"] as const) {
  test(`${task}: estimates, nowcasts and drift do not know in which order they came to be`, () => {
    let estimated = 0;
    fc.assert(
      fc.property(
        fc.array(madeRow, { minLength: 800, maxLength: 900 }),
        fc.array(fc.nat(), { minLength: 20, maxLength: 1000 }),
        fc.array(fc.nat({ max: 2000 }), { maxLength: 3 }),
        (rows, picks, restarts) => {
          const shuffled = new World(task, rows);
          const open = tellings(rows, picks);
          for (let turn = 0; open.length > 0; turn++) {
            const at = (picks[turn % picks.length] ?? 0) % open.length;
            open.splice(at, 1)[0]?.(shuffled);
            if (restarts.includes(turn)) shuffled[turn % 2 === 0 ? "restart" : "rebuild"]();
          }
          for (const at of picks.slice(0, 20)) shuffled.contradict(at % rows.length);
          const plain = new World(task, rows);
          for (const [i, { labels }] of rows.entries()) {
            plain.predict(i);
            plain.label(i, labels.length - 1);
          }
          const found = plain.answers();
          assert.deepEqual(shuffled.answers(), found);
          const [version] = found.estimates;
          if (
            version?.windows.some(({ metrics, nowcast }) => metrics.length > 0 && nowcast.metrics.length > 0)
          )
            estimated++;
        },
      ),
      // Smaller examples of so many rows would take minutes to find.
      { numRuns: 15, endOnFailure: true },
    );
    assert.ok(estimated > 10, `${estimated} of 15 runs had estimates and nowcasts`);
  });
}
