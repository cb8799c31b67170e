// All connections of clients that speak HTTP/1.1: their limits, one sweep a second over them, and what is said to those that break a rule.

import type { Socket } from "node:net";
import type { HeaderFilter } from "../facts/header-filter.ts";
import { ReadingClock, onceRead, type Clock, type Timer } from "../kernel/clock.ts";
import type { RelayResponse } from "./client-answer.ts";
import { ClientConnection } from "./client-connection.ts";
import type { ConnectionOwner } from "./client-owner.ts";
import type { ConnectionLimits, Late } from "./connection-limits.ts";
import { ClientReads } from "./client-reads.ts";
import type { RelayRequest } from "./client-request.ts";
import { TIME_IS_UP, problemMessage, type Failure } from "./failures.ts";
import { KnownHeads } from "./known-heads.ts";
import type { PlainRequest } from "./plain-request.ts";
import type { Recall } from "./recall.ts";
import { ownLinesOf, type ClientPlace, type OwnLines } from "./request-head.ts";
import type { BadHead } from "./request-line.ts";
import { Roll } from "./road.ts";
import type { ShortExchange, ShortRequest } from "./short-exchange.ts";

export interface ConnectionsNeeds {
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
  /** Which header lines are told to the observer; null: all. */
  readonly observed: HeaderFilter | null;
  /** Counts how what is remembered of requests' heads helps. */
  readonly recall: Recall;
  /** See `ConnectionOwner`. */
  readonly onShortRequest: (request: ShortRequest) => ShortExchange | null;
  readonly onRequest: (request: RelayRequest, response: RelayResponse) => void;
  /** The rest of a request that is being relayed is no HTTP. */
  readonly onSpoiled: (request: RelayRequest, failure: Failure) => void;
  /** A request has taken longer than it may. */
  readonly onOverdue: (request: RelayRequest, failure: Failure) => void;
}

const SWEEP_MS = 1000;

export class ClientConnections implements ConnectionOwner {
  readonly limits: ConnectionLimits;
  readonly knownHeads: KnownHeads<PlainRequest>;
  readonly reads: ClientReads;
  readonly #needs: ConnectionsNeeds;
  readonly #roll = new Roll<ClientConnection>();
  /** Ended by a limit, by which one: the values of `limit` in `outrider_proxy_limited_total`. */
  readonly limited = {
    head_size: 0,
    head_timeout: 0,
    body_timeout: 0,
    send_timeout: 0,
    upload_timeout: 0,
    idle_timeout: 0,
    request_timeout: 0,
    early_answer: 0,
    tunnel_idle_timeout: 0,
    /** Of HTTP/2 alone: frames without end that nghttp2 stops, and streams that are begun and reset. */
    flood: 0,
    stream_resets: 0,
    max_streams: 0,
    /** Not an end: the client was told to wait. */
    held_body: 0,
    /** Nor this: it was told to go to a new connection, after thousands of such waits. */
    worn_out: 0,
  };
  /** Messages that were no HTTP. */
  defects = 0;
  draining = false;
  readonly keepAliveLines: string;
  #sweeper: Timer | null = null;
  #nowMs = 0;
  #date = "";
  #dateUntilMs = 0;
  #ownLines: OwnLines | null = null;

  constructor(needs: ConnectionsNeeds) {
    this.#needs = needs;
    this.reads = new ClientReads(ReadingClock.of(needs.clock));
    this.limits = needs.limits;
    this.knownHeads = new KnownHeads(needs.observed, needs.recall);
    this.keepAliveLines = keepAliveLines(needs.limits.idleMs);
  }

  accept(socket: Socket, first: Buffer | null): void {
    if (this.#sweeper === null) {
      this.#nowMs = this.#needs.clock.monotonicMs();
      this.#sweeper = this.#needs.clock.every(sweepMsOf(this.limits), () => this.#look());
    }
    const connection = new ClientConnection(this, socket);
    this.#roll.add(connection);
    connection.begin(first);
  }

  #look(): void {
    // What is read before the sweep came now, not at the time of the sweep before.
    this.#nowMs = this.#needs.clock.monotonicMs();
    onceRead(() => this.#sweep());
  }

