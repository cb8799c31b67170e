// Totals by arrival of labels, as counters start: every cell that can be known beforehand exists with 0.

import type { ModelSpec } from "../facts/model.ts";
import { SCORE_BOUNDS } from "./score-bounds.ts";
import type { ArrivalTotals } from "./totals.ts";

export function createArrival(spec: ModelSpec | null): ArrivalTotals {
  const named = spec === null || spec.task === "regression" ? null : spec.classes;
  const classes = (named ?? []).slice(0, spec?.maxClasses ?? 0);
  return {
    pairs: 0,
    squaredError: 0,
    absoluteErrorOver: 0,
    absoluteErrorUnder: 0,
    labelDeviationPositive: 0,
    labelDeviationNegative: 0,
    labelSquaredDeviation: 0,
    labelOffset: spec?.labelOffset ?? 0,
    confusion: new Map(classes.map((actual) => [actual, new Map(classes.map((name) => [name, 0]))])),
    scoresPositive: SCORE_BOUNDS.map(() => 0).concat(0),
    scoresNegative: SCORE_BOUNDS.map(() => 0).concat(0),
    logLoss: 0,
    squaredScoreError: 0,
  };
}
