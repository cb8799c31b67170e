// JSON with sorted keys: equal content gives equal text, whatever the order it was sent in.

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, held]): [string, unknown] => [key, sorted(held)])
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** Deterministic JSON text (keys in code unit order); depth is bounded by the JSON that was parsed. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value));
}
