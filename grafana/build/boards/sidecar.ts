// Sidecar and target: what the model server uses, and whether the sidecar itself is well.

import {
  type Board,
  GREEN,
  grown,
  type Panel,
  quantile,
  rate,
  RED,
  SIDECAR,
  type Target,
  VARIABLES,
} from "../spec.ts";

const NO_TARGET = "CPU and memory of the model server could not be had";
const NO_LIMIT = "the model server has no limit of its own";
const NO_OTLP = "nothing is sent by OTLP";
const I = "{{instance}}";

function lines(given: Pick<Panel, "title" | "description" | "targets"> & Partial<Panel>): Panel {
  return { kind: "timeseries", unit: "short", min: 0, w: 8, h: 7, ...given };
}

function one(expr: string, legend: string, mayBeEmpty?: string): Target {
  return { expr, legend, ...(mayBeEmpty === undefined ? {} : { mayBeEmpty }) };
}

const each = (name: string, by = "instance"): string => `max by (${by}) (${name}{${SIDECAR}})`;

const target: readonly Panel[] = [
  lines({
    title: "CPU of the model server",
    description: "Share of its CPU limit, or of the machine where it has none.",
    unit: "percentunit",
    targets: [
      one(each("outrider_target_cpu_utilization_ratio", "instance, source"), `${I} {{source}}`, NO_TARGET),
    ],
  }),
  lines({
    title: "CPU time and limit",
    description: "CPUs used, CPUs allowed (dashed), and CPU time that the limit held back.",
    dashed: "/limit/",
    targets: [
      one(
        rate(`outrider_target_cpu_time_seconds_total{${SIDECAR}}`, "instance, source"),
        `${I} used`,
        NO_TARGET,
      ),
      one(each("outrider_target_cpu_limit"), `${I} limit`, NO_LIMIT),
      one(
        rate(`outrider_target_cpu_throttled_time_seconds_total{${SIDECAR}}`, "instance"),
        `${I} held back`,
        NO_LIMIT,
      ),
    ],
  }),
  lines({
    title: "Memory of the model server",
    description: "Resident memory, or the working set of its container, and its limit (dashed).",
    unit: "bytes",
    dashed: "/limit/",
    targets: [
      one(each("outrider_target_memory_usage_bytes", "instance, source, kind"), `${I} {{kind}}`, NO_TARGET),
      one(each("outrider_target_memory_limit_bytes"), `${I} limit`, NO_LIMIT),
    ],
  }),
  lines({
    title: "Restarts and kills",
    description:
      "Times the watched process was another one than before, and processes killed for lack of memory.",
    targets: [
      one(grown(`outrider_target_restarts_total{${SIDECAR}}`, "instance"), `${I} restarts`, NO_TARGET),
      one(grown(`outrider_target_oom_kills_total{${SIDECAR}}`, "instance"), `${I} out of memory`, NO_LIMIT),
    ],
  }),
  lines({
    title: "Processes and failed samples",
    description: "Processes that are watched, and samples of them that failed.",
    targets: [
      one(each("outrider_target_processes"), `${I} processes`, NO_TARGET),
      one(
        grown(`outrider_target_scrape_errors_total{${SIDECAR}}`, "instance, reason"),
        `${I} failed: {{reason}}`,
        "every sample was had",
      ),
    ],
  }),
  lines({
    title: "Uptime of the model server",
    description: "Share of the probes that succeeded over the chosen time.",
    kind: "stat",
    unit: "percentunit",
    decimals: 3,
    targets: [
      one(
        `sum by (instance) (increase(outrider_probe_attempts_total{${SIDECAR},result="success"}[$__range]))\n` +
          `/ sum by (instance) (increase(outrider_probe_attempts_total{${SIDECAR}}[$__range]))`,
        I,
      ),
    ],
  }),
];

