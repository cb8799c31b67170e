// Maturity of windows: labels that came within the horizon against those expected within it, by a clock moved by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Truth } from "../../src/facts/pair.ts";
import type { Prediction } from "../../src/facts/prediction.ts";
import { createMeasure, type Measure } from "../../src/measure/measure.ts";
import { parseWindow } from "../../src/measure/windows.ts";
import { predictionOf, specFor } from "../support/models.ts";

const START = 1_767_571_200_000;
const HORIZON_MS = 6000;

interface Row {
  readonly prediction: Prediction;
  truth: Truth | null;
}

/** A version with its rows, as a ledger would tell them. */
class Stream {
  readonly rows: Row[] = [];
  readonly #windows: readonly string[];
  measure: Measure;

  constructor(windows: readonly string[]) {
    this.#windows = windows;
    this.measure = this.#begin();
  }

  #begin(): Measure {
    const spec = specFor("m", { labelHorizonMs: HORIZON_MS, windows: this.#windows });
    const scan: Parameters<typeof createMeasure>[1]["scan"] = ({ fromTs, toTs }, visit) => {
      for (const [row, { prediction, truth }] of this.rows.entries()) {
        if (prediction.ts > fromTs && prediction.ts <= toTs) visit(row, prediction, truth);
      }
    };
    return createMeasure({}, { specOf: () => spec, scan });
  }

  predict(ts: number, slice: string | null = null): number {
    const row = this.rows.length;
    const prediction = predictionOf({
      id: `r${row}`,
      ts,
      value: 1,
      slice: slice === null ? null : { region: slice },
    });
    this.rows.push({ prediction, truth: null });
    this.measure.apply({ kind: "predicted", row, prediction });
    return row;
  }

  label(row: number, receivedAt: number, value: number | null = 2): void {
    const known = this.rows[row];
    if (known === undefined) return;
    const { prediction, truth: before } = known;
    const firstReceivedAt = before?.firstReceivedAt ?? receivedAt;
    const after = value === null ? null : { value, ts: receivedAt, firstReceivedAt };
    if (before === null && after === null) return;
    known.truth = after;
    this.measure.apply({ kind: "truth", row, prediction, before, after });
  }

  restart(): void {
    this.measure = this.#begin();
    for (const [row, { prediction, truth }] of this.rows.entries()) {
      this.measure.restore({ kind: "predicted", row, prediction });
      if (truth !== null)
        this.measure.restore({ kind: "truth", row, prediction, before: null, after: truth });
    }
  }

  maturity(at: number): number | null | undefined {
    return this.measure.groups(at, { window: "1h", slice: "" })[0]?.maturity;
  }
}

/** 40 rows at once, three of four labelled after so many ms; `fresh` rows a moment before the answer. */
function burst(delaysMs: readonly number[], fresh: number): { stream: Stream; at: number } {
  const stream = new Stream(["1h"]);
  for (let i = 0; i < 40; i++) stream.predict(START);
  for (let i = 0; i < 30; i++) stream.label(i, START + (delaysMs[i % delaysMs.length] ?? 0));
  const at = START + 20_000;
  for (let i = 0; i < fresh; i++) stream.predict(at - 100);
  return { stream, at };
}

test("labels that only just come in time: fresh rows make a window less mature", () => {
  for (const delaysMs of [[5600], [5990], [2000, 6000]]) {
    const { stream, at } = burst(delaysMs, 4);
    const [figures] = stream.measure.delays(at);
    assert.equal(figures?.expectedCoverage, 0.75, `${delaysMs.join()}`);
    assert.equal(stream.maturity(at), 30 / 44 / 0.75, `${delaysMs.join()}`);
    assert.equal(burst(delaysMs, 0).stream.maturity(at), 1);
  }
});

test("labels after the horizon are neither expected nor make up for those that are", () => {
  // Half of them within the horizon; the next bound of delays, 6.17 s, is beyond it.
  for (const late of [6001, 6100, 6500, 3_600_000]) {
    const { stream, at } = burst([5700, late], 4);
    const [figures] = stream.measure.delays(at);
    const [group] = stream.measure.groups(at);
    assert.equal(figures?.expectedCoverage, 0.375, `${late}`);
    assert.equal(group?.coverage, 30 / 44);
    assert.equal(group?.maturity, 15 / 44 / 0.375, `${late}`);
    assert.equal(burst([5700, late], 0).stream.maturity(at), 1);
  }
});

const WINDOWS = ["1h", "24h", "all"];
const HOUR = 3_600_000;
const history = fc.array(
  fc.record({
    ageMs: fc.constantFrom(0, 2000, 59_000, HOUR - 1, HOUR, HOUR + 1, 5 * HOUR, 30 * HOUR),
    delayMs: fc.constantFrom(0, 3000, 5900, 6000, 6001, 7000, 2 * HOUR),
    slice: fc.constantFrom(null, "eu"),
    fate: fc.constantFrom("open", "labelled", "labelled", "labelled", "corrected", "retracted", "again"),
  }),
  { minLength: 40, maxLength: 90 },
);

type History = typeof history extends fc.Arbitrary<infer T> ? T : never;

function live(stream: Stream, rows: History): void {
  for (const { ageMs, delayMs, slice, fate } of rows) {
    const ts = START - ageMs;
    const row = stream.predict(ts, slice);
    if (fate === "open") continue;
    stream.label(row, ts + delayMs);
    if (fate === "corrected") stream.label(row, ts + delayMs + HOUR, 3);
    if (fate === "retracted" || fate === "again") stream.label(row, ts + delayMs + 1, null);
    if (fate === "again") stream.label(row, ts + delayMs + HOUR, 3);
  }
}

/** Share of the window's rows whose first label came within the horizon; null: no rows. */
function shareInTime(
  rows: readonly Row[],
  of: { slice: string; window: string; end: number },
): number | null {
  const { lengthMs } = parseWindow(of.window);
  const inside = rows.filter(
    ({ prediction: { ts, slice } }) =>
      ts <= of.end && (lengthMs === null || ts > of.end - lengthMs) && (of.slice === "" || slice !== null),
  );
  const inTime = inside.filter(
    ({ prediction: { ts }, truth }) => truth !== null && truth.firstReceivedAt - ts <= HORIZON_MS,
  );
  return inside.length === 0 ? null : inTime.length / inside.length;
}

test("whatever was corrected, withdrawn or restarted: maturity is the plain count over what is expected", () => {
  let seen = 0;
  fc.assert(
    fc.property(history, fc.boolean(), (rows, restarted) => {
      const stream = new Stream(WINDOWS);
      live(stream, rows);
      if (restarted) stream.restart();
      const [figures] = stream.measure.delays(START);
      for (const basis of ["all", "matured"] as const) {
        const end = basis === "all" ? START : START - (figures?.lagMs ?? 0);
        for (const { slice, window, maturity } of stream.measure.groups(START, { basis })) {
          const share = shareInTime(stream.rows, { slice, window, end });
          const expected = figures?.expectedCoverage ?? null;
          const plain = share === null || expected === null ? null : Math.min(1, share / expected);
          assert.equal(maturity, plain, `${basis} ${window} ${slice}`);
          if (plain !== null && plain < 1) seen++;
        }
      }
      assert.deepEqual(stream.measure.verify(START).differences, []);
    }),
    { numRuns: 150 },
  );
  assert.ok(seen > 100, `${seen} windows were not mature`);
});
