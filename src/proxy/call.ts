// One call: the request, whoever waits for its answer, and the connection once it has one.

import type { RawHeaders } from "../facts/exchange.ts";
import type { UpstreamCall, UpstreamHandler, UpstreamRequest } from "./upstream.ts";
import type { ResendOutcome, ResendReason, UpstreamCounts } from "./upstream-counts.ts";

/** Bytes of a streamed body taken in before there is a connection. */
const EARLY_BYTES_MAX = 64 * 1024;
const NO_LINES: RawHeaders = Object.freeze([]);

/** A connection, as its call sees it. */
export interface Carrier {
  readonly unsentBytes: number;
  readonly unreadBytes: number;
  begin(call: Call): void;
  write(call: Call, chunk: Buffer): boolean;
  finish(call: Call, trailers: RawHeaders): void;
  pause(call: Call): void;
  resume(call: Call): void;
  destroy(): void;
}

export interface CallOwner {
  readonly counts: UpstreamCounts;
  /** The call was given up before it had a connection. */
  onAbandoned(call: Call): void;
}

export class Call implements UpstreamCall {
  readonly request: UpstreamRequest;
  readonly handler: UpstreamHandler;
  readonly #owner: CallOwner;
  #connection: Carrier | null = null;
  #early: Buffer[] | null = null;
  #earlyBytes = 0;
  /** A streamed body is whole. */
  #ended: RawHeaders | null = null;
  #over = false;
  /** Why it is sent again, until it is known what comes of that. */
  resent: ResendReason | null = null;
  /** Over HTTP/2: which of its pool's calls it is, since when it waits for a stream, and behind which look at the line. */
  order = 0;
  waitsSinceMs = 0;
  waitsSinceLook = 0;
  /** Of the answer. */
  trailers: RawHeaders = NO_LINES;

  constructor(owner: CallOwner, request: UpstreamRequest, handler: UpstreamHandler) {
    this.#owner = owner;
    this.request = request;
    this.handler = handler;
  }

  get over(): boolean {
    return this.#over;
  }

  get unsentBytes(): number {
    return this.#connection === null ? this.#earlyBytes : this.#connection.unsentBytes;
  }

  get unreadBytes(): number {
    return this.#connection?.unreadBytes ?? 0;
  }

  /** A connection has failed it already: over HTTP/1.1 it takes a new one. */
  get needsFresh(): boolean {
    return this.resent !== null;
  }

  /** It is known what came of its having been sent again, if it was. */
  settleResend(outcome: ResendOutcome): void {
    if (this.resent === null) return;
    this.#owner.counts.resend(this.resent, outcome);
    this.resent = null;
  }

  /** Nothing more is told to the handler. */
  close(): void {
    this.settleResend("failed");
    this.#over = true;
    this.#connection = null;
    this.#early = null;
  }

  get keptBytes(): number {
    return 0;
  }

  /** Leaves the connection that failed it. `body`: what a streamed one begins with on the next. */
  detach(body: Buffer | null = null): void {
    this.#connection = null;
    if (body === null || body.length === 0) return;
    this.#early = [body];
    this.#earlyBytes = body.length;
  }

  /** Milliseconds after which it may be sent again; null: never. */
  takeBack(_refused: boolean): number | null {
    return null;
  }

  /** The answer's head is here: it will not be sent again. */
  answered(): void {
    this.settleResend("answered");
  }

  begin(connection: Carrier): void {
    this.#connection = connection;
    this.#earlyBytes = 0;
    connection.begin(this);
    if (this.request.body === "streamed") this.handler.onBegun?.();
    const early = this.#early;
    if (early !== null) {
      this.#early = null;
      let room = true;
      for (const chunk of early) room = connection.write(this, chunk);
      if (room) this.handler.onDrain();
    }
    if (this.#ended !== null && !this.#over) connection.finish(this, this.#ended);
  }

  /** `connection` has it already. */
  goOn(connection: Carrier): void {
    this.#connection = connection;
  }

  write(chunk: Buffer): boolean {
    if (this.#over) return true;
    if (this.#connection !== null) return this.#connection.write(this, chunk);
    (this.#early ??= []).push(chunk);
    this.#earlyBytes += chunk.length;
    return this.#earlyBytes < Math.min(EARLY_BYTES_MAX, this.request.ahead?.aheadBytes ?? EARLY_BYTES_MAX);
  }

  end(trailers: RawHeaders): void {
    if (this.#over) return;
    this.#ended = trailers;
    this.#connection?.finish(this, trailers);
  }

  pause(): void {
    this.#connection?.pause(this);
  }

  resume(): void {
    this.#connection?.resume(this);
  }

  abort(): void {
    if (this.#over) return;
    const connection = this.#connection;
    this.close();
    if (connection === null) this.#owner.onAbandoned(this);
    else connection.destroy();
  }
}
