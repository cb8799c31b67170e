// What was counted, frozen at one moment: the one thing that all encoders and the OTLP bridge read.

import type { Descriptor } from "../catalogue.ts";

export type Labels = Readonly<Record<string, string>>;

export interface Exemplar {
  /** Labels of the exemplar, `trace_id` and `span_id`. */
  readonly labels: Labels;
  readonly value: number;
  /** Unix time in seconds. */
  readonly timestamp: number;
}

/** An exemplar's time for OTLP: whole milliseconds are exact, and no clock of ours is finer. */
export function nanoseconds(seconds: number): bigint {
  return BigInt(Math.round(seconds * 1000)) * 1_000_000n;
}

export interface NumberSeries {
  readonly labels: Labels;
  readonly value: number;
}

export interface HistogramSeries {
  readonly labels: Labels;
  /** Observations per bucket (not cumulated); one more than the bounds, the last is beyond them all. */
  readonly counts: readonly number[];
  /** null: its owner keeps counts only. */
  readonly sum: number | null;
  readonly count: number;
  /** One place per bucket. */
  readonly exemplars: readonly (Exemplar | null)[];
}

export interface NumberFamily {
  readonly kind: "number";
  readonly descriptor: Descriptor;
  readonly series: readonly NumberSeries[];
}

export interface HistogramFamily {
  readonly kind: "histogram";
  readonly descriptor: Descriptor;
  /** Upper bounds without +Inf. */
  readonly bounds: readonly number[];
  readonly series: readonly HistogramSeries[];
}

export type Family = NumberFamily | HistogramFamily;

export interface Snapshot {
  /** Unix time in milliseconds. */
  readonly atMs: number;
  /** In the catalogue's order; families without series are left out. */
  readonly families: readonly Family[];
}
