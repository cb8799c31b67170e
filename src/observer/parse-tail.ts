// Saved inputs, read back from text that may be anything.

import { savedItems } from "../kernel/saved.ts";

/** Values with counts of one input of one version, in the minute that ends with `ts` (Unix ms). */
export type TailEntry = readonly [
  model: string,
  version: string,
  ts: number,
  stream: string,
  values: readonly (readonly [value: number | string, count: number])[],
];

/** One commit has no more rows. */
const COUNT_MAX = 1_000_000;

function isCounted(item: unknown): item is readonly [number | string, number] {
  if (!Array.isArray(item) || item.length !== 2) return false;
  const [value, count]: unknown[] = item;
  return (
    (typeof value === "string" || typeof value === "number") &&
    typeof count === "number" &&
    Number.isSafeInteger(count) &&
    count > 0 &&
    count <= COUNT_MAX
  );
}

function isEntry(item: unknown): item is TailEntry {
  if (!Array.isArray(item) || item.length !== 5) return false;
  const [model, version, ts, stream, values]: unknown[] = item;
  return (
    [model, version, stream].every((name) => typeof name === "string") &&
    Number.isSafeInteger(ts) &&
    Array.isArray(values) &&
    values.every(isCounted)
  );
}

/** What is no entry is left out. */
export function parseTail(text: string): TailEntry[] {
  return savedItems(text, isEntry);
}
