// How good the model is: against its baseline, against the version before, and before labels tell.

import type { Alerting } from "../../config/config.ts";
import { FLEET_METRICS, LOSSES, names } from "../metric-rules.ts";
import type { Rule } from "../rules.ts";
import { type AlertSpec, NUMBER, VERSION, share } from "./spec.ts";

const TOLERANCE = "job_model_version_metric:outrider_baseline_tolerance";
const CURRENT = "job_model_version_metric:outrider_quality_current";
const PREVIOUS = "job_model_metric:outrider_quality_previous";
const BEHIND = "job_model_version_metric:outrider_behind_previous";
const NOISE = "job_model_version_metric:outrider_behind_previous_noise";
const KEY = "job, model, version, metric";
const WINDOW_KEY = "job, model, version, window, basis";
const SCORES = FLEET_METRICS.filter((metric) => !LOSSES.split("|").includes(metric)).join("|");

const enoughPairs = (least: number): string => `and on (${WINDOW_KEY}) ${names.pairs} >= ${least}`;
const role = (name: string): string =>
  `max by (job, model, version) (outrider_model_version_info{role="${name}"})`;

/** How far from its baseline a metric may be: the model's margin is a share of it. */
const tolerance: Rule = {
  record: TOLERANCE,
  expr: `abs(${names.baseline}) * on (job, model) group_left () max by (job, model) (outrider_quality_baseline_margin_ratio)`,
};

/** The newest version and the one before it, each over its own matured predictions. */
function previousRules({ alerts }: Alerting): Rule[] {
  const quality = `${names.quality}{basis="matured",window="${alerts.previousWindow}"}\n    ${enoughPairs(alerts.minPairs)}`;
  const before = `on (job, model, metric) group_left () ${PREVIOUS}`;
  const variance = (which: string): string => {
    const of = `{basis="matured",window="${alerts.previousWindow}"}`;
    const right = `job_model_version_window:outrider_accuracy${of}`;
    return (
      `max by (job, model, version) (\n    ${right} * (1 - ${right})\n    / (${names.pairs}${of} > 0)\n` +
      `    and on (job, model, version) ${role(which)}\n  )`
    );
  };
  return [
    {
      record: CURRENT,
      expr: `max by (${KEY}) (\n  ${quality}\n  and on (job, model, version) ${role("current")}\n)`,
    },
    {
      record: PREVIOUS,
      expr: `avg by (job, model, metric) (\n  ${quality}\n  and on (job, model, version) ${role("previous")}\n)`,
    },
    {
      record: BEHIND,
      expr:
        `(${CURRENT}{metric=~"${LOSSES}"} - ${before})\n` +
        `or -(${CURRENT}{metric!~"${LOSSES}"} - ${before})`,
    },
    {
      // Two standard errors of a difference of two shares; of other metrics the margin alone decides.
      record: NOISE,
      expr:
        `label_replace(\n  2 * sqrt(${variance("current")}\n  + on (job, model) group_left () max by (job, model) (${variance("previous")})),\n` +
        `  "metric", "accuracy", "", "")`,
    },
  ];
}

export function qualityRecords(alerting: Alerting): readonly Rule[] {
  return [tolerance, ...previousRules(alerting)];
}

function belowBaseline({ alerts }: Alerting): AlertSpec {
  const of = `{basis="matured",window="${alerts.window}"}`;
  return {
    name: "OutriderQualityBelowBaseline",
    severity: "warning",
    for: "15m",
    expr: `${names.gap}${of}\n  > on (${KEY}) group_left () ${TOLERANCE}\n${enoughPairs(alerts.minPairs)}`,
    summary: "{{ $labels.metric }} of {{ $labels.model }} is below its baseline.",
    description: `{{ $labels.metric }} of ${VERSION} ({{ $labels.job }}) over ${alerts.window} is worse than its baseline by ${NUMBER}: more than its margin.`,
    board: "quality",
    runbook: {
      means:
        'The model answers, but worse than when it was approved. Counted are predictions whose labels are in (`basis="matured"`), from at least `alerts.minPairs` of them.',
      check: [
        "Since when: board Model quality; a step at a version change, or a slow decline?",
        "Coverage and maturity beside the number: are the labels complete, and of the usual kind? (OutriderLabelCoverageLow)",
        "Board Model quality, row Drift: have the inputs' predictions moved (OutriderPredictionDrift)?",
        "One slice only: `outrider_slice_quality`. One replica only: select the instance.",
        "Labels right? A broken label source looks like a broken model: read a few by hand (`GET /v1/predictions`).",
      ],
      fix: [
        "A new version: roll back (`outrider versions rollback`). A decline of an old one: train anew with recent data.",
        "Features that changed upstream: repair them.",
        "A baseline that was never reached in production: register the version with what is true, or widen the margin.",
      ],
      tune: ["models[].baseline", "alerts.window", "alerts.minPairs"],
    },
  };
}

