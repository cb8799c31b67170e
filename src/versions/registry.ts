// What a model registry can be asked and told, in our words. Each adapter says what it can do; the rest it answers with "unsupported".

export type RegistryType = "mlflow" | "databricks" | "unity-catalog" | "langfuse";

/**
 * current: which version is declared to be in production. versions: all that it knows. promotion: declare one. registration: take
 * a version of ours. metrics: live quality written to the version. labels: ground truth written to the trace of a prediction.
 * comparison: what was written, read back by version.
 */
export type Capability =
  | "current"
  | "versions"
  | "promotion"
  | "registration"
  | "metrics"
  | "labels"
  | "comparison";

/** What a registry knows of a version; absent parts are empty or null. */
export interface RegistryVersion {
  /** The name that we use: the registry's own number, or the name under which we registered it there. */
  readonly version: string;
  readonly status: string | null;
  readonly artifactUri: string | null;
  readonly description: string | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, string>>;
  readonly evaluation: Readonly<Record<string, number>>;
  /** Where the registry also routes traffic: each version's share in percent, the largest first. */
  readonly split?: readonly TrafficShare[];
}

export interface TrafficShare {
  readonly version: string;
  readonly percent: number;
}

/** A version to be registered. */
export interface RegistrationNote {
  readonly version: string;
  readonly artifactUri: string;
  readonly description: string | null;
  readonly tags: Readonly<Record<string, string>>;
}

/** One figure of a version's live quality. */
export interface QualityFigure {
  readonly window: string;
  readonly metric: string;
  readonly value: number;
  /** Labelled predictions behind it. */
  readonly samples: number;
}

export interface QualityNote {
  readonly version: string;
  /** Unix ms. */
  readonly at: number;
  readonly figures: readonly QualityFigure[];
}

/** Ground truth of a prediction whose trace was sent. */
export interface LabelNote {
  readonly predictionId: string;
  /** 32 hex digits. */
  readonly traceId: string;
  /** null: it was taken back. */
  readonly value: number | string | null;
  /** Unix ms. */
  readonly at: number;
}

/** What a registry says of the live quality of a version, read back from it. */
export interface ReadBack {
  readonly version: string;
  /** Its own name there. */
  readonly name: string;
  /** Mean of the values that it holds. */
  readonly value: number;
  readonly count: number;
}

export type Reply<T> =
  | { readonly kind: "ok"; readonly value: T }
  /** The registry answered that there is no such thing: no alias, no model, no version. */
  | { readonly kind: "none"; readonly message: string }
  | { readonly kind: "unsupported"; readonly message: string }
  | {
      readonly kind: "failed";
      readonly message: string;
      /** False: the same call would fail again (a refusal, not an outage). */
      readonly retry: boolean;
      /** From Retry-After; null: not said. */
      readonly retryAfterMs: number | null;
      /** True: this call alone has to wait, the registry itself is well. */
      readonly alone?: boolean;
    };

export interface Registry {
  readonly type: RegistryType;
  readonly can: ReadonlySet<Capability>;
  /** How the declared version is found, for people: `mlflow alias champion`. */
  readonly source: string;
  current(model: string): Promise<Reply<RegistryVersion>>;
  /** One version with all that is known of it. */
  version(model: string, version: string): Promise<Reply<RegistryVersion>>;
  /** All versions, oldest first, at most `VERSIONS_MAX` of the newest; without what `version` has to ask further for. */
  versions(model: string): Promise<Reply<readonly RegistryVersion[]>>;
  /** Idempotent. */
  promote(model: string, version: string): Promise<Reply<null>>;
  /** Idempotent: a version that is there is left as it is. */
  register(model: string, note: RegistrationNote): Promise<Reply<null>>;
  /** Idempotent for the same note. */
  writeQuality(model: string, note: QualityNote): Promise<Reply<null>>;
  /** Idempotent; another value for the same prediction replaces the one before. */
  writeLabel(model: string, note: LabelNote): Promise<Reply<null>>;
  /** What it holds of the live quality of each version, up to `now` (Unix ms). */
  readBack(model: string, now: number): Promise<Reply<readonly ReadBack[]>>;
}

/** Versions taken note of per model and registry. */
export const VERSIONS_MAX = 500;
const NAME_MAX = 128;
const TEXT_MAX = 4096;
const ENTRIES_MAX = 200;

export function unsupported(type: RegistryType, what: string): { kind: "unsupported"; message: string } {
  return { kind: "unsupported", message: `${what}: unsupported by ${type}` };
}

export function failed(message: string, retry: boolean): Extract<Reply<never>, { kind: "failed" }> {
  return { kind: "failed", message, retry, retryAfterMs: null };
}

function short<T>(entries: Readonly<Record<string, T>>, cut: (value: T) => T): Record<string, T> {
  return Object.fromEntries(
    Object.entries(entries)
      .slice(0, ENTRIES_MAX)
      .map(([key, value]): [string, T] => [key.slice(0, 256), cut(value)]),
  );
}

const cutText = (text: string): string => text.slice(0, TEXT_MAX).toWellFormed();

/** Foreign text in sizes that we keep; null: its version cannot be a version's name (1-128 characters, no control characters). */
export function bounded(found: RegistryVersion): RegistryVersion | null {
  const { version } = found;
  const named = version.length > 0 && version.length <= NAME_MAX && version.isWellFormed();
  if (!named || /\p{Cc}/u.test(version)) return null;
  return {
    ...found,
    status: found.status === null ? null : cutText(found.status).slice(0, 64),
    artifactUri: found.artifactUri === null ? null : cutText(found.artifactUri),
    description: found.description === null ? null : cutText(found.description),
    tags: short(found.tags, cutText),
    parameters: short(found.parameters, cutText),
    evaluation: short(found.evaluation, (value) => value),
    ...(found.split === undefined ? {} : { split: found.split.slice(0, 20) }),
  };
}
