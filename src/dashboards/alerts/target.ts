// CPU and memory of the model server.

import type { Alerting } from "../../config/config.ts";
import { type AlertSpec, NUMBER, PERCENT } from "./spec.ts";

function memory({ alerts }: Alerting): AlertSpec {
  return {
    name: "OutriderTargetMemoryNearLimit",
    severity: "warning",
    for: "10m",
    expr:
      "max by (job, instance) (outrider_target_memory_usage_bytes)\n" +
      `/ on (job, instance) (max by (job, instance) (outrider_target_memory_limit_bytes) > 0)\n> ${alerts.targetMemory}`,
    summary: "The model server behind {{ $labels.instance }} is near its memory limit.",
    description: `The model server behind {{ $labels.instance }} ({{ $labels.job }}) uses ${PERCENT} of its memory limit.`,
    board: "sidecar",
    runbook: {
      means: "At the limit the kernel kills the process, and every request in flight with it.",
      check: [
        "Board Sidecar and target: a slow rise (a leak, a growing cache) or a step (a new version, a larger batch)?",
        "How many workers does the server run? Each loads the model.",
      ],
      fix: [
        "Raise the limit, run fewer workers, bound batches and caches, or restart in turns until the leak is found.",
      ],
      tune: ["alerts.targetMemory"],
    },
  };
}

const outOfMemory: AlertSpec = {
  name: "OutriderTargetOutOfMemory",
  severity: "critical",
  for: "0s",
  expr: "sum by (job, instance) (increase(outrider_target_oom_kills_total[15m])) > 0",
  summary: "The model server behind {{ $labels.instance }} was killed for lack of memory.",
  description: `Processes of the model server behind {{ $labels.instance }} ({{ $labels.job }}) were killed for lack of memory within 15 minutes: ${NUMBER}.`,
  board: "sidecar",
  runbook: {
    means:
      "The container reached its memory limit and the kernel killed a process of it: requests in flight failed, and a worker or the whole server started anew.",
    check: [
      "Board Sidecar and target: memory before the kill.",
      "Which requests came just before: sizes, batches, streams?",
    ],
    fix: [
      "Raise the limit or lower what the server takes (workers, batch size); see OutriderTargetMemoryNearLimit.",
    ],
    tune: ["alerts.rules.OutriderTargetOutOfMemory"],
  },
};

function cpu({ alerts }: Alerting): AlertSpec {
  return {
    name: "OutriderTargetCpuHigh",
    severity: "warning",
    for: "15m",
    expr: `max by (job, instance) (outrider_target_cpu_utilization_ratio) > ${alerts.targetCpu}`,
    summary: "The model server behind {{ $labels.instance }} has no CPU left.",
    description: `The model server behind {{ $labels.instance }} ({{ $labels.job }}) uses ${PERCENT} of its CPU.`,
    board: "sidecar",
    runbook: {
      means: "Further requests have to wait for one another: response times rise before errors do.",
      check: [
        "Board Service: rate of requests and response time. More traffic, or more work per request (a new version)?",
      ],
      fix: ["Add replicas or CPU; limit what one client may send."],
      tune: ["alerts.targetCpu"],
    },
  };
}

function throttled({ alerts }: Alerting): AlertSpec {
  return {
    name: "OutriderTargetCpuThrottled",
    severity: "info",
    for: "15m",
    expr: `max by (job, instance) (rate(outrider_target_cpu_throttled_time_seconds_total[5m])) > ${alerts.targetThrottled}`,
    summary: "The model server behind {{ $labels.instance }} is held back by its CPU limit.",
    description: `The CPU limit holds the model server behind {{ $labels.instance }} ({{ $labels.job }}) back for ${PERCENT} of the time.`,
    board: "sidecar",
    runbook: {
      means:
        "The container uses up its share of a period and waits for the next: latency in steps, although the average CPU looks fine.",
      check: ["More threads than CPUs of the limit? (`OMP_NUM_THREADS`, workers of the server)"],
      fix: ["Raise or remove the CPU limit, or set the number of threads to it."],
      tune: ["alerts.targetThrottled"],
    },
  };
}

export function targetAlerts(alerting: Alerting): readonly AlertSpec[] {
  return [memory(alerting), outOfMemory, cpu(alerting), throttled(alerting)];
}
