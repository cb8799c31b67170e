// Label delays and quality per slice, as series; and what was left out because there was no room for it.

import type { Group } from "../facts/group.ts";
import type { Recorder } from "./recorder.ts";
import type { NumberSeries } from "./snapshot.ts";

/** Delays of one version; null where nothing is known. */
export interface DelayedVersion {
  readonly model: string;
  readonly version: string;
  /** Percentile -> ms. */
  readonly percentiles: ReadonlyMap<number, number>;
  readonly expectedCoverage: number | null;
  readonly lagMs: number | null;
}

export interface TimelinessNeeds {
  delays(): Iterable<DelayedVersion>;
  /** Groups of slices, of both bases. */
  slices(): readonly Group[];
  /** `outrider_series_dropped_total` by `what`, since start. */
  dropped(): Readonly<Record<string, number>>;
  unfitLabels(): number;
  minSamplesOf(model: string): number;
}

/** Series of `outrider_slice_quality` and of the reasons why one is missing, together; the slices with fewest predictions give way. */
const SLICE_SERIES_MAX = 1800;
/** Slices without series that are remembered, each counted once. */
const LEFT_OUT_MAX = 1000;
const SLICE_FAMILIES = [
  "outrider_slice_predictions",
  "outrider_slice_pairs",
  "outrider_slice_quality",
  "outrider_slice_metric_undefined",
] as const;

/** Registers itself with the recorder. */
export function createTimelinessMetrics(recorder: Recorder, needs: TimelinessNeeds): void {
  const leftOut = new Set<string>();
  recorder.onCollect(() => {
    writeDelays(recorder, needs.delays());
    writeSlices(recorder, needs, leftOut);
    const dropped = recorder.counter("outrider_series_dropped_total");
    for (const [what, count] of Object.entries(needs.dropped())) dropped.set({ what }, count);
    dropped.set({ what: "slice_series" }, leftOut.size);
    recorder.gauge("outrider_labels_unfit").set({}, needs.unfitLabels());
  });
}

function writeDelays(recorder: Recorder, delays: Iterable<DelayedVersion>): void {
  const percentiles: NumberSeries[] = [];
  const expected: NumberSeries[] = [];
  const lags: NumberSeries[] = [];
  for (const { model, version, ...figures } of delays) {
    const labels = { model, version };
    for (const [percentile, ms] of figures.percentiles) {
      percentiles.push({ labels: { ...labels, percentile: String(percentile) }, value: ms / 1000 });
    }
    if (figures.expectedCoverage !== null) expected.push({ labels, value: figures.expectedCoverage });
    if (figures.lagMs !== null) lags.push({ labels, value: figures.lagMs / 1000 });
  }
  recorder.gauge("outrider_label_delay_percentile_seconds").replace(percentiles);
  recorder.gauge("outrider_label_expected_coverage_ratio").replace(expected);
  recorder.gauge("outrider_label_maturity_lag_seconds").replace(lags);
}

function writeSlices(recorder: Recorder, needs: TimelinessNeeds, leftOut: Set<string>): void {
  const slices = new Map<string, { predictions: number; groups: Group[] }>();
  for (const group of needs.slices()) {
    const key = JSON.stringify([group.model, group.version, group.slice]);
    const known = slices.get(key) ?? { predictions: 0, groups: [] };
    known.predictions = Math.max(known.predictions, group.n_predictions);
    known.groups.push(group);
    slices.set(key, known);
  }
  const sheets = new Map<string, NumberSeries[]>(SLICE_FAMILIES.map((name) => [name, []]));
  let left = SLICE_SERIES_MAX;
  for (const [key, { groups }] of [...slices].sort(([, a], [, b]) => b.predictions - a.predictions)) {
    left -= groups.reduce((sum, { metrics }) => sum + Object.keys(metrics).length, 0);
    if (left >= 0) for (const group of groups) writeSlice(sheets, group, needs.minSamplesOf(group.model));
    else if (leftOut.size < LEFT_OUT_MAX) leftOut.add(key);
  }
  for (const [name, series] of sheets) recorder.gauge(name).replace(series);
}

function writeSlice(sheets: ReadonlyMap<string, NumberSeries[]>, group: Group, minSamples: number): void {
  const { model, version, slice, window, basis = "all", n_predictions, n_labeled } = group;
  // A window that is not known has no figures; rows of a model without a task are counted.
  const { any } = group.undefined;
  if (any !== undefined && (basis === "matured" || any === "catching_up")) return;
  const labels = { model, version, slice, window, basis };
  sheets.get("outrider_slice_predictions")?.push({ labels, value: n_predictions });
  sheets.get("outrider_slice_pairs")?.push({ labels, value: n_labeled });
  for (const [metric, value] of Object.entries(group.metrics)) {
    const reason = value === null ? group.undefined[metric] : "below_min_samples";
    if (value !== null && n_labeled >= minSamples)
      sheets.get("outrider_slice_quality")?.push({ labels: { ...labels, metric }, value });
    else if (reason !== undefined)
      sheets
        .get("outrider_slice_metric_undefined")
        ?.push({ labels: { ...labels, metric, reason }, value: 1 });
  }
}
