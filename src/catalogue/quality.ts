// Families about how good the predictions are: (A) counters by arrival of the labels, (B) summable window gauges, (C) ready-made gauges.

import type { Descriptor } from "./descriptor.ts";

/**
 * Upper bounds of the score histogram: the logistic function at -8, -7.5, ... 8, to six decimals. Equal steps in log odds keep AUC
 * right for rare classes; none is an integer, because an integer bound is spelled differently by different exporters.
 */
export const SCORE_BOUNDS: readonly number[] = Object.freeze(
  Array.from({ length: 33 }, (_, i) => Number((1 / (1 + Math.exp(8 - i / 2))).toFixed(6))),
);

const VERSION = ["model", "version"];
const WINDOW = ["model", "version", "window", "basis"];

export const arrivalFamilies: readonly Descriptor[] = [
  {
    name: "outrider_regression_pairs_total",
    otel: { name: "outrider.regression.pairs", unit: "{pair}" },
    type: "counter",
    labels: VERSION,
    help: "Predictions that got their first label.",
  },
  {
    name: "outrider_regression_squared_error_total",
    otel: { name: "outrider.regression.squared_error", unit: "" },
    type: "counter",
    labels: VERSION,
    help: "Sum of (prediction - label)^2.",
  },
  {
    name: "outrider_regression_absolute_error_total",
    otel: { name: "outrider.regression.absolute_error", unit: "" },
    type: "counter",
    labels: [...VERSION, "direction"],
    help: "Sum of |prediction - label|, apart for predictions over and under the label.",
  },
  {
    name: "outrider_regression_label_deviation_total",
    otel: { name: "outrider.regression.label_deviation", unit: "" },
    type: "counter",
    labels: [...VERSION, "sign"],
    help: "Sum of |label - K|, apart for positive and negative deviations; K is outrider_regression_label_offset.",
  },
  {
    name: "outrider_regression_label_squared_deviation_total",
    otel: { name: "outrider.regression.label_squared_deviation", unit: "" },
    type: "counter",
    labels: VERSION,
    help: "Sum of (label - K)^2; K is outrider_regression_label_offset.",
  },
  {
    name: "outrider_regression_label_offset",
    otel: { name: "outrider.regression.label_offset", unit: "" },
    type: "gauge",
    labels: VERSION,
    help: "K of the deviation counters, from the configuration; must be equal on all replicas.",
  },
  {
    name: "outrider_classification_pairs_total",
    otel: { name: "outrider.classification.pairs", unit: "{pair}" },
    type: "counter",
    labels: [...VERSION, "actual", "predicted", "correct"],
    help: "Predictions that got their first label, by class: the confusion matrix.",
  },
  {
    name: "outrider_classification_score",
    otel: { name: "outrider.classification.score", unit: "" },
    type: "histogram",
    labels: [...VERSION, "actual"],
    help: "Scores of the positive class, apart for labels that turned out positive and negative.",
    buckets: SCORE_BOUNDS,
  },
  {
    name: "outrider_classification_log_loss_total",
    otel: { name: "outrider.classification.log_loss", unit: "" },
    type: "counter",
    labels: VERSION,
    help: "Sum of -log(probability given to what happened), natural logarithm.",
  },
  {
    name: "outrider_classification_squared_score_error_total",
    otel: { name: "outrider.classification.squared_score_error", unit: "" },
    type: "counter",
    labels: VERSION,
    help: "Sum of (score - outcome)^2, outcome 1 or 0; divided by the pairs it is the Brier score.",
  },
  {
    name: "outrider_score_bucket_info",
    otel: { name: "outrider.score_bucket.info", unit: "" },
    type: "gauge",
    labels: ["upper", "lower"],
    help: "1 for each bucket of the score histograms: its upper bound and the bound below it.",
  },
];

