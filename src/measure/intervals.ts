// 95 % confidence intervals: the shapes that several metrics share. Methods are named, so that a reader can judge them.

import type { MetricInterval } from "../facts/group.ts";
import { wilson, Z95, type Interval } from "./wilson.ts";

export const LEVEL = 0.95;

export function intervalOf(bounds: Interval, method: string): MetricInterval {
  return { lower: bounds[0], upper: bounds[1], level: LEVEL, method };
}

/** Wilson's score interval of hits / trials; null without trials. */
export function shareInterval(hits: number, trials: number): MetricInterval | null {
  const bounds = wilson(hits, trials);
  return bounds === null ? null : intervalOf(holding(bounds, hits / trials), "wilson");
}

/** Of no hits, or of nothing but hits, rounding may leave the share itself just outside. */
function holding(bounds: Interval, share: number): Interval {
  return [Math.min(bounds[0], share), Math.max(bounds[1], share)];
}

/** Where a metric can lie at all. */
export interface Limits {
  readonly min: number;
  readonly max: number;
}

export const ANYWHERE: Limits = { min: -Infinity, max: Infinity };
export const NOT_NEGATIVE: Limits = { min: 0, max: Infinity };

/** value +- z * standardError, kept within its limits; null without a standard error. */
export function normalInterval(
  value: number,
  standardError: number | null,
  shape: { readonly limits: Limits; readonly method?: string },
): MetricInterval | null {
  if (standardError === null) return null;
  const half = Z95 * standardError;
  if (!Number.isFinite(value - half) || !Number.isFinite(value + half)) return null;
  const { min, max } = shape.limits;
  const lower = Math.max(min, value - half);
  const upper = Math.min(max, value + half);
  return intervalOf([lower, upper], shape.method ?? "normal");
}

/** A positive quantity on the scale of its logarithm: the interval stays above 0 and leans to the larger side. */
export function logInterval(
  value: number,
  standardError: number | null,
  method: string,
): MetricInterval | null {
  if (standardError === null || !(value > 0)) return null;
  const spread = Math.exp((Z95 * standardError) / value);
  return Number.isFinite(value * spread) ? intervalOf([value / spread, value * spread], method) : null;
}

/** A share on the scale of its log odds; `value` strictly between 0 and 1. */
export function logitBounds(value: number, standardError: number): Interval {
  const centre = Math.log(value / (1 - value));
  const half = (Z95 * standardError) / (value * (1 - value));
  return [1 / (1 + Math.exp(half - centre)), 1 / (1 + Math.exp(-half - centre))];
}

/** A correlation on the scale of Fisher's z; `value` strictly between -1 and 1. */
export function fisherBounds(value: number, standardError: number): Interval {
  const centre = Math.atanh(value);
  const half = (Z95 * standardError) / (1 - value * value);
  return [Math.tanh(centre - half), Math.tanh(centre + half)];
}

/**
 * Wilson's interval for a mean within [0, 1] that is no plain share, at the number of trials that would give the same
 * variance (effective sample size, Korn and Graubard 1998), at most `trials`.
 */
export function effectiveWilson(
  value: number,
  variance: number,
  trials: number,
): readonly [lower: number, upper: number] | null {
  if (!(trials > 0)) return null;
  const spread = value * (1 - value);
  const effective = variance > 0 && spread > 0 ? Math.min(trials, spread / variance) : trials;
  const bounds = wilson(value * effective, effective);
  return bounds === null ? null : holding(bounds, value);
}

/** The mean of two independent shares from the intervals of each (Zou and Donner, Statistics in Medicine 27, 2008). */
export function meanOfShares(
  a: { readonly value: number; readonly bounds: Interval },
  b: { readonly value: number; readonly bounds: Interval },
): Interval {
  const value = (a.value + b.value) / 2;
  const lower = Math.hypot(a.value - a.bounds[0], b.value - b.bounds[0]) / 2;
  const upper = Math.hypot(a.bounds[1] - a.value, b.bounds[1] - b.value) / 2;
  return [value - lower, value + upper];
}

/** Both ends moved outwards by `by`: what a sketch does not know is not certain either. */
export function widened(interval: MetricInterval, by: number, limits: Limits): MetricInterval {
  if (by === 0) return interval;
  const lower = Math.max(limits.min, interval.lower - by);
  const upper = Math.min(limits.max, interval.upper + by);
  return { ...interval, lower, upper };
}
