// What the training scripts tell about the models they made: held-out rows, the truth, and scikit-learn's own answers.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";
import { ensurePython, pythonFolder } from "./install.ts";

export interface TrainedRow {
  readonly features: readonly number[];
  readonly target: number;
  readonly prediction: number;
  /** Probability of class 1; null for regression. */
  readonly score: number | null;
}

export interface TrainedModel {
  readonly name: string;
  /** Empty when the server knows of no version. */
  readonly version: string;
  readonly task: "regression" | "binary";
  readonly features: readonly string[];
  readonly rows: readonly TrainedRow[];
}

/** Runs a training script of test/real/python with `folder` as its argument. */
export async function train(script: string, folder: string): Promise<readonly TrainedModel[]> {
  const { python } = await ensurePython();
  await run(python, [join(pythonFolder, script), folder], {
    withinMs: 600_000,
    cwd: folder,
    env: await pythonEnvironment(),
  });
  const told: unknown = JSON.parse(readFileSync(join(folder, "models.json"), "utf8"));
  return (told as { models: TrainedModel[] }).models;
}

/** An environment in which the installed Python programs are found first and none of them phones home. */
export async function pythonEnvironment(): Promise<Record<string, string>> {
  const { bin } = await ensurePython();
  return {
    PATH: `${bin}:${process.env["PATH"] ?? ""}`,
    PYTHONUNBUFFERED: "1",
    PYTHONDONTWRITEBYTECODE: "1",
    MLFLOW_DISABLE_TELEMETRY: "true",
    DO_NOT_TRACK: "true",
  };
}
