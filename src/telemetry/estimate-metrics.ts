// Estimated quality and drift as gauges; alarms as counters. Windows and streams without a figure tell why.

import type { Recorder } from "./recorder.ts";
import type { Labels, NumberSeries } from "./snapshot.ts";

/** Estimates of one version, now. */
export interface EstimateFigures {
  readonly model: string;
  readonly version: string;
  readonly labels: { readonly long: number; readonly short: number };
  readonly windows: readonly {
    readonly window: string;
    readonly metrics: readonly {
      readonly metric: string;
      readonly value: number;
      readonly bounds: readonly [lower: number, upper: number] | null;
    }[];
    readonly gaps: readonly { readonly metric: string; readonly value: number; readonly noise: number }[];
    readonly errors: readonly {
      readonly metric: string;
      readonly estimated: number;
      readonly realised: number;
    }[];
    readonly nowcast: {
      readonly expected: number;
      readonly metrics: readonly {
        readonly metric: string;
        readonly value: number;
        readonly bounds: readonly [lower: number, upper: number] | null;
      }[];
      readonly undefined: Readonly<Record<string, string>>;
    };
    readonly nowcastErrors: readonly {
      readonly metric: string;
      readonly estimated: number;
      readonly realised: number;
    }[];
    readonly undefined: Readonly<Record<string, string>>;
  }[];
}

/** Drift of one version, now. */
export interface DriftFigures {
  readonly model: string;
  readonly version: string;
  readonly streams: readonly {
    readonly stream: string;
    readonly referenceRows: number;
    readonly windows: readonly {
      readonly window: string;
      readonly rows: number;
      readonly reason: string | null;
      readonly distances: {
        readonly psi: number;
        readonly psiNoise: number;
        readonly jensenShannon: number;
        readonly ks: { readonly value: number; readonly upper: number; readonly noise: number } | null;
        readonly wasserstein: number | null;
      } | null;
    }[];
  }[];
  readonly alarms: readonly {
    readonly detector: string;
    readonly direction: string;
    readonly alarms: number;
    /** Unix ms. */
    readonly lastTs: number | null;
  }[];
  readonly behindMs: number;
}

/** How much was left out, in total. */
export interface LeftOut {
  readonly part: "estimates" | "drift";
  readonly refusedVersions: number;
  readonly unusableRows?: number;
  readonly droppedValues?: number;
  readonly otherValues?: number;
  readonly bucketsLeft: number;
}

export interface EstimateNeeds {
  estimates(): Iterable<EstimateFigures>;
  drift(): Iterable<DriftFigures>;
  leftOut(): Iterable<LeftOut>;
}

const GAUGES = [
  "outrider_estimated_quality",
  "outrider_estimated_quality_ci_lower",
  "outrider_estimated_quality_ci_upper",
  "outrider_estimated_quality_matured",
  "outrider_estimated_quality_realised",
  "outrider_estimated_quality_error",
  "outrider_estimated_quality_calibration_gap",
  "outrider_estimated_quality_calibration_gap_noise",
  "outrider_estimated_quality_labels",
  "outrider_estimated_quality_undefined",
  "outrider_nowcast_quality",
  "outrider_nowcast_quality_ci_lower",
  "outrider_nowcast_quality_ci_upper",
  "outrider_nowcast_quality_expected_labels",
  "outrider_nowcast_quality_undefined",
  "outrider_nowcast_quality_earlier",
  "outrider_nowcast_quality_realised",
  "outrider_nowcast_quality_error",
  "outrider_drift_rows",
  "outrider_drift_reference_rows",
  "outrider_drift_psi",
  "outrider_drift_psi_noise",
  "outrider_drift_jensen_shannon",
  "outrider_drift_kolmogorov_smirnov",
  "outrider_drift_kolmogorov_smirnov_upper",
  "outrider_drift_kolmogorov_smirnov_noise",
  "outrider_drift_wasserstein",
  "outrider_drift_undefined",
  "outrider_concept_drift_last_alarm_timestamp_seconds",
  "outrider_concept_drift_behind_seconds",
  "outrider_estimate_buckets_left",
] as const;
const ALARMS = "outrider_concept_drift_alarms_total";
const LEFT_OUT = "outrider_estimate_left_out_total";

type Put = (name: (typeof GAUGES)[number], labels: Labels, value: number | null) => void;

/** Registers itself with the recorder. */
export function createEstimateMetrics(recorder: Recorder, needs: EstimateNeeds): void {
  recorder.onCollect(() => {
    const sheet = new Map<string, NumberSeries[]>(GAUGES.map((name) => [name, []]));
    const put: Put = (name, labels, value) => {
      if (value !== null) sheet.get(name)?.push({ labels, value });
    };
    for (const figures of needs.estimates()) writeEstimates(put, figures);
    for (const figures of needs.drift()) {
      writeDrift(put, figures);
      writeAlarms(put, recorder, figures);
    }
    for (const leftOut of needs.leftOut()) writeLeftOut(put, recorder, leftOut);
    for (const [name, series] of sheet) recorder.gauge(name).replace(series);
  });
}

