// Model quality: how good each version is, how sure that number is, and what it rests on.

import {
  type Board,
  FLEET,
  grown,
  MODEL,
  type Panel,
  rate,
  SIDECAR,
  type Target,
  VARIABLES,
  VERSION,
} from "../spec.ts";

const CHOSEN = 'window="$window",basis="$basis"';
const LEVEL = "job_model_version_window";
const NAME = "{{model}} {{version}}";
const REASONS = "What has no value, and why";
const WHY = `no value: “${REASONS}” tells the reason`;
const WHY_OR_TASK = `of another task, or without a value: see “${REASONS}”`;
const BINARY = "only for models of the task binary";
const REGRESSION = "only for models of the task regression";
const MULTICLASS = "only for models of the task multiclass";

/** A recording over the fleet, one series per version. */
const fleet = (record: string): string =>
  `max by (model, version) (${LEVEL}:outrider_${record}{${FLEET},${CHOSEN}})`;
/** A ready-made gauge; the mean over the chosen instances. */
const ready = (name: string, matchers = ""): string =>
  `avg by (model, version) (outrider_quality_${name}{${VERSION},${CHOSEN}${matchers}})`;

function lines(given: Pick<Panel, "title" | "description" | "targets"> & Partial<Panel>): Panel {
  return { kind: "timeseries", unit: "none", w: 8, h: 8, ...given };
}

/** Panels of metrics: where they are empty they say where the reason stands. */
function explained(panels: readonly Panel[]): readonly Panel[] {
  return panels.map((panel) => (panel.kind === "timeseries" ? { none: WHY_OR_TASK, ...panel } : panel));
}

function about(empty: string | null, expr: string, legend = NAME): Target {
  return { expr, legend, ...(empty === null ? {} : { mayBeEmpty: empty }) };
}

