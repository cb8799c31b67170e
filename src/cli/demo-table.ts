// What the demo's terminal shows: figures in, text out.

import type { Group } from "../facts/group.ts";
import { quantileOf, sumOf, type Sample } from "./prom-text.ts";

export interface DemoFigures {
  readonly elapsedSeconds: number;
  readonly samples: readonly Sample[];
  readonly groups: readonly Group[];
  readonly urls: readonly (readonly [name: string, url: string])[];
}

function ms(seconds: number | null): string {
  return seconds === null ? "-" : `${(seconds * 1000).toFixed(1)} ms`;
}

function percent(ratio: number | null): string {
  return ratio === null ? "-" : `${(ratio * 100).toFixed(1)} %`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(0)} MiB`;
}

function uptime(samples: readonly Sample[]): number | null {
  const all = sumOf(samples, "outrider_probe_attempts_total");
  return all === 0 ? null : sumOf(samples, "outrider_probe_attempts_total", { result: "success" }) / all;
}

function statusClass(samples: readonly Sample[], outcome: string): number {
  return sumOf(samples, "outrider_requests_total", { outcome });
}

function serviceLines(figures: DemoFigures): string[] {
  const { samples } = figures;
  const responseTime = "http_server_request_duration_seconds";
  const ttfb = "outrider_time_to_first_byte_seconds";
  const rate = sumOf(samples, `${responseTime}_count`) / Math.max(figures.elapsedSeconds, 1);
  return [
    `requests       ${sumOf(samples, `${responseTime}_count`)}  (${rate.toFixed(1)}/s)`,
    `response time  p50 ${ms(quantileOf(samples, responseTime, 0.5))}   p95 ${ms(quantileOf(samples, responseTime, 0.95))}`,
    `first byte     p50 ${ms(quantileOf(samples, ttfb, 0.5))}   p95 ${ms(quantileOf(samples, ttfb, 0.95))}`,
    `errors         4xx ${statusClass(samples, "client_error")}   5xx ${statusClass(samples, "server_error")}`,
    `uptime         ${percent(uptime(samples))}  (${sumOf(samples, "outrider_probe_attempts_total")} probes)`,
    `model server   CPU ${percent(samples.find((s) => s.name === "outrider_target_cpu_utilization_ratio")?.value ?? null)}   memory ${megabytes(sumOf(samples, "outrider_target_memory_usage_bytes", { kind: "rss" }))}`,
  ];
}

const SHOWN: readonly string[] = ["rmse", "mae", "r2", "accuracy", "precision", "recall", "f1", "roc_auc"];

function metricCells(group: Group): string {
  const cells: string[] = [];
  for (const name of SHOWN) {
    if (!(name in group.metrics)) continue;
    const value = group.metrics[name];
    cells.push(`${name} ${value === null || value === undefined ? "-" : value.toFixed(3)}`);
  }
  return cells.join("  ");
}

function versionLines(groups: readonly Group[]): string[] {
  const rows = groups
    .filter((group) => group.window === "1h" && group.slice === "")
    .map((group) => [
      group.model,
      group.version,
      String(group.n_predictions),
      String(group.n_labeled),
      percent(group.coverage),
      metricCells(group),
    ]);
  const table = [
    ["model", "version", "predictions", "labels", "coverage", "quality over the last hour"],
    ...rows,
  ];
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("   ")
      .trimEnd(),
  );
}

/** The whole screen, without cursor movement. */
export function renderDemo(figures: DemoFigures): string {
  const width = Math.max(...figures.urls.map(([name]) => name.length));
  return [
    `Outrider demo, ${Math.round(figures.elapsedSeconds)} s`,
    "",
    ...serviceLines(figures),
    "",
    ...versionLines(figures.groups),
    "",
    ...figures.urls.map(([name, url]) => `${name.padEnd(width)}  ${url}`),
    "",
  ].join("\n");
}
