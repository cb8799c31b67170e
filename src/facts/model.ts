// What is known about a model: configured, or resolved from what it says.

import type { Value } from "./prediction.ts";

export type Task = "regression" | "binary" | "multiclass";

export interface ModelSpec {
  readonly name: string;
  /** "auto": not resolved yet; its rows are kept and counted, not measured. */
  readonly task: Task | "auto";
  /** Canonical class names; null: open set (whatever occurs). Always set for binary. */
  readonly classes: readonly string[] | null;
  /** Canonical positive class; set for binary. */
  readonly positive: string | null;
  /** score >= threshold is the positive class. Default 0.5 (probability) or 0 (margin). */
  readonly threshold: number;
  readonly scoreKind: "probability" | "margin";
  /** K of the arrival-time counters. */
  readonly labelOffset: number;
  readonly minSamples: number;
  readonly maxClasses: number;
  readonly labelHorizonMs: number;
  readonly windows: readonly WindowName[];
  /** A prediction without a label so long after its `ts` counts as labelled with this value. Absent: it stays unlabelled. */
  readonly absentMeans?: { readonly value: Value; readonly afterMs: number } | null;
}

export type WindowName = string;
