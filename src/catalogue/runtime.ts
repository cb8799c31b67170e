// Families that prom-client collects about this process. Left out: its three gauges that are named like counters.

import type { Descriptor, FamilyType } from "./descriptor.ts";

/** These keep their Prometheus names in OTLP: the translation leaves a name alone that already ends as it would. */
function runtime(name: string, help: string, more: Partial<Descriptor> = {}): Descriptor {
  const type: FamilyType = more.type ?? (name.endsWith("_total") ? "counter" : "gauge");
  return { name, otel: { name, unit: "" }, type, labels: [], help, source: "prom-client", ...more };
}

export const runtimeFamilies: readonly Descriptor[] = [
  runtime("process_cpu_user_seconds_total", "User CPU time this process used."),
  runtime("process_cpu_system_seconds_total", "System CPU time this process used."),
  runtime("process_cpu_seconds_total", "User and system CPU time this process used."),
  runtime("process_start_time_seconds", "Unix time at which this process started."),
  runtime("process_resident_memory_bytes", "Resident memory."),
  runtime("process_virtual_memory_bytes", "Virtual memory."),
  runtime("process_heap_bytes", "Data segment of this process."),
  runtime("process_open_fds", "File descriptors that are open."),
  runtime("process_max_fds", "File descriptors that may be open."),
  runtime("nodejs_eventloop_lag_seconds", "Delay of the event loop at this collection."),
  runtime("nodejs_eventloop_lag_min_seconds", "Least delay of the event loop since the last collection."),
  runtime("nodejs_eventloop_lag_max_seconds", "Greatest delay of the event loop since the last collection."),
  runtime("nodejs_eventloop_lag_mean_seconds", "Mean delay of the event loop since the last collection."),
  runtime("nodejs_eventloop_lag_stddev_seconds", "Standard deviation of the delay of the event loop."),
  runtime("nodejs_eventloop_lag_p50_seconds", "Median delay of the event loop."),
  runtime("nodejs_eventloop_lag_p90_seconds", "90th percentile of the delay of the event loop."),
  runtime("nodejs_eventloop_lag_p99_seconds", "99th percentile of the delay of the event loop."),
  runtime("nodejs_active_resources", "Resources that keep the event loop alive.", { labels: ["type"] }),
  runtime("nodejs_active_handles", "Handles of libuv.", { labels: ["type"] }),
  runtime("nodejs_active_requests", "Requests of libuv.", { labels: ["type"] }),
  runtime("nodejs_heap_size_total_bytes", "Size of the JavaScript heap."),
  runtime("nodejs_heap_size_used_bytes", "Used part of the JavaScript heap."),
  runtime("nodejs_external_memory_bytes", "Memory outside the JavaScript heap that it holds on to."),
  runtime("nodejs_heap_space_size_total_bytes", "Size of a space of the heap.", { labels: ["space"] }),
  runtime("nodejs_heap_space_size_used_bytes", "Used part of a space of the heap.", { labels: ["space"] }),
  runtime("nodejs_heap_space_size_available_bytes", "Free part of a space of the heap.", {
    labels: ["space"],
  }),
  runtime("nodejs_version_info", "1, with the version of Node.js.", {
    labels: ["version", "major", "minor", "patch"],
  }),
  runtime("nodejs_gc_duration_seconds", "Time of garbage collections by kind.", {
    type: "histogram",
    labels: ["kind"],
    buckets: [0.001, 0.01, 0.1, 1, 2, 5],
  }),
];
