// The boards in the order of the menu, and the families that none of them shows on purpose.

import { overview } from "./boards/overview.ts";
import { quality } from "./boards/quality.ts";
import { service } from "./boards/service.ts";
import { sidecar } from "./boards/sidecar.ts";
import { versions } from "./boards/versions.ts";
import type { Board } from "./spec.ts";

export const boards: readonly Board[] = [overview, service, quality, versions, sidecar];

const READY = "the recordings over the fleet show it; by instance it is there for queries of one's own";
const NODE = "a detail of Node.js for whoever looks into one sidecar";

const OTHER_NAME = "the same as outrider_*, by OpenTelemetry's unstable names, off by default";

/** Family -> why no board shows it. */
export const leftOut: Readonly<Record<string, string>> = {
  outrider_quality_mse: READY,
  outrider_quality_rmse: READY,
  outrider_quality_mae: READY,
  outrider_quality_bias: READY,
  outrider_quality_r2: READY,
  outrider_quality_log_loss: READY,
  outrider_quality_brier: READY,
  outrider_quality_accuracy_ratio: READY,
  outrider_nowcast_quality_earlier: "its difference from what was realised is shown",
  outrider_nowcast_quality_realised: "what the nowcast differs from it by is shown",
  outrider_regression_label_offset:
    "a constant of the configuration; the alert OutriderLabelOffsetMismatch watches it",
  outrider_proxy_workers: "`proxy.threads`, but for the moments that the panel of restarts shows",
  outrider_proxy_cache_misses_total: "it explains CPU of the relay, which is shown",
  outrider_proxy_cache_evictions_total: "it explains CPU of the relay, which is shown",
  process_virtual_memory_bytes: NODE,
  process_heap_bytes: NODE,
  nodejs_eventloop_lag_seconds: "its percentiles are shown",
  nodejs_eventloop_lag_min_seconds: "its percentiles are shown",
  nodejs_eventloop_lag_max_seconds: "its percentiles are shown",
  nodejs_eventloop_lag_mean_seconds: "its percentiles are shown",
  nodejs_eventloop_lag_stddev_seconds: "its percentiles are shown",
  nodejs_eventloop_lag_p90_seconds: "its percentiles are shown",
  nodejs_active_resources: NODE,
  nodejs_active_handles: NODE,
  nodejs_active_requests: NODE,
  nodejs_heap_space_size_total_bytes: NODE,
  nodejs_heap_space_size_used_bytes: NODE,
  nodejs_heap_space_size_available_bytes: NODE,
  gen_ai_server_time_to_first_token_seconds: OTHER_NAME,
  gen_ai_server_time_per_output_token_seconds: OTHER_NAME,
  nodejs_version_info: "outrider_build_info names the version of Node.js",
};