const main: readonly Panel[] = [
  lines({
    title: "$metric of $model",
    description:
      "The chosen metric per version over the fleet; thin lines are the 95 % interval (of each instance), dashed ones the baseline that the version should keep and what the best constant prediction would score. Vertical lines: a new version's first prediction.",
    w: 12,
    h: 10,
    dashed: "/baseline|constant/",
    thin: "/interval/",
    none: WHY,
    targets: [
      {
        expr: `max by (version, metric) (${LEVEL}_metric:outrider_quality{${FLEET},${CHOSEN},metric=~"$metric"})`,
        legend: "{{version}} {{metric}}",
      },
      {
        expr: `max by (version, metric, bound, instance) (outrider_quality_interval{${VERSION},${CHOSEN},metric=~"$metric"})`,
        legend: "{{version}} {{metric}} interval {{bound}} {{instance}}",
      },
      {
        expr: `max by (version, metric) (job_model_version_metric:outrider_baseline{${FLEET},metric=~"$metric"})`,
        legend: "{{version}} {{metric}} baseline",
      },
      {
        expr: `avg by (version, metric) (outrider_quality_constant_baseline{${VERSION},${CHOSEN},metric=~"$metric"})`,
        legend: "{{version}} {{metric}} constant",
      },
    ],
  }),
  lines({
    title: "Labelled predictions",
    description: "How many predictions of the window have a label: what the numbers rest on.",
    unit: "short",
    min: 0,
    w: 4,
    h: 5,
    targets: [
      about(null, `sum by (version) (${LEVEL}:outrider_pairs:sum{${FLEET},${CHOSEN}})`, "{{version}}"),
    ],
  }),
  lines({
    title: "Coverage",
    description: "Labelled share of the predictions of the window.",
    unit: "percentunit",
    min: 0,
    max: 1,
    w: 4,
    h: 5,
    targets: [
      about(null, `max by (version) (${LEVEL}:outrider_label_coverage{${FLEET},${CHOSEN}})`, "{{version}}"),
    ],
  }),
  lines({
    title: "Maturity",
    description:
      "Share labelled within the label horizon, over the share expected to be by then: near 100 % the labels that are waited for are in.",
    unit: "percentunit",
    min: 0,
    w: 4,
    h: 5,
    targets: [
      about(
        null,
        `min by (version) (outrider_label_maturity_ratio{${VERSION},window="$window"})`,
        "{{version}}",
      ),
    ],
  }),
  lines({
    title: "Estimated beside realised",
    description:
      "What the metric of the window will probably be, with its 95 % bounds, before labels are in; and, for the window whose labels have settled, estimate and truth side by side: how far estimates can be believed.",
    w: 12,
    h: 5,
    dashed: "/realised/",
    thin: "/bound/",
    targets: [
      about(
        "only for metrics that can be estimated, after enough settled labels",
        `avg by (version, metric) (outrider_estimated_quality{${VERSION},window="$window",metric=~"$metric"})`,
        "{{version}} {{metric}} estimated",
      ),
      ...(["lower", "upper"] as const).map((bound) =>
        about(
          "as above",
          `avg by (version, metric) (outrider_estimated_quality_ci_${bound}{${VERSION},window="$window",metric=~"$metric"})`,
          `{{version}} {{metric}} ${bound} bound`,
        ),
      ),
      about(
        "as above",
        `avg by (version, metric) (outrider_estimated_quality_matured{${VERSION},window="$window",metric=~"$metric"})`,
        "{{version}} {{metric}} estimated, settled window",
      ),
      about(
        "as above",
        `avg by (version, metric) (outrider_estimated_quality_realised{${VERSION},window="$window",metric=~"$metric"})`,
        "{{version}} {{metric}} realised, settled window",
      ),
    ],
  }),
  lines({
    title: "Nowcast",
    description:
      "What the metric of the window will be when the labels still expected are in, with its 95 % bounds: labelled predictions count as they are, each other one by its chance.",
    w: 16,
    h: 6,
    thin: "/bound/",
    targets: [
      about(
        "as for estimates",
        `avg by (version, metric) (outrider_nowcast_quality{${VERSION},window="$window",metric=~"$metric"})`,
        "{{version}} {{metric}}",
      ),
      ...(["lower", "upper"] as const).map((bound) =>
        about(
          "as for estimates",
          `avg by (version, metric) (outrider_nowcast_quality_ci_${bound}{${VERSION},window="$window",metric=~"$metric"})`,
          `{{version}} {{metric}} ${bound} bound`,
        ),
      ),
    ],
  }),
  lines({
    title: "Labels still expected",
    description: "Labels of the window that are still expected: near 0 the nowcast is the realised metric.",
    unit: "short",
    min: 0,
    w: 8,
    h: 6,
    targets: [
      about(
        "as for estimates",
        `sum by (version) (outrider_nowcast_quality_expected_labels{${VERSION},window="$window"})`,
        "{{version}}",
      ),
    ],
  }),
];

