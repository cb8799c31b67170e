// Families about what is still missing: how long labels take, what was assumed in their place, and quality per slice.

import type { Descriptor } from "./descriptor.ts";

const VERSION = ["model", "version"];
const SLICE = ["model", "version", "slice", "window", "basis"];

export const delayFamilies: readonly Descriptor[] = [
  {
    name: "outrider_label_delay_percentile_seconds",
    otel: { name: "outrider.label.delay_percentile", unit: "s" },
    type: "gauge",
    labels: [...VERSION, "percentile"],
    help: "Label delay by percentile (50, 90, 95, 99) of the labels that come at all; predictions that still wait are allowed for (Kaplan-Meier).",
  },
  {
    name: "outrider_label_expected_coverage_ratio",
    otel: { name: "outrider.label.expected_coverage", unit: "1" },
    type: "gauge",
    labels: VERSION,
    help: "Share of the predictions that is expected to be labelled by the label horizon.",
  },
  {
    name: "outrider_label_maturity_lag_seconds",
    otel: { name: "outrider.label.maturity_lag", unit: "s" },
    type: "gauge",
    labels: VERSION,
    help: 'Age at which 95 % of the labels that come at all are in: windows with basis="matured" end so long ago.',
  },
  {
    name: "outrider_labels_absent_total",
    otel: { name: "outrider.labels.absent", unit: "{label}" },
    type: "counter",
    labels: VERSION,
    help: "Predictions that got the value of absentMeans because no label came.",
  },
  {
    name: "outrider_labels_unfit",
    otel: { name: "outrider.labels.unfit", unit: "{label}" },
    type: "gauge",
    labels: [],
    help: "Labels that hold but do not fit their model's task: they are measured nowhere.",
  },
];

export const sliceFamilies: readonly Descriptor[] = [
  {
    name: "outrider_slice_predictions",
    otel: { name: "outrider.slice.predictions", unit: "{prediction}" },
    type: "gauge",
    labels: SLICE,
    help: "Predictions of the slice made in the window.",
  },
  {
    name: "outrider_slice_pairs",
    otel: { name: "outrider.slice.pairs", unit: "{pair}" },
    type: "gauge",
    labels: SLICE,
    help: "Predictions of the slice made in the window that have a label.",
  },
  {
    name: "outrider_slice_quality",
    otel: { name: "outrider.slice.quality", unit: "" },
    type: "gauge",
    labels: [...SLICE, "metric"],
    help: "Quality of the slice in the window, by metric.",
  },
  {
    name: "outrider_slice_metric_undefined",
    otel: { name: "outrider.slice.metric.undefined", unit: "" },
    type: "gauge",
    labels: [...SLICE, "metric", "reason"],
    help: "1 for each metric of outrider_slice_quality that has no value or is left out, with the reason.",
  },
  {
    name: "outrider_series_dropped_total",
    otel: { name: "outrider.series.dropped", unit: "{series}" },
    type: "counter",
    labels: ["what"],
    help: "Left out because there was no room: slice and version (not measured), slice_series (measured, not exported), slice_value, route and model (counted as _OTHER).",
  },
];
