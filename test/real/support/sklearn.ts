// scikit-learn's own metrics for a set of rows: what Outrider's numbers are compared with.

import { join } from "node:path";
import { run } from "./command.ts";
import { ensurePython, pythonFolder } from "./install.ts";

export interface SklearnRows {
  readonly task: "regression" | "binary";
  readonly y: readonly number[];
  readonly prediction: readonly number[];
  /** Probability of class 1. */
  readonly score?: readonly number[];
}

/** `n` and mse, rmse, mae, r2 or accuracy, precision, recall, f1, roc_auc; null where undefined. */
export async function sklearnMetrics(rows: SklearnRows): Promise<Readonly<Record<string, number | null>>> {
  const { python } = await ensurePython();
  const stdin = JSON.stringify(rows);
  const told = await run(python, [join(pythonFolder, "metrics.py")], { stdin });
  return JSON.parse(told.stdout) as Record<string, number | null>;
}
