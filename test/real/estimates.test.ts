// Performance estimated without labels, against NannyML's own estimate on the same rows.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { createEstimates, type Estimates } from "../../src/measure/estimate/estimates.ts";
import { binarySpec, predictionOf } from "../support/models.ts";
import { run } from "./support/command.ts";
import { pythonFolder } from "./support/install.ts";
import { ensureVenv } from "./support/python-venv.ts";

const HOUR = 3_600_000;
const MATURED = Date.UTC(2026, 0, 20);
const METRICS = ["accuracy", "precision", "recall", "f1", "roc_auc"] as const;

interface Rows {
  readonly score: readonly number[];
  readonly decided: readonly number[];
  readonly y: readonly number[];
}
interface Case {
  readonly name: string;
  readonly reference: Rows;
  readonly chunks: readonly (Rows & { readonly estimates: Readonly<Record<string, number>> })[];
}

function realised({ score, decided, y }: Rows): Record<string, number> {
  const count = (d: number, truth: number): number =>
    decided.filter((each, i) => each === d && y[i] === truth).length;
  const [tp, fp, fn, tn] = [count(1, 1), count(1, 0), count(0, 1), count(0, 0)];
  const order = [...score.keys()].toSorted((a, b) => (score[a] ?? 0) - (score[b] ?? 0));
  let wins = 0;
  let below = 0;
  for (let i = 0; i < order.length;) {
    let pos = 0;
    let neg = 0;
    const at = score[order[i] ?? 0];
    for (; i < order.length && score[order[i] ?? 0] === at; i++)
      if (y[order[i] ?? 0] === 1) pos++;
      else neg++;
    wins += pos * (below + neg / 2);
    below += neg;
  }
  return {
    accuracy: (tp + tn) / score.length,
    precision: tp / (tp + fp),
    recall: tp / (tp + fn),
    f1: (2 * tp) / (2 * tp + fp + fn),
    roc_auc: wins / ((tp + fn) * (fp + tn)),
  };
}

/** Rows one after the other over (from, to]; labelled ones get their label at once. */
function feed(estimates: Estimates, rows: Rows, how: { from: number; to: number; labelled: boolean }): void {
  const { from, to, labelled } = how;
  for (const [row, score] of rows.score.entries()) {
    const ts = Math.ceil(from + ((row + 1) / rows.score.length) * (to - from));
    const prediction = predictionOf({ id: `${from}:${row}`, ts, score, value: rows.decided[row] ?? null });
    estimates.apply({ kind: "predicted", row, prediction });
    if (!labelled) continue;
    const after = { value: rows.y[row] ?? 0, ts, firstReceivedAt: ts };
    estimates.apply({ kind: "truth", row, prediction, before: null, after });
  }
}

test(
  "estimates agree with NannyML's, and are as close to what was realised",
  { timeout: 1_800_000 },
  async () => {
    const python = await ensureVenv("nannyml");
    const told = await run(python, [join(pythonFolder, "nannyml_cbpe.py")], {
      withinMs: 1_500_000,
      env: { NML_DISABLE_USAGE_LOGGING: "1", DO_NOT_TRACK: "1" },
    });
    const cases = JSON.parse(told.stdout) as Case[];
    assert.equal(cases.length, 6);
    console.log("case | metric | mean |error| NannyML / ours | largest difference");
    const spec = binarySpec("m", { windows: ["1h"] });
    for (const { name, reference, chunks } of cases) {
      const needs = { specOf: () => spec, scan: () => {}, maturedUntil: () => MATURED };
      const estimates = createEstimates({ refreshMs: 0 }, needs);
      feed(estimates, reference, { from: MATURED - 167 * HOUR, to: MATURED, labelled: true });
      const sums = new Map(METRICS.map((metric) => [metric, { theirs: 0, ours: 0, apart: 0 }]));
      for (const [i, chunk] of chunks.entries()) {
        const from = MATURED + i * HOUR;
        feed(estimates, chunk, { from, to: from + HOUR, labelled: false });
        const window = estimates.at(from + HOUR)[0]?.windows[0];
        assert.equal(window?.predictions, chunk.score.length);
        const truth = realised(chunk);
        for (const [metric, sum] of sums) {
          const ours: number | undefined = window.metrics.find((one) => one.metric === metric)?.value;
          const theirs = chunk.estimates[metric];
          assert.ok(ours !== undefined && theirs !== undefined, `${name}: ${metric}`);
          sum.theirs += Math.abs(theirs - (truth[metric] ?? 0)) / chunks.length;
          sum.ours += Math.abs(ours - (truth[metric] ?? 0)) / chunks.length;
          sum.apart = Math.max(sum.apart, Math.abs(ours - theirs));
        }
      }
      for (const [metric, { theirs, ours, apart }] of sums) {
        console.log(`${name} | ${metric} | ${theirs.toFixed(4)} / ${ours.toFixed(4)} | ${apart.toFixed(4)}`);
        // Below 1,000 labels our map leans on a logistic curve, NannyML's does not.
        const near = reference.score.length < 1000 ? 0.012 : 0.005;
        assert.ok(apart < near, `${name}: ${metric} is ${apart} from NannyML's`);
        assert.ok(ours < theirs + near, `${name}: ${metric} is off by ${ours}, NannyML's by ${theirs}`);
      }
    }
  },
);
