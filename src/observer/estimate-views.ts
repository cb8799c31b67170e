// Estimates, nowcasts and drift as the API tells them.

import type { DriftView, EstimatesView } from "../api/contract.ts";
import type { VersionDrift } from "../measure/drift/drift.ts";
import type { VersionEstimates } from "../measure/estimate/estimates.ts";
import type { EstimateError, MetricEstimate } from "../measure/estimate/track.ts";

interface Wanted {
  readonly model?: string | undefined;
  readonly version?: string | undefined;
  readonly window?: string | undefined;
}

const time = (ms: number): string => new Date(ms).toISOString();

const matches =
  (wanted: Wanted) =>
  (of: { readonly model: string; readonly version: string }): boolean =>
    (wanted.model ?? of.model) === of.model && (wanted.version ?? of.version) === of.version;

function bounded(metrics: readonly MetricEstimate[]) {
  return Object.fromEntries(
    metrics.map(({ metric, value, bounds }) => [
      metric,
      { value, lower: bounds?.[0] ?? null, upper: bounds?.[1] ?? null },
    ]),
  );
}

const bySides = (errors: readonly EstimateError[]) =>
  Object.fromEntries(errors.map(({ metric, estimated, realised }) => [metric, { estimated, realised }]));

export function estimatesView(
  estimates: readonly VersionEstimates[],
  wanted: Wanted,
  at: number,
): EstimatesView {
  const found = estimates.filter(matches(wanted)).flatMap(({ model, version, labels, windows }) =>
    windows
      .filter(({ window }) => (wanted.window ?? window) === window)
      .map(({ window, predictions, metrics, nowcast, nowcastErrors, errors, gaps, undefined: reasons }) => ({
        model,
        version,
        window,
        n_predictions: predictions,
        labels: { "7d": labels.long, "24h": labels.short },
        estimated: bounded(metrics),
        undefined: { ...reasons },
        nowcast: {
          expected_labels: nowcast.expected,
          metrics: bounded(nowcast.metrics),
          undefined: { ...nowcast.undefined },
          errors: bySides(nowcastErrors),
        },
        errors: bySides(errors),
        calibration_gap: Object.fromEntries(
          gaps.map(({ metric, value, noise }) => [metric, { value, noise }]),
        ),
      })),
  );
  return { at: time(at), estimates: found };
}

export function driftView(drift: readonly VersionDrift[], wanted: Wanted, at: number): DriftView {
  const versions = drift.filter(matches(wanted)).map(({ model, version, streams, alarms, behindMs }) => ({
    model,
    version,
    streams: streams.map(({ stream, referenceKind, referenceRows, windows }) => ({
      stream,
      reference: { kind: referenceKind, rows: referenceRows },
      windows: windows.map(({ window, rows, distances, reason }) => ({
        window,
        rows,
        distances: distances === null ? null : distancesOf(distances),
        reason,
      })),
    })),
    alarms: alarms.map(({ detector, direction, alarms: count, lastTs }) => ({
      detector,
      direction,
      alarms: count,
      last: lastTs === null ? null : time(lastTs),
    })),
    behind_seconds: behindMs / 1000,
  }));
  return { at: time(at), versions };
}

type Distances = NonNullable<VersionDrift["streams"][number]["windows"][number]["distances"]>;

function distancesOf({ psi, psiNoise, jensenShannon, ks, wasserstein }: Distances) {
  return {
    psi,
    psi_noise: psiNoise,
    jensen_shannon: jensenShannon,
    kolmogorov_smirnov: ks?.value ?? null,
    kolmogorov_smirnov_upper: ks?.upper ?? null,
    kolmogorov_smirnov_noise: ks?.noise ?? null,
    wasserstein,
  };
}
