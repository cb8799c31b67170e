// One row of one answer: what a model version said, under which id.

/** A JSON scalar a model or a labeller gave: numbers for regression, numbers or strings for classes (booleans become 1 and 0). */
export type Value = number | string;

export interface Prediction {
  readonly model: string;
  readonly version: string;
  /** `<exchange id>` when the answer has one row, else `<exchange id>:<row>`. Unique within (model, version). */
  readonly id: string;
  /** Unix time in whole milliseconds; decides the window. */
  readonly ts: number;
  /** What was predicted; null when only scores were given. */
  readonly value: Value | null;
  /** Binary: the score of the positive class (a probability, or a margin). */
  readonly score: number | null;
  /** Multiclass: class -> probability. */
  readonly scores: Readonly<Record<string, number>> | null;
  readonly slice: Readonly<Record<string, string>> | null;
}

/** What is kept of an exchange beside its predictions. */
export interface ExchangeRecord {
  /** The exchange's id: `x-prediction-id` of its answer. */
  readonly id: string;
  /** Other names under which a label may arrive: request id, ids the model gave. At most 8, each at most 512 characters. */
  readonly aliases: readonly string[];
  readonly model: string;
  readonly version: string;
  readonly ts: number;
  readonly traceId: string | null;
  readonly method: string;
  readonly route: string;
  readonly status: number | null;
  readonly durationMs: number;
  readonly ttfbMs: number | null;
  readonly predictions: readonly Prediction[];
}