const connections: readonly Panel[] = [
  lines({
    title: "Connections to the model server",
    description:
      "Connections opened a second, those that could not be, and the requests (dashed). Few connections carry many requests; as many connections as requests: the model server closes them.",
    unit: "cps",
    dashed: "/requests/",
    targets: [
      one(
        rate(
          `outrider_upstream_connections_total{${SIDECAR},outcome="opened"}`,
          "instance, network_protocol_version",
        ),
        `${I} HTTP/{{network_protocol_version}} opened`,
      ),
      one(
        rate(`outrider_upstream_connections_total{${SIDECAR},outcome!="opened"}`, "instance, outcome") +
          " > 0",
        `${I} {{outcome}}`,
        "every connection was opened",
      ),
      one(rate(`outrider_requests_total{${SIDECAR}}`, "instance"), `${I} requests`),
    ],
  }),
  lines({
    title: "Time to open a connection",
    description:
      "95 of 100 connections to the model server were opened within this time, the TLS handshake included.",
    unit: "s",
    targets: [
      one(
        quantile(0.95, `outrider_upstream_connect_duration_seconds_bucket{${SIDECAR}}`, "instance"),
        `${I} p95`,
        "no connection was opened lately: those there are were used again",
      ),
    ],
  }),
  lines({
    title: "Requests that came back",
    description:
      "Requests that the model server had not processed (goaway, refused_stream), or whose connection it closed, and what came of sending them again. Given up: the client was told. Beside them requests that waited for a stream of HTTP/2, and those that got none in time.",
    unit: "reqps",
    targets: [
      one(
        rate(`outrider_upstream_resends_total{${SIDECAR}}`, "instance, reason, outcome") + " > 0",
        `${I} {{reason}}: {{outcome}}`,
        "no request came back",
      ),
      one(rate(`outrider_upstream_stream_waits_total{${SIDECAR}}`, "instance"), `${I} waited for a stream`),
      one(
        rate(`outrider_proxy_limited_total{${SIDECAR},limit="stream_wait"}`, "instance"),
        `${I} got no stream`,
      ),
    ],
  }),
];

const health: readonly Panel[] = [
  lines({
    title: "Observer",
    description: "Whether the observer process answers. Traffic flows also while it does not.",
    kind: "state",
    unit: "none",
    words: { "0": { text: "Down", color: RED }, "1": { text: "Up", color: GREEN } },
    targets: [one(each("outrider_observer_up"), I)],
  }),
  lines({
    title: "Sidecars",
    description: "Version, revision and Node.js of each sidecar, and when it started.",
    kind: "table",
    unit: "none",
    w: 16,
    columns: {
      instance: "Instance",
      version: "Version",
      revision: "Revision",
      node_version: "Node.js",
      service_name: "Service",
      "Value #B": "Started",
    },
    units: { Started: "dateTimeFromNow" },
    targets: [
      one(`max by (instance, version, revision, node_version) (outrider_build_info{${SIDECAR}})`, "build"),
      one(`${each("process_start_time_seconds")} * 1000`, "started"),
      one(
        `max by (instance, service_name) (target_info{${SIDECAR}})`,
        "service",
        "a receiver of OTLP keeps the service name as the job",
      ),
    ],
  }),
  lines({
    title: "CPU of the sidecar",
    description: "CPUs used by the observer process.",
    targets: [
      one(rate(`process_cpu_seconds_total{${SIDECAR}}`, "instance"), I),
      one(rate(`process_cpu_user_seconds_total{${SIDECAR}}`, "instance"), `${I} user`),
      one(rate(`process_cpu_system_seconds_total{${SIDECAR}}`, "instance"), `${I} system`),
    ],
  }),
  lines({
    title: "Memory of the sidecar",
    description:
      "Resident memory of the observer process, and the part of it that is JavaScript heap. Held back: what the relay has read of bodies and could not hand on yet.",
    unit: "bytes",
    targets: [
      one(each("process_resident_memory_bytes"), `${I} resident`),
      one(each("nodejs_heap_size_used_bytes"), `${I} heap used`),
      one(each("nodejs_heap_size_total_bytes"), `${I} heap`),
      one(each("nodejs_external_memory_bytes"), `${I} outside the heap`),
      one(each("outrider_proxy_held_bytes"), `${I} held back by the relay`),
    ],
  }),
  lines({
    title: "Delay of the event loops",
    description: "Of the traffic process, which requests wait for, and of the observer.",
    unit: "s",
    targets: [
      one(each("outrider_proxy_loop_delay_seconds"), `${I} traffic`),
      one(each("nodejs_eventloop_lag_p99_seconds"), `${I} observer p99`),
      one(each("nodejs_eventloop_lag_p50_seconds"), `${I} observer p50`),
    ],
  }),
  lines({
    title: "Garbage collection",
    description: "Share of the time spent in garbage collections of the observer.",
    unit: "percentunit",
    targets: [one(rate(`nodejs_gc_duration_seconds_sum{${SIDECAR}}`, "instance, kind"), `${I} {{kind}}`)],
  }),
  lines({
    title: "File descriptors",
    description: "Open, and the most that may be (dashed).",
    dashed: "/most/",
    targets: [one(each("process_open_fds"), I), one(each("process_max_fds"), `${I} most`)],
  }),
];