const classification: readonly Panel[] = [
  lines({
    title: "Accuracy",
    description: "Share of the labelled predictions that were right, over the fleet.",
    unit: "percentunit",
    max: 1,
    targets: [about("only for classifiers", fleet("accuracy"))],
  }),
  lines({
    title: "Precision, recall, F1",
    description: "Of the positive class; several instances: their mean. Binary models.",
    unit: "percentunit",
    targets: ["precision", "recall", "f1"].map((name) =>
      about(BINARY, ready(`${name}_ratio`), `${NAME} ${name}`),
    ),
  }),
  lines({
    title: "F1 by class",
    description: "Per class, over the fleet, and their mean (macro).",
    unit: "percentunit",
    targets: [
      about(
        "only for classifiers",
        `max by (model, version, class) (${LEVEL}_class:outrider_f1{${FLEET},${CHOSEN}})`,
        `${NAME} {{class}}`,
      ),
      about("only for classifiers", fleet("f1_macro"), `${NAME} macro`),
    ],
  }),
  lines({
    title: "ROC AUC",
    description:
      "Chance that a positive scores above a negative, over the fleet, with the error that buckets may add (windows of 24h and longer); and exact, per instance.",
    unit: "percentunit",
    dashed: "/at most/",
    targets: [
      about(BINARY, fleet("auc"), `${NAME} fleet`),
      about(BINARY, `${fleet("auc")} + ${fleet("auc_bound")}`, `${NAME} at most`),
      about(BINARY, ready("auc_ratio"), `${NAME} instance`),
    ],
  }),
  lines({
    title: "Log loss and Brier score",
    description: "Losses of the probabilities: smaller is better.",
    targets: [
      about("only for classifiers with scores", fleet("log_loss"), `${NAME} log loss`),
      about("only for classifiers with scores", fleet("brier"), `${NAME} Brier`),
    ],
  }),
  lines({
    title: "Confusion",
    description: "Labelled predictions of the window by what was true and what was said.",
    kind: "table",
    columns: { model: "Model", version: "Version", actual: "True", predicted: "Said", Value: "Predictions" },
    targets: [
      about(
        "only for classifiers",
        `sum by (model, version, actual, predicted) (outrider_window_confusion{${VERSION},${CHOSEN}})`,
        "confusion",
      ),
    ],
  }),
];

const furtherBinary: readonly Panel[] = [
  lines({
    title: "Calibration error",
    description: "Expected calibration error over ten bins: how far scores are from frequencies.",
    unit: "percentunit",
    targets: [about(BINARY, ready("ece_ratio"))],
  }),
  lines({
    title: "Average precision and prevalence",
    description: "Area under precision over recall; by chance it would be the prevalence.",
    unit: "percentunit",
    dashed: "/prevalence/",
    targets: [
      about(BINARY, ready("average_precision_ratio"), `${NAME} average precision`),
      about(BINARY, ready("prevalence_ratio"), `${NAME} prevalence`),
    ],
  }),
  lines({
    title: "Balanced accuracy, specificity, MCC",
    description: "Figures that do not reward saying the common class.",
    targets: [
      about("only for classifiers", ready("balanced_accuracy_ratio"), `${NAME} balanced accuracy`),
      about(BINARY, ready("specificity_ratio"), `${NAME} specificity`),
      about("only for classifiers", ready("mcc"), `${NAME} MCC`),
    ],
  }),
  lines({
    title: "Several classes, averaged",
    description: "Precision, recall, F1 and AUC of multiclass models by averaging.",
    unit: "percentunit",
    w: 16,
    targets: [
      about(
        MULTICLASS,
        `avg by (model, version, metric, average) (outrider_quality_multiclass_ratio{${VERSION},${CHOSEN}})`,
        `${NAME} {{metric}} {{average}}`,
      ),
    ],
  }),
  lines({
    title: "Bucketed figures: largest error",
    description:
      "How far a figure that is kept in buckets may be from the exact one; nothing while it is exact.",
    targets: [
      about(
        "figures are exact until there are very many rows",
        `max by (model, version, metric) (outrider_quality_bound{${VERSION},${CHOSEN}})`,
        `${NAME} {{metric}}`,
      ),
      about(
        "as above",
        `max by (model, version, metric) (outrider_quality_constant_baseline_bound{${VERSION},${CHOSEN}})`,
        `${NAME} best constant {{metric}}`,
      ),
    ],
  }),
];

