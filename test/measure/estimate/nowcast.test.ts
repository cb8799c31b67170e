// Nowcasts by simulation: nearer to what the window turns out to be than what is labelled so far, with bounds that hold, whatever
// label or score makes labels slow; and silent where nothing can be said.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createEstimates } from "../../../src/measure/estimate/estimates.ts";
import type { Nowcast } from "../../../src/measure/estimate/track.ts";
import { binarySpec, specFor } from "../../support/models.ts";
import { normal, overconfident, randomFrom, worldOf } from "./support.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 0, 20);
const PER_DAY = 1500;
/** One that is asked about, and seven that are complete. */
const DAYS = 8;
const HORIZON = 5 * DAY;
const METRICS = ["accuracy", "precision", "recall", "f1"] as const;

/** How long a label takes, ms; null: it never comes. */
type Delay = (row: { score: number; positive: boolean }, random: () => number) => number | null;

const exponential = (mean: number, random: () => number): number => -Math.log(1 - random()) * mean;

const REGIMES: Readonly<Record<string, Delay>> = {
  "independent of everything": (_, random) => exponential(12 * HOUR, random),
  "faster for high scores": ({ score }, random) => exponential(score >= 0.5 ? 4 * HOUR : 20 * HOUR, random),
  "slower for positives": ({ positive }, random) => exponential(positive ? 24 * HOUR : 6 * HOUR, random),
  "of positives only, the others by silence": ({ positive }, random) => {
    const delay = exponential(14 * HOUR, random);
    return positive && delay < 3 * DAY ? delay : 3 * DAY;
  },
  "never for a third": (_, random) => (random() < 1 / 3 ? null : exponential(8 * HOUR, random)),
};

interface Counts {
  tp: number;
  fp: number;
  fn: number;
  tn: number;
}

function count(into: Counts, score: number, positive: boolean): void {
  if (score >= 0.5) into[positive ? "tp" : "fp"]++;
  else into[positive ? "fn" : "tn"]++;
}

const figures = ({ tp, fp, fn, tn }: Counts): Record<(typeof METRICS)[number], number> => ({
  accuracy: (tp + tn) / (tp + tn + fp + fn),
  precision: tp / (tp + fp),
  recall: tp / (tp + fn),
  f1: (2 * tp) / (2 * tp + fp + fn),
});

interface Run {
  readonly nowcast: Nowcast;
  readonly naive: ReturnType<typeof figures>;
  readonly final: ReturnType<typeof figures>;
}

/** Predictions of some days, asked at their end about the last one. */
function simulate(delay: Delay, seed: number): Run {
  const random = randomFrom(seed);
  const world = worldOf(binarySpec("credit", { labelHorizonMs: HORIZON, windows: ["24h"] }), {
    maturedUntil: (_model, _version, at) => at - 4 * DAY,
    completeUntil: (_model, _version, at) => at - 5 * DAY,
  });
  const estimates = createEstimates({ refreshMs: 0 }, world.needs);
  world.listen((change) => estimates.apply(change));
  const naive = { tp: 0, fp: 0, fn: 0, tn: 0 };
  const final = { tp: 0, fp: 0, fn: 0, tn: 0 };
  for (let i = 0; i < DAYS * PER_DAY; i++) {
    // Five days in between teach nothing and are not asked about.
    const age = (1 - (i + 0.5) / (DAYS * PER_DAY)) * DAYS * DAY;
    const ts = Math.floor(NOW - age - (age > DAY ? HORIZON - DAY : 0));
    const { score, positive } = overconfident(random);
    const row = world.predict({ ts, score });
    const after = delay({ score, positive }, random);
    if (after === null) continue;
    const inWindow = ts > NOW - DAY;
    if (inWindow) count(final, score, positive);
    if (ts + after > NOW) continue;
    world.label(row, positive ? 1 : 0, ts + after);
    if (inWindow) count(naive, score, positive);
  }
  const found = estimates.at(NOW)[0]?.windows.find(({ window }) => window === "24h");
  assert.ok(found);
  return { nowcast: found.nowcast, naive: figures(naive), final: figures(final) };
}

const RUNS = 8;
const rms = (errors: readonly number[]): number =>
  Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / errors.length);
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

