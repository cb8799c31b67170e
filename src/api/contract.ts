// What the API room takes and needs, in its own words; `observer.ts` fills it in.

import type { DriftView, EstimatesView } from "./estimate-shapes.ts";
import type { Group } from "../facts/group.ts";
import type { LabelEvent, LabelOutcome, LabelRevision } from "../facts/label.ts";
import type { Value } from "../facts/prediction.ts";
import type { Status } from "../facts/status.ts";
import type { Registration, Stage, VersionDecision, VersionEvent } from "../facts/version.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";

export type Scope = "labels:write" | "versions:write" | "read";

export interface ApiToken {
  readonly name: string;
  /** SHA-256 of the token, 64 hex digits. */
  readonly sha256: string;
  readonly scopes: readonly Scope[];
}

export interface ApiLimits {
  /** Longest `application/json` body; it is held in memory while it is checked. */
  readonly jsonBytesMax: number;
  /** All `application/json` bodies that are held at one time; beyond it: 429. */
  readonly jsonBytesHeldMax: number;
  /** Longest line of NDJSON, record of CSV, item of a JSON array. */
  readonly lineBytesMax: number;
  /** Label requests at one time; beyond it: 429. */
  readonly requestsInFlightMax: number;
  /** Open connections; further ones are closed at once. */
  readonly connectionsMax: number;
  /** A label body that sends nothing for so long is given up: 408. */
  readonly bodyIdleMs: number;
  /** How long a batch of labels may take to get on disk: then 503. */
  readonly storeTimeoutMs: number;
}

/** `lineBytesMax` lets a label array of 10,000 numbers with all their digits (190 KB) through. */
export const DEFAULT_LIMITS: ApiLimits = Object.freeze({
  jsonBytesMax: 16 * 1024 * 1024,
  jsonBytesHeldMax: 64 * 1024 * 1024,
  lineBytesMax: 256 * 1024,
  requestsInFlightMax: 32,
  connectionsMax: 1024,
  bodyIdleMs: 60_000,
  storeTimeoutMs: 30_000,
});

export interface ApiOptions {
  /** Port 0 asks the system for a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly tokens: readonly ApiToken[];
  readonly limits: ApiLimits;
  /** `info.version` of the OpenAPI document. */
  readonly softwareVersion: string;
}

/** A prediction as the ledger knows it. Times are Unix milliseconds. */
export interface PredictionView {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly model: string;
  readonly version: string;
  readonly slice: Readonly<Record<string, string>> | null;
  readonly ts: number;
  readonly prediction: Value | null;
  readonly score: number | null;
  readonly scores: Readonly<Record<string, number>> | null;
  readonly traceId: string | null;
  readonly exchange: {
    readonly method: string;
    readonly route: string;
    readonly status: number | null;
    readonly durationMs: number;
    readonly ttfbMs: number | null;
  } | null;
  readonly labels: readonly Pick<LabelRevision, "label" | "ts" | "receivedAt" | "state" | "absent">[];
  /** The version is registered in the version ledger. */
  readonly registered: boolean;
}

export interface ModelVersionView {
  readonly version: string;
  /** Unix ms; null: never seen in traffic (registered only). */
  readonly firstSeen: number | null;
  readonly lastSeen: number | null;
  readonly predictions: number;
  readonly labels: number;
  readonly registered: boolean;
  /** null: the version ledger does not know it. */
  readonly stage: Stage | null;
  /** What was registered with it; null: it never was. */
  readonly metadata: Registration | null;
  /** What the registries say of it, as of their last list. `checkedAt` in Unix ms. */
  readonly registries: readonly {
    readonly registry: string;
    readonly status: string | null;
    readonly description: string | null;
    readonly tags: Readonly<Record<string, string>>;
    readonly checkedAt: number;
  }[];
}

export interface ModelView {
  readonly name: string;
  readonly task: string;
  readonly versions: readonly ModelVersionView[];
}

export interface QualityQuery {
  readonly model?: string | undefined;
  readonly version?: string | undefined;
  readonly window?: string | undefined;
  readonly slice?: string | undefined;
  readonly basis?: string | undefined;
}

export type { DriftView, EstimatesView };

export interface EstimatesQuery {
  readonly model?: string | undefined;
  readonly version?: string | undefined;
  readonly window?: string | undefined;
}

export interface ComparisonQuery {
  readonly model?: string | undefined;
  readonly baseline?: string | undefined;
  readonly candidate?: string | undefined;
}

