// Families about two versions of a model side by side: each version against the one before it.

import type { Descriptor } from "./descriptor.ts";

const PAIR = ["model", "metric", "baseline", "candidate"];

export const comparisonFamilies: readonly Descriptor[] = [
  {
    name: "outrider_comparison_difference",
    otel: { name: "outrider.comparison.difference", unit: "" },
    type: "gauge",
    labels: PAIR,
    help: "Loss of the candidate minus that of the baseline, hour by hour since both ran: positive when the candidate is worse.",
  },
  {
    name: "outrider_comparison_lower",
    otel: { name: "outrider.comparison.lower", unit: "" },
    type: "gauge",
    labels: PAIR,
    help: "Lower 95 % bound of the difference; holds however often one looks. Above 0: the candidate is worse.",
  },
  {
    name: "outrider_comparison_upper",
    otel: { name: "outrider.comparison.upper", unit: "" },
    type: "gauge",
    labels: PAIR,
    help: "Upper 95 % bound of the difference; holds however often one looks. Below 0: the candidate is better.",
  },
  {
    name: "outrider_comparison_p_value",
    otel: { name: "outrider.comparison.p_value", unit: "" },
    type: "gauge",
    labels: PAIR,
    help: "Smallest p-value of the comparison so far; may be looked at all the time.",
  },
  {
    name: "outrider_comparison_rows",
    otel: { name: "outrider.comparison.rows", unit: "{prediction}" },
    type: "gauge",
    labels: [...PAIR, "version"],
    help: "Labelled predictions of each version that were compared.",
  },
  {
    name: "outrider_comparison_rows_left_out_total",
    otel: { name: "outrider.comparison.rows_left_out", unit: "{prediction}" },
    type: "counter",
    labels: ["reason"],
    help: "Labelled predictions that no comparison counted: late (the label came after its time had been counted), crowded (no room).",
  },
  {
    name: "outrider_comparison_versions_dropped_total",
    otel: { name: "outrider.comparison.versions_dropped", unit: "{version}" },
    type: "counter",
    labels: [],
    help: "Versions whose comparison ended because more than 100 were under comparison.",
  },
];