const regression: readonly Panel[] = [
  lines({
    title: "RMSE and MAE",
    description: "In the unit of the label, over the fleet.",
    min: 0,
    targets: [
      about(REGRESSION, fleet("rmse"), `${NAME} RMSE`),
      about(REGRESSION, fleet("mae"), `${NAME} MAE`),
    ],
  }),
  lines({
    title: "R²",
    description:
      "1 is perfect, 0 no better than the mean of the labels. Over the fleet, from centred moments.",
    max: 1,
    targets: [about(REGRESSION, fleet("r2"))],
  }),
  lines({
    title: "Bias",
    description: "Mean of prediction minus label: above 0 the model says too much.",
    targets: [about(REGRESSION, fleet("bias"))],
  }),
  lines({
    title: "Median and largest error",
    description: "Per instance: an outlier shows in the largest error first.",
    targets: [
      about(REGRESSION, ready("medae"), `${NAME} median`),
      about(
        REGRESSION,
        `max by (model, version) (outrider_quality_max_error{${VERSION},${CHOSEN}})`,
        `${NAME} largest`,
      ),
    ],
  }),
  lines({
    title: "Relative errors",
    description: "MAPE: mean of |error| / |label|; WAPE: sum of |error| over sum of |label|.",
    unit: "percentunit",
    targets: [
      about(REGRESSION, ready("mape_ratio"), `${NAME} MAPE`),
      about(REGRESSION, ready("wape_ratio"), `${NAME} WAPE`),
    ],
  }),
  lines({
    title: "Mean of the labels",
    description: "What the truth itself does: a shift here moves every metric.",
    targets: [about(REGRESSION, fleet("label_mean"))],
  }),
];

const arrival: readonly Panel[] = (
  [
    ["Accuracy of labels arriving within 1h", "accuracy", "percentunit", "only for classifiers"],
    ["RMSE of labels arriving within 1h", "rmse", "none", REGRESSION],
    ["MAE of labels arriving within 1h", "mae", "none", REGRESSION],
    ["R² of labels arriving within 1h", "r2", "none", REGRESSION],
    ["ROC AUC of labels arriving within 1h", "auc", "percentunit", BINARY],
    ["Brier score of labels arriving within 1h", "brier", "none", "only for classifiers with scores"],
    ["Log loss of labels arriving within 1h", "log_loss", "none", "only for classifiers with scores"],
  ] as const
).map(([title, record, unit, empty]) =>
  lines({
    title,
    description:
      "By the time at which labels arrive, whatever the age of their prediction: the quickest to react, but of labels, not of a period.",
    unit,
    targets: [about(empty, `max by (model, version) (job_model_version:outrider_${record}:1h{${FLEET}})`)],
  }),
);

