// What the sidecar said last before it stopped, kept in the store for `outrider verify`; gone as soon as the store is in use again.

import type { Group } from "../facts/group.ts";

/** Key of the ledger's small values. Empty: the store was not closed in order since it was last opened. */
export const LAST_TOTALS = "totals";

export interface LastTotals {
  /** Unix ms. */
  readonly at: number;
  readonly groups: readonly Group[];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** null: nothing was kept, or it is damaged. */
export function parseLastTotals(text: string | null): LastTotals | null {
  if (text === null || text === "") return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value) || typeof value["at"] !== "number" || !Array.isArray(value["groups"])) return null;
  if (!value["groups"].every((group) => isRecord(group) && typeof group["model"] === "string")) return null;
  // Compared field by field; a field that is missing or of another kind is a difference.
  return value as unknown as LastTotals;
}
