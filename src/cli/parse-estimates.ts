// The answer of GET /v1/estimates, looked at before it is used.

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Its estimates; none when it is something else, as of an older sidecar. */
export function parseEstimates(value: unknown): Readonly<Record<string, unknown>>[] {
  const estimates = isRecord(value) ? value["estimates"] : null;
  return Array.isArray(estimates) ? estimates.filter(isRecord) : [];
}