const labels: readonly Panel[] = [
  lines({
    title: "Labels by result",
    description:
      "joined; waiting for its prediction; duplicate; corrected; stale; retracted; rejected; expired without a prediction.",
    unit: "cps",
    stack: "normal",
    min: 0,
    targets: [about(null, rate(`outrider_labels_total{${MODEL}}`, "result"), "{{result}}")],
  }),
  lines({
    title: "Label delay",
    description:
      "Time from prediction to label by percentile of the labels that come at all; predictions that still wait are allowed for.",
    unit: "s",
    min: 0,
    targets: [
      about(
        null,
        `max by (model, version, percentile) (outrider_label_delay_percentile_seconds{${VERSION}})`,
        `${NAME} p{{percentile}}`,
      ),
      about(
        null,
        `max by (model, version) (outrider_label_maturity_lag_seconds{${VERSION}})`,
        `${NAME} matured after`,
      ),
    ],
  }),
  lines({
    title: "Delay of arriving labels",
    description: "Labels by the age of their prediction at arrival.",
    kind: "heatmap",
    unit: "s",
    targets: [about(null, rate(`outrider_label_delay_seconds_bucket{${VERSION}}`, "le"), "{{le}}")],
  }),
  lines({
    title: "Predictions waiting and expired",
    description:
      "Predictions within the label horizon that wait for a label, and those that passed it without one.",
    unit: "short",
    min: 0,
    targets: [
      about(null, `sum by (model, version) (outrider_predictions_pending{${VERSION}})`, `${NAME} waiting`),
      about(
        null,
        grown(`outrider_predictions_expired_total{${VERSION}}`, "model, version"),
        `${NAME} expired`,
      ),
    ],
  }),
  lines({
    title: "Expected and matured coverage",
    description:
      "Share of the predictions that will have a label in the end, and the labelled share per window.",
    unit: "percentunit",
    min: 0,
    targets: [
      about(
        null,
        `avg by (model, version) (outrider_label_expected_coverage_ratio{${VERSION}})`,
        `${NAME} expected`,
      ),
      about(
        null,
        `avg by (model, version, window) (outrider_label_coverage_ratio{${VERSION},basis="matured"})`,
        `${NAME} {{window}}`,
      ),
    ],
  }),
  lines({
    title: "Latest prediction and label",
    description: "How long ago each version last predicted, and last got a label.",
    unit: "s",
    min: 0,
    targets: [
      about(
        null,
        `time() - max by (model, version) (outrider_last_prediction_timestamp_seconds{${VERSION}})`,
        `${NAME} prediction`,
      ),
      about(
        null,
        `time() - max by (model, version) (outrider_last_label_timestamp_seconds{${VERSION}})`,
        `${NAME} label`,
      ),
    ],
  }),
  lines({
    title: "Predictions",
    description: "Predictions recorded, and responses from which none could be read.",
    unit: "cps",
    min: 0,
    targets: [
      about(null, rate(`outrider_predictions_total{${VERSION}}`, "model, version"), NAME),
      about(
        "every response was read",
        rate(`outrider_prediction_extract_failures_total{${MODEL}}`, "model, reason"),
        "{{model}} not read: {{reason}}",
      ),
      about(
        "no id was used twice",
        rate(`outrider_prediction_id_conflicts_total{${VERSION}}`, "model, version"),
        `${NAME} id taken`,
      ),
    ],
  }),
  lines({
    title: "Captured inputs",
    description:
      "Predictions whose inputs were to be captured, by what became of them: read, no known shape, another number of rows, or beyond a cap.",
    unit: "cps",
    min: 0,
    targets: [
      about(
        "inputs are not captured",
        rate(`outrider_inputs_total{${MODEL}}`, "model, result"),
        "{{model}} {{result}}",
      ),
    ],
  }),
  lines({
    title: "Silence and unfit labels",
    description:
      "Predictions that got the value of absentMeans because no label came, and labels that do not fit their model's task.",
    unit: "short",
    min: 0,
    targets: [
      about(
        "no model says what silence means",
        grown(`outrider_labels_absent_total{${VERSION}}`, "model, version"),
        `${NAME} absent`,
      ),
      about(null, `sum(outrider_labels_unfit{${SIDECAR}})`, "unfit"),
    ],
  }),
];

const DRIFT = "no reference yet: it is taken from a version's first thousand or so rows";
const byStream = "model, version, stream, window";

