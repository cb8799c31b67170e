// Answers of a running sidecar, looked at before they are used.

import type { Group } from "../facts/group.ts";
import { Problem } from "../kernel/problem.ts";

/** The groups of GET /v1/quality. Throws Problem `api_refused` when it is something else. */
export function parseQuality(value: unknown): Group[] {
  if (typeof value !== "object" || value === null || !("groups" in value) || !Array.isArray(value.groups)) {
    throw new Problem("api_refused", "the answer has no groups: is this an Outrider API?");
  }
  return value.groups.filter(
    (group: unknown): group is Group => typeof group === "object" && group !== null && "metrics" in group,
  );
}
