// Ground truth that does not come, comes late, or finds no prediction; and what the labels rest on.

import type { Alerting } from "../../config/config.ts";
import type { Rule } from "../rules.ts";
import { type AlertSpec, DURATION, NUMBER, PERCENT, share } from "./spec.ts";

const COVERAGE = "job_model:outrider_label_coverage";
const DELAY = "job_model:outrider_label_delay_p90:seconds";
const WEEK = "[7d] offset 1d";

/** What the alerts below compare with its own past. */
export function labelRecords({ alerts }: Alerting): readonly Rule[] {
  const of = (name: string): string =>
    `sum by (job, model) (job_model_version_window:outrider_${name}:sum{basis="matured",window="${alerts.window}"})`;
  return [
    {
      record: COVERAGE,
      expr: `${of("pairs")}\n/ (${of("predictions")} >= ${alerts.minPredictions})`,
    },
    {
      record: DELAY,
      expr: 'max by (job, model) (outrider_label_delay_percentile_seconds{percentile="90"})',
    },
  ];
}

function missing({ alerts }: Alerting): AlertSpec {
  const seconds = alerts.labelSilenceMs / 1000;
  return {
    name: "OutriderLabelsMissing",
    severity: "warning",
    for: "15m",
    // Times, not the absence of increments: a store that was taken up again remembers its labels, counters do not.
    expr:
      `sum by (job, model) (increase(outrider_predictions_total[1d])) >= ${alerts.minPredictions}\n` +
      `and on (job, model) time() - min by (job, model) (outrider_model_version_first_seen_timestamp_seconds) > ${seconds}\n` +
      `unless on (job, model) time() - max by (job, model) (outrider_last_label_timestamp_seconds) <= ${seconds}\n` +
      "unless on (job, model) sum by (job, model) (increase(outrider_labels_absent_total[1d])) > 0",
    summary: "{{ $labels.model }} gets no labels.",
    description: `{{ $labels.model }} ({{ $labels.job }}) made ${NUMBER} predictions within a day, and its last label is older than alerts.labelSilence allows, or there never was one.`,
    board: "quality",
    runbook: {
      means:
        "Predictions go on, ground truth does not arrive: quality can no longer be told, and windows empty from behind.",
      check: [
        "The job that sends labels: did it run, and what did the API answer? `outrider_labels_total` by `result`.",
        "`rejected`: the answer of `POST /v1/labels` names the line and the reason. `waiting`: the ids are not those of predictions.",
        "With several sidecars: each keeps its own predictions, and needs its own labels.",
      ],
      fix: [
        "Start the label job again and let it send what was missed: labels join as long as their prediction is kept (`store.retention`).",
        "A model without ground truth: turn the alert off, or say what silence means (`models[].absentMeans`).",
      ],
      tune: ["alerts.labelSilence", "alerts.minPredictions"],
    },
  };
}

function coverage({ alerts }: Alerting): AlertSpec {
  return {
    name: "OutriderLabelCoverageLow",
    severity: "warning",
    for: "1h",
    expr: `${COVERAGE} < ${alerts.coverageMin}\nor\n${COVERAGE} < ${alerts.coverageDrop} * avg_over_time(${COVERAGE}${WEEK})`,
    summary: "Few predictions of {{ $labels.model }} get a label.",
    description: `${PERCENT} of the predictions of {{ $labels.model }} ({{ $labels.job }}) that are old enough have a label: less than ${share(alerts.coverageMin)}, or less than ${share(alerts.coverageDrop)} of the week before.`,
    board: "quality",
    runbook: {
      means:
        'Only predictions count that are old enough for their label (`basis="matured"`). Quality now rests on fewer rows, perhaps of one kind only: compare with care.',
      check: [
        "Which version, which slice: board Model quality, row Labels.",
        "Part of the label job failing, one source of truth missing, or one of several sidecars without its labels?",
        '`outrider_labels_total{result="waiting"}` rising: ids have changed their form.',
      ],
      fix: [
        "Send the missing labels; they count for the time of their prediction.",
        "Fewer labels on purpose (a smaller sample): lower `alerts.coverageMin` or wait a week.",
      ],
      tune: ["alerts.coverageMin", "alerts.coverageDrop", "alerts.minPredictions", "alerts.window"],
    },
  };
}