export interface ComparisonView {
  /** Unix ms, as is `countedUntil`: predictions up to then are counted. */
  readonly at: number;
  readonly model: string;
  readonly baseline: string;
  readonly candidate: string;
  readonly countedUntil: number | null;
  readonly metrics: readonly {
    readonly metric: string;
    readonly difference: number | null;
    readonly lower: number | null;
    readonly upper: number | null;
    readonly interval: "always-valid" | "fixed-horizon";
    readonly p: number | null;
    readonly rows: { readonly baseline: number; readonly candidate: number };
    readonly paired: boolean;
    readonly verdict: "better" | "worse" | "undecided";
  }[];
}

export type LabelsKept =
  /** One outcome per event, in order. */
  | { readonly kind: "kept"; readonly outcomes: readonly LabelOutcome[] }
  | { readonly kind: "refused"; readonly cause: string; readonly message: string };

interface Asked {
  readonly model: string;
  /** Who decides, as the caller says. */
  readonly actor: string;
  /** `api`, or `token:<name>` of the token that was shown. */
  readonly via: string;
}

/** A delivery of a registry's webhook: its headers ("" when absent) and its body as it came. */
export interface WebhookDelivery {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  readonly body: Uint8Array;
}

/** What one registry is about one model. Times in Unix ms. */
export interface RegistryView {
  readonly registry: string;
  readonly declared: string | null;
  readonly checkedAt: number | null;
  readonly trouble: string | null;
  /** What it holds of the live quality of each version, in its own names. */
  readonly quality: {
    readonly state: "ok" | "none" | "unsupported" | "failed";
    readonly message: string | null;
    readonly rows: readonly {
      readonly version: string;
      readonly name: string;
      readonly value: number;
      readonly count: number;
    }[];
  };
}

interface Decided extends Asked {
  readonly reason: string | null;
  /** The version that must be in production now (null: none); undefined: whichever. */
  readonly ifCurrent: string | null | undefined;
}

/** The version ledger. Every decision is on disk when it answers "done". */
export interface VersionDesk {
  register(asked: Asked & { readonly version: string; readonly registration: Registration }): VersionDecision;
  promote(
    asked: Decided & { readonly version: string; readonly stage: Exclude<Stage, "none"> },
  ): VersionDecision;
  rollBack(asked: Decided & { readonly to: "previous" | "good" }): VersionDecision;
  /** Oldest first; empty: the model is not known. */
  history(model: string): readonly VersionEvent[];
  /** `at` in Unix ms; null: now. */
  productionAt(model: string, at: number | null): { readonly version: string; readonly since: number } | null;
  /** The registries that watch the model, with what they hold of it. */
  registries(model: string): Promise<readonly RegistryView[]>;
  /** null: no registry of this name takes deliveries. */
  webhook(
    registry: string,
    delivery: WebhookDelivery,
  ): { readonly kind: "genuine" } | { readonly kind: "refused"; readonly why: string } | null;
}

export interface ApiNeeds {
  readonly clock: Clock;
  readonly log: Log;
  /** Durable when it resolves "kept". At most 2,000 events and about 1 MiB at a time; up to three calls of one request overlap and are taken in the order of the calls. */
  labels(events: readonly LabelEvent[]): Promise<LabelsKept>;
  /** Called once for every label that got an answer, refused ones included. */
  /** `times`: so many labels had this outcome. */
  countLabel(outcome: LabelOutcome, times: number): void;
  /** Every prediction that knows `id` as its id, as its exchange's id, or as an alias. */
  prediction(id: string): readonly PredictionView[];
  labelsOf(id: string): readonly LabelRevision[];
  /** May throw a Problem, e.g. for a window that is not configured. */
  quality(query: QualityQuery): { readonly at: number; readonly groups: readonly Group[] };
  /** What the metrics will probably be, and drift, by version; empty when nothing is known. */
  estimates(query: EstimatesQuery): EstimatesView;
  drift(query: Omit<EstimatesQuery, "window">): DriftView;
  /** Throws a Problem: `unknown_model`, `unknown_version`, `invalid_parameter`. */
  compare(query: ComparisonQuery): ComparisonView;
  models(): readonly ModelView[];
  /** Quality of one window; default 24h. May throw a Problem: `unknown_window`. */
  status(window?: string): Status;
  readonly versions: VersionDesk;
  version(): unknown;
  health(): { readonly live: boolean; readonly ready: boolean; readonly body: unknown };
}
