// The version ledger as series: roles, stages, the declared version, and live quality against what was registered.

import { BASELINE_MARGIN } from "../kernel/metric-names.ts";
import type { Group } from "../facts/group.ts";
import type { VersionRecord } from "../facts/version.ts";
import type { VersionModel } from "../facts/road.ts";
import type { Recorder } from "./recorder.ts";
import type { NumberSeries } from "./snapshot.ts";

export interface VersionNeeds {
  /** Served and declared versions, now. */
  models(): readonly VersionModel[];
  /** Versions of every model that the version ledger knows. */
  records(): Iterable<VersionRecord>;
  /** Versions of every model by first appearance in traffic, oldest first. */
  seen(): Iterable<{ readonly model: string; readonly versions: readonly string[] }>;
  groups(): readonly Group[];
  /** What the configuration says a model's quality should be; null: nothing. */
  configuredOf(model: string): ConfiguredBaseline | null;
  /** True: less is better. */
  isLoss(metric: string): boolean;
}

export interface ConfiguredBaseline {
  /** Metric name (scikit-learn's) -> value. */
  readonly metrics: Readonly<Record<string, number>>;
  /** How much worse is still fine, as a share of the value. */
  readonly margin: number;
}

interface Baseline {
  readonly model: string;
  readonly version: string;
  readonly metric: string;
  readonly source: "registered" | "configured";
  readonly value: number;
}

/** Registered metrics of one version that become series; the rest stays in the ledger. */
const REGISTERED_MAX = 20;

function roleOf(place: number, count: number): string {
  if (place === count - 1) return "current";
  return place === count - 2 ? "previous" : "other";
}

function* roles(needs: VersionNeeds): Generator<NumberSeries> {
  for (const { model, versions } of needs.seen()) {
    for (const [place, version] of versions.entries())
      yield { labels: { model, version, role: roleOf(place, versions.length) }, value: 1 };
  }
}

function* stages(records: readonly VersionRecord[]): Generator<NumberSeries> {
  for (const { model, version, stage, registration } of records)
    yield { labels: { model, version, stage, registered: String(registration !== null) }, value: 1 };
}

/** Per metric: what the version was registered with, else what the configuration says of its model. */
function baselines(records: readonly VersionRecord[], needs: VersionNeeds): Baseline[] {
  const evaluations = new Map<string, Readonly<Record<string, number>>>();
  const versions = new Map<string, { readonly model: string; readonly version: string }>();
  for (const { model, version, registration } of records) {
    versions.set(keyOf(model, version), { model, version });
    evaluations.set(keyOf(model, version), registration?.evaluation ?? {});
  }
  for (const { model, versions: seen } of needs.seen()) {
    for (const version of seen) versions.set(keyOf(model, version), { model, version });
  }
  return [...versions].flatMap(([key, { model, version }]) => {
    const registered = Object.entries(evaluations.get(key) ?? {}).slice(0, REGISTERED_MAX);
    const given = new Set(registered.map(([metric]) => metric));
    const configured = Object.entries(needs.configuredOf(model)?.metrics ?? {});
    return [
      ...registered.map(([metric, value]) => ({
        model,
        version,
        metric,
        source: "registered" as const,
        value,
      })),
      ...configured.flatMap(([metric, value]) =>
        given.has(metric) ? [] : [{ model, version, metric, source: "configured" as const, value }],
      ),
    ];
  });
}

const keyOf = (model: string, version: string): string => `${model}\0${version}`;

/** The metric of a group, whether it is one of the main ones or of the further ones. */
function liveValue(group: Group, metric: string): number | null {
  const value = Object.hasOwn(group.metrics, metric) ? group.metrics[metric] : group.extra[metric];
  return typeof value === "number" ? value : null;
}

function* gaps(expected: readonly Baseline[], needs: VersionNeeds): Generator<NumberSeries> {
  const byVersion = Map.groupBy(expected, ({ model, version }) => keyOf(model, version));
  for (const group of needs.groups()) {
    if (group.slice !== "") continue;
    const { model, version, window, basis = "all" } = group;
    for (const { metric, value } of byVersion.get(keyOf(model, version)) ?? []) {
      const live = liveValue(group, metric);
      if (live === null) continue;
      const gap = needs.isLoss(metric) ? live - value : value - live;
      yield { labels: { model, version, window, basis, metric }, value: gap };
    }
  }
}

/** Versions in traffic, in production or in staging: a ledger of thousands must not become thousands of series. */
function shown(needs: VersionNeeds): VersionRecord[] {
  const seen = new Set<string>();
  for (const { model, versions } of needs.seen()) {
    for (const version of versions) seen.add(`${model}\0${version}`);
  }
  return [...needs.records()].filter(
    ({ model, version, stage }) =>
      stage === "production" || stage === "staging" || seen.has(`${model}\0${version}`),
  );
}

function writeBaselines(recorder: Recorder, expected: readonly Baseline[], needs: VersionNeeds): void {
  recorder
    .gauge("outrider_quality_baseline")
    .replace(expected.map(({ value, ...labels }) => ({ labels, value })));
  recorder.gauge("outrider_quality_baseline_margin_ratio").replace(
    [...new Set(expected.map(({ model }) => model))].map((model) => ({
      labels: { model },
      value: needs.configuredOf(model)?.margin ?? BASELINE_MARGIN,
    })),
  );
  recorder.gauge("outrider_quality_baseline_gap").replace([...gaps(expected, needs)]);
}

/** Registers itself with the recorder. */
export function createVersionMetrics(recorder: Recorder, needs: VersionNeeds): void {
  recorder.onCollect(() => {
    const records = shown(needs);
    recorder.gauge("outrider_model_version_info").replace([...roles(needs)]);
    recorder.gauge("outrider_model_version_stage").replace([...stages(records)]);
    writeBaselines(recorder, baselines(records, needs), needs);
    const declared = needs.models().filter((model) => model.declared !== null);
    recorder
      .gauge("outrider_version_mismatch")
      .replace(declared.map(({ name, mismatch }) => ({ labels: { model: name }, value: mismatch ? 1 : 0 })));
    const since = declared.flatMap(({ name, declared: of }) =>
      of === null
        ? []
        : [{ labels: { model: name, version: of.version }, value: Date.parse(of.since) / 1000 }],
    );
    recorder.gauge("outrider_model_version_production_timestamp_seconds").replace(since);
  });
}
