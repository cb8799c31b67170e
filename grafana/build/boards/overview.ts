// Overview: is anything wrong, and where to look next?

import {
  type Board,
  FLEET,
  GREEN,
  grown,
  ORANGE,
  quantile,
  rate,
  RED,
  SIDECAR,
  VARIABLES,
  VERSION,
} from "../spec.ts";

const DURATION = "http_server_request_duration_seconds_bucket";
const REQUESTS = "outrider_requests_total";
const UP = { "0": { text: "Down", color: RED }, "1": { text: "Up", color: GREEN } };

export const overview: Board = {
  id: "overview",
  description:
    "Is anything wrong with the models, their servers or the sidecars? Other boards have the details.",
  variables: VARIABLES.versions,
  rows: [
    {
      title: "Now",
      panels: [
        {
          title: "Model servers",
          description: "Last probe of each model server. Down when one of its probes fails.",
          kind: "stat",
          unit: "none",
          w: 4,
          h: 4,
          words: UP,
          targets: [{ expr: `min by (job) (outrider_probe_up{${SIDECAR}})`, legend: "{{job}}" }],
        },
        {
          title: "Sidecars observing",
          description: "Sidecars whose observer answers. Traffic flows also while one does not.",
          kind: "stat",
          unit: "none",
          w: 4,
          h: 4,
          targets: [{ expr: `sum(outrider_observer_up{${SIDECAR}})`, legend: "observing" }],
        },
        {
          title: "Availability, 1h",
          description:
            "Share of requests answered without a fault of the service over the last hour (recorded; client aborts left out).",
          kind: "stat",
          unit: "percentunit",
          decimals: 3,
          w: 4,
          h: 4,
          steps: [
            [null, RED],
            [0.99, ORANGE],
            [0.999, GREEN],
          ],
          targets: [
            { expr: '1 - job:outrider_slo_availability_errors:ratio_rate1h{job=~"$job"}', legend: "{{job}}" },
          ],
        },
        {
          title: "Requests",
          description: "Requests per second.",
          kind: "stat",
          unit: "reqps",
          w: 4,
          h: 4,
          targets: [{ expr: rate(`${REQUESTS}{${VERSION}}`), legend: "requests" }],
        },
        {
          title: "Response time, p95",
          description: "95 of 100 requests were answered to their last byte within this time.",
          kind: "stat",
          unit: "s",
          w: 4,
          h: 4,
          targets: [{ expr: quantile(0.95, `${DURATION}{${VERSION}}`), legend: "p95" }],
        },
        {
          title: "Margin of quality used",
          description:
            "How much worse than its baseline the worst metric is, as a share of what is allowed: above 100 % it is below its baseline. Matured predictions of 24h.",
          kind: "stat",
          unit: "percentunit",
          decimals: 0,
          w: 4,
          h: 4,
          none: "no baseline",
          steps: [
            [null, GREEN],
            [0.5, ORANGE],
            [1, RED],
          ],
          targets: [
            {
              expr: `max by (model) (clamp_min(job_model_version_window_metric:outrider_baseline_gap{${FLEET},basis="matured",window="24h"}\n  / on (job, model, version, metric) group_left () (job_model_version_metric:outrider_baseline_tolerance{job=~"$job"} > 0), 0))`,
              legend: "{{model}}",
            },
          ],
        },
      ],
    },
    {
      title: "Alerts and versions",
      panels: [
        {
          title: "Firing alerts",
          description: "Alerts of Outrider that fire now. Their runbooks: docs/runbooks.",
          kind: "table",
          unit: "none",
          w: 10,
          h: 8,
          none: "nothing fires",
          columns: {
            alertname: "Alert",
            severity: "Severity",
            model: "Model",
            version: "Version",
            instance: "Instance",
          },
          targets: [
            {
              expr: 'ALERTS{alertname=~"Outrider.+",alertstate="firing",job=~"$job"}',
              legend: "{{alertname}}",
              mayBeEmpty: "nothing fires in a healthy system",
            },
          ],
        },
        {
          title: "Versions",
          description:
            "Versions in traffic: their role by first appearance, predictions per second, labelled share of the matured predictions of 24h, and how many those are.",
          kind: "table",
          unit: "short",
          w: 14,
          h: 8,
          leadsTo: "quality",
          columns: {
            model: "Model",
            version: "Version",
            role: "Role",
            "Value #B": "Predictions/s",
            "Value #C": "Coverage",
            "Value #D": "Labelled",
          },
          units: { "Predictions/s": "reqps", Coverage: "percentunit" },
          targets: [
            {
              expr: `max by (model, version, role) (outrider_model_version_info{${VERSION}})`,
              legend: "role",
            },
            { expr: rate(`outrider_predictions_total{${VERSION}}`, "model, version"), legend: "rate" },
            {
              expr: `max by (model, version) (job_model_version_window:outrider_label_coverage{${FLEET},window="24h",basis="matured"})`,
              legend: "coverage",
            },
            {
              expr: `sum by (model, version) (job_model_version_window:outrider_pairs:sum{${FLEET},window="24h",basis="matured"})`,
              legend: "labelled",
            },
          ],
        },
      ],
    },
    {
      title: "Traffic",
      panels: [
        {
          title: "Requests by outcome",
          description:
            "ok and client_error are good answers; server_error is the service's fault; connect_error, reset and timeout mean it could not be reached.",
          kind: "timeseries",
          unit: "reqps",
          stack: "normal",
          min: 0,
          w: 12,
          h: 8,
          targets: [{ expr: rate(`${REQUESTS}{${VERSION}}`, "outcome"), legend: "{{outcome}}" }],
        },
        {
          title: "Response time",
          description:
            "Request headers to last response byte, seen by the client. Points are sampled requests: a click leads to the trace.",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 12,
          h: 8,
          targets: [0.5, 0.95, 0.99].map((q) => ({
            expr: quantile(q, `${DURATION}{${VERSION}}`),
            legend: `p${q * 100}`,
            exemplar: q === 0.99,
          })),
        },
      ],
    },
    {
      title: "Quality",
      panels: [
        {
          title: "Quality against the baseline",
          description:
            "How much worse than its baseline each metric is, as a share of the baseline; below 0 it is better. Matured predictions of 24h.",
          kind: "timeseries",
          unit: "percentunit",
          w: 12,
          h: 8,
          targets: [
            {
              expr: `max by (model, version, metric) (job_model_version_window_metric:outrider_baseline_gap{${FLEET},basis="matured",window="24h"}\n  / on (job, model, version, metric) group_left () abs(job_model_version_metric:outrider_baseline{job=~"$job"} != 0))`,
              legend: "{{model}} {{version}} {{metric}}",
            },
          ],
        },
        {
          title: "Labels",
          description:
            "Labels by what became of them: joined with a prediction, waiting for one, corrected, refused.",
          kind: "timeseries",
          unit: "cps",
          stack: "normal",
          min: 0,
          w: 12,
          h: 8,
          targets: [
            {
              expr: rate(`outrider_labels_total{${SIDECAR},model=~"$model"}`, "result"),
              legend: "{{result}}",
            },
          ],
        },
      ],
    },
    {
      title: "Uptime",
      panels: [
        {
          title: "Uptime",
          description:
            "Share of the probes that succeeded over the chosen time. Unlike an average of `up` it does not depend on scrapes.",
          kind: "stat",
          unit: "percentunit",
          decimals: 3,
          w: 6,
          h: 6,
          targets: [
            {
              expr:
                `sum by (job, probe) (increase(outrider_probe_attempts_total{${SIDECAR},result="success"}[$__range]))\n` +
                `/ sum by (job, probe) (increase(outrider_probe_attempts_total{${SIDECAR}}[$__range]))`,
              legend: "{{job}} {{probe}}",
            },
          ],
        },
        {
          title: "Probes",
          description: "Whether the last probe of each instance succeeded.",
          kind: "state",
          unit: "none",
          w: 9,
          h: 6,
          words: UP,
          targets: [
            {
              expr: `min by (instance, probe) (outrider_probe_up{${SIDECAR}})`,
              legend: "{{instance}} {{probe}}",
            },
          ],
        },
        {
          title: "Probe duration",
          description: "Time that 95 of 100 probes took.",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 9,
          h: 6,
          targets: [
            {
              expr: quantile(0.95, `outrider_probe_duration_seconds_bucket{${SIDECAR}}`, "probe"),
              legend: "{{probe}}",
            },
          ],
        },
      ],
    },
    {
      title: "Probes in detail",
      collapsed: true,
      panels: [
        {
          title: "Failed probes by reason",
          description: "Probes that failed, by reason.",
          kind: "timeseries",
          unit: "short",
          min: 0,
          w: 8,
          h: 6,
          targets: [
            {
              expr: grown(`outrider_probe_attempts_total{${SIDECAR},result="failure"}`, "probe, reason"),
              legend: "{{probe}} {{reason}}",
              mayBeEmpty: "no probe has failed",
            },
          ],
        },
        {
          title: "Failures in a row",
          description: "Failed probes since the last success; and how long ago that was.",
          kind: "table",
          unit: "none",
          w: 8,
          h: 6,
          columns: {
            instance: "Instance",
            probe: "Probe",
            "Value #A": "Failures in a row",
            "Value #B": "Last success",
            "Value #C": "Status",
          },
          units: { "Last success": "s" },
          targets: [
            {
              expr: `max by (instance, probe) (outrider_probe_consecutive_failures{${SIDECAR}})`,
              legend: "failures",
            },
            {
              expr: `time() - max by (instance, probe) (outrider_probe_last_success_timestamp_seconds{${SIDECAR}})`,
              legend: "last success",
            },
            {
              expr: `max by (instance, probe) (outrider_probe_http_status_code{${SIDECAR}})`,
              legend: "status",
              mayBeEmpty: "probes that only connect have no status",
            },
          ],
        },
        {
          title: "Certificate left",
          description: "Time until the model server's certificate ends.",
          kind: "stat",
          unit: "s",
          w: 8,
          h: 6,
          none: "no TLS",
          steps: [
            [null, RED],
            [604_800, ORANGE],
            [1_209_600, GREEN],
          ],
          targets: [
            {
              expr: `min by (probe) (outrider_probe_tls_certificate_expiry_timestamp_seconds{${SIDECAR}}) - time()`,
              legend: "{{probe}}",
              mayBeEmpty: "the model server speaks plain HTTP",
            },
          ],
        },
      ],
    },
  ],
};
