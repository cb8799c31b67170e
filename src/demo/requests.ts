// What the demo's callers send: rows as an Open Inference Protocol request, and now and then a mistake.

import type { DemoDataSet, DemoRow } from "./models.ts";

export interface PlannedRequest {
  readonly path: string;
  readonly body: string;
  /** What was asked about; empty for a mistake. */
  readonly rows: readonly DemoRow[];
  readonly binary: boolean;
}

const MISTAKE_SHARE = 0.015;
const ROWS_MAX = 4;

function pick<T>(from: readonly T[], chance: () => number): T | undefined {
  return from[Math.floor(chance() * from.length)];
}

function inferBody(rows: readonly DemoRow[], width: number): string {
  const tensor = {
    name: "x",
    shape: [rows.length, width],
    datatype: "FP64",
    data: rows.flatMap((row) => row.features),
  };
  return JSON.stringify({ inputs: [tensor] });
}

/** One to four rows of one data set; one request in seventy has the wrong shape or names no model. */
export function planRequest(dataSets: readonly DemoDataSet[], chance: () => number): PlannedRequest | null {
  const set = pick(dataSets, chance);
  if (set === undefined) return null;
  const count = 1 + Math.floor(chance() * ROWS_MAX);
  const rows = Array.from({ length: count }, () => pick(set.rows, chance)).filter((row) => row !== undefined);
  const width = set.features.length;
  const path = `/v2/models/${set.name}/infer`;
  const binary = set.task === "binary";
  if (chance() >= MISTAKE_SHARE) return { path, body: inferBody(rows, width), rows, binary };
  const noModel = chance() < 0.3;
  return {
    path: noModel ? "/v2/models/no-such-model/infer" : path,
    body: inferBody(rows, noModel ? width : width + 1),
    rows: [],
    binary,
  };
}