function collapse({ alerts }: Alerting): AlertSpec {
  const of = (metrics: string): string =>
    `${names.quality}{basis="matured",window="${alerts.window}",metric=~"${metrics}"}`;
  const baseline = `on (${KEY}) group_left ()`;
  return {
    name: "OutriderQualityCollapse",
    severity: "critical",
    for: "5m",
    expr:
      `(\n  ${of(SCORES)}\n    < ${baseline} (${alerts.collapse} * (${names.baseline} > 0))\n` +
      `  or ${of(LOSSES)}\n    > ${baseline} (${names.baseline} / ${Math.max(alerts.collapse, 1e-6)})\n` +
      `  or ${of("r2")} < 0\n)\n${enoughPairs(alerts.minPairs)}`,
    summary: "{{ $labels.model }} has collapsed.",
    description: `{{ $labels.metric }} of ${VERSION} ({{ $labels.job }}) over ${alerts.window} is ${NUMBER}: beyond ${share(alerts.collapse)} of its baseline, or no better than always saying the mean.`,
    board: "quality",
    runbook: {
      means:
        "Answers are close to useless: usually not the model's age but something broken: the wrong artifact, features in another order or unit, labels turned round.",
      check: [
        "Did a version change at that moment? Board Versions; `GET /version`: is what serves what was declared (OutriderVersionMismatch)?",
        "Are the predictions themselves strange (all one class, one value)? Board Model quality, row Drift.",
        "The labels: a changed code for the classes, a shifted join? Read a few by hand.",
      ],
      fix: [
        "Roll back at once; look for the cause afterwards.",
        "Labels wrong: send them again corrected: a later `ts` replaces the earlier label, windows follow.",
      ],
      tune: ["alerts.collapse", "alerts.window", "alerts.minPairs"],
    },
  };
}

function worseThanPrevious({ alerts }: Alerting): AlertSpec {
  return {
    name: "OutriderQualityWorseThanPrevious",
    severity: "warning",
    for: "15m",
    expr:
      `${BEHIND}\n  > on (job, model, metric) group_left () (${alerts.previousMargin} * abs(${PREVIOUS}))\n` +
      `unless on (${KEY}) ${BEHIND} <= on (${KEY}) ${NOISE}`,
    summary: "The new version of {{ $labels.model }} is worse than the one before.",
    description: `{{ $labels.metric }} of ${VERSION} ({{ $labels.job }}) over ${alerts.previousWindow} is worse than that of the version before by ${NUMBER}: more than ${share(alerts.previousMargin)} of it.`,
    board: "versions",
    runbook: {
      means:
        "Both versions have matured labels enough, and the newer one does worse. They need not have seen the same hours: OutriderCandidateWorse compares hour by hour.",
      check: [
        "Board Versions, row Comparison: the difference with its interval, over hours in which both ran.",
        "Did the traffic change with the version (another share of customers)? Compare slices.",
        "Coverage of both versions: labels of the new one may still be of the fast kind.",
      ],
      fix: ["Roll back, or send the new version less traffic until the comparison has decided."],
      tune: ["alerts.previousMargin", "alerts.previousWindow", "alerts.minPairs"],
    },
  };
}

