// What the extractor is told (rules) and what it answers (readings).

import type { CapturedInputs } from "./inputs.ts";
import type { Prediction } from "../facts/prediction.ts";

/** How answers are read. A model server's protocol, one of three common shapes, or OpenAI's. */
export type ReaderName = "oip-v2" | "predictions" | "rows" | "object" | "openai";

/** Where the served version stands; the only source that is asked. */
export type VersionRule =
  | { readonly kind: "static"; readonly version: string }
  /** A header of the answer. */
  | { readonly kind: "header"; readonly name: string }
  /** A path in the answer's body. */
  | { readonly kind: "body"; readonly at: string }
  | { readonly kind: "path" }
  /** Polled or from a registry: asked through `needs.externalVersion(model)`. */
  | { readonly kind: "external" };

export interface ExtractRule {
  /** null: chosen by the shape of the answer. */
  readonly reader: ReaderName | null;
  /**
   * oip-v2: names of outputs. Others: a path in one row's element (object: in the body), or one of its keys.
   * `score: "$"` says that a row is its score.
   */
  readonly prediction: string | null;
  readonly score: string | null;
  readonly scores: string | null;
  /** Path in the body to the array of rows (reader rows). */
  readonly at: string | null;
  /** Path in the answer's body to one more alias. */
  readonly id: string | null;
  /** Path in the answer's body to the version; other sources are asked when nothing stands there. */
  readonly version: string | null;
  /** Whether an unnamed list of numbers in [0, 1] that sums to 1 is taken for probabilities. */
  readonly sumToOne: boolean;
}

export interface SliceRule {
  readonly name: string;
  /** A header of the request. */
  readonly header: string | null;
  /** A path in the request's body (JSON). */
  readonly body: string | null;
  /** Values beyond are `_OTHER`. */
  readonly maxValues: number;
}

/** One per configured model, in order; the first that matches decides. */
export interface ModelRule {
  readonly name: string;
  /** Glob on the path. null: the body or the path names the model, or it is the only model and nothing names one. */
  readonly match: { readonly path: string | null };
  readonly extract: ExtractRule;
  readonly version: VersionRule | null;
  readonly slices: readonly SliceRule[];
  /** Names or positions of the inputs that are captured, when any are; null: all. Default: all. */
  readonly inputs?: readonly string[] | null;
}

/** Values of `reason` in `outrider_prediction_extract_failures_total`. */
export const FAILURE_REASONS = [
  /** The body is not JSON. */
  "not_json",
  /** Only the beginning of the body was copied (`capture.maxBodySize`). */
  "truncated",
  /** The copy was given up because the queue to the observer was full. */
  "shed",
  /** No copy was made of the body. */
  "not_captured",
  /** `Content-Encoding` is not known, or the body does not decompress. */
  "encoding",
  /** The body decompresses to more than eight times `capture.maxBodySize`. */
  "too_large",
  /** JSON, but nothing in it looks like a prediction. */
  "no_prediction",
  /** A row is no finite number, no known class, or a probability outside [0, 1]. */
  "invalid_value",
  /** Outputs of one answer disagree about the number of rows. */
  "row_count",
  /** More than 10,000 rows. */
  "too_many_rows",
  /** A shape that is not read: streams of unknown events, vectors per row, tensor types without a decoder. */
  "unsupported",
  /** A fault of ours. */
  "internal",
] as const;

export type FailureReason = (typeof FAILURE_REASONS)[number];

export interface Failure {
  readonly reason: FailureReason;
  /** Short; never holds text from a body. */
  readonly detail: string;
}

/** `gen_ai.operation.name` of the OpenTelemetry conventions for generative AI. */
export type Operation = "chat" | "text_completion" | "embeddings";

/** What a generating model's answer says of its work, or what can be seen of any stream of events. */
export interface Generation {
  /** null: a stream of some other kind. */
  readonly operation: Operation | null;
  /** The model that was asked for; null: not said, or not looked for. */
  readonly requestModel: string | null;
  /** Milliseconds from the request's end to the arrival of the first token; null: not streamed, or not known. */
  readonly firstTokenMs: number | null;
  /** Milliseconds per token after the first. */
  readonly perTokenMs: number | null;
  /** By the answer's `usage`. */
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** Events of the stream; null: no stream, or only its beginning was copied. */
  readonly events: number | null;
}

export interface Reading {
  /**
   * "predictions": at least one row could be read (`failure` is set when others could not);
   * "none": not a prediction exchange (health, metadata, errors, ...); "unreadable": should have been one.
   */
  readonly kind: "predictions" | "none" | "unreadable";
  /** "" when unknown and kind is "none". */
  readonly model: string;
  /** "unknown" when not known. */
  readonly version: string;
  /** Template of the path; at most 50 beyond the well-known ones, then `_OTHER`. */
  readonly route: string;
  /** At most 8, each 1-512 characters, distinct, without the exchange's own id. Empty when kind is "none". */
  readonly aliases: readonly string[];
  readonly predictions: readonly Prediction[];
  readonly failure: Failure | null;
  /** null: nothing was generated, and nothing streamed. */
  readonly generation: Generation | null;
  /** When inputs are captured: one per prediction (null beyond the first thousand rows), or why there are none. */
  readonly inputs?: CapturedInputs;
}
