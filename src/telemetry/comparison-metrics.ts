// Comparisons of versions as series: each version against the one before it, losses only (lower is better).

import type { Recorder } from "./recorder.ts";
import type { Labels, NumberSeries } from "./snapshot.ts";

export interface ComparisonFigures {
  readonly model: string;
  readonly baseline: string;
  readonly candidate: string;
  readonly metrics: readonly {
    readonly metric: string;
    readonly difference: number | null;
    readonly lower: number | null;
    readonly upper: number | null;
    readonly p: number | null;
    readonly rows: { readonly baseline: number; readonly candidate: number };
  }[];
}

export interface ComparisonMetricsNeeds {
  comparisons(): readonly ComparisonFigures[];
  counters(): {
    readonly late: number;
    readonly crowded: number;
    readonly droppedVersions: number;
  };
}

/** The newest pairs of a model that have series, as many as versions have. */
const PAIRS_PER_MODEL_MAX = 10;

const DIFFERENCE = "outrider_comparison_difference";
const LOWER = "outrider_comparison_lower";
const UPPER = "outrider_comparison_upper";
const P_VALUE = "outrider_comparison_p_value";
const ROWS = "outrider_comparison_rows";
const FAMILIES = [DIFFERENCE, LOWER, UPPER, P_VALUE, ROWS] as const;

/** Registers itself with the recorder. */
export function createComparisonMetrics(recorder: Recorder, needs: ComparisonMetricsNeeds): void {
  recorder.onCollect(() => {
    const sheet = new Map<string, NumberSeries[]>(FAMILIES.map((name) => [name, []]));
    const put = (name: (typeof FAMILIES)[number], labels: Labels, value: number | null): void => {
      if (value !== null) sheet.get(name)?.push({ labels, value });
    };
    for (const { model, baseline, candidate, metrics } of newest(needs.comparisons())) {
      for (const { metric, difference, lower, upper, p, rows } of metrics) {
        const labels = { model, metric, baseline, candidate };
        put(DIFFERENCE, labels, difference);
        put(LOWER, labels, lower);
        put(UPPER, labels, upper);
        put(P_VALUE, labels, p);
        put(ROWS, { ...labels, version: baseline }, rows.baseline);
        put(ROWS, { ...labels, version: candidate }, rows.candidate);
      }
    }
    for (const [name, series] of sheet) recorder.gauge(name).replace(series);
    const { late, crowded, droppedVersions } = needs.counters();
    const left = recorder.counter("outrider_comparison_rows_left_out_total");
    left.set({ reason: "late" }, late);
    left.set({ reason: "crowded" }, crowded);
    recorder.counter("outrider_comparison_versions_dropped_total").set({}, droppedVersions);
  });
}

/** Pairs come in the order in which their versions were first seen. */
function newest(all: readonly ComparisonFigures[]): ComparisonFigures[] {
  const shown = new Map<string, ComparisonFigures[]>();
  for (const figures of all) shown.set(figures.model, [...(shown.get(figures.model) ?? []), figures]);
  return [...shown.values()].flatMap((pairs) => pairs.slice(-PAIRS_PER_MODEL_MAX));
}
