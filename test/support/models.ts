// Model specifications for tests, and predictions to go with them.

import type { ModelSpec } from "../../src/facts/model.ts";
import type { Prediction } from "../../src/facts/prediction.ts";

export function specFor(name: string, change: Partial<ModelSpec> = {}): ModelSpec {
  return {
    name,
    task: "regression",
    classes: null,
    positive: null,
    threshold: 0.5,
    scoreKind: "probability",
    labelOffset: 0,
    minSamples: 1,
    maxClasses: 20,
    labelHorizonMs: 7 * 86_400_000,
    windows: ["1h", "24h", "7d", "all"],
    ...change,
  };
}

export function binarySpec(name: string, change: Partial<ModelSpec> = {}): ModelSpec {
  return specFor(name, { task: "binary", classes: ["0", "1"], positive: "1", ...change });
}

export function predictionOf(change: Partial<Prediction> & { id: string }): Prediction {
  return { model: "m", version: "1", ts: 0, value: null, score: null, scores: null, slice: null, ...change };
}
