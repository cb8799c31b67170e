// Families about predictions, the labels that arrive for them, and the versions that made them.

import type { Descriptor } from "./descriptor.ts";

const DELAY_SECONDS = [1, 10, 60, 600, 3600, 21600, 86400, 259200, 604800, 2592000];

export const flowFamilies: readonly Descriptor[] = [
  {
    name: "outrider_predictions_total",
    otel: { name: "outrider.predictions", unit: "{prediction}" },
    type: "counter",
    labels: ["model", "version"],
    help: "Predictions recorded for joining.",
  },
  {
    name: "outrider_prediction_extract_failures_total",
    otel: { name: "outrider.prediction.extract_failures", unit: "{response}" },
    type: "counter",
    labels: ["model", "reason"],
    help: "Responses from which no prediction could be read.",
  },
  {
    name: "outrider_prediction_id_conflicts_total",
    otel: { name: "outrider.prediction.id_conflicts", unit: "{prediction}" },
    type: "counter",
    labels: ["model", "version"],
    help: "Predictions left out because their id was taken by another prediction of the same version.",
  },
  {
    name: "outrider_labels_total",
    otel: { name: "outrider.labels", unit: "{label}" },
    type: "counter",
    labels: ["model", "version", "result"],
    help: "Ground-truth labels: joined, waiting, duplicate, corrected, stale, retracted, rejected, expired.",
  },
  {
    name: "outrider_label_delay_seconds",
    otel: { name: "outrider.label.delay", unit: "s" },
    type: "histogram",
    labels: ["model", "version"],
    help: "Time between a prediction and its first label.",
    buckets: DELAY_SECONDS,
  },
  {
    name: "outrider_predictions_pending",
    otel: { name: "outrider.predictions.pending", unit: "{prediction}" },
    type: "updowncounter",
    labels: ["model", "version"],
    help: "Predictions within the label horizon that still wait for a label.",
  },
  {
    name: "outrider_predictions_expired_total",
    otel: { name: "outrider.predictions.expired", unit: "{prediction}" },
    type: "counter",
    labels: ["model", "version"],
    help: "Predictions that passed the label horizon without a label.",
  },
  {
    name: "outrider_last_prediction_timestamp_seconds",
    otel: { name: "outrider.last_prediction.timestamp", unit: "s" },
    type: "gauge",
    labels: ["model", "version"],
    help: "Unix time of the latest prediction.",
  },
  {
    name: "outrider_last_label_timestamp_seconds",
    otel: { name: "outrider.last_label.timestamp", unit: "s" },
    type: "gauge",
    labels: ["model", "version"],
    help: "Unix time at which the latest label arrived.",
  },
  {
    name: "outrider_label_coverage_ratio",
    otel: { name: "outrider.label.coverage", unit: "1" },
    type: "gauge",
    labels: ["model", "version", "window", "basis"],
    help: "Labelled share of the predictions made in the window.",
  },
  {
    name: "outrider_label_maturity_ratio",
    otel: { name: "outrider.label.maturity", unit: "1" },
    type: "gauge",
    labels: ["model", "version", "window"],
    help: "Share of the window's predictions that were labelled within the label horizon, divided by the coverage that is expected in the end (outrider_label_expected_coverage_ratio).",
  },
  {
    name: "outrider_model_version_first_seen_timestamp_seconds",
    otel: { name: "outrider.model.version.first_seen.timestamp", unit: "s" },
    type: "gauge",
    labels: ["model", "version"],
    help: "Unix time of the version's first prediction.",
  },
];