const flow: readonly Panel[] = [
  lines({
    title: "Queues",
    description: "Facts that wait: for the observer, and for the store.",
    targets: [one(each("outrider_queue_length", "instance, queue"), `${I} {{queue}}`)],
  }),
  lines({
    title: "Drops",
    description: "What a full queue could not take. body: not read; fact: not counted.",
    targets: [
      one(
        grown(`outrider_queue_dropped_total{${SIDECAR}}`, "instance, queue, what"),
        `${I} {{queue}} {{what}}`,
        "nothing was dropped",
      ),
    ],
  }),
  lines({
    title: "Seen and recorded",
    description:
      "Requests that the traffic process saw and that the observer recorded: the same, but for the queue between.",
    unit: "reqps",
    targets: [
      one(rate(`outrider_exchanges_seen_total{${SIDECAR}}`, "instance"), `${I} seen`),
      one(rate(`outrider_exchanges_recorded_total{${SIDECAR}}`, "instance"), `${I} recorded`),
    ],
  }),
  lines({
    title: "Size of the store",
    description: "On disk, and of that the write-ahead log: it has a limit.",
    unit: "bytes",
    targets: [
      one(each("outrider_store_size_bytes"), I),
      one(each("outrider_store_wal_size_bytes"), `${I} write-ahead log`),
    ],
  }),
  lines({
    title: "Store: refused and forgotten",
    description:
      "Writes that the store refused, predictions that retention deleted by age or by size, and checkpoints: one that a start did not use made it read all rows. The write-ahead log is moved into the store between writes; a write that waited for it (forced) or could not have it (failed) is not common.",
    targets: [
      one(grown(`outrider_store_write_errors_total{${SIDECAR}}`, "instance"), `${I} refused`),
      one(
        grown(`outrider_store_forgotten_total{${SIDECAR}}`, "instance, reason"),
        `${I} forgotten by {{reason}}`,
      ),
      one(
        grown(`outrider_store_checkpoints_total{${SIDECAR}}`, "instance, result, reason"),
        `${I} checkpoint {{result}} {{reason}}`,
      ),
      one(
        grown(`outrider_store_wal_checkpoints_total{${SIDECAR}, result!="ok"}`, "instance, result"),
        `${I} write-ahead log {{result}}`,
      ),
    ],
  }),
  lines({
    title: "Processes started again",
    description: "Times the observer process, or a traffic worker (`proxy.threads`), was started again.",
    targets: [
      one(grown(`outrider_observer_restarts_total{${SIDECAR}}`, "instance"), `${I} observer`),
      one(grown(`outrider_proxy_worker_restarts_total{${SIDECAR}}`, "instance"), `${I} worker`),
    ],
  }),
];

