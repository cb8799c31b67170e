// One request and its answer, sealed once, whatever way it ended. Everyone counts from it.

/** Values of `outcome` in `outrider_requests_total`. */
export type Outcome =
  | "ok"
  | "client_error"
  | "server_error"
  | "timeout"
  | "connect_error"
  | "reset"
  | "client_abort"
  | "rejected";

/** Causes of the sidecar's own errors: the value of `x-outrider-error` and of `error_type`. */
export type OwnError =
  | "connection_refused"
  | "connect_timeout"
  | "connection_reset"
  | "response_timeout"
  | "invalid_response"
  | "dns_failure"
  | "tls_failure"
  | "bad_request"
  | "draining"
  | "internal";

/** A bounded copy of a body. `bytes` holds the first `bytes.length` of `total` bytes as they were on the wire. */
export interface BodyCopy {
  readonly bytes: Uint8Array;
  readonly total: number;
  /** Why `bytes` is shorter than `total`, or "whole". "shed": the queue to the observer was full. */
  readonly kept: "whole" | "truncated" | "not-captured" | "shed";
  /**
   * When the copied chunks after the first came: [bytes before it, milliseconds after the request's head, ...], at most
   * `MARKS_MAX` pairs; NaN from the chunk on whose time was not kept. Absent: one chunk, or a request.
   */
  readonly marks?: readonly number[];
  /** The last bytes of a truncated answer: what a stream says at its end. */
  readonly tail?: Uint8Array;
}

/** Chunks of one body of which the arrival is kept. */
export const MARKS_MAX = 128;

/** Milliseconds after the request's head was read (monotonic); null: it never happened. */
export interface Clocks {
  readonly requestEndMs: number | null;
  readonly headMs: number | null;
  readonly firstByteMs: number | null;
  readonly lastByteMs: number | null;
  /** The exchange is over (also when it broke). */
  readonly endMs: number;
  /** Longest silence between two chunks of the response body. */
  readonly longestGapMs: number;
}

export interface Trace {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits: the span that was sent upstream. */
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly sampled: boolean;
}

/** What passed over one WebSocket; counted from frame headers. */
export interface WebSocketFacts {
  /** Whole messages of the client, and of the model. */
  readonly requestMessages: number;
  readonly responseMessages: number;
  /** From the client's first message, or from the 101 where the model spoke first, to the model's first message; null: it sent none. */
  readonly firstMessageMs: number | null;
  /** Whose closing frame came first; null: none came. */
  readonly closedBy: "client" | "upstream" | null;
  /** Code of that frame; null: it held none. */
  readonly closeCode: number | null;
  /** False: what passed was not RFC 6455 from some point on, and is not counted from there. */
  readonly measured: boolean;
}

/** Header lines in the order and spelling of the wire: [name, value, name, value, ...]. */
export type RawHeaders = readonly string[];

/** A copy that has not crossed to the observer yet. */
export interface EndedBody extends BodyCopy {
  /** All of the body as latin-1 text, instead of `bytes`. */
  readonly text?: string;
}

/** An exchange of which the bodies have not crossed to the observer yet. */
export interface EndedFact extends Omit<Exchange, "request" | "response"> {
  readonly request: EndedBody;
  readonly response: EndedBody;
}

/** An exchange that is over, of which no fact has been made yet. */
export interface EndedExchange {
  /** Bytes of its bodies that are held for the fact. */
  readonly copiedBytes: number;
  /** The fact. Once; its bodies are views of memory that `recycle` takes back. */
  seal(): EndedFact;
  /** Nobody reads the bodies of the fact any more. */
  recycle(): void;
}

export interface Exchange {
  /** The prediction id (`x-prediction-id` of the answer). */
  readonly id: string;
  /** Who chose it. */
  readonly idSource: "client" | "model" | "minted";
  readonly trace: Trace;
  readonly method: string;
  /** Path and query exactly as they came. */
  readonly target: string;
  readonly httpVersion: string;
  /** Unix time in milliseconds when the request's head had been read. */
  readonly startedAtMs: number;
  readonly clocks: Clocks;
  /** Status sent to the client; null when no head was sent. */
  readonly status: number | null;
  readonly outcome: Outcome;
  /** Set when the sidecar itself answered or broke off. */
  readonly ownError: OwnError | null;
  /** Who broke the exchange off after it began. */
  readonly abortedBy: "client" | "upstream" | null;
  readonly upgraded: boolean;
  /** Absent: it was no WebSocket. */
  readonly webSocket?: WebSocketFacts;
  /** Version the relay announced in `x-model-version` before the head left, if it knew one. */
  readonly announcedVersion: string | null;
  readonly requestHeaders: RawHeaders;
  readonly responseHeaders: RawHeaders;
  /** Fields behind the response's body: `grpc-status` and its kin. */
  readonly responseTrailers: RawHeaders;
  readonly request: BodyCopy;
  readonly response: BodyCopy;
}
