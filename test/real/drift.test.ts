// Distances against SciPy's, alarms against river's, on the same values.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { createAdwin } from "../../src/measure/drift/adwin.ts";
import { compareSpreads } from "../../src/measure/drift/compare.ts";
import type { Detector } from "../../src/measure/drift/detector.ts";
import { jensenShannon } from "../../src/measure/drift/distances.ts";
import { createPageHinkley } from "../../src/measure/drift/page-hinkley.ts";
import { createSpread, type Spread } from "../../src/measure/drift/spread.ts";
import { normal, randomFrom } from "../measure/estimate/support.ts";
import { run } from "./support/command.ts";
import { pythonFolder } from "./support/install.ts";
import { ensureVenv } from "./support/python-venv.ts";

const random = randomFrom(31);
const draw = (rows: number, one: () => number): number[] => Array.from({ length: rows }, one);
const probability = (): number => 1 / (1 + Math.exp(-2 * normal(random)));

interface Pair {
  readonly name: string;
  readonly kind: "number" | "probability";
  readonly reference: readonly number[];
  readonly current: readonly number[];
}

const PAIRS: readonly Pair[] = [
  {
    name: "few values",
    kind: "number",
    reference: draw(800, () => Math.floor(8 * random())),
    current: draw(500, () => Math.floor(9 * random())),
  },
  {
    name: "the same normal",
    kind: "number",
    reference: draw(5000, () => normal(random)),
    current: draw(5000, () => normal(random)),
  },
  {
    name: "shifted normal",
    kind: "number",
    reference: draw(5000, () => normal(random)),
    current: draw(3000, () => 0.3 + normal(random)),
  },
  {
    name: "wider normal",
    kind: "number",
    reference: draw(5000, () => normal(random)),
    current: draw(3000, () => 2 * normal(random)),
  },
  {
    name: "lognormal",
    kind: "number",
    reference: draw(5000, () => Math.exp(2 * normal(random))),
    current: draw(5000, () => Math.exp(0.2 + 2 * normal(random))),
  },
  {
    name: "large and narrow",
    kind: "number",
    reference: draw(4000, () => 1e6 + normal(random)),
    current: draw(4000, () => 1e6 + 0.2 + normal(random)),
  },
  {
    name: "scores",
    kind: "probability",
    reference: draw(5000, probability),
    current: draw(5000, () => probability() ** 1.2),
  },
];

/** Losses of 20,000 rows each: calm, sudden, gradual and scaled changes. */
const STREAMS: readonly (readonly number[])[] = draw(60, () => 0).map((_, i) => {
  const rate = [
    () => 0.1,
    (at: number) => (at < 8000 ? 0.1 : 0.15),
    (at: number) => (at < 5000 ? 0.1 : at < 12_000 ? 0.35 : 0.05),
    (at: number) => 0.1 + at / 60_000,
  ][i % 5];
  if (rate === undefined)
    return draw(20_000, () => Math.abs(normal(random))).map((x, at) => (at < 9000 ? x : 1.5 * x));
  return draw(20_000, random).map((x, at) => (x < rate(at) ? 1 : 0));
});

function spreadOf({ kind }: Pair, values: readonly number[]): Spread {
  const spread = createSpread(kind, 2048, { left: 4096 });
  for (const value of values) spread.add(value, 1);
  return spread;
}

/** Rows per tenth of the reference, by the plain definition. */
function tenths({ reference, current }: Pair): { reference: number[]; current: number[] } {
  const sorted = reference.toSorted((a, b) => a - b);
  const quantiles = draw(9, () => 0).map(
    (_, i) => sorted[Math.ceil(((i + 1) * sorted.length) / 10) - 1] ?? 0,
  );
  // The last bin is open, so that none begins empty.
  const edges = [...new Set(quantiles)].filter((edge) => edge < (sorted.at(-1) ?? 0));
  const binOf = (value: number): number => edges.filter((edge) => value > edge).length;
  const count = (values: readonly number[]): number[] => {
    const bins = [...edges, 0].map(() => 0);
    for (const value of values) bins[binOf(value)] = (bins[binOf(value)] ?? 0) + 1;
    return bins;
  };
  return { reference: count(reference), current: count(current) };
}

function alarmsOf(detector: Detector, values: readonly number[]): number[] {
  return values.flatMap((value, at) => (detector.update(value) === null ? [] : [at]));
}

interface Told {
  readonly pairs: readonly {
    readonly ks: number;
    readonly wasserstein: number;
    readonly jensenShannon: number;
  }[];
  readonly streams: readonly { readonly adwin: readonly number[]; readonly pageHinkley: readonly number[] }[];
}

test(
  "distances are SciPy's within the sketch's bounds, and alarms are river's to the row",
  { timeout: 1_800_000 },
  async () => {
    const python = await ensureVenv("drift");
    const asked = PAIRS.map((pair) => ({ ...pair, bins: tenths(pair) }));
    const stdin = JSON.stringify({ pairs: asked, streams: STREAMS });
    const told = await run(python, [join(pythonFolder, "drift_oracle.py")], { stdin, withinMs: 300_000 });
    const { pairs, streams } = JSON.parse(told.stdout) as Told;
    console.log("pair | KS SciPy / ours / upper | Wasserstein SciPy / ours | Jensen-Shannon SciPy / ours");
    for (const [i, pair] of asked.entries()) {
      const theirs = pairs[i];
      const ours = compareSpreads(
        { kind: "rows", spread: spreadOf(pair, pair.reference) },
        spreadOf(pair, pair.current),
      );
      assert.ok(theirs && ours?.ks && ours.wasserstein !== null);
      const shown = (...figures: number[]): string => figures.map((figure) => figure.toFixed(5)).join(" / ");
      console.log(
        [
          pair.name,
          shown(theirs.ks, ours.ks.value, ours.ks.upper),
          shown(theirs.wasserstein, ours.wasserstein),
          shown(theirs.jensenShannon, ours.jensenShannon),
        ].join(" | "),
      );
      assert.ok(ours.ks.value <= theirs.ks + 1e-9 && theirs.ks <= ours.ks.upper + 1e-9, `${pair.name}: KS`);
      assert.ok(ours.ks.upper - ours.ks.value < 0.02, `${pair.name}: the bound is wide`);
      const spread = Math.max(0.01 * theirs.wasserstein, 0.005);
      assert.ok(Math.abs(ours.wasserstein - theirs.wasserstein) < spread, `${pair.name}: Wasserstein`);
      assert.ok(Math.abs(ours.jensenShannon - theirs.jensenShannon) < 0.005, `${pair.name}: Jensen-Shannon`);
      assert.ok(
        Math.abs(jensenShannon(pair.bins) - theirs.jensenShannon) < 1e-7,
        `${pair.name}: the same bins`,
      );
    }
    let alarms = 0;
    for (const [i, values] of STREAMS.entries()) {
      assert.deepEqual(alarmsOf(createAdwin(), values), streams[i]?.adwin, `stream ${i}: ADWIN`);
      assert.deepEqual(
        alarmsOf(createPageHinkley(), values),
        streams[i]?.pageHinkley,
        `stream ${i}: Page-Hinkley`,
      );
      alarms += (streams[i]?.adwin.length ?? 0) + (streams[i]?.pageHinkley.length ?? 0);
    }
    console.log(`${STREAMS.length} streams of 20,000 losses: ${alarms} alarms, all at the same rows`);
    assert.ok(alarms > 50);
  },
);
