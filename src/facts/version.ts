// A model version as the version ledger knows it: what it is, which stage it is in, and what happened to it.

import type { Group } from "./group.ts";

export type Stage = "none" | "staging" | "production" | "archived";

/** What is known of a trained artifact. Absent parts are null or empty. */
export interface Registration {
  readonly artifact: { readonly uri: string; readonly sha256: string | null } | null;
  /** Free form JSON: where the data is, its digest, its span, its rows. */
  readonly trainingData: unknown;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Metric name (scikit-learn's) -> value on the evaluation data: the baseline of the version. */
  readonly evaluation: Readonly<Record<string, number>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly description: string | null;
}

/** unregistered: it appeared in traffic and nobody had registered it. */
export type VersionAction = "registered" | "unregistered" | "promoted" | "archived" | "rolled_back";

/** The quality of a version when something happened to it, per window and basis. */
export type QualityThen = readonly Pick<
  Group,
  "window" | "basis" | "n_predictions" | "n_labeled" | "coverage" | "metrics"
>[];

/** One line of the append-only history. `from` and `to` are stages of `version`. */
export interface VersionEvent {
  /** 1, 2, 3 ... over all models. */
  readonly seq: number;
  /** Unix ms. */
  readonly at: number;
  readonly actor: string;
  /** How it came to us: `api`, `token:<name>` (who proved it), `registry` or `traffic`; null: an entry of an older version. */
  readonly via: string | null;
  readonly action: VersionAction;
  readonly model: string;
  readonly version: string;
  readonly from: Stage;
  readonly to: Stage;
  readonly reason: string | null;
  /** null: nothing was measured. */
  readonly quality: QualityThen | null;
  /** With `registered`. */
  readonly registration: Registration | null;
}

export interface VersionRecord {
  readonly model: string;
  readonly version: string;
  readonly stage: Stage;
  /** null: seen in traffic, never registered. */
  readonly registration: Registration | null;
  /** Unix ms; when it was registered, or first seen when it was not. */
  readonly since: number;
  readonly actor: string;
  /** The registration is what a registry knew: a registration proper may still replace it. */
  readonly mirrored: boolean;
}

export type VersionRefusalCode =
  | "version_exists"
  | "not_current"
  | "gate_closed"
  | "nothing_before"
  | "unknown_model"
  | "unknown_version"
  | "versions_full"
  | "registry_decides"
  | "store_unavailable";

export interface VersionRefusal {
  readonly kind: "refused";
  readonly code: VersionRefusalCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export type VersionDecision =
  | {
      readonly kind: "done";
      /** False: it was so already (or is only asked for), nothing was written. */
      readonly changed: boolean;
      /** True: asked of the registry that decides; it holds when it is read back from there. */
      readonly pending?: boolean;
      readonly record: VersionRecord;
    }
  | VersionRefusal;
