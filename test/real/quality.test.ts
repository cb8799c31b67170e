// Every metric and constant baseline beside scikit-learn's own, on rows of many shapes.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Group } from "../../src/facts/group.ts";
import type { ModelSpec } from "../../src/facts/model.ts";
import type { Prediction, Value } from "../../src/facts/prediction.ts";
import { createMeasure } from "../../src/measure/measure.ts";
import { binarySpec, predictionOf, specFor } from "../support/models.ts";
import { createRandom, type Random } from "../support/random.ts";
import { run } from "./support/command.ts";
import { ensurePython, pythonFolder } from "./support/install.ts";

interface Told {
  readonly metrics: Readonly<Record<string, number>>;
  readonly baseline: Readonly<Record<string, number>>;
}

/** Rows for scikit-learn, and the same for us. */
interface Case {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly asked: Readonly<Record<string, unknown>>;
  readonly pairs: readonly { readonly prediction: Partial<Prediction>; readonly label: Value }[];
  /** Absolute differences allowed for some metrics; 1e-9, relative, for the rest. */
  readonly loose?: Readonly<Record<string, number>>;
}

function groupOf({ spec, pairs }: Case): Group {
  const measure = createMeasure({}, { specOf: () => ({ ...spec, windows: ["all"] }), scan: () => undefined });
  for (const [row, { prediction: said, label }] of pairs.entries()) {
    const prediction = predictionOf({ id: "r", ...said });
    measure.apply({ kind: "predicted", row, prediction });
    const after = { value: label, ts: 1, firstReceivedAt: 1 };
    measure.apply({ kind: "truth", row, prediction, before: null, after });
  }
  const [group] = measure.groups(1);
  assert.ok(group);
  return group;
}

const BUCKETED = {
  medae: 0.01,
  max_error: 0.1,
  "baseline of mae": 1e-2,
  "baseline of medae": 0.05,
  "baseline of mape": 1e-3,
  "baseline of wape": 1e-3,
};

function regressionCase(name: string, rows: number, draw: () => { said: number; label: number }): Case {
  const list = Array.from({ length: rows }, draw);
  return {
    name,
    spec: specFor("m"),
    asked: {
      task: "regression",
      y: list.map(({ label }) => label),
      prediction: list.map(({ said }) => said),
    },
    pairs: list.map(({ said, label }) => ({ prediction: { value: said }, label })),
    // Beyond 2,048 different errors the median and the largest come from buckets, with their bound.
    ...(rows > 2048 ? { loose: BUCKETED } : {}),
  };
}

function binaryCase(name: string, rows: number, draw: () => { score: number; positive: boolean }): Case {
  const list = Array.from({ length: rows }, draw);
  return {
    name,
    spec: binarySpec("m"),
    asked: {
      task: "binary",
      y: list.map(({ positive }) => Number(positive)),
      score: list.map(({ score }) => score),
    },
    pairs: list.map(({ score, positive }) => ({ prediction: { score }, label: positive ? "1" : "0" })),
    ...(rows > 50_000 ? { loose: { roc_auc: 1e-4, average_precision: 1e-3 } } : {}),
  };
}

function multiclassCase(name: string, rows: number, of: { classes: number; random: Random }): Case {
  const { random } = of;
  const classes = Array.from({ length: of.classes }, (_, i) => `c${i}`);
  const list = Array.from({ length: rows }, () => {
    const actual = Math.floor(of.classes * random.next() ** 2);
    const odds = classes.map((_, i) => Math.exp(random.gauss() + (i === actual ? 1.5 : 0)));
    const sum = odds.reduce((total, each) => total + each, 0);
    const scores = odds.map((each) => each / sum);
    return { label: `c${actual}`, said: `c${scores.indexOf(Math.max(...scores))}`, scores };
  });
  return {
    name,
    spec: specFor("m", { task: "multiclass", classes }),
    asked: {
      task: "multiclass",
      classes,
      y: list.map(({ label }) => label),
      prediction: list.map(({ said }) => said),
      scores: list.map(({ scores }) => scores),
    },
    pairs: list.map(({ label, said, scores }) => {
      const named = Object.fromEntries(scores.map((score, i) => [`c${i}`, score]));
      return { prediction: { value: said, scores: named }, label };
    }),
  };
}

function cases(random: Random): Case[] {
  const line = (): { said: number; label: number } => {
    const said = 50 + 10 * random.gauss();
    return { said, label: said + 5 * random.gauss() };
  };
  const logistic = (prevalence: number) => () => {
    const positive = random.next() < prevalence;
    const margin = Math.log(prevalence / (1 - prevalence)) + (positive ? 1 : -1) + 1.4 * random.gauss();
    return { score: 1 / (1 + Math.exp(-margin)), positive };
  };
  const level = (): { score: number; positive: boolean } => {
    const score = Math.floor(11 * random.next()) / 10;
    return { score, positive: random.next() < 0.1 + 0.7 * score };
  };
  return [
    regressionCase("a line, odd rows", 501, line),
    regressionCase("a line, even rows", 1200, line),
    regressionCase("long tails", 900, () => {
      const label = Math.exp(3 * random.gauss());
      return { said: label * Math.exp(random.gauss()), label };
    }),
    regressionCase("a line, many rows", 20_000, line),
    binaryCase("balanced", 800, logistic(0.5)),
    binaryCase("rare", 5000, logistic(0.02)),
    binaryCase("eleven levels", 3000, level),
    binaryCase("50,000 rows, all different", 50_000, logistic(0.2)),
    binaryCase("100,000 rows", 100_000, logistic(0.05)),
    multiclassCase("three classes", 400, { classes: 3, random }),
    multiclassCase("ten classes", 3000, { classes: 10, random }),
  ];
}

function differences(of: Case, told: Told): string[] {
  const group = groupOf(of);
  const figures: Record<string, unknown> = { ...group.extra, ...group.metrics };
  const wrong: string[] = [];
  const check = (what: string, found: unknown, wanted: number): void => {
    const within = of.loose?.[what] ?? 1e-9 * Math.max(1, Math.abs(wanted));
    if (typeof found === "number" && Math.abs(found - wanted) <= within) return;
    wrong.push(`${of.name}: ${what} is ${String(found)}, scikit-learn says ${wanted}`);
  };
  for (const [name, wanted] of Object.entries(told.metrics)) {
    check(name, figures[name], wanted);
    const bound = figures[`${name}_bound`];
    const found = figures[name];
    if (typeof bound !== "number" || typeof found !== "number") continue;
    if (Math.abs(found - wanted) > bound + 1e-12) wrong.push(`${of.name}: ${name} lies outside its bound`);
  }
  for (const [name, wanted] of Object.entries(told.baseline)) {
    check(`baseline of ${name}`, group.baseline?.[name], wanted);
  }
  return wrong;
}

test("every metric and every constant baseline is scikit-learn's", async () => {
  const { python } = await ensurePython();
  const all = cases(createRandom(11));
  const stdin = JSON.stringify(all.map(({ asked }) => asked));
  const { stdout } = await run(python, [join(pythonFolder, "quality.py")], { stdin });
  const told = JSON.parse(stdout) as Told[];
  assert.equal(told.length, all.length);
  const wrong = all.flatMap((each, i) => differences(each, told[i] ?? { metrics: {}, baseline: {} }));
  assert.deepEqual(wrong, []);
  const compared = told.reduce((sum, { metrics, baseline }) => {
    return sum + Object.keys(metrics).length + Object.keys(baseline).length;
  }, 0);
  assert.ok(compared > 200, `only ${compared} figures compared`);
});