function delay({ alerts }: Alerting): AlertSpec {
  return {
    name: "OutriderLabelDelayHigh",
    severity: "info",
    for: "1h",
    expr: `${DELAY} > ${alerts.labelDelayFactor} * avg_over_time(${DELAY}${WEEK})`,
    summary: "Labels of {{ $labels.model }} come late.",
    description: `Nine of ten labels of {{ $labels.model }} ({{ $labels.job }}) are in after ${DURATION}: more than ${alerts.labelDelayFactor} times the week before.`,
    board: "quality",
    runbook: {
      means:
        "Matured windows end further back, so that quality is told later; windows over all predictions look at a smaller, faster part of the truth.",
      check: [
        "The label job: a queue that grows, a batch that runs less often?",
        "Board Model quality, panel Label delay: a shift of all labels, or a second, slower source?",
      ],
      fix: ["Repair the source; nothing is lost as long as labels come within `store.retention`."],
      tune: ["alerts.labelDelayFactor"],
    },
  };
}

function lost({ alerts }: Alerting): AlertSpec {
  const labels = (matcher: string): string =>
    `sum by (job) (increase(outrider_labels_total{result${matcher}}[6h]))`;
  return {
    name: "OutriderLabelsLost",
    severity: "warning",
    for: "15m",
    expr: `${labels('=~"rejected|expired"')}\n/ (${labels('!="expired"')} >= 50)\n> ${alerts.labelsLost}`,
    summary: "Labels sent to {{ $labels.job }} are lost.",
    description: `${PERCENT} of the labels that {{ $labels.job }} received within six hours were rejected, or waited for a prediction that never came.`,
    board: "quality",
    runbook: {
      means:
        "Ground truth arrives and is not used: ids that no prediction has, values that do not fit the task, or labels for predictions that are no longer kept.",
      check: [
        "`rejected`: the answer of `POST /v1/labels` names each reason; send one by hand and read it.",
        "`expired`: the id. Compare the id in a label with the `x-prediction-id` of an answer; several sidecars each need the labels of their own predictions.",
        "Labels older than `store.retention`?",
      ],
      fix: [
        "Send the label under the prediction's id, to the sidecar that made it (or to all of them: `outrider labels import --api a,b,c`).",
        "Labels that need longer than retention: raise `store.retention`.",
      ],
      tune: ["alerts.labelsLost"],
    },
  };
}

const offsetMismatch: AlertSpec = {
  name: "OutriderLabelOffsetMismatch",
  severity: "warning",
  for: "15m",
  expr:
    "max by (job, model, version) (outrider_regression_label_offset)\n" +
    "!= min by (job, model, version) (outrider_regression_label_offset)",
  summary: "Replicas count {{ $labels.model }} around different offsets.",
  description: `Replicas of {{ $labels.job }} have different values of models[].labelOffset for {{ $labels.model }} (the largest is ${NUMBER}): R2 by arrival over the fleet is wrong.`,
  board: "sidecar",
  runbook: {
    means:
      "Arrival-time R2 adds up deviations from one constant. With different constants the sum means nothing; all other metrics stay right.",
    check: ["`outrider_regression_label_offset` by instance: which replica has the old configuration?"],
    fix: ["Give all replicas the same `models[].labelOffset` and restart those that differ."],
    tune: ["models[].labelOffset"],
  },
};

export function labelAlerts(alerting: Alerting): readonly AlertSpec[] {
  return [missing(alerting), coverage(alerting), delay(alerting), lost(alerting), offsetMismatch];
}