function writeEstimates(put: Put, { model, version, labels: behind, windows }: EstimateFigures): void {
  const of = { model, version };
  put("outrider_estimated_quality_labels", { ...of, span: "7d" }, behind.long);
  put("outrider_estimated_quality_labels", { ...of, span: "24h" }, behind.short);
  for (const { window, metrics, gaps, errors, nowcast, nowcastErrors, undefined: reasons } of windows) {
    writeNowcast(put, { ...of, window }, nowcast);
    for (const { metric, value, bounds } of metrics) {
      const labels = { ...of, window, metric };
      put("outrider_estimated_quality", labels, value);
      put("outrider_estimated_quality_ci_lower", labels, bounds?.[0] ?? null);
      put("outrider_estimated_quality_ci_upper", labels, bounds?.[1] ?? null);
    }
    for (const { metric, value, noise } of gaps) {
      const labels = { ...of, window, metric };
      put("outrider_estimated_quality_calibration_gap", labels, value);
      put("outrider_estimated_quality_calibration_gap_noise", labels, noise);
    }
    for (const { metric, estimated, realised } of errors) {
      const labels = { ...of, window, metric };
      put("outrider_estimated_quality_matured", labels, estimated);
      put("outrider_estimated_quality_realised", labels, realised);
      put("outrider_estimated_quality_error", labels, estimated - realised);
    }
    for (const { metric, estimated, realised } of nowcastErrors) {
      const labels = { ...of, window, metric };
      put("outrider_nowcast_quality_earlier", labels, estimated);
      put("outrider_nowcast_quality_realised", labels, realised);
      put("outrider_nowcast_quality_error", labels, estimated - realised);
    }
    for (const [metric, reason] of Object.entries(reasons)) {
      put("outrider_estimated_quality_undefined", { ...of, window, metric, reason }, 1);
    }
  }
}

function writeNowcast(put: Put, of: Labels, nowcast: EstimateFigures["windows"][number]["nowcast"]): void {
  const { expected, metrics, undefined: reasons } = nowcast;
  if (metrics.length > 0) put("outrider_nowcast_quality_expected_labels", of, expected);
  for (const { metric, value, bounds } of metrics) {
    const labels = { ...of, metric };
    put("outrider_nowcast_quality", labels, value);
    put("outrider_nowcast_quality_ci_lower", labels, bounds?.[0] ?? null);
    put("outrider_nowcast_quality_ci_upper", labels, bounds?.[1] ?? null);
  }
  for (const [metric, reason] of Object.entries(reasons)) {
    put("outrider_nowcast_quality_undefined", { ...of, metric, reason }, 1);
  }
}

function writeDrift(put: Put, { model, version, streams }: DriftFigures): void {
  for (const { stream, referenceRows, windows } of streams) {
    put("outrider_drift_reference_rows", { model, version, stream }, referenceRows);
    for (const { window, rows, distances, reason } of windows) {
      const labels = { model, version, stream, window };
      put("outrider_drift_rows", labels, rows);
      if (reason !== null) put("outrider_drift_undefined", { ...labels, reason }, 1);
      if (distances === null) continue;
      const { psi, psiNoise, jensenShannon, ks, wasserstein } = distances;
      put("outrider_drift_psi", labels, psi);
      put("outrider_drift_psi_noise", labels, psiNoise);
      put("outrider_drift_jensen_shannon", labels, jensenShannon);
      put("outrider_drift_kolmogorov_smirnov", labels, ks?.value ?? null);
      put("outrider_drift_kolmogorov_smirnov_upper", labels, ks?.upper ?? null);
      put("outrider_drift_kolmogorov_smirnov_noise", labels, ks?.noise ?? null);
      put("outrider_drift_wasserstein", labels, wasserstein);
    }
  }
}

function writeAlarms(put: Put, recorder: Recorder, { model, version, alarms, behindMs }: DriftFigures): void {
  put("outrider_concept_drift_behind_seconds", { model, version }, behindMs / 1000);
  for (const { detector, direction, alarms: count, lastTs } of alarms) {
    const labels = { model, version, detector, direction };
    recorder.counter(ALARMS).set(labels, count);
    const seconds = lastTs === null ? null : lastTs / 1000;
    put("outrider_concept_drift_last_alarm_timestamp_seconds", labels, seconds);
  }
}

function writeLeftOut(put: Put, recorder: Recorder, leftOut: LeftOut): void {
  const { part, refusedVersions, unusableRows, droppedValues, otherValues, bucketsLeft } = leftOut;
  const counter = recorder.counter(LEFT_OUT);
  counter.set({ part, reason: "versions" }, refusedVersions);
  if (unusableRows !== undefined) counter.set({ part, reason: "unusable_rows" }, unusableRows);
  if (droppedValues !== undefined) counter.set({ part, reason: "values" }, droppedValues);
  if (otherValues !== undefined) counter.set({ part, reason: "categories" }, otherValues);
  put("outrider_estimate_buckets_left", { part }, bucketsLeft);
}
