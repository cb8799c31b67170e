// The sidecar's own health: what it lost, could not keep, or could not tell; and registries that disagree.

import type { Alerting } from "../../config/config.ts";
import { type AlertSpec, NUMBER } from "./spec.ts";

const observerDown: AlertSpec = {
  name: "OutriderObserverDown",
  severity: "critical",
  for: "2m",
  expr:
    "max by (job, instance) (outrider_observer_up) == 0\n" +
    "or max by (job, instance) (increase(outrider_observer_restarts_total[30m])) >= 3",
  summary: "{{ $labels.instance }} relays, but does not observe.",
  description:
    "The observer process of {{ $labels.instance }} ({{ $labels.job }}) does not answer, or was restarted three times within 30 minutes: traffic flows, nothing is measured.",
  board: "sidecar",
  runbook: {
    means:
      "Traffic and observation are two processes. Requests pass unharmed; predictions are kept for a while in the queue, then lost and counted (`outrider_queue_dropped_total`). Labels are refused.",
    check: [
      "`curl <instance>:7071/readyz` says which part is in trouble and since when.",
      "The sidecar's log at the moment of the first restart: out of memory, a store that cannot be opened, a full disk?",
    ],
    fix: [
      "Full disk: free space or lower `store.maxSize`. Memory: raise the limit of the sidecar.",
      "It starts again by itself; when it does not, restart the sidecar (it drains first) and report the log.",
    ],
    tune: ["alerts.rules.OutriderObserverDown.for"],
  },
};

const trafficWorkers: AlertSpec = {
  name: "OutriderTrafficWorkersRestarting",
  severity: "critical",
  for: "0s",
  expr: "max by (job, instance) (increase(outrider_proxy_worker_restarts_total[30m])) >= 3",
  summary: "Traffic workers of {{ $labels.instance }} end again and again.",
  description: `Traffic workers of {{ $labels.instance }} ({{ $labels.job }}) ended by themselves and were started again ${NUMBER} times within 30 minutes: each time the requests under way on its connections failed.`,
  board: "sidecar",
  runbook: {
    means:
      "With `proxy.threads` above 1 each traffic worker is a process. One that ends takes its connections with it; the others take the new ones, and it is started again. Clients saw connections that broke.",
    check: [
      "The sidecar's log says `traffic worker N ended`, with its exit code or signal: `SIGKILL` is mostly the kernel, out of memory.",
      "`dmesg` or the pod's events for OOM kills; memory of the sidecar on the board Sidecar and target.",
    ],
    fix: [
      "Memory: raise the limit of the sidecar, or lower `proxy.threads`: each worker has a heap of its own.",
      "An exit code without a signal is a bug of the sidecar: report the lines before it; `proxy.threads: 1` runs without workers.",
    ],
    tune: ["proxy.threads"],
  },
};

const queueDropping: AlertSpec = {
  name: "OutriderQueueDropping",
  severity: "warning",
  for: "0s",
  expr: "sum by (job, instance, queue, what) (increase(outrider_queue_dropped_total[10m])) > 0",
  summary: "{{ $labels.instance }} loses observations.",
  description: `The queue {{ $labels.queue }} of {{ $labels.instance }} ({{ $labels.job }}) dropped ${NUMBER} items ({{ $labels.what }}) within 10 minutes.`,
  board: "sidecar",
  runbook: {
    means:
      'More arrives than the observer can take. `what="body"`: requests are counted, but their predictions are not read. `what="fact"`: not even counted. Traffic itself is never held up.',
    check: [
      "CPU of the sidecar, delay of its event loop, size of bodies (`capture.maxBodySize`): board Sidecar and target.",
      "A slow disk under `store.path`?",
    ],
    fix: [
      "More CPU for the sidecar, or smaller copies (`capture.maxBodySize`).",
      "Far more traffic than labels will ever come for: record a share (`capture.sampleRatio`).",
    ],
    tune: ["capture.maxBodySize", "capture.sampleRatio"],
  },
};

