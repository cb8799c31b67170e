// The answer of GET /v1/compare, looked at before it is printed.

import { Problem } from "../kernel/problem.ts";

export interface ComparisonAnswer {
  readonly model: string;
  readonly baseline: string;
  readonly candidate: string;
  readonly countedUntil: string | null;
  readonly metrics: readonly {
    readonly metric: string;
    readonly difference: number | null;
    readonly lower: number | null;
    readonly upper: number | null;
    readonly interval: string;
    readonly p: number | null;
    readonly rows: { readonly baseline: number; readonly candidate: number };
    readonly paired: boolean;
    readonly verdict: string;
  }[];
}

/** Throws Problem `api_refused` when it is something else. */
export function parseComparison(value: unknown): ComparisonAnswer {
  if (typeof value !== "object" || value === null || !("metrics" in value) || !Array.isArray(value.metrics)) {
    throw new Problem("api_refused", "the answer has no metrics: is this an Outrider API?");
  }
  return value as ComparisonAnswer;
}
