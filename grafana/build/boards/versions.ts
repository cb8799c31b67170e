// Versions: what serves, what is declared, and whether one version is better than another.

import {
  type Board,
  FLEET,
  GREEN,
  GREY,
  grown,
  MODEL,
  rate,
  RED,
  SIDECAR,
  VARIABLES,
  VERSION,
} from "../spec.ts";

const PAIR = "model, metric, baseline, candidate";
const TITLE = "{{model}} {{metric}}: {{candidate}} less {{baseline}}";
const NO_PAIR = "only one version has been seen";
const NO_REGISTRY = "no registry is configured";
const DECLARED = "no version is declared to be in production";
const compared = (name: string): string => `outrider_comparison_${name}{${MODEL}}`;

export const versions: Board = {
  id: "versions",
  description: "Versions in traffic and in the registry, their history, and comparisons with a verdict.",
  variables: VARIABLES.versions,
  rows: [
    {
      title: "Versions",
      panels: [
        {
          title: "Versions",
          description:
            "Role by first appearance in traffic, stage by the version ledger; how long ago a version was first seen, and since when it is in production.",
          kind: "table",
          unit: "none",
          w: 16,
          h: 8,
          leadsTo: "quality",
          columns: {
            model: "Model",
            version: "Version",
            role: "Role",
            stage: "Stage",
            registered: "Registered",
            "Value #C": "First seen",
            "Value #D": "In production since",
            "Value #E": "Predictions/s",
          },
          units: {
            "First seen": "dateTimeFromNow",
            "In production since": "dateTimeFromNow",
            "Predictions/s": "reqps",
          },
          targets: [
            {
              expr: `max by (model, version, role) (outrider_model_version_info{${VERSION}})`,
              legend: "role",
            },
            {
              expr: `max by (model, version, stage, registered) (outrider_model_version_stage{${VERSION}})`,
              legend: "stage",
            },
            {
              expr: `min by (model, version) (outrider_model_version_first_seen_timestamp_seconds{${VERSION}}) * 1000`,
              legend: "first seen",
            },
            {
              expr: `max by (model, version) (outrider_model_version_production_timestamp_seconds{${VERSION}}) * 1000`,
              legend: "production",
              mayBeEmpty: DECLARED,
            },
            { expr: rate(`outrider_predictions_total{${VERSION}}`, "model, version"), legend: "rate" },
          ],
        },
        {
          title: "Served as declared",
          description: "Whether the version that served most of the last hour is the declared one.",
          kind: "state",
          unit: "none",
          w: 8,
          h: 8,
          words: { "0": { text: "as declared", color: GREEN }, "1": { text: "another version", color: RED } },
          targets: [
            {
              expr: `max by (job, model) (outrider_version_mismatch{${MODEL}})`,
              legend: "{{model}}",
              mayBeEmpty: DECLARED,
            },
          ],
        },
        {
          title: "Share of the predictions",
          description: "How the traffic is divided among versions: a rollout as it happens.",
          kind: "timeseries",
          unit: "percentunit",
          stack: "percent",
          min: 0,
          w: 24,
          h: 7,
          targets: [
            {
              expr: rate(`outrider_predictions_total{${VERSION}}`, "model, version"),
              legend: "{{model}} {{version}}",
            },
          ],
        },
      ],
    },
    {
      title: "Comparison",
      panels: [
        {
          title: "Verdict",
          description:
            "worse or better: the 95 % interval of the difference lies wholly on one side. It holds however often one looks. With several instances: the first that is sure.",
          kind: "state",
          unit: "none",
          w: 24,
          h: 6,
          words: {
            "-1": { text: "better", color: GREEN },
            "0": { text: "undecided", color: GREY },
            "1": { text: "worse", color: RED },
          },
          targets: [
            {
              expr: `max by (${PAIR}) (${compared("lower")} > bool 0) - max by (${PAIR}) (${compared("upper")} < bool 0)`,
              legend: TITLE,
              mayBeEmpty: NO_PAIR,
            },
          ],
        },
        {
          title: "Difference of the losses",
          description:
            "Loss of the candidate less that of the baseline, hour by hour since both ran, with its 95 % interval (thin). Above 0 the candidate is worse.",
          kind: "timeseries",
          unit: "none",
          w: 12,
          h: 9,
          thin: "/bound/",
          targets: [
            { expr: `avg by (${PAIR}) (${compared("difference")})`, legend: TITLE, mayBeEmpty: NO_PAIR },
            {
              expr: `max by (${PAIR}) (${compared("lower")})`,
              legend: `${TITLE} lower bound`,
              mayBeEmpty: NO_PAIR,
            },
            {
              expr: `min by (${PAIR}) (${compared("upper")})`,
              legend: `${TITLE} upper bound`,
              mayBeEmpty: NO_PAIR,
            },
          ],
        },
        {
          title: "p-value",
          description: "Smallest p-value of the comparison so far; may be looked at all the time.",
          kind: "timeseries",
          unit: "none",
          min: 0,
          max: 1,
          w: 6,
          h: 9,
          targets: [
            { expr: `min by (${PAIR}) (${compared("p_value")})`, legend: TITLE, mayBeEmpty: NO_PAIR },
          ],
        },
        {
          title: "Rows compared",
          description:
            "Labelled predictions of each version that were compared, and those that no comparison could count.",
          kind: "timeseries",
          unit: "short",
          min: 0,
          w: 6,
          h: 9,
          targets: [
            {
              expr: `sum by (${PAIR}, version) (${compared("rows")})`,
              legend: `${TITLE}: {{version}}`,
              mayBeEmpty: NO_PAIR,
            },
            {
              expr: grown(`outrider_comparison_rows_left_out_total{${SIDECAR}}`, "reason"),
              legend: "left out: {{reason}}",
            },
            {
              expr: grown(`outrider_comparison_versions_dropped_total{${SIDECAR}}`),
              legend: "versions dropped",
            },
          ],
        },
      ],
    },
    {
      title: "Against the version before, and against what was registered",
      panels: [
        {
          title: "Behind the version before",
          description:
            "How much worse the newest version is than the one before, over matured predictions of seven days; below 0 it is better. Both need labels enough (alerts.minPairs).",
          kind: "timeseries",
          unit: "none",
          w: 12,
          h: 8,
          targets: [
            {
              expr: `max by (model, version, metric) (job_model_version_metric:outrider_behind_previous{${FLEET}})`,
              legend: "{{model}} {{version}} {{metric}}",
              mayBeEmpty: "only one version has labels enough",
            },
          ],
        },
        {
          title: "Worse than the baseline",
          description:
            "Live metric against the baseline, in the metric's own unit; positive is worse. Per instance and window.",
          kind: "timeseries",
          unit: "none",
          w: 12,
          h: 8,
          targets: [
            {
              expr: `max by (model, version, metric, window) (outrider_quality_baseline_gap{${VERSION},basis="matured"})`,
              legend: "{{model}} {{version}} {{metric}} {{window}}",
            },
          ],
        },
        {
          title: "Baselines",
          description:
            "What each metric of a version should keep: as it was registered, else as the model is configured.",
          kind: "table",
          unit: "none",
          w: 12,
          h: 7,
          columns: {
            model: "Model",
            version: "Version",
            metric: "Metric",
            source: "From",
            Value: "Baseline",
          },
          targets: [
            {
              expr: `max by (model, version, metric, source) (outrider_quality_baseline{${VERSION}})`,
              legend: "baseline",
            },
          ],
        },
        {
          title: "Registries",
          description: "Calls to model registries by outcome.",
          kind: "timeseries",
          unit: "cps",
          min: 0,
          w: 6,
          h: 7,
          none: "no registry",
          targets: [
            {
              expr: rate(`outrider_registry_calls_total{${SIDECAR}}`, "registry, operation, result"),
              legend: "{{registry}} {{operation}} {{result}}",
              mayBeEmpty: NO_REGISTRY,
            },
          ],
        },
        {
          title: "Registry: last answer, writes waiting",
          description:
            "How long ago each registry last said which version is in production, and writes that wait for it.",
          kind: "table",
          unit: "none",
          w: 6,
          h: 7,
          none: "no registry",
          columns: {
            registry: "Registry",
            model: "Model",
            "Value #A": "Last answer",
            "Value #B": "Writes waiting",
          },
          units: { "Last answer": "s" },
          targets: [
            {
              expr: `time() - max by (registry, model) (outrider_registry_last_answer_timestamp_seconds{${SIDECAR}})`,
              legend: "last answer",
              mayBeEmpty: NO_REGISTRY,
            },
            {
              expr: `sum by (registry) (outrider_registry_writes_waiting{${SIDECAR}})`,
              legend: "waiting",
              mayBeEmpty: NO_REGISTRY,
            },
          ],
        },
      ],
    },
  ],
};
