// A registered distribution, which may be anything: { edges: [...], counts: [...] } of numbers, or { counts: { category: rows } }.

import type { Baseline } from "./compare.ts";

const BINS_MAX = 1000;

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && value >= 0;

function isAscending(values: readonly unknown[]): values is readonly number[] {
  return values.every((value, at) => {
    if (typeof value !== "number" || !Number.isFinite(value)) return false;
    const before = values[at - 1];
    return at === 0 || (typeof before === "number" && before < value);
  });
}

/** null: it is no distribution, or an empty one. */
export function parseBaseline(value: unknown): Baseline | null {
  if (typeof value !== "object" || value === null || !("counts" in value)) return null;
  const { counts } = value;
  if (Array.isArray(counts)) {
    const edges: unknown = "edges" in value ? value.edges : null;
    if (!Array.isArray(edges) || counts.length === 0 || counts.length > BINS_MAX) return null;
    if (edges.length !== counts.length + 1 || !isAscending(edges) || !counts.every(isCount)) return null;
    return counts.some((count) => count > 0) ? { kind: "bins", edges, counts } : null;
  }
  if (typeof counts !== "object" || counts === null) return null;
  const entries = Object.entries(counts);
  if (entries.length === 0 || entries.length > BINS_MAX) return null;
  const known = entries.flatMap(([name, count]) => (isCount(count) ? [[name, count] as const] : []));
  if (known.length !== entries.length || known.every(([, count]) => count === 0)) return null;
  return { kind: "categories", counts: Object.fromEntries(known) };
}

/** The distribution of a stream in what was registered as training data: under `distributions`, by the stream's name. */
export function parseRegistered(trainingData: unknown, stream: string): Baseline | null {
  if (typeof trainingData !== "object" || trainingData === null || !("distributions" in trainingData))
    return null;
  const { distributions } = trainingData;
  if (typeof distributions !== "object" || distributions === null) return null;
  return Object.hasOwn(distributions, stream) ? parseBaseline(Reflect.get(distributions, stream)) : null;
}
