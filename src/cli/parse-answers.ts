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

export interface ListedVersion {
  readonly version: string;
  readonly stage: string | null;
  readonly registered: boolean;
  readonly firstSeen: string | null;
  readonly lastSeen: string | null;
  readonly predictions: number;
  readonly labels: number;
  readonly metadata: { readonly evaluation?: Readonly<Record<string, number>> } | null;
}

/** The versions of GET /v1/models/{model}/versions. Throws Problem `api_refused` when it is something else. */
export function parseVersions(value: unknown): ListedVersion[] {
  if (
    typeof value !== "object" ||
    value === null ||
    !("versions" in value) ||
    !Array.isArray(value.versions)
  ) {
    throw new Problem("api_refused", "the answer has no versions: is this an Outrider API?");
  }
  return value.versions.filter(
    (version: unknown): version is ListedVersion =>
      typeof version === "object" && version !== null && "version" in version && "metadata" in version,
  );
}