export const windowFamilies: readonly Descriptor[] = [
  {
    name: "outrider_window_predictions",
    otel: { name: "outrider.window.predictions", unit: "{prediction}" },
    type: "gauge",
    labels: WINDOW,
    help: "Predictions made in the window.",
  },
  {
    name: "outrider_window_pairs",
    otel: { name: "outrider.window.pairs", unit: "{pair}" },
    type: "gauge",
    labels: WINDOW,
    help: "Predictions made in the window that have a label.",
  },
  {
    name: "outrider_window_squared_error",
    otel: { name: "outrider.window.squared_error", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Sum of (prediction - label)^2 over the window.",
  },
  {
    name: "outrider_window_absolute_error",
    otel: { name: "outrider.window.absolute_error", unit: "" },
    type: "gauge",
    labels: [...WINDOW, "direction"],
    help: "Sum of |prediction - label| over the window, apart for predictions over and under the label.",
  },
  {
    name: "outrider_window_label_mean",
    otel: { name: "outrider.window.label_mean", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Mean of the labels of the window.",
  },
  {
    name: "outrider_window_label_m2",
    otel: { name: "outrider.window.label_m2", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Sum of (label - mean of the labels)^2 over the window.",
  },
  {
    name: "outrider_window_confusion",
    otel: { name: "outrider.window.confusion", unit: "{pair}" },
    type: "gauge",
    labels: [...WINDOW, "actual", "predicted", "correct"],
    help: "Labelled predictions of the window by class: the confusion matrix.",
  },
  {
    name: "outrider_window_score",
    otel: { name: "outrider.window.score", unit: "{pair}" },
    type: "gauge",
    labels: [...WINDOW, "actual", "upper"],
    help: "Labelled predictions of the window whose score is at most `upper`, by outcome.",
  },
  {
    name: "outrider_window_scored_pairs",
    otel: { name: "outrider.window.scored_pairs", unit: "{pair}" },
    type: "gauge",
    labels: WINDOW,
    help: "Labelled predictions of the window that have scores.",
  },
  {
    name: "outrider_window_log_loss",
    otel: { name: "outrider.window.log_loss", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Sum of -log(probability given to what happened) over the window, natural logarithm.",
  },
  {
    name: "outrider_window_squared_score_error",
    otel: { name: "outrider.window.squared_score_error", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Sum of (score - outcome)^2 over the window; divided by the scored pairs it is the Brier score.",
  },
];

export const readyFamilies: readonly Descriptor[] = [
  {
    name: "outrider_quality_samples",
    otel: { name: "outrider.quality.samples", unit: "{pair}" },
    type: "gauge",
    labels: WINDOW,
    help: "Labelled predictions behind the quality gauges of the window.",
  },
  {
    name: "outrider_quality_mse",
    otel: { name: "outrider.quality.mse", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Mean squared error.",
  },
  {
    name: "outrider_quality_rmse",
    otel: { name: "outrider.quality.rmse", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Root of the mean squared error.",
  },
  {
    name: "outrider_quality_mae",
    otel: { name: "outrider.quality.mae", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Mean absolute error.",
  },
  {
    name: "outrider_quality_bias",
    otel: { name: "outrider.quality.bias", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Mean of (prediction - label): positive when the model says too much.",
  },
  {
    name: "outrider_quality_r2",
    otel: { name: "outrider.quality.r2", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Coefficient of determination; 1 is perfect, 0 no better than the mean of the labels.",
  },
  {
    name: "outrider_quality_log_loss",
    otel: { name: "outrider.quality.log_loss", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Mean of -log(probability given to what happened), natural logarithm.",
  },
  {
    name: "outrider_quality_brier",
    otel: { name: "outrider.quality.brier", unit: "" },
    type: "gauge",
    labels: WINDOW,
    help: "Mean of (score - outcome)^2.",
  },
  {
    name: "outrider_quality_accuracy_ratio",
    otel: { name: "outrider.quality.accuracy", unit: "1" },
    type: "gauge",
    labels: WINDOW,
    help: "Share of predictions that were right.",
  },
  {
    name: "outrider_quality_precision_ratio",
    otel: { name: "outrider.quality.precision", unit: "1" },
    type: "gauge",
    labels: WINDOW,
    help: "Share of the predicted positives that were positive.",
  },
  {
    name: "outrider_quality_recall_ratio",
    otel: { name: "outrider.quality.recall", unit: "1" },
    type: "gauge",
    labels: WINDOW,
    help: "Share of the positives that were predicted positive.",
  },
  {
    name: "outrider_quality_f1_ratio",
    otel: { name: "outrider.quality.f1", unit: "1" },
    type: "gauge",
    labels: WINDOW,
    help: "Harmonic mean of precision and recall.",
  },
  {
    name: "outrider_quality_auc_ratio",
    otel: { name: "outrider.quality.auc", unit: "1" },
    type: "gauge",
    labels: WINDOW,
    help: "Area under the ROC curve: chance that a positive scores above a negative, ties counted half.",
  },
  {
    name: "outrider_quality_multiclass_ratio",
    otel: { name: "outrider.quality.multiclass", unit: "1" },
    type: "gauge",
    labels: [...WINDOW, "metric", "average"],
    help: "Precision, recall, F1 and AUC over several classes, by averaging: micro, macro or weighted.",
  },
  {
    name: "outrider_metric_undefined",
    otel: { name: "outrider.metric.undefined", unit: "" },
    type: "gauge",
    labels: [...WINDOW, "metric", "reason"],
    help: "1 for each quality metric that has no value, with the reason.",
  },
];
