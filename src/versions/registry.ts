// What a model registry can be asked and told, in our words. Each adapter says what it can do; the rest it answers with "unsupported".

export type RegistryType = "mlflow" | "databricks" | "unity-catalog" | "langfuse";

/**
 * current: which version is declared to be in production. metadata: what is known of a version. promotion: declare one.
 * metrics: live quality written to the version. labels: ground truth written to the trace of a prediction.
 */
export type Capability = "current" | "metadata" | "promotion" | "metrics" | "labels";

/** What a registry knows of a version; absent parts are empty or null. */
export interface RegistryVersion {
  readonly version: string;
  readonly status: string | null;
  readonly artifactUri: string | null;
  readonly description: string | null;
  readonly tags: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, string>>;
  readonly evaluation: Readonly<Record<string, number>>;
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
  readonly value: number | string;
  /** Unix ms. */
  readonly at: number;
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
    };

export interface Registry {
  readonly type: RegistryType;
  readonly can: ReadonlySet<Capability>;
  /** How the declared version is found, for people: `mlflow alias champion`. */
  readonly source: string;
  current(model: string): Promise<Reply<RegistryVersion>>;
  version(model: string, version: string): Promise<Reply<RegistryVersion>>;
  /** Idempotent. */
  promote(model: string, version: string): Promise<Reply<null>>;
  /** Idempotent for the same note. */
  writeQuality(model: string, note: QualityNote): Promise<Reply<null>>;
  /** Idempotent; another value for the same prediction replaces the one before. */
  writeLabel(model: string, note: LabelNote): Promise<Reply<null>>;
}

export function unsupported(type: RegistryType, what: string): { kind: "unsupported"; message: string } {
  return { kind: "unsupported", message: `${what}: unsupported by ${type}` };
}
