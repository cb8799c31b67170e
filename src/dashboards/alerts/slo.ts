// Budgets that burn too fast: availability and latency, each as a page and as a ticket; and answers that cannot be read.

import type { Alerting } from "../../config/config.ts";
import { burnExpr, type Slo } from "../slo-rules.ts";
import { type AlertSpec, PERCENT, share } from "./spec.ts";

const CHECKS: Readonly<Record<Slo, readonly string[]>> = {
  availability: [
    "Board Service, panel Requests by outcome: `server_error` is the model server's own, `connect_error`, `reset` and `timeout` are failures to reach it.",
    'Why it cannot be connected to: `sum by (outcome) (rate(outrider_upstream_connections_total{outcome!="opened"}[5m]))`.',
    "Does the model turn requests away, or close connections under them? `sum by (reason, outcome) (rate(outrider_upstream_resends_total[5m]))`: those that are `given_up` failed; board Sidecar and target, panel Requests that came back.",
    'Which model and version: `topk(5, sum by (model, version, outcome) (rate(outrider_requests_total{outcome!~"ok|client_error|client_abort"}[5m])))`.',
    "Began with a new version? Board Versions, history. With a restart or an eviction? Board Sidecar and target.",
  ],
  latency: [
    "Board Service: response time against time to first byte, and the time the sidecar adds itself (proxy overhead).",
    "An exemplar in a slow bucket of the heatmap leads to a trace of such a request.",
    "CPU of the model server at its limit or throttled? Requests in flight rising? Board Sidecar and target.",
    "One route or version only: `histogram_quantile(0.95, sum by (le, version, http_route) (rate(http_server_request_duration_seconds_bucket[5m])))`.",
  ],
};

const FIXES: Readonly<Record<Slo, readonly string[]>> = {
  availability: [
    "Roll back the version that fails (`outrider versions rollback`), or take the failing replica out of the load balancer.",
    "The model server is down or overloaded: see OutriderTargetDown; add replicas.",
  ],
  latency: [
    "More replicas or CPU, smaller batches, or back to the version that was faster.",
    "Streams are long by nature: set `slo.latency.of: first_byte`.",
  ],
};

function burn(which: Slo, speed: "fast" | "slow", alerting: Alerting): AlertSpec {
  const { slo } = alerting;
  const fast = speed === "fast";
  const what = which === "availability" ? "failed" : `took longer than ${slo.latency.thresholdMs} ms`;
  const objective = which === "availability" ? slo.availability : slo.latency.objective;
  const budget = which === "availability" ? "error" : "latency";
  return {
    name: `Outrider${which === "availability" ? "Error" : "Latency"}BudgetBurn${fast ? "Fast" : "Slow"}`,
    severity: fast ? "critical" : "warning",
    for: fast ? "2m" : "15m",
    expr: burnExpr(which, speed, alerting),
    labels: { slo: which },
    summary: `{{ $labels.job }} spends its ${budget} budget ${fast ? "fast" : "steadily"}.`,
    description: `${PERCENT} of the requests of {{ $labels.job }} ${what}; the objective allows ${share(1 - objective)}.`,
    board: "service",
    runbook: {
      means: fast
        ? `At this rate the ${budget} budget of 30 days is gone within two to five days: users notice now. It fires when a long and a short window (1h and 5m, or 6h and 30m) both burn too fast, and ends soon after the short one recovers.`
        : `The ${budget} budget of 30 days will be spent before its time: not an emergency, but something has changed for the worse over a day or three.`,
      check: CHECKS[which],
      fix: FIXES[which],
      tune: [
        which === "availability" ? "slo.availability" : "slo.latency",
        "slo.minRequests",
        `alerts.rules.Outrider${which === "availability" ? "Error" : "Latency"}BudgetBurn${fast ? "Fast" : "Slow"}`,
      ],
    },
  };
}

function extractFailures({ alerts, slo }: Alerting): AlertSpec {
  const ok = 'sum by (job, model) (increase(outrider_requests_total{outcome="ok"}[30m]))';
  return {
    name: "OutriderPredictionExtractFailures",
    severity: "warning",
    for: "15m",
    expr:
      "sum by (job, model) (increase(outrider_prediction_extract_failures_total[30m]))\n" +
      `/ (${ok} >= ${slo.minRequests})\n> ${alerts.extractFailures}`,
    summary: "Predictions of {{ $labels.model }} cannot be read.",
    description: `From ${PERCENT} of the good responses of {{ $labels.model }} ({{ $labels.job }}) no prediction could be read within 30 minutes.`,
    board: "quality",
    runbook: {
      means:
        "Requests are answered, but what the model said is not recorded: these predictions can have no label, and quality rests on the others alone.",
      check: [
        "The reason: `sum by (model, reason) (increase(outrider_prediction_extract_failures_total[1h]))`. `truncated`: bodies larger than `capture.maxBodySize`. `shed`: the queue to the observer was full. `no_prediction`: the answer has another shape.",
        "The sidecar's log shows the first answer of each kind.",
      ],
      fix: [
        "Another shape of answers: `models[].extract` says where the prediction stands.",
        "`truncated`: raise `capture.maxBodySize`. `shed`: see OutriderQueueDropping.",
        "Paths that carry no predictions at all: keep them out with `models[].match`.",
      ],
      tune: ["alerts.extractFailures", "slo.minRequests"],
    },
  };
}

export function sloAlerts(alerting: Alerting): readonly AlertSpec[] {
  return [
    burn("availability", "fast", alerting),
    burn("availability", "slow", alerting),
    burn("latency", "fast", alerting),
    burn("latency", "slow", alerting),
    extractFailures(alerting),
  ];
}
