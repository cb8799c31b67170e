// `outrider quality`: rolling quality per model version, from a running sidecar.

import { readFileSync } from "node:fs";
import type { Group } from "../facts/group.ts";
import { estimatesTable } from "./estimates-table.ts";
import { getText, queryOf } from "./http.ts";
import { EXIT, type CliIo } from "./io.ts";
import { parseQuality } from "./parse-answers.ts";
import { parseEstimates } from "./parse-estimates.ts";
import { table } from "./table.ts";

export interface QualityRequest {
  readonly apis: readonly string[];
  readonly tokenFile: string | null;
  readonly json: boolean;
  /** Query parameters of GET /v1/quality; null: not asked for. */
  readonly filter: Readonly<Record<"model" | "version" | "window" | "slice" | "basis", string | null>>;
}

export function readToken(file: string | null, env: CliIo["env"]): string | null {
  return file === null ? (env["OUTRIDER_TOKEN"] ?? null) : readFileSync(file, "utf8").trim();
}

function cell(value: number | null | undefined): string {
  return value === null || value === undefined ? "-" : value.toPrecision(6);
}

/** One block per set of metric names, so that regression and classification each get their own columns. */
export function qualityTable(groups: readonly Group[]): string {
  const blocks = new Map<string, Group[]>();
  for (const group of groups) {
    const names = Object.keys(group.metrics).join(",");
    blocks.set(names, [...(blocks.get(names) ?? []), group]);
  }
  return [...blocks].map(([names, rows]) => block(names === "" ? [] : names.split(","), rows)).join("\n");
}

function block(names: readonly string[], groups: readonly Group[]): string {
  const head = ["model", "version", "slice", "window", "predictions", "labels", "coverage", ...names];
  const rows = groups.map((g) => [
    g.model,
    g.version,
    g.slice,
    g.window,
    String(g.n_predictions),
    String(g.n_labeled),
    cell(g.coverage),
    ...names.map((name) => cell(g.metrics[name])),
  ]);
  return table([head, ...rows]);
}

export async function quality(request: QualityRequest, io: CliIo): Promise<number> {
  const { slice, basis, ...shared } = request.filter;
  const query = queryOf({ ...shared, slice, basis });
  const token = readToken(request.tokenFile, io.env);
  for (const api of request.apis) {
    const base = `${api.replace(/\/$/, "")}/v1`;
    const text = await getText(`${base}/quality${query}`, token);
    if (request.json) {
      io.stdout.write(`${text.trimEnd()}\n`);
      continue;
    }
    const estimates = parseEstimates(JSON.parse(await getText(`${base}/estimates${queryOf(shared)}`, token)));
    const tables = [qualityTable(parseQuality(JSON.parse(text))), estimatesTable(estimates)];
    io.stdout.write(tables.filter((shown) => shown !== "").join("\n"));
  }
  return EXIT.ok;
}
