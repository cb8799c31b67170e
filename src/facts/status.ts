// The answer to "how is it going?": what the status page shows, in one document.

import type { Group } from "./group.ts";
import type { PartState, VersionModel } from "./road.ts";

/** What happened in one slice of time. Times are Unix ms, durations ms; null: nothing to tell. */
export interface PulseBin {
  readonly at: number;
  readonly requests: number;
  readonly clientErrors: number;
  /** 5xx of the model server. */
  readonly serverErrors: number;
  /** Answered or broken off by the sidecar: no connection, time-out, reset. */
  readonly ownErrors: number;
  readonly responseTimeP50Ms: number | null;
  readonly responseTimeP95Ms: number | null;
  readonly firstByteP50Ms: number | null;
  readonly firstByteP95Ms: number | null;
  /** Share of the probes that succeeded. */
  readonly up: number | null;
  /** Share of the CPUs that the model server may use. */
  readonly cpu: number | null;
  readonly memoryBytes: number | null;
}

export interface Pulse {
  readonly binMs: number;
  /** Oldest first, without holes; the last one is not over yet. */
  readonly bins: readonly PulseBin[];
}

/** How one metric of one version went. */
export interface QualityPoint {
  readonly at: number;
  readonly coverage: number | null;
  /** metric -> value, lower and upper end of its 95 % interval. */
  readonly metrics: Readonly<
    Record<string, readonly [value: number, lower: number | null, upper: number | null]>
  >;
}

export interface QualityTrack {
  readonly model: string;
  readonly version: string;
  readonly window: string;
  readonly points: readonly QualityPoint[];
}

export interface Verdict {
  readonly model: string;
  readonly baseline: string;
  readonly candidate: string;
  readonly metric: string;
  readonly difference: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  readonly verdict: "better" | "worse" | "undecided";
}

/** Something a person should know; the shipped alerts look at the same facts. */
export interface Finding {
  /** Stable while it lasts. */
  readonly key: string;
  readonly severity: "critical" | "warning" | "info";
  readonly message: string;
}

export interface KeptFinding extends Finding {
  readonly since: number;
  /** null: it still holds. */
  readonly until: number | null;
}

export interface StatusVersion {
  readonly version: string;
  readonly stage: string | null;
  readonly registered: boolean;
  readonly firstSeen: number | null;
  readonly lastSeen: number | null;
  readonly predictions: number;
  readonly labels: number;
  /** Registered evaluation results. */
  readonly evaluation: Readonly<Record<string, number>>;
  /** Of the asked window; null: none was made in it. */
  readonly group: Group | null;
}

export interface StatusModel {
  readonly name: string;
  readonly task: string;
  readonly served: VersionModel["served"];
  readonly declared: VersionModel["declared"];
  readonly mismatch: boolean;
  readonly versions: readonly StatusVersion[];
}

export interface Status {
  readonly at: number;
  readonly outrider: string;
  readonly startedAt: number;
  readonly window: string;
  readonly windows: readonly string[];
  readonly parts: Readonly<Record<string, PartState>>;
  readonly pulse: Pulse;
  readonly models: readonly StatusModel[];
  readonly verdicts: readonly Verdict[];
  readonly history: readonly QualityTrack[];
  /** Those that hold first, then the newest. */
  readonly findings: readonly KeptFinding[];
}
