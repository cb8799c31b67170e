// The demo's models: trained offline with scikit-learn, evaluated here in plain arithmetic, equal to scikit-learn to 1e-9.

import data from "./model-data.json" with { type: "json" };
import {
  parseDemoData,
  type Answer,
  type DemoData,
  type DemoDataSet,
  type Provenance,
  type Task,
  type TrainedModel,
  type Tree,
  type Weights,
} from "./parse-data.ts";

export type { DemoDataSet, DemoRow, Provenance } from "./parse-data.ts";

export interface DemoModel {
  readonly name: string;
  readonly version: string;
  readonly task: Task;
  readonly algorithm: string;
  /** Metrics on the held-out rows as scikit-learn computed them, e.g. `{ rmse, mae, r2 }`. */
  readonly evaluation: Readonly<Record<string, number>>;
  /** How many features a row has. */
  readonly width: number;
  /** `value` is the estimate or the class (0 or 1); `probability` that of class 1, null for regression. */
  predict(row: readonly number[]): Answer;
}

export interface Demo {
  /** Older version first. */
  readonly models: readonly DemoModel[];
  readonly dataSets: readonly DemoDataSet[];
  readonly provenance: Provenance;
}

/** The value of the leaf that `row` falls into. scikit-learn compares features rounded to float32. */
function leafOf(tree: Tree, row: readonly number[]): number {
  let node = 0;
  while ((tree.left[node] ?? -1) >= 0) {
    const feature = Math.fround(row[tree.feature[node] ?? 0] ?? Number.NaN);
    const goesLeft = feature <= (tree.threshold[node] ?? 0);
    node = (goesLeft ? tree.left[node] : tree.right[node]) ?? 0;
  }
  return tree.value[node] ?? Number.NaN;
}

/** The regression's estimate, or the log-odds of class 1. */
function rawScore(weights: Weights, row: readonly number[]): number {
  const x = weights.columns.map((column) => row[column] ?? Number.NaN);
  switch (weights.kind) {
    case "linear":
      return x.reduce((sum, value, i) => sum + value * (weights.weights[i] ?? 0), weights.intercept);
    case "logistic": {
      const standardized = x.map((value, i) => (value - (weights.mean[i] ?? 0)) / (weights.scale[i] ?? 1));
      return standardized.reduce(
        (sum, value, i) => sum + value * (weights.weights[i] ?? 0),
        weights.intercept,
      );
    }
    case "boosted-trees":
      return weights.trees.reduce((sum, tree) => sum + weights.rate * leafOf(tree, x), weights.initial);
    default: {
      const never: never = weights;
      return never;
    }
  }
}

function createModel(trained: TrainedModel, width: number): DemoModel {
  const { name, version, task, algorithm, evaluation, weights } = trained;
  return Object.freeze({
    name,
    version,
    task,
    algorithm,
    evaluation,
    width,
    predict: (row: readonly number[]): Answer => {
      const score = rawScore(weights, row);
      if (task === "regression") return { value: score, probability: null };
      return { value: score > 0 ? 1 : 0, probability: 1 / (1 + Math.exp(-score)) };
    },
  });
}

/** The whole bundle, with scikit-learn's own answers for the first rows beside each model. */
export function readDemoData(): DemoData {
  return parseDemoData(data);
}

export function loadDemo(): Demo {
  const { models, dataSets, provenance } = readDemoData();
  const widths = new Map(dataSets.map((set) => [set.name, set.features.length]));
  return {
    models: models.map((model) => createModel(model, widths.get(model.name) ?? 0)),
    dataSets,
    provenance,
  };
}
