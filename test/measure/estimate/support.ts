// Made-up classifiers whose chances are known, and a world of rows that an estimator can be asked about.

import type { ModelSpec } from "../../../src/facts/model.ts";
import type { Change, Truth } from "../../../src/facts/pair.ts";
import type { Prediction, Value } from "../../../src/facts/prediction.ts";
import { Decisions } from "../../../src/measure/estimate/decisions.ts";
import type { EstimatesNeeds } from "../../../src/measure/estimate/estimates.ts";
import { predictionOf } from "../../support/models.ts";

/** Uniform numbers in (0, 1) that are the same in every run (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
}

export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
}

export interface MadeRow {
  readonly score: number;
  /** The chance behind the outcome: known only because the row is made up. */
  readonly chance: number;
  readonly positive: boolean;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** An overconfident model: the chance's log odds are 0.6 of the score's. `shift` moves the scores (covariate shift). */
export function overconfident(random: () => number, shift = 0): MadeRow {
  const odds = shift + 1.8 * normal(random);
  const chance = sigmoid(0.6 * odds - 0.3);
  return { score: sigmoid(odds), chance, positive: random() < chance };
}

export function decisionsOf(rows: readonly MadeRow[], labelled: boolean): Decisions {
  const decisions = new Decisions({ probability: true, keepMs: 3_600_000, purse: { left: 1e6 } });
  for (const { score, positive } of rows) {
    decisions.count(
      1,
      { score, decided: score >= 0.5, actual: labelled ? positive : null, delayMs: null },
      1,
    );
  }
  return decisions;
}

export const EVERYTHING = { from: -3_600_000, to: 3_600_000 };

export interface WorldRow {
  readonly prediction: Prediction;
  truth: Truth | null;
}

/** Rows, and the changes that made them; the needs of an estimator that reads them. */
export function worldOf(spec: ModelSpec, over: Partial<EstimatesNeeds> = {}) {
  const rows: WorldRow[] = [];
  const listeners: ((change: Change) => void)[] = [];
  const tell = (change: Change): void => {
    for (const listener of listeners) listener(change);
  };
  const needs: EstimatesNeeds = {
    specOf: () => spec,
    versionsOf: () => new Set(rows.map(({ prediction }) => prediction.version)),
    scan: ({ version, fromTs, toTs }, visit) => {
      for (const [row, { prediction, truth }] of rows.entries()) {
        const { ts } = prediction;
        if (prediction.version === version && ts > fromTs && ts <= toTs) visit(row, prediction, truth);
      }
    },
    ...over,
  };
  const predict = (change: Partial<Prediction>): number => {
    const row = rows.length;
    const prediction = predictionOf({ id: `r${row}`, model: spec.name, ...change });
    rows.push({ prediction, truth: null });
    tell({ kind: "predicted", row, prediction });
    return row;
  };
  /** `firstReceivedAt` (Unix ms): at once unless said otherwise. */
  const label = (row: number, value: Value | null, firstReceivedAt?: number): void => {
    const found = rows[row];
    if (found === undefined) throw new Error(`no row ${row}`);
    const { prediction, truth: before } = found;
    const after =
      value === null ? null : { value, ts: prediction.ts, firstReceivedAt: firstReceivedAt ?? prediction.ts };
    found.truth = after;
    tell({ kind: "truth", row, prediction, before, after });
  };
  return {
    rows,
    needs,
    predict,
    label,
    listen: (listener: (change: Change) => void) => listeners.push(listener),
  };
}
