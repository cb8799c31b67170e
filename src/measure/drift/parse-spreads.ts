// Saved spreads, read back from text that may be anything.

import type { SavedSpread } from "./saved-spreads.ts";

const KINDS: ReadonlySet<unknown> = new Set(["number", "probability", "category"]);
const ROLES: ReadonlySet<unknown> = new Set(["first", "span", "hour"]);
const BUCKETS_MAX = 4096;

function isSaved(item: unknown): item is SavedSpread {
  if (typeof item !== "object" || item === null) return false;
  const { model, version, stream, kind, role, from, through, bits, values, counts } = item as Record<
    string,
    unknown
  >;
  if (![model, version, stream].every((name) => typeof name === "string")) return false;
  if (!KINDS.has(kind) || !ROLES.has(role)) return false;
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(through)) return false;
  if (typeof bits !== "number" || !Number.isInteger(bits) || bits < 0 || bits > 52) return false;
  if (!Array.isArray(values) || !Array.isArray(counts)) return false;
  if (values.length !== counts.length || values.length > BUCKETS_MAX) return false;
  const wanted = kind === "category" ? "string" : "number";
  return (
    values.every((value) => typeof value === wanted && value !== null) &&
    counts.every((count) => Number.isSafeInteger(count) && count > 0 && count < 2 ** 31)
  );
}

/** null: the text is no saved spread. */
export function parseSpread(text: string): SavedSpread | null {
  try {
    const item: unknown = JSON.parse(text);
    return isSaved(item) ? item : null;
  } catch {
    return null;
  }
}
