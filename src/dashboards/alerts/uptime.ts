// Is anybody there: the sidecar, and the model server behind it.

import type { Alerting } from "../../config/config.ts";
import { type AlertSpec, DURATION, NUMBER } from "./spec.ts";

const absent: AlertSpec = {
  name: "OutriderAbsent",
  severity: "critical",
  for: "5m",
  // A series that every sidecar has as long as it is reached, by scraping and by OTLP alike.
  expr:
    "group by (job) (last_over_time(outrider_observer_up[6h]))\n" +
    "unless on (job) group by (job) (outrider_observer_up)",
  summary: "No sidecar of {{ $labels.job }} reports any more.",
  description:
    "{{ $labels.job }} had sidecars within the last six hours, and has none now: nothing is measured.",
  board: "overview",
  runbook: {
    means:
      "Series of this job came in during the last six hours and have stopped: all its sidecars are gone, or nothing fetches their metrics. When the sidecars are gone, so is the way to the model server, unless clients go round them.",
    check: [
      "Do clients still get answers? The sidecar stands in front of the model server: `curl -i <sidecar>:7070/...`.",
      "Prometheus, page Status, Targets: is the job there, and what is the error? With OTLP: does the Collector still receive?",
      "`kubectl get pods`, `systemctl status`, or the process list: was the deployment scaled to nothing or renamed?",
    ],
    fix: [
      "Start the sidecars again; their logs say why they ended. Stores on disk are taken up where they were.",
      "A job that was renamed or removed on purpose stops alerting after six hours; silence it until then.",
    ],
    tune: ["alerts.rules.OutriderAbsent.for"],
  },
};

const down: AlertSpec = {
  name: "OutriderDown",
  severity: "critical",
  for: "5m",
  // `up` exists for scraped sidecars only; those that push are covered by OutriderAbsent.
  expr: "up == 0\nand on (job, instance) last_over_time(outrider_observer_up[6h])",
  summary: "The sidecar {{ $labels.instance }} cannot be scraped.",
  description:
    "{{ $labels.instance }} of {{ $labels.job }} does not answer Prometheus: it is down, or /metrics cannot be reached.",
  board: "overview",
  runbook: {
    means:
      "Prometheus gets no answer from this sidecar's /metrics. Either the sidecar is down, and requests to its model server fail, or only the telemetry listener cannot be reached.",
    check: [
      "`curl <instance>/livez`: an answer means that the process lives and the way from Prometheus to it is the trouble.",
      "The traffic listener: do requests through the sidecar still succeed?",
      "The sidecar's log, and `kubectl describe pod`: killed for memory, a failing probe, a configuration that is refused?",
    ],
    fix: [
      "Restart it. What was recorded stays; labels that were refused meanwhile must be sent again.",
      "Not reachable, but alive: NetworkPolicy, port (`telemetry.listen`), or TLS settings of the scrape.",
    ],
    tune: ["alerts.rules.OutriderDown.for"],
  },
};

function targetDown({ alerts }: Alerting): AlertSpec {
  return {
    name: "OutriderTargetDown",
    severity: "critical",
    for: "1m",
    expr:
      "max by (job, instance, probe) (outrider_probe_up) == 0\n" +
      `and on (job, instance, probe) max by (job, instance, probe) (outrider_probe_consecutive_failures) >= ${alerts.probeFailures}`,
    summary: "The model server behind {{ $labels.instance }} is down.",
    description:
      "The probe {{ $labels.probe }} of {{ $labels.instance }} ({{ $labels.job }}) has failed " +
      `at least ${alerts.probeFailures} times in a row.`,
    board: "overview",
    runbook: {
      means:
        "The sidecar lives, but its probes of the model server fail one after the other. Clients get errors from the sidecar (502, 503 or 504 with `x-outrider-error`).",
      check: [
        'Why it fails: `sum by (probe, reason) (increase(outrider_probe_attempts_total{result="failure"}[15m]))`.',
        "The model server itself: process, log, its own health endpoint, called from the sidecar's host or pod.",
        "Was a version rolled out just now? Board Versions, or the annotations of the board Model quality.",
        "Memory: board Sidecar and target; OutriderTargetOutOfMemory may tell the cause.",
      ],
      fix: [
        "Bring the model server back: restart it, or roll back the version that does not start.",
        "It is up and only the probe is wrong: correct `probes[].url`, `expectStatus` or `timeout`.",
      ],
      tune: ["alerts.probeFailures", "alerts.rules.OutriderTargetDown.for", "probes"],
    },
  };
}

