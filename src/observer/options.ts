// The configuration in each room's own words.

import type { Config } from "../config/config.ts";
import type { ModelSpec } from "../facts/model.ts";
import type { LedgerOptions } from "../ledger/types.ts";
import type { createExtractor } from "../observe/extractor.ts";
import { createModelBook, type ModelBook } from "../observe/models.ts";
import type { ModelRule, VersionRule } from "../observe/rules.ts";
import type { PolledModel } from "./poll.ts";

type Model = Config["models"][number];

const GROUP_COMMIT_MS = 25;
const MODELS_MAX = 20;
const DAY_MS = 86_400_000;

function specOf(model: Model): ModelSpec {
  const { name, task, classes, positive, threshold, scoreKind, labelOffset } = model;
  const { minSamples, maxClasses, labelHorizonMs, windows, absentMeans } = model;
  return {
    name,
    task,
    classes,
    positive,
    threshold,
    scoreKind,
    labelOffset,
    minSamples,
    maxClasses,
    labelHorizonMs,
    windows,
    absentMeans,
  };
}

export function modelBookOptions(config: Config): {
  configured: readonly ModelSpec[];
  modelsMax: number;
  defaults: Omit<ModelSpec, "name" | "task" | "classes" | "positive">;
} {
  return {
    configured: config.models.map(specOf),
    modelsMax: MODELS_MAX + config.models.length,
    defaults: {
      threshold: 0.5,
      scoreKind: "probability",
      labelOffset: 0,
      minSamples: 1,
      maxClasses: 20,
      labelHorizonMs: 7 * DAY_MS,
      windows: ["1h", "24h", "7d", "all"],
    },
  };
}

export function configuredBook(config: Config): ModelBook {
  return createModelBook(modelBookOptions(config));
}

function versionRule(model: Model): VersionRule | null {
  const { version } = model;
  if (version === null) return null;
  if ("static" in version) return { kind: "static", version: version.static };
  if ("header" in version) return { kind: "header", name: version.header };
  if ("body" in version) return { kind: "body", at: version.body };
  if ("path" in version) return { kind: "path" };
  return { kind: "external" };
}

export function extractorRules(config: Config): ModelRule[] {
  return config.models.map((model) => ({
    name: model.name,
    match: model.match,
    extract: model.extract,
    version: versionRule(model),
    slices: model.slices,
    inputs: model.inputs,
  }));
}

/** The ledger waits for labels as long as the most patient model does. */
export function ledgerOptions(config: Config): LedgerOptions {
  return {
    path: config.store.path,
    retentionMs: config.store.retentionMs,
    labelHorizonMs: Math.max(
      ...config.models.map((model) => model.labelHorizonMs),
      config.models.length === 0 ? 7 * DAY_MS : 0,
    ),
    groupCommitMs: GROUP_COMMIT_MS,
    sizeMaxBytes: config.store.maxSizeBytes,
  };
}

export function polledModels(config: Config): PolledModel[] {
  const polled: PolledModel[] = [];
  const { http, tls } = config.upstream;
  const socketPath = http.startsWith("unix:") ? http.slice("unix:".length) : null;
  const base = socketPath === null ? http.replace(/\/$/, "") : "http://localhost";
  for (const { name, version } of config.models) {
    if (version === null || !("poll" in version)) continue;
    const { path, everyMs, at } = version.poll;
    polled.push({ model: name, url: `${base}${path}`, socketPath, tls, everyMs, at });
  }
  return polled;
}

/** How exchanges are read. */
export function extractorOptions(config: Config, specs: ModelBook): Parameters<typeof createExtractor>[0] {
  const { capture } = config;
  return {
    rules: extractorRules(config),
    idHeader: null,
    specs,
    bodyBytesMax: capture.maxBodySizeBytes,
    sampled: capture.sampleRatio < 1,
    inputs: capture.storeInputs ? "read" : "leave-out",
    redact: capture.redact,
  };
}