for (const [name, delay] of Object.entries(REGIMES)) {
  test(`labels that come ${name}: the nowcast is nearer to the final figure, and its bounds hold`, () => {
    const runs = Array.from({ length: RUNS }, (_, i) => simulate(delay, 100 + i));
    let [held, all] = [0, 0];
    for (const metric of METRICS) {
      const nowcasts = runs.map(({ nowcast, final }) => {
        const found = nowcast.metrics.find((one) => one.metric === metric);
        assert.ok(found?.bounds, JSON.stringify(nowcast.undefined));
        all++;
        if (found.bounds[0] <= final[metric] && final[metric] <= found.bounds[1]) held++;
        return found.value - final[metric];
      });
      const naives = runs.map(({ naive, final }) => naive[metric] - final[metric]);
      const told = `${metric}: nowcast ${rms(nowcasts)} (bias ${mean(nowcasts)}), naive ${rms(naives)} (bias ${mean(naives)})`;
      // Where nothing leans, what is labelled so far is no worse than chance allows.
      assert.ok(rms(nowcasts) < 1.5 * rms(naives), told);
      if (Math.abs(mean(naives)) > 0.03) assert.ok(rms(nowcasts) < 0.5 * rms(naives), told);
      assert.ok(Math.abs(mean(nowcasts)) < 0.02, told);
    }
    assert.ok(held / all > 0.85, `bounds held in ${held} of ${all}`);
  });
}

test("labels of positives alone, without a word on the others, give no nowcast; neither do too few", () => {
  const world = worldOf(binarySpec("credit", { labelHorizonMs: DAY, windows: ["24h"] }));
  const estimates = createEstimates({ refreshMs: 0 }, world.needs);
  world.listen((change) => estimates.apply(change));
  const random = randomFrom(3);
  for (let i = 0; i < 4000; i++) {
    const { score, positive } = overconfident(random);
    const row = world.predict({ ts: NOW - Math.floor(random() * 5 * DAY), score });
    if (positive) world.label(row, 1);
  }
  const found = estimates.at(NOW)[0]?.windows[0]?.nowcast;
  assert.deepEqual(found?.metrics, []);
  assert.equal(found.undefined["precision"], "calibration");
});

test("a window whose labels are all in is nowcast as it is, without doubt", () => {
  const { nowcast, naive } = simulate(() => 0, 9);
  assert.equal(nowcast.expected, 0);
  for (const metric of METRICS) {
    const found = nowcast.metrics.find((one) => one.metric === metric);
    assert.ok(found && Math.abs(found.value - naive[metric]) < 1e-12);
    assert.deepEqual(found.bounds, [found.value, found.value]);
  }
});

test("a regression whose labels come late where errors are large: the nowcast of its errors is nearer", () => {
  const runs = Array.from({ length: 6 }, (_, seed) => {
    const random = randomFrom(50 + seed);
    const world = worldOf(specFor("house", { labelHorizonMs: HORIZON, windows: ["24h"] }));
    const estimates = createEstimates({ refreshMs: 0 }, world.needs);
    world.listen((change) => estimates.apply(change));
    let [naive, labelled, final, rows] = [0, 0, 0, 0];
    for (let i = 0; i < DAYS * PER_DAY; i++) {
      const age = (1 - (i + 0.5) / (DAYS * PER_DAY)) * DAYS * DAY;
      const ts = Math.floor(NOW - age - (age > DAY ? HORIZON - DAY : 0));
      const value = 1 + 9 * random();
      const error = value * normal(random);
      const row = world.predict({ ts, value });
      const after = Math.min(4 * DAY, exponential(value * 4 * HOUR, random));
      if (age <= DAY) [final, rows] = [final + Math.abs(error), rows + 1];
      if (ts + after > NOW) continue;
      world.label(row, value + error, ts + after);
      if (age <= DAY) [naive, labelled] = [naive + Math.abs(error), labelled + 1];
    }
    const found = estimates.at(NOW)[0]?.windows[0]?.nowcast.metrics.find(({ metric }) => metric === "mae");
    assert.ok(found?.bounds);
    const truth = final / rows;
    return {
      nowcast: found.value - truth,
      naive: naive / labelled - truth,
      held: found.bounds[0] <= truth && truth <= found.bounds[1],
    };
  });
  assert.ok(mean(runs.map(({ naive }) => naive)) < -0.3, "what is labelled so far looks too good");
  assert.ok(Math.abs(mean(runs.map(({ nowcast }) => nowcast))) < 0.15);
  assert.ok(runs.filter(({ held }) => held).length >= 5);
});
