// How sure an area under the ROC curve is: DeLong on the logit scale, and for few rows Newcombe's interval as well.

import type { MetricInterval } from "../facts/group.ts";
import type { Auc } from "./auc.ts";
import { intervalOf, logitBounds, widened } from "./intervals.ts";
import { Z95, type Interval } from "./wilson.ts";

/** Below this many rows of a class DeLong's variance alone covers too little. */
const FEW = 50;
const STEPS = 60;

/**
 * DeLong's standard error on the logit scale; with few rows of a class, or at 0 or 1, united with Newcombe's interval.
 * What the buckets leave open (`bound`) is added on both sides.
 */
export function aucInterval(area: Auc): MetricInterval {
  const { value, bound, standardError, positives, negatives } = area;
  const inside = value > 0 && value < 1 && standardError !== null && standardError > 0;
  const few = Math.min(positives, negatives) < FEW;
  const delong = inside ? logitBounds(value, standardError) : null;
  const newcombe = few || delong === null ? newcombeBounds(value, positives, negatives) : null;
  const [interval, method] =
    delong === null || newcombe === null
      ? [delong ?? newcombe ?? [0, 1], newcombe === null ? "delong_logit" : "newcombe"]
      : [union(delong, newcombe), "delong_logit_or_newcombe"];
  return widened(intervalOf([interval[0], interval[1]], method), bound, { min: 0, max: 1 });
}

function union(a: Interval, b: Interval): Interval {
  return [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}

/**
 * The areas whose distance from the one seen is z standard errors, with the variance that Hanley and McNeil give for
 * exponential scores and equal halves of the rows (R. G. Newcombe, Statistics in Medicine 25, 2006, method 5).
 */
function newcombeBounds(value: number, positives: number, negatives: number): Interval {
  const more = (positives + negatives) / 2 - 1;
  const tooFar = (area: number): boolean => {
    const spread = 1 + (more * (1 - area)) / (2 - area) + (more * area) / (1 + area);
    const variance = (area * (1 - area) * spread) / (positives * negatives);
    return (area - value) ** 2 > Z95 * Z95 * variance;
  };
  return [bisect(value, 0, tooFar), bisect(value, 1, tooFar)];
}

/** The last point on the way from `near` to `far` that is not too far. */
function bisect(near: number, far: number, tooFar: (at: number) => boolean): number {
  let [good, bad] = [near, far];
  for (let i = 0; i < STEPS; i++) {
    const middle = (good + bad) / 2;
    if (tooFar(middle)) bad = middle;
    else good = middle;
  }
  return good;
}
