// What a client's connection may take, in whatever version of HTTP, and what it may run out of.

export interface ConnectionLimits {
  readonly headBytesMax: number;
  readonly headLinesMax: number;
  /** From a head's first byte to its last. */
  readonly headMs: number;
  /** Between two exchanges. */
  readonly idleMs: number;
  /** Between two reads of a request's body. */
  readonly bodyMs: number;
  /** Between two signs of a client that takes its answer. */
  readonly sendMs: number;
  /** Between two signs of a model that takes what it is sent. */
  readonly uploadMs: number;
  /** From a request's head to the end of its answer. */
  readonly totalMs: number;
  /** Of a tunnel: between two bytes, whichever way. Of all these times, 0 is: no limit. */
  readonly tunnelIdleMs: number;
}

/** What ran out of time. */
export type Late = "head" | "idle" | "body" | "send" | "upload" | "total" | "rest";

/** Of a request that was answered before it was whole: what is still read, and for how long, so that its connection may be kept. */
export const REST = Object.freeze({ bytesMax: 64 * 1024 * 1024, ms: 30_000 });

/** Of a body, within the time it may stand still. */
export const PROGRESS_BYTES = 64;

/** Bytes taken in ahead of the answer that is under way. */
export const AHEAD_BYTES_MAX = 64 * 1024;

/** How long a client may take to read the answer that ends its connection. */
export const GOODBYE_MS = 5000;