const jobs: readonly Panel[] = [
  lines({
    title: "Scheduled jobs",
    description:
      "Runs by result: ok, failed, overlap (the last run was not over), missed (the process had no time).",
    targets: [
      one(grown(`outrider_job_runs_total{${SIDECAR}}`, "job_name, result"), "{{job_name}} {{result}}"),
    ],
  }),
  lines({
    title: "Duration of jobs, p95",
    description: "Time that 95 of 100 runs took.",
    unit: "s",
    targets: [
      one(quantile(0.95, `outrider_job_duration_seconds_bucket{${SIDECAR}}`, "job_name"), "{{job_name}}"),
    ],
  }),
  lines({
    title: "OTLP exports",
    description: "Exports of metrics by result, and spans of sampled requests by what became of them.",
    targets: [
      one(grown(`outrider_otlp_exports_total{${SIDECAR}}`, "instance, result"), `${I} {{result}}`, NO_OTLP),
      one(
        grown(`outrider_spans_total{${SIDECAR}}`, "instance, destination, result"),
        `${I} spans to {{destination}} {{result}}`,
        NO_OTLP,
      ),
    ],
  }),
  lines({
    title: "Last successful OTLP export",
    description: "How long ago.",
    unit: "s",
    targets: [one(`time() - ${each("outrider_otlp_last_success_timestamp_seconds")}`, I, NO_OTLP)],
  }),
];

const budget: readonly Panel[] = [
  lines({
    title: "Series",
    description: "Label sets that each sidecar exports.",
    targets: [one(`sum by (instance) (outrider_series{${SIDECAR}})`, I)],
  }),
  lines({
    title: "Largest families",
    description: "Families with the most series.",
    targets: [one(`topk(10, sum by (metric) (outrider_series{${SIDECAR}}))`, "{{metric}}")],
  }),
  lines({
    title: "Beyond the budget",
    description:
      "Label values counted as _OTHER, series left out of a collection, and slices and versions that found no room.",
    targets: [
      one(
        grown(`outrider_label_values_overflow_total{${SIDECAR}}`, "label"),
        "_OTHER: {{label}}",
        "every value has found room",
      ),
      one(
        `sum by (metric) (outrider_series_left_out{${SIDECAR}})`,
        "left out: {{metric}}",
        "every series has found room",
      ),
      one(grown(`outrider_series_dropped_total{${SIDECAR}}`, "what"), "dropped: {{what}}"),
    ],
  }),
  lines({
    title: "Observations left out",
    description: "Numbers that were not finite, or would have made a counter fall.",
    targets: [
      one(
        grown(`outrider_invalid_observations_total{${SIDECAR}}`, "metric"),
        "{{metric}}",
        "every observation was a number",
      ),
    ],
  }),
  lines({
    title: "Estimates: room",
    description:
      "Buckets that distributions may still take (at 0 they get coarser), and items that found no room.",
    targets: [
      one(`min by (part) (outrider_estimate_buckets_left{${SIDECAR}})`, "left: {{part}}"),
      one(
        grown(`outrider_estimate_left_out_total{${SIDECAR}}`, "part, reason"),
        "left out: {{part}} {{reason}}",
        "everything has found room",
      ),
    ],
  }),
  lines({
    title: "Drift detectors behind",
    description: "How much of what has settled the detectors have still to be shown.",
    unit: "s",
    targets: [
      one(
        `max by (model, version) (outrider_concept_drift_behind_seconds{${SIDECAR}})`,
        "{{model}} {{version}}",
      ),
    ],
  }),
];

export const sidecar: Board = {
  id: "sidecar",
  description:
    "CPU and memory of the model server, and the sidecar's own health: queues, drops, store, exports, series.",
  variables: VARIABLES.sidecars,
  rows: [
    { title: "The model server", panels: target },
    { title: "The way to the model server", panels: connections },
    { title: "The sidecar", panels: health },
    { title: "From traffic to store", panels: flow },
    { title: "Jobs and exports", panels: jobs },
    { title: "Series budget", collapsed: true, panels: budget },
  ],
};
