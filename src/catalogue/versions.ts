// Families about the model versions: which are registered, which is declared to be in production, and how live quality compares.

import type { Descriptor } from "./descriptor.ts";

export const versionFamilies: readonly Descriptor[] = [
  {
    name: "outrider_model_version_info",
    otel: { name: "outrider.model.version.info", unit: "" },
    type: "gauge",
    labels: ["model", "version", "role"],
    help: "1 for each version that was seen, with its role by order of first appearance: current, previous or other.",
  },
  {
    name: "outrider_model_version_stage",
    otel: { name: "outrider.model.version.stage", unit: "" },
    type: "gauge",
    labels: ["model", "version", "stage", "registered"],
    help: "1 for each version of the version ledger, with its stage (none, staging, production, archived) and whether it was registered.",
  },
  {
    name: "outrider_model_version_production_timestamp_seconds",
    otel: { name: "outrider.model.version.production.timestamp", unit: "s" },
    type: "gauge",
    labels: ["model", "version"],
    help: "Unix time since when the version is declared to be in production.",
  },
  {
    name: "outrider_version_mismatch",
    otel: { name: "outrider.version.mismatch", unit: "" },
    type: "gauge",
    labels: ["model"],
    help: "1 while the version that served most of the last hour is not the declared one, else 0; absent when none is declared.",
  },
  {
    name: "outrider_registry_calls_total",
    otel: { name: "outrider.registry.calls", unit: "{call}" },
    type: "counter",
    labels: ["registry", "operation", "result"],
    help: "Calls to model registries by outcome: ok, none, failed, retried, unsupported, dropped.",
  },
  {
    name: "outrider_registry_last_answer_timestamp_seconds",
    otel: { name: "outrider.registry.last_answer.timestamp", unit: "s" },
    type: "gauge",
    labels: ["registry", "model"],
    help: "Unix time at which the registry last said which version is in production.",
  },
  {
    name: "outrider_registry_writes_waiting",
    otel: { name: "outrider.registry.writes.waiting", unit: "{write}" },
    type: "gauge",
    labels: ["registry"],
    help: "Writes that wait for the registry.",
  },
  {
    name: "outrider_quality_baseline",
    otel: { name: "outrider.quality.baseline", unit: "" },
    type: "gauge",
    labels: ["model", "version", "metric", "source"],
    help: "The value the metric should keep: what the version was registered with (source registered), else what the configuration says of the model (configured).",
  },
  {
    name: "outrider_quality_baseline_margin_ratio",
    otel: { name: "outrider.quality.baseline_margin", unit: "1" },
    type: "gauge",
    labels: ["model"],
    help: "How much worse than its baseline a metric may be, as a share of the baseline.",
  },
  {
    name: "outrider_quality_baseline_gap",
    otel: { name: "outrider.quality.baseline_gap", unit: "" },
    type: "gauge",
    labels: ["model", "version", "window", "basis", "metric"],
    help: "How much worse the live metric is than its baseline, in the metric's own unit; negative when better.",
  },
];