function candidateWorse({ alerts }: Alerting): AlertSpec {
  const pair = "job, model, metric, baseline, candidate";
  return {
    name: "OutriderCandidateWorse",
    severity: "warning",
    for: "5m",
    expr:
      `max by (${pair}) (outrider_comparison_lower) > 0\n` +
      `and on (${pair}) min by (${pair}) (outrider_comparison_rows) >= ${alerts.minPairs}\n` +
      `and on (job, model, candidate) label_replace(${role("current")}, "candidate", "$1", "version", "(.*)")`,
    summary: "Version {{ $labels.candidate }} of {{ $labels.model }} is worse than {{ $labels.baseline }}.",
    description: `{{ $labels.metric }} of version {{ $labels.candidate }} of {{ $labels.model }} ({{ $labels.job }}) is worse than that of {{ $labels.baseline }} by at least ${NUMBER}, with 95 % confidence however often one looks.`,
    board: "versions",
    runbook: {
      means:
        "The interval of the difference, hour by hour since both ran, lies wholly on the wrong side. This is evidence, not a dip: it holds although it is looked at all the time.",
      check: [
        "`outrider compare --model <model>`: difference, interval, rows of each version.",
        "The size: a small loss may be worth what the version gains elsewhere (latency, cost).",
      ],
      fix: ["End the rollout: `outrider versions rollback`, and lead the traffic back."],
      tune: ["alerts.minPairs", "models[].gate"],
    },
  };
}

function drift({ alerts }: Alerting): AlertSpec {
  const by = "job, model, version, stream, window";
  const of = (name: string): string => `outrider_drift_${name}{window="24h"}`;
  return {
    name: "OutriderPredictionDrift",
    severity: "warning",
    for: "1h",
    expr:
      `max by (${by}) (${of("psi")} - ${of("psi_noise")}) > ${alerts.drift}\n` +
      `and on (${by}) max by (${by}) (${of("rows")}) >= ${alerts.minPredictions}`,
    summary: "What {{ $labels.model }} says has drifted.",
    description: `The {{ $labels.stream }} of ${VERSION} ({{ $labels.job }}) over 24h differ from their reference: population stability index ${NUMBER} above what chance gives.`,
    board: "quality",
    runbook: {
      means:
        "The distribution of predictions or scores is no longer that of the reference. The model may still be right: the world has changed, or its inputs have. It is the earliest sign when labels are late.",
      check: [
        "Board Model quality, row Drift: which stream, since when, together with a version change?",
        "Estimated quality beside realised: does the estimate fall too?",
        "The callers: another client, another country, a changed feature pipeline?",
      ],
      fix: [
        "An input that broke: repair it. A world that changed: watch quality, and train anew.",
        "A new reference: register the new version; each version has a reference of its own.",
      ],
      tune: ["alerts.drift", "alerts.minPredictions"],
    },
  };
}

const conceptDrift: AlertSpec = {
  name: "OutriderConceptDrift",
  severity: "warning",
  for: "0s",
  expr: 'sum by (job, model, version, detector) (increase(outrider_concept_drift_alarms_total{direction="up"}[1h])) > 0',
  summary: "Errors of {{ $labels.model }} have risen.",
  description: `The detector {{ $labels.detector }} found that the losses of ${VERSION} ({{ $labels.job }}) have become larger.`,
  board: "quality",
  runbook: {
    means:
      "A change detector that reads losses in the order of predictions says that they rose: the relation between input and truth has changed.",
    check: [
      "Board Model quality: do the windowed metrics show it too? Short windows first.",
      "`outrider_concept_drift_last_alarm_timestamp_seconds`: the time of the prediction with which it began.",
      "A batch of wrong labels does the same.",
    ],
    fix: [
      "As for OutriderQualityBelowBaseline; an alarm alone, without a fall of the metrics, may be watched.",
    ],
    tune: ["alerts.rules.OutriderConceptDrift"],
  },
};

export function qualityAlerts(alerting: Alerting): readonly AlertSpec[] {
  return [
    belowBaseline(alerting),
    worseThanPrevious(alerting),
    candidateWorse(alerting),
    collapse(alerting),
    drift(alerting),
    conceptDrift,
  ];
}