  #sweep(): void {
    if (this.#sweeper === null) return;
    for (const connection of this.#roll.all()) connection.check(this.#nowMs);
    if (this.#roll.size === 0) this.stop();
  }

  nowMs(): number {
    return this.#nowMs;
  }

  date(): string {
    const now = this.#needs.clock.wallMs();
    if (now >= this.#dateUntilMs || now < this.#dateUntilMs - 1000) {
      this.#date = new Date(now).toUTCString();
      this.#dateUntilMs = Math.floor(now / 1000) * 1000 + 1000;
    }
    return this.#date;
  }

  /** Those asked for last serve many connections. */
  ownLines(host: string, client: ClientPlace): OwnLines {
    const last = this.#ownLines;
    if (last !== null && last.host === host && last.peer === client.peer) return last;
    this.#ownLines = ownLinesOf(host, client);
    return this.#ownLines;
  }

  onShortRequest(request: ShortRequest): ShortExchange | null {
    return this.#needs.onShortRequest(request);
  }

  onRequest(request: RelayRequest, response: RelayResponse): void {
    this.#needs.onRequest(request, response);
  }

  onDefect(connection: ClientConnection, defect: BadHead): void {
    this.defects++;
    if (defect.status === 414 || defect.status === 431) this.limited.head_size++;
    connection.sayLast(problemMessage({ ...failureOf(defect), status: defect.status }, null));
  }

  onSpoiled(request: RelayRequest, defect: BadHead): void {
    this.defects++;
    this.#needs.onSpoiled(request, failureOf(defect));
  }

  onLate(connection: ClientConnection, late: Late, request: RelayRequest | null): void {
    this.limited[LIMITS[late]]++;
    if (late === "idle" || late === "rest") connection.close();
    else if (late === "head") connection.sayLast(problemMessage(SLOW_HEAD, null));
    else if (late === "body" && request !== null) this.#needs.onSpoiled(request, TIME_IS_UP.body);
    else if ((late === "upload" || late === "total") && request !== null)
      this.#needs.onOverdue(request, TIME_IS_UP[late]);
    else connection.socket.destroy();
  }

  onClosed(connection: ClientConnection): void {
    this.#roll.remove(connection);
  }

  /** No further requests: idle connections close, the others after their answer. */
  drain(): void {
    this.draining = true;
    for (const connection of this.#roll.all()) if (connection.idle) connection.close();
  }

  stop(): void {
    this.#sweeper?.cancel();
    this.#sweeper = null;
  }
}

/** A client is to leave an idle connection before we do: by so much. */
const KEEP_ALIVE_MARGIN_MS = 5000;

function keepAliveLines(idleMs: number): string {
  const seconds = Math.floor((idleMs - KEEP_ALIVE_MARGIN_MS) / 1000);
  return seconds > 0 ? `Keep-Alive: timeout=${seconds}\r\nConnection: keep-alive\r\n` : "";
}

/** How often to look: often enough for the shortest limit. */
export function sweepMsOf({ headMs, idleMs, bodyMs, sendMs, uploadMs, totalMs }: ConnectionLimits): number {
  const set = [headMs, idleMs, bodyMs, sendMs, uploadMs, totalMs].filter((ms) => ms > 0);
  return Math.max(20, Math.min(SWEEP_MS, ...set.map((ms) => ms / 4)));
}

/** The value of `limit` in `outrider_proxy_limited_total`. */
export const LIMITS = Object.freeze({
  head: "head_timeout",
  idle: "idle_timeout",
  body: "body_timeout",
  send: "send_timeout",
  upload: "upload_timeout",
  total: "request_timeout",
  rest: "early_answer",
} as const satisfies Record<Late, string>);

const SLOW_HEAD: Failure = Object.freeze({
  code: "bad_request",
  status: 408,
  detail: "The request's head did not arrive in time. Send it faster, or raise `proxy.limits.headTimeout`.",
});

function failureOf(defect: BadHead): Failure {
  return {
    code: "bad_request",
    detail: `What came on the connection is not a valid HTTP/1.1 request: ${defect.defect}.`,
  };
}
