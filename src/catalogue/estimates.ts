// Families about what is known before the labels come: estimated quality, and drift.

import type { Descriptor } from "./descriptor.ts";

const VERSION = ["model", "version"];
const METRIC = [...VERSION, "window", "metric"];
const STREAM = [...VERSION, "stream", "window"];

function gauge(of: { name: string; labels: readonly string[]; help: string; unit?: string }): Descriptor {
  const { name, labels, help, unit = "" } = of;
  const suffix = unit === "s" ? "_seconds" : "";
  const dotted = name
    .slice("outrider_".length, name.length - suffix.length)
    .replace(/^(estimated|nowcast|drift|concept)_/, "$1.");
  return { name, otel: { name: `outrider.${dotted}`, unit }, type: "gauge", labels, help };
}

export const estimateFamilies: readonly Descriptor[] = [
  gauge({
    name: "outrider_estimated_quality",
    labels: METRIC,
    help: "What the metric will probably be for the predictions of the window, whether labelled yet or not; right while the meaning of the scores does not change.",
  }),
  gauge({
    name: "outrider_estimated_quality_ci_lower",
    labels: METRIC,
    help: "Lower 95 % bound of what will be realised.",
  }),
  gauge({
    name: "outrider_estimated_quality_ci_upper",
    labels: METRIC,
    help: "Upper 95 % bound of what will be realised.",
  }),
  gauge({
    name: "outrider_estimated_quality_matured",
    labels: METRIC,
    help: "The estimate for the window that ended when labels had settled, by what was known then.",
  }),
  gauge({
    name: "outrider_estimated_quality_realised",
    labels: METRIC,
    help: "What the labels of that same window have turned out to say.",
  }),
  gauge({
    name: "outrider_estimated_quality_error",
    labels: METRIC,
    help: "Estimate minus realised for the window that ended when labels had settled: how far estimates can be believed.",
  }),
  gauge({
    name: "outrider_estimated_quality_calibration_gap",
    labels: METRIC,
    help: "Estimate by the labels of the last settled day minus that by the last seven: far from 0 when the truth behind the scores changes.",
  }),
  gauge({
    name: "outrider_estimated_quality_calibration_gap_noise",
    labels: METRIC,
    help: "Size up to which the calibration gap is expected of chance (95 %).",
  }),
  gauge({
    name: "outrider_estimated_quality_labels",
    labels: [...VERSION, "span"],
    help: "Settled labels behind the calibration, of the last seven days and of the last one.",
  }),
  gauge({
    name: "outrider_estimated_quality_undefined",
    labels: [...METRIC, "reason"],
    help: "1 for each metric that has no estimate, with the reason.",
  }),
  gauge({
    name: "outrider_nowcast_quality",
    labels: METRIC,
    help: "What the metric of the window will be when the labels still expected are in: labelled predictions count as they are, each other one by its chance, from its score and age.",
  }),
  gauge({
    name: "outrider_nowcast_quality_ci_lower",
    labels: METRIC,
    help: "Lower 95 % bound of what the metric will be then, while calibration and label delays stay as they were.",
  }),
  gauge({
    name: "outrider_nowcast_quality_ci_upper",
    labels: METRIC,
    help: "Upper 95 % bound of what the metric will be then, while calibration and label delays stay as they were.",
  }),
  gauge({
    name: "outrider_nowcast_quality_expected_labels",
    labels: [...VERSION, "window"],
    help: "Labels of the window that are still expected; near 0 the nowcast is the realised metric.",
  }),
  gauge({
    name: "outrider_nowcast_quality_earlier",
    labels: METRIC,
    help: "What the nowcast said of the newest window, of those that ended with a whole hour, that has all its labels by now.",
  }),
  gauge({
    name: "outrider_nowcast_quality_realised",
    labels: METRIC,
    help: "What the labels of that same window have turned out to say.",
  }),
  gauge({
    name: "outrider_nowcast_quality_error",
    labels: METRIC,
    help: "Nowcast minus realised for that window: how far nowcasts can be believed.",
  }),
  gauge({
    name: "outrider_nowcast_quality_undefined",
    labels: [...METRIC, "reason"],
    help: "1 for each metric that has no nowcast, with the reason.",
  }),
];

export const driftFamilies: readonly Descriptor[] = [
  gauge({
    name: "outrider_drift_rows",
    labels: STREAM,
    help: "Rows of the window that are compared with the reference; its own rows are left out.",
  }),
  gauge({
    name: "outrider_drift_reference_rows",
    labels: [...VERSION, "stream"],
    help: "Rows of the reference; 0 until there is one.",
  }),
  gauge({
    name: "outrider_drift_psi",
    labels: STREAM,
    help: "Population stability index over ten reference-quantile bins, shares floored at 1e-4.",
  }),
  gauge({
    name: "outrider_drift_psi_noise",
    labels: STREAM,
    help: "What the index is on average without any drift: (bins - 1)(1/n + 1/m).",
  }),
  gauge({
    name: "outrider_drift_jensen_shannon",
    labels: STREAM,
    help: "Jensen-Shannon distance over the same bins, base 2: 0 equal, 1 nothing in common.",
  }),
  gauge({
    name: "outrider_drift_kolmogorov_smirnov",
    labels: STREAM,
    help: "Kolmogorov-Smirnov statistic: largest difference of the cumulative shares.",
  }),
  gauge({
    name: "outrider_drift_kolmogorov_smirnov_upper",
    labels: STREAM,
    help: "The exact statistic of the rows is at most this; equal to it while values are counted apart.",
  }),
  gauge({
    name: "outrider_drift_kolmogorov_smirnov_noise",
    labels: STREAM,
    help: "Exceeded by the statistic in 5 % of windows without any drift.",
  }),
  gauge({
    name: "outrider_drift_wasserstein",
    labels: STREAM,
    help: "Wasserstein-1 distance, in the unit of the values.",
  }),
  gauge({
    name: "outrider_drift_undefined",
    labels: [...STREAM, "reason"],
    help: "1 for each window without distances, with the reason.",
  }),
  {
    name: "outrider_concept_drift_alarms_total",
    otel: { name: "outrider.concept.drift_alarms", unit: "{alarm}" },
    type: "counter",
    labels: [...VERSION, "detector", "direction"],
    help: "Changes found in the losses of settled rows; direction up: the model has become worse.",
  },
  gauge({
    name: "outrider_concept_drift_last_alarm_timestamp_seconds",
    labels: [...VERSION, "detector", "direction"],
    help: "Time of the prediction with which a change was last found.",
    unit: "s",
  }),
  gauge({
    name: "outrider_concept_drift_behind_seconds",
    labels: VERSION,
    help: "How much of what has settled the detectors have still to be shown.",
    unit: "s",
  }),
  {
    name: "outrider_estimate_left_out_total",
    otel: { name: "outrider.estimate.left_out", unit: "{item}" },
    type: "counter",
    labels: ["part", "reason"],
    help: "Versions, rows and values that found no room in what estimates and watches for drift, or that it cannot use.",
  },
  {
    name: "outrider_inputs_total",
    otel: { name: "outrider.inputs", unit: "{row}" },
    type: "counter",
    labels: ["model", "result"],
    help: "Predictions whose inputs were to be captured: read, no_inputs (no shape that is known, or nothing that may be kept), row_count (not as many rows as predictions), left_out (beyond a cap).",
  },
  gauge({
    name: "outrider_estimate_buckets_left",
    labels: ["part"],
    help: "Buckets that distributions may still take; at 0 they get coarser.",
  }),
];