const drift: readonly Panel[] = [
  lines({
    title: "Population stability index",
    description:
      "Predictions and scores against their reference; dashed: what chance alone gives. From 0.2 above that on the shift is large.",
    min: 0,
    dashed: "/chance/",
    targets: [
      about(DRIFT, `max by (${byStream}) (outrider_drift_psi{${VERSION}})`, `${NAME} {{stream}} {{window}}`),
      about(
        DRIFT,
        `max by (${byStream}) (outrider_drift_psi_noise{${VERSION}})`,
        `${NAME} {{stream}} {{window}} chance`,
      ),
    ],
  }),
  lines({
    title: "Kolmogorov-Smirnov",
    description:
      "Largest difference of the cumulative shares; dashed: exceeded in 5 % of windows without any drift.",
    min: 0,
    dashed: "/chance/",
    targets: [
      about(
        DRIFT,
        `max by (${byStream}) (outrider_drift_kolmogorov_smirnov{${VERSION}})`,
        `${NAME} {{stream}} {{window}}`,
      ),
      about(
        DRIFT,
        `max by (${byStream}) (outrider_drift_kolmogorov_smirnov_upper{${VERSION}})`,
        `${NAME} {{stream}} {{window}} at most`,
      ),
      about(
        DRIFT,
        `max by (${byStream}) (outrider_drift_kolmogorov_smirnov_noise{${VERSION}})`,
        `${NAME} {{stream}} {{window}} chance`,
      ),
    ],
  }),
  lines({
    title: "Jensen-Shannon and Wasserstein",
    description:
      "Jensen-Shannon distance: 0 equal, 1 nothing in common. Wasserstein: in the unit of the values.",
    min: 0,
    targets: [
      about(
        DRIFT,
        `max by (${byStream}) (outrider_drift_jensen_shannon{${VERSION}})`,
        `${NAME} {{stream}} {{window}} Jensen-Shannon`,
      ),
      about(
        DRIFT,
        `max by (${byStream}) (outrider_drift_wasserstein{${VERSION}})`,
        `${NAME} {{stream}} {{window}} Wasserstein`,
      ),
    ],
  }),
  lines({
    title: "Rows compared",
    description: "Rows of the window and of the reference; no distances without them.",
    unit: "short",
    min: 0,
    targets: [
      about(DRIFT, `sum by (${byStream}) (outrider_drift_rows{${VERSION}})`, `${NAME} {{stream}} {{window}}`),
      about(
        null,
        `sum by (model, version, stream) (outrider_drift_reference_rows{${VERSION}})`,
        `${NAME} {{stream}} reference`,
      ),
    ],
  }),
  lines({
    title: "Concept drift alarms",
    description: "Changes found in the losses of settled rows; up: the model has become worse.",
    unit: "short",
    min: 0,
    targets: [
      about(
        "no change has been found",
        grown(`outrider_concept_drift_alarms_total{${VERSION}}`, "model, version, detector, direction"),
        `${NAME} {{detector}} {{direction}}`,
      ),
    ],
  }),
  lines({
    title: "Last change found",
    description:
      "How long ago the prediction was made with which a detector last found a change; and the settled labels that estimates rest on.",
    kind: "table",
    unit: "none",
    columns: {
      model: "Model",
      version: "Version",
      detector: "Detector",
      direction: "Direction",
      span: "Span",
      "Value #A": "Last change",
      "Value #B": "Settled labels",
    },
    units: { "Last change": "s" },
    targets: [
      about(
        "no change has been found",
        `time() - max by (model, version, detector, direction) (outrider_concept_drift_last_alarm_timestamp_seconds{${VERSION}})`,
        "last change",
      ),
      about(
        "as for estimates",
        `sum by (model, version, span) (outrider_estimated_quality_labels{${VERSION}})`,
        "settled labels",
      ),
    ],
  }),
  lines({
    title: "Estimates: calibration",
    description:
      "Estimate by the labels of the last settled day less that by the last seven: far from 0, beyond the dashed noise, when the truth behind the scores changes.",
    dashed: "/noise/",
    targets: [
      about(
        "as for estimates",
        `avg by (model, version, metric) (outrider_estimated_quality_calibration_gap{${VERSION},window="$window"})`,
        `${NAME} {{metric}}`,
      ),
      about(
        "as for estimates",
        `avg by (model, version, metric) (outrider_estimated_quality_calibration_gap_noise{${VERSION},window="$window"})`,
        `${NAME} {{metric}} noise`,
      ),
      about(
        "as for estimates",
        `avg by (model, version, metric) (outrider_estimated_quality_error{${VERSION},window="$window"})`,
        `${NAME} {{metric}} estimate less realised`,
      ),
      about(
        "no window with a nowcast has all its labels yet",
        `avg by (model, version, metric) (outrider_nowcast_quality_error{${VERSION},window="$window"})`,
        `${NAME} {{metric}} nowcast less realised`,
      ),
    ],
  }),
];

