// What the relay needs of the configuration and of the observer's latest state, as one immutable value.

import type { Config } from "../config/config.ts";
import type { ObserverState } from "../facts/road.ts";
import type { RelaySnapshot } from "../proxy/proxy.ts";

/** All copies of bodies in flight together. */
const TRACE_SAMPLE_RATIO = 0.05;
const COPIES_BYTES_MAX = 16 * 1024 * 1024;

type Model = Config["models"][number];

/**
 * The version a model announces before its answer is read: configured, polled, or declared by a registry. Without a source of its
 * own the answer may name another one, so nothing is announced.
 */
function knownVersion(model: Model, external: Readonly<Record<string, string>>): string | null {
  const rule = model.version;
  if (rule === null) return null;
  if ("static" in rule) return rule.static;
  return external[model.name] ?? null;
}

function headerOf(model: Model): string | null {
  return model.version !== null && "header" in model.version ? model.version.header : null;
}

function usesPath(models: readonly Model[]): boolean {
  return models.length === 0 || models.some((model) => model.version === null || "path" in model.version);
}

/** Models without a path pattern can be anywhere, so every path may carry predictions then. */
function routesOf(
  models: readonly Model[],
  external: Readonly<Record<string, string>>,
): RelaySnapshot["routes"] {
  if (models.length === 0 || models.some((model) => model.match.path === null)) return null;
  return models.map((model) => ({
    pattern: model.match.path ?? "**",
    version: knownVersion(model, external),
    versionHeader: headerOf(model),
  }));
}

/** Registries that want traces get the default share when nothing else is said. */
function traceSampleRatio({ otlp, registries }: Config): number {
  const wanted = registries.some(({ write }) => write.includes("traces"));
  return otlp?.traces?.sampleRatio ?? (wanted ? TRACE_SAMPLE_RATIO : 0);
}

export function relaySnapshot(config: Config, state: ObserverState | null): RelaySnapshot {
  const external = state?.external ?? {};
  const [only, ...others] = config.models;
  return Object.freeze({
    routes: routesOf(config.models, external),
    defaultVersion: only !== undefined && others.length === 0 ? knownVersion(only, external) : null,
    versionFromPath: usesPath(config.models),
    traceSampleRatio: traceSampleRatio(config),
    capture: {
      bodyBytesMax: config.capture.maxBodySizeBytes,
      totalBytesMax: COPIES_BYTES_MAX,
      sampleRatio: config.capture.sampleRatio,
    },
  });
}

/** Header names that the configuration reads: versions and slices. */
export function configuredHeaders(config: Config): string[] {
  const names: string[] = [];
  for (const model of config.models) {
    const header = headerOf(model);
    if (header !== null) names.push(header);
    for (const slice of model.slices) if (slice.header !== null) names.push(slice.header);
  }
  return names;
}
