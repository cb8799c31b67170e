// The answer of GET /v1/drift, looked at before it is printed.

import { Problem } from "../kernel/problem.ts";
import { isRecord } from "./parse-estimates.ts";

export interface DriftVersion {
  readonly model: string;
  readonly version: string;
  readonly streams: readonly {
    readonly stream: string;
    readonly reference: { readonly kind: string; readonly rows: number };
    readonly windows: readonly {
      readonly window: string;
      readonly rows: number;
      readonly distances: Readonly<Record<string, number | null>> | null;
      readonly reason: string | null;
    }[];
  }[];
  readonly alarms: readonly {
    readonly detector: string;
    readonly direction: string;
    readonly alarms: number;
    readonly last: string | null;
  }[];
  readonly behind_seconds: number;
}

/** Throws Problem `api_refused` when it is something else. */
export function parseDrift(value: unknown): DriftVersion[] {
  const versions = isRecord(value) ? value["versions"] : null;
  if (!Array.isArray(versions))
    throw new Problem("api_refused", "the answer has no versions: is this an Outrider API?");
  return versions.filter(
    (version: unknown): version is DriftVersion =>
      isRecord(version) && Array.isArray(version["streams"]) && Array.isArray(version["alarms"]),
  );
}