const slices: readonly Panel[] = [
  lines({
    title: "$metric by slice",
    description: "The chosen metric per slice: a model may be fine on the whole and bad for some.",
    w: 16,
    targets: [
      about(
        "no slices are configured",
        `avg by (model, version, slice) (outrider_slice_quality{${VERSION},${CHOSEN},metric=~"$metric"})`,
        `${NAME} {{slice}}`,
      ),
    ],
  }),
  lines({
    title: "Rows by slice",
    description: "Predictions of each slice, and how many have a label.",
    kind: "table",
    w: 12,
    columns: {
      model: "Model",
      version: "Version",
      slice: "Slice",
      "Value #A": "Predictions",
      "Value #B": "Labelled",
    },
    targets: ["predictions", "pairs"].map((name) =>
      about(
        "no slices are configured",
        `sum by (model, version, slice) (outrider_slice_${name}{${VERSION},${CHOSEN}})`,
        name,
      ),
    ),
  }),
  lines({
    title: "$metric by slice without a value",
    description:
      "Why a slice has no number: no labels, fewer than minSamples (below_min_samples), one class only.",
    kind: "table",
    w: 12,
    columns: { model: "Model", version: "Version", slice: "Slice", metric: "Metric", reason: "Reason" },
    targets: [
      about(
        "every slice has a value",
        `max by (model, version, slice, metric, reason) (outrider_slice_metric_undefined{${VERSION},${CHOSEN},metric=~"$metric"})`,
        "undefined",
      ),
    ],
  }),
];

const reasons: readonly Panel[] = [
  lines({
    title: "Metrics without a value",
    description:
      "Why a number is missing: no labels, fewer than minSamples (below_min_samples), one class only, no scores.",
    kind: "table",
    w: 12,
    columns: { model: "Model", version: "Version", metric: "Metric", reason: "Reason" },
    targets: [
      about(
        "every metric has a value",
        `max by (model, version, metric, reason) (outrider_metric_undefined{${VERSION},${CHOSEN}})`,
        "undefined",
      ),
    ],
  }),
  lines({
    title: "Estimates and drift without a value",
    description: "Why there is no estimate, or no distance to a reference.",
    kind: "table",
    w: 12,
    columns: { model: "Model", version: "Version", metric: "Metric", stream: "Stream", reason: "Reason" },
    targets: [
      about(
        "every estimate has a value",
        `max by (model, version, metric, reason) (outrider_estimated_quality_undefined{${VERSION},window="$window"})`,
        "estimates",
      ),
      about(
        "every nowcast has a value",
        `max by (model, version, metric, reason) (outrider_nowcast_quality_undefined{${VERSION},window="$window"})`,
        "nowcasts",
      ),
      about(
        "every stream has a reference",
        `max by (model, version, stream, reason) (outrider_drift_undefined{${VERSION}})`,
        "drift",
      ),
    ],
  }),
];

export const quality: Board = {
  id: "quality",
  description: "How good each version of a model is, how sure that number is, and what it rests on.",
  variables: [
    ...VARIABLES.versions,
    {
      name: "metric",
      label: "Metric",
      description: "The metric of the main panel, by scikit-learn's name.",
      query: `label_values(${LEVEL}_metric:outrider_quality{job=~"$job",model=~"$model"}, metric)`,
      kind: "query",
      many: true,
      all: ".+",
    },
    {
      name: "window",
      label: "Window",
      description: "Predictions made within it count.",
      query: 'label_values(outrider_window_pairs{job=~"$job"}, window)',
      kind: "query",
      many: false,
      first: "24h",
    },
    {
      name: "basis",
      label: "Basis",
      description:
        "matured: predictions old enough for their label to be in. all: every prediction; a young window favours what is labelled fast.",
      query: "matured,all",
      kind: "custom",
      many: false,
      first: "matured",
    },
  ],
  rows: [
    { title: "$model", repeat: "model", panels: main },
    { title: "Classification", panels: explained(classification) },
    { title: "Regression", panels: explained(regression) },
    { title: "Labels", panels: labels },
    { title: "Drift", panels: drift },
    { title: "By arrival of the labels", collapsed: true, panels: arrival },
    { title: "Further figures of classifiers", collapsed: true, panels: explained(furtherBinary) },
    { title: "Slices", collapsed: true, panels: slices },
    { title: REASONS, collapsed: true, panels: reasons },
  ],
};