const flapping: AlertSpec = {
  name: "OutriderProbeFlapping",
  severity: "warning",
  for: "0s",
  expr: "max by (job, instance, probe) (changes(outrider_probe_up[1h])) > 6",
  summary: "The model server behind {{ $labels.instance }} comes and goes.",
  description: `The probe {{ $labels.probe }} of {{ $labels.instance }} changed its result ${NUMBER} times within an hour.`,
  board: "overview",
  runbook: {
    means:
      "Probes fail and succeed in turns: restarts in a loop, an overloaded server, or a network that loses connections.",
    check: [
      "`outrider_target_restarts_total` and the model server's log: is it restarting?",
      "Durations of the probe against `probes[].timeout`: board Overview, panel Probe duration.",
      "CPU and memory of the model server: board Sidecar and target.",
    ],
    fix: [
      "Restarts: find what ends the process. Overload: more replicas, or a smaller share of the traffic.",
      "Slow, but right: raise `probes[].timeout`.",
    ],
    tune: ["probes", "alerts.rules.OutriderProbeFlapping"],
  },
};

function certificate({ alerts }: Alerting): AlertSpec {
  return {
    name: "OutriderCertificateExpiring",
    severity: "warning",
    for: "15m",
    expr: `min by (job, instance, probe) (outrider_probe_tls_certificate_expiry_timestamp_seconds) - time() < ${alerts.certificateLeftMs / 1000}`,
    summary: "The certificate of the model server behind {{ $labels.instance }} ends soon.",
    description: `The certificate seen by the probe {{ $labels.probe }} of {{ $labels.instance }} ends in ${DURATION}.`,
    board: "overview",
    runbook: {
      means:
        "When the certificate ends, the sidecar refuses the connection to the model server and every request fails.",
      check: [
        "Which certificate: `openssl s_client -connect <host:port> -servername <host> </dev/null | openssl x509 -noout -dates -issuer`.",
      ],
      fix: [
        "Renew it at its issuer and let the model server load it; find out why the renewal did not run by itself.",
      ],
      tune: ["alerts.certificateLeft"],
    },
  };
}

function noTraffic({ slo }: Alerting): AlertSpec {
  const requests = (offset: string): string =>
    `sum by (job, model) (increase(outrider_requests_total[30m]${offset}))`;
  return {
    name: "OutriderNoTraffic",
    severity: "warning",
    for: "15m",
    expr:
      `${requests("")} == 0\nand on (job, model) ${requests(" offset 1d")} >= ${slo.minRequests}\n` +
      `and on (job, model) ${requests(" offset 1w")} >= ${slo.minRequests}`,
    summary: "{{ $labels.model }} is not asked any more.",
    description:
      "{{ $labels.model }} ({{ $labels.job }}) got no request for 30 minutes, while it had traffic at this time yesterday and a week ago.",
    board: "service",
    runbook: {
      means:
        "Callers have gone: an outage further up, a changed address, or traffic that goes round the sidecar and is no longer measured.",
      check: [
        "Do callers report errors? Does the load balancer still list the sidecar?",
        "Does the model server get requests from elsewhere (its own log)? Then the sidecar is bypassed.",
        "`outrider_proxy_connections` and `outrider_proxy_connections_refused_total`: do connections arrive at all?",
      ],
      fix: ["Lead callers back to the sidecar's traffic listener (port 7070)."],
      tune: ["slo.minRequests", "alerts.rules.OutriderNoTraffic"],
    },
  };
}

export function uptimeAlerts(alerting: Alerting): readonly AlertSpec[] {
  return [absent, down, targetDown(alerting), flapping, certificate(alerting), noTraffic(alerting)];
}