const holdingMuch: AlertSpec = {
  name: "OutriderProxyHoldingMuch",
  severity: "warning",
  for: "5m",
  expr: "max by (job, instance) (outrider_proxy_held_bytes) > 128 * 1024 * 1024",
  summary: "{{ $labels.instance }} holds much of bodies that nobody takes.",
  description:
    "{{ $labels.instance }} ({{ $labels.job }}) holds {{ $value | humanize1024 }}B of bodies, because clients or the model do not read: many connections that stall at once.",
  board: "sidecar",
  runbook: {
    means:
      "One connection makes the sidecar hold at most 1 MiB each way; all together have no bound but `proxy.maxConnections`. 128 MiB is a quarter of the 512 MiB that are a container's start: much more of it may end in an out-of-memory kill, and with it the traffic.",
    check: [
      'Who does not read: `outrider_proxy_limited_total{limit=~"send_timeout|upload_timeout|held_body"}`. `send_timeout`: clients; the others: the model.',
      "Is the model stuck, or are clients slow by design (large answers over thin lines)? `outrider_proxy_connections`.",
    ],
    fix: [
      "A stuck model: restart it; uploads that wait go on or end by themselves.",
      "Clients that stall: lower `proxy.limits.sendTimeout` and `proxy.maxConnections`, or raise the memory limit of the sidecar.",
    ],
    tune: ["proxy.maxConnections", "proxy.limits.sendTimeout", "proxy.limits.uploadTimeout"],
  },
};

const storeErrors: AlertSpec = {
  name: "OutriderStoreWriteErrors",
  severity: "critical",
  for: "0s",
  expr: "sum by (job, instance) (increase(outrider_store_write_errors_total[15m])) > 0",
  summary: "{{ $labels.instance }} cannot write its store.",
  description: `The store of {{ $labels.instance }} ({{ $labels.job }}) refused ${NUMBER} writes within 15 minutes: predictions and labels may be lost.`,
  board: "sidecar",
  runbook: {
    means:
      "The folder of the store is full, read-only or gone. Predictions wait in memory up to a cap; labels that could not be written were refused, and their senders know.",
    check: ["`df -h` and `ls -ld` of `store.path`; `curl <instance>:7071/readyz` names the reason."],
    fix: [
      "Free space, lower `store.maxSize` or `store.retention`, or give the volume back. It goes on by itself.",
    ],
    tune: ["store.maxSize", "store.retention"],
  },
};

const seriesBudget: AlertSpec = {
  name: "OutriderSeriesBudgetExceeded",
  severity: "warning",
  for: "15m",
  expr:
    "sum by (job, instance, label) (increase(outrider_label_values_overflow_total[1h])) > 0\n" +
    "or sum by (job, instance) (outrider_series_left_out) > 0\n" +
    "or sum by (job, instance, what) (increase(outrider_series_dropped_total[1h])) > 0",
  summary: "{{ $labels.instance }} has more label values than it shows.",
  description: `{{ $labels.instance }} ({{ $labels.job }}) met more values of {{ or $labels.label $labels.what "a label" }} than its series budget allows (${NUMBER}); the rest is counted as _OTHER or left out.`,
  board: "sidecar",
  runbook: {
    means:
      "Names of models, versions, routes or slices come partly from requests, so their number is capped. Totals stay right; single values beyond the cap are not shown apart.",
    check: [
      "`outrider_series` by metric, and `outrider_label_values_overflow_total` by label: which one?",
      "Are ids part of a version, model or path? Then each request makes a new value.",
    ],
    fix: [
      "Take versions and models from a fixed place (`models[].version`, `models[].match`), never from free text.",
      "Fewer slices, or slices with few values.",
    ],
    tune: ["models[].slices", "alerts.rules.OutriderSeriesBudgetExceeded"],
  },
};

function exporterFailing({ alerts }: Alerting): AlertSpec {
  return {
    name: "OutriderExporterFailing",
    severity: "warning",
    for: "5m",
    expr:
      '(\n  sum by (job, instance) (increase(outrider_otlp_exports_total{result="failure"}[10m])) > 0\n' +
      `  unless on (job, instance) time() - max by (job, instance) (outrider_otlp_last_success_timestamp_seconds) <= ${alerts.exportSilenceMs / 1000}\n)\n` +
      'or sum by (job, instance, destination) (increase(outrider_spans_total{result=~"failed|dropped"}[10m])) > 0',
    summary: "{{ $labels.instance }} cannot send its telemetry.",
    description: `OTLP exports of {{ $labels.instance }} ({{ $labels.job }}) fail: ${NUMBER} exports or spans within 10 minutes{{ with $labels.destination }} (to {{ . }}){{ end }}.`,
    board: "sidecar",
    runbook: {
      means:
        "The receiver of OTLP metrics or traces refuses them or does not answer. Metrics are cumulative: nothing is lost when it comes back soon. Spans are dropped.",
      check: [
        "The sidecar's log, `otlp: trouble`: the receiver's own words.",
        "Address, token and certificate: `otlp.endpoint`, `otlp.headersFile`. Does the Collector log refusals?",
      ],
      fix: ["Bring the receiver back, or correct the address or the credentials."],
      tune: ["alerts.exportSilence", "otlp.every"],
    },
  };
}

