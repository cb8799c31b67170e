// Saved references, read back from text that may be anything.

import type { SavedReference } from "./saved-references.ts";

const KINDS: ReadonlySet<unknown> = new Set(["number", "probability", "category"]);
const BUCKETS_MAX = 4096;

function isSaved(item: unknown): item is SavedReference {
  if (typeof item !== "object" || item === null) return false;
  const { model, version, stream, kind, through, bits, values, counts } = item as Record<string, unknown>;
  if (![model, version, stream].every((name) => typeof name === "string")) return false;
  if (!KINDS.has(kind) || !Number.isFinite(through)) return false;
  if (typeof bits !== "number" || !Number.isInteger(bits) || bits < 0 || bits > 52) return false;
  if (!Array.isArray(values) || !Array.isArray(counts)) return false;
  if (values.length !== counts.length || values.length > BUCKETS_MAX) return false;
  const wanted = kind === "category" ? "string" : "number";
  return (
    values.every((value) => typeof value === wanted && value !== null) &&
    counts.every((count) => Number.isSafeInteger(count) && count > 0 && count < 2 ** 31)
  );
}

/** What of the text is a saved reference; nothing when it is not JSON. */
export function parseReferences(text: string): SavedReference[] {
  try {
    const items: unknown = JSON.parse(text);
    return Array.isArray(items) ? items.filter(isSaved) : [];
  } catch {
    return [];
  }
}
