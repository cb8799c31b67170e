// Detectors of changed errors over restarts: killed whenever, they end where one that never stopped does.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ModelSpec } from "../../../src/facts/model.ts";
import { createDrift, type Drift, type VersionDrift } from "../../../src/measure/drift/drift.ts";
import { WATCH_STATES } from "../../../src/measure/drift/saved-watches.ts";
import { binarySpec, specFor } from "../../support/models.ts";
import { normal, randomFrom, worldOf } from "../estimate/support.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 0, 20);
const FROM = NOW - 6 * DAY;
const FRESH = { refreshMs: 0 };

/** A sidecar's drift and its store: what was saved outlives a kill, what was not does not. */
class Life {
  readonly #needs: ReturnType<typeof worldOf>["needs"];
  readonly #stored = new Map<string, string>();
  drift: Drift;

  constructor(needs: ReturnType<typeof worldOf>["needs"]) {
    this.#needs = needs;
    this.drift = createDrift(FRESH, needs);
    this.drift.rebuild("m");
  }

  save(): void {
    const { states, saved } = this.drift.unsaved();
    for (const [key, text] of states) {
      if (text === null) this.#stored.delete(key);
      else this.#stored.set(key, text);
    }
    saved();
  }

  kill(): void {
    this.drift = createDrift(FRESH, this.#needs);
    this.drift.load(this.#stored, true);
    this.drift.rebuild("m");
  }

  get watches(): string[] {
    return [...this.#stored.keys()].filter((key) => key.startsWith(WATCH_STATES));
  }

  damage(): void {
    for (const key of this.watches) this.#stored.set(key, `${this.#stored.get(key)?.slice(0, 100)}`);
  }

  /** Asked until all that has matured was shown. */
  at(now: number): Pick<VersionDrift, "alarms" | "lossRows"> | undefined {
    let answer: VersionDrift | undefined;
    do [answer] = this.drift.at(now);
    while ((answer?.behindMs ?? 0) > 0);
    return answer === undefined ? undefined : { alarms: answer.alarms, lossRows: answer.lossRows };
  }
}

/** Errors that become worse after three days and better after five; all labelled, within a horizon of six hours. */
function madeWorld(spec: ModelSpec, rows: number): ReturnType<typeof worldOf> {
  const world = worldOf(spec, {
    // Rows are in order of time, evenly spread: those of a span are found without looking at all.
    scan: ({ fromTs, toTs }, visit) => {
      for (let row = Math.max(0, rowAt(fromTs)); row < Math.min(rows, rowAt(toTs) + 2); row++) {
        const found = world.rows[row];
        if (found === undefined || found.prediction.ts <= fromTs || found.prediction.ts > toTs) continue;
        visit(row, found.prediction, found.truth);
      }
    },
  });
  const rowAt = (ts: number): number => Math.floor(((ts - FROM) / (6 * DAY)) * rows);
  const random = randomFrom(rows);
  for (let i = 0; i < rows; i++) {
    const ts = Math.floor(FROM + (i / rows) * 6 * DAY);
    const worse = ts > FROM + 3 * DAY && ts < FROM + 5 * DAY;
    const label =
      spec.task === "binary" ? Number(random() > (worse ? 0.4 : 0.1)) : 1 + normal(random) * (worse ? 3 : 1);
    world.label(world.predict({ ts, value: 1 }), label);
  }
  return world;
}

const specs = [
  binarySpec("m", { labelHorizonMs: 6 * HOUR }),
  specFor("m", { labelHorizonMs: 6 * HOUR }),
] as const;

for (const spec of specs) {
  const { needs } = madeWorld(spec, 6000);
  const first = FROM + DAY;
  const whole = new Life(needs);
  whole.at(first);
  const expected = whole.at(NOW);

  test(`${spec.task}: killed at any moment, saved at any other, the same alarms are found at the same rows`, () => {
    assert.ok(expected?.alarms.some(({ direction, alarms }) => direction === "up" && alarms > 0));
    const step = fc.record({
      minutes: fc.integer({ min: 1, max: 1500 }),
      act: fc.constantFrom("save", "kill", "ask", "rebuild"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const life = new Life(needs);
        let now = first;
        life.at(now);
        life.save();
        for (const { minutes, act } of steps) {
          now = Math.min(NOW, now + minutes * 60_000);
          if (act === "ask") life.at(now);
          else if (act === "save") life.save();
          else if (act === "kill") life.kill();
          else life.drift.rebuild("m");
        }
        assert.deepEqual(life.at(NOW), expected);
      }),
      { numRuns: 40, seed: 5 },
    );
  });
}

test("what was learnt of other losses, or is damaged, is left out: the detectors begin anew", () => {
  const [spec] = specs;
  const { needs } = madeWorld(spec, 2000);
  const life = new Life(needs);
  life.at(NOW);
  life.save();
  assert.equal(life.watches.length, 1);
  const rows = life.at(NOW)?.lossRows ?? 0;
  life.kill();
  assert.equal(life.at(NOW)?.lossRows, rows);

  life.save();
  life.damage();
  life.kill();
  assert.deepEqual(life.at(NOW), new Life(needs).at(NOW));

  life.save();
  const other = new Life({ ...needs, specOf: () => ({ ...spec, threshold: 0.9 }) });
  assert.equal(other.at(NOW)?.lossRows, new Life(needs).at(NOW)?.lossRows);
});

test("a version whose rows are all forgotten takes what its detectors learnt with it", () => {
  const [spec] = specs;
  const { needs, rows } = madeWorld(spec, 500);
  const life = new Life(needs);
  life.at(NOW);
  life.save();
  assert.equal(life.watches.length, 1);
  for (const [row, { prediction }] of rows.entries())
    life.drift.apply({ kind: "forgotten", row, prediction, before: null });
  life.save();
  assert.deepEqual(life.watches, []);
});