const jobFailing: AlertSpec = {
  name: "OutriderJobFailing",
  severity: "warning",
  for: "15m",
  expr: 'sum by (job, instance, job_name) (increase(outrider_job_runs_total{result!="ok"}[30m])) >= 3',
  summary: "The job {{ $labels.job_name }} of {{ $labels.instance }} does not run.",
  description: `The job {{ $labels.job_name }} of {{ $labels.instance }} ({{ $labels.job }}) failed or was skipped ${NUMBER} times within 30 minutes.`,
  board: "sidecar",
  runbook: {
    means:
      "Scheduled work (probes, for one) failed, overlapped with its own last run, or was missed because the process had no time.",
    check: [
      "`outrider_job_runs_total` by `result`: `failed`: see the log; `overlap`: runs take longer than their interval; `missed`: the process was busy or asleep.",
      "Delay of the event loop and CPU: board Sidecar and target.",
    ],
    fix: ["More CPU for the sidecar, or longer intervals (`probes[].every`)."],
    tune: ["probes", "alerts.rules.OutriderJobFailing"],
  },
};

function registryStale({ alerts }: Alerting): AlertSpec {
  return {
    name: "OutriderRegistryStale",
    severity: "warning",
    for: "5m",
    expr:
      `time() - max by (job, instance, registry, model) (outrider_registry_last_answer_timestamp_seconds) > ${alerts.registrySilenceMs / 1000}\n` +
      'or (\n  sum by (job, instance, registry) (increase(outrider_registry_calls_total{result="failed"}[30m])) > 0\n' +
      "  unless on (job, instance, registry) outrider_registry_last_answer_timestamp_seconds\n" +
      '  unless on (job, instance, registry) sum by (job, instance, registry) (increase(outrider_registry_calls_total{result=~"ok|none"}[30m])) > 0\n)',
    summary: "The registry {{ $labels.registry }} does not answer {{ $labels.instance }}.",
    description:
      "The registry {{ $labels.registry }} has not told {{ $labels.instance }} ({{ $labels.job }}) which version{{ with $labels.model }} of {{ . }}{{ end }} is in production for longer than alerts.registrySilence.",
    board: "versions",
    runbook: {
      means:
        "The last answer of the registry is kept; promotions made there meanwhile are not seen, and what serves may be compared with the wrong version.",
      check: [
        "`outrider_registry_calls_total` by `operation` and `result`; `curl <instance>:7071/readyz` has the reason.",
        "Can the sidecar reach the registry, and is its token still valid?",
      ],
      fix: ["Renew the token (`registries[].tokenFile` is read again), or bring the registry back."],
      tune: ["alerts.registrySilence", "registries[].every"],
    },
  };
}

const versionMismatch: AlertSpec = {
  name: "OutriderVersionMismatch",
  severity: "warning",
  for: "15m",
  expr: "max by (job, model) (outrider_version_mismatch) == 1",
  summary: "Another version of {{ $labels.model }} serves than is declared.",
  description:
    "The version of {{ $labels.model }} ({{ $labels.job }}) that served most of the last hour is not the one declared to be in production.",
  board: "versions",
  runbook: {
    means:
      "Registry and reality differ: a promotion that was never rolled out, a rollback nobody declared, or a canary that takes most of the traffic.",
    check: [
      "`curl <sidecar>:7071/version`: served and declared, side by side.",
      "History: `outrider versions list <model>`; who promoted what, when?",
      "The rollout: did it get stuck half way?",
    ],
    fix: [
      "Finish the rollout, or declare what serves (`outrider versions promote`).",
      "Versions that are spelled differently in the registry and in answers: `models[].version`.",
    ],
    tune: ["alerts.rules.OutriderVersionMismatch.for"],
  },
};

export function sidecarAlerts(alerting: Alerting): readonly AlertSpec[] {
  return [
    observerDown,
    trafficWorkers,
    queueDropping,
    holdingMuch,
    storeErrors,
    seriesBudget,
    exporterFailing(alerting),
    jobFailing,
    registryStale(alerting),
    versionMismatch,
  ];
}
