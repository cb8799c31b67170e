// The way to the model as the relay sees it. Behind it stands a pool of our own connections (pool.ts).

import type { RawHeaders } from "../facts/exchange.ts";
import type { HeaderFilter } from "../facts/header-filter.ts";
import type { DialOptions } from "./dial.ts";
import type { AnswerHead } from "./answer-reader.ts";
import type { Failure } from "./failures.ts";
import type { Framing } from "./request-head.ts";
import type { Recall } from "./recall.ts";
import type { ShortCalls } from "./short-call.ts";
import type { UpstreamCounts } from "./upstream-counts.ts";

export interface UpstreamOptions extends DialOptions {
  readonly connectTimeoutMs: number;
  /** From the request's last byte to the response's head; 0: no limit. */
  readonly responseTimeoutMs: number;
  /** Which header lines of a plain head are told to the observer. Default null: all. */
  readonly observed?: HeaderFilter | null;
  /** Counts how what is remembered of answers' heads helps. */
  readonly recall?: Recall;
  readonly counts?: UpstreamCounts;
}

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query, exactly as they will stand on the request line. */
  readonly target: string;
  /** Flat lines; with framing "length" they carry the Content-Length, with "chunked" no framing line. */
  readonly headers: readonly string[];
  /** Request line and lines, each with its CRLF, ready to be written over HTTP/1.1: instead of the three above. */
  readonly text?: string | null;
  readonly framing: Framing;
  /** The whole body, none, or "streamed": it follows by `write` and `end`. A whole chunked body leaves with its length. */
  readonly body: Buffer | null | "streamed";
  /** The whole body as latin-1 text, where it is short: instead of `body`, which is null then. Only over HTTP/1.1. */
  readonly shortBody?: string | null;
  /** The client said `TE: trailers`; HTTP/2 carries it on. */
  readonly acceptsTrailers?: boolean;
  /** Of a streamed body; default: as much as its connection likes. */
  readonly ahead?: Ahead;
  /** Over HTTP/2: says whether a streamed body may be kept until it is answered. Default: any that is short. */
  readonly keeper?: Keeper;
}

/** Bytes that may wait to leave while more is taken: looked at with every chunk. */
export interface Ahead {
  readonly aheadBytes: number;
}

/** Bounds what many calls together keep to be sent again. */
export interface Keeper {
  /** True: so many bytes more may be kept; `release` them then. */
  keep(bytes: number): boolean;
  release(bytes: number): void;
}

/** Up to this, bytes leave as text (latin-1 keeps every byte): a string is written without a buffer of ours that has to stay. */
export const SHORT_BYTES_MAX = 16 * 1024;

/** What happens to one call. Nothing is called after `onEnd`, `onFailure` or an `abort`, and nothing before `send` has returned. */
export interface UpstreamHandler {
  /** The head of a streamed request has been written on a connection that stands. */
  onBegun?(): void;
  /** A 1xx answer other than 101; 100 may be one that nobody waits for. */
  onInformation(status: number, headers: RawHeaders): void;
  onHead(head: AnswerHead): void;
  /** All that has been read for now has been told; over HTTP/2 this is not said. */
  onLull(): void;
  /**
   * `lent`: the chunk's memory is read into again. One of more than `SHORT_BYTES_MAX` is taken before this returns, and true says
   * that it is still being written from; a shorter one is the answer's last, and taken, as text or copied, before `onEnd` returns.
   */
  onData(chunk: Buffer, lent: boolean): boolean;
  /** Instead of `onData`: a short body, all of it, as latin-1 text. Over HTTP/2 this is not said. */
  onText(body: string): void;
  onEnd(trailers: RawHeaders): void;
  onFailure(failure: Failure): void;
  /** The streamed body can take more. */
  onDrain(): void;
}

export interface UpstreamCall {
  /** Of the request's body: taken, and not handed to the system yet. */
  readonly unsentBytes: number;
  /** Of the answer: read, and not passed to the handler yet. */
  readonly unreadBytes: number;
  /** Of the request's body: kept until the answer begins, so that it can be sent again. */
  readonly keptBytes: number;
  /** False: wait for `onDrain` before the next chunk. */
  write(chunk: Buffer): boolean;
  end(trailers: RawHeaders): void;
  /** Stops and resumes the response's body. */
  pause(): void;
  resume(): void;
  /** Ends the call at once, also while it waits for a connection; the model sees its connection close, or its stream reset. */
  abort(): void;
}

export interface Upstream {
  /** Null: it has no such way. */
  readonly shortCalls: ShortCalls | null;
  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall;
  /** Closes the pool; calls in flight fail. */
  close(): void;
}
