// A pool of connections to the model: HTTP/1.1, one call at a time on each.

import type { OwnError } from "../facts/exchange.ts";
import { ReadingClock, afterReading, onceRead, type Clock, type Timer } from "../kernel/clock.ts";
import { codeOf } from "../kernel/problem.ts";
import { Call, type CallOwner } from "./call.ts";
import { Connection, type ConnectionOwner, type End } from "./connection.ts";
import { createDial, parseUpstreamUrl, type Dial } from "./dial.ts";
import { ownErrorOfCode } from "./failures.ts";
import { IdleTimes, LONG_MAX } from "./idle-times.ts";
import { KnownHeads } from "./known-heads.ts";
import type { PlainAnswer } from "./plain-answer.ts";
import type { ShortCall, ShortCalls } from "./short-call.ts";
import type {
  Upstream,
  UpstreamCall,
  UpstreamHandler,
  UpstreamOptions,
  UpstreamRequest,
} from "./upstream.ts";
import { UpstreamCounts } from "./upstream-counts.ts";
import { WaitingLine } from "./waiting-line.ts";

export function createUpstream(options: UpstreamOptions, clock: Clock): Upstream {
  return new Pool(options, clock);
}

const SWEEP_MS = 1000;
const NO_CALLS: readonly Call[] = Object.freeze([]);

/**
 * The connections. Calls wait in line, each has a dial under way or a connection coming free, and the line is served when all that
 * could be read in this turn of the loop has been read: an idle connection that has ended, or on which unasked bytes lie, is known
 * by then. There are never more connections than calls at once, and those the listener bounds.
 */
class Pool implements Upstream, ShortCalls, ConnectionOwner, CallOwner {
  readonly shortCalls: ShortCalls = this;
  readonly clock: ReadingClock;
  readonly responseTimeoutMs: number;
  readonly knownHeads: KnownHeads<PlainAnswer>;
  readonly counts: UpstreamCounts;
  readonly #connectTimeoutMs: number;
  readonly #dial: Dial;
  readonly #all = new Set<Connection>();
  readonly #dialling = new Map<Connection, Timer | null>();
  #idle: Connection[] = [];
  readonly #line: WaitingLine;
  /** Those that came since the line was served last, and how many stood in line before each. */
  #shorts: ShortCall[] = [];
  #before: number[] = [];
  #closed = false;
  #sweeper: Timer | null = null;
  readonly #times: IdleTimes;

  constructor(options: UpstreamOptions, clock: Clock) {
    const { name, origin } = parseUpstreamUrl(options.url);
    this.#times = new IdleTimes(origin.startsWith("https:") ? "long" : "short");
    this.#line = new WaitingLine(name, { later: setImmediate, serve: () => this.#serve() });
    this.#connectTimeoutMs = options.connectTimeoutMs;
    this.clock = ReadingClock.of(clock);
    this.responseTimeoutMs = options.responseTimeoutMs;
    this.counts = options.counts ?? new UpstreamCounts();
    this.counts.speaks("1.1");
    this.knownHeads = new KnownHeads(options.observed ?? null, options.recall);
    this.#dial = createDial(options, this.clock);
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new Call(this, request, handler);
    this.#line.join(call);
    return call;
  }

  sendShort(call: ShortCall): void {
    this.#shorts.push(call);
    this.#before.push(this.#line.length);
    this.#line.serveSoon();
  }

  /** One that waited does so behind those that came since. */
  goOn({ carrier }: ShortCall, request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new Call(this, request, handler);
    if (carrier === null) this.#line.join(call);
    else carrier.lengthen(call);
    return call;
  }

  #serve(): void {
    this.clock.hold();
    try {
      this.#serveAll();
    } finally {
      this.clock.release();
    }
  }

  #serveAll(): void {
    const now = this.clock.monotonicMs();
    const shorts = this.#shorts;
    const before = this.#before;
    if (shorts.length > 0) {
      this.#shorts = [];
      this.#before = [];
    }
    let served = 0;
    const calls = this.#line.length === 0 ? NO_CALLS : this.#line.takeAll();
    for (let i = 0; i < calls.length; i++) {
      for (; (before[served] ?? calls.length) <= i; served++) this.#serveShort(shorts[served], now);
      this.#serveCall(calls[i], now);
    }
    for (; served < shorts.length; served++) this.#serveShort(shorts[served], now);
    while (!this.#closed && this.#dialling.size < this.#line.length) this.#open();
  }

  #serveCall(call: Call | undefined, now: number): void {
    if (call === undefined || call.over) return;
    if (this.#closed) this.#line.fail(call, "draining", null);
    else {
      const connection = call.needsFresh ? null : this.#takeIdle(now);
      if (connection === null) this.#line.putBack(call);
      else call.begin(connection);
    }
  }

  /** One for which no connection is free waits like any other. */
  #serveShort(short: ShortCall | undefined, now: number): void {
    if (short === undefined || !short.short) return;
    const connection = this.#closed ? null : this.#takeIdle(now);
    if (connection === null) short.lengthen();
    else connection.beginShort(short);
  }

  #takeIdle(now: number): Connection | null {
    this.#observe(this.#idle[0], now);
    // The last in is the youngest: where it has been idle too long, all have. They stay, to be observed, until they are swept.
    for (let one = this.#idle.at(-1); one !== undefined; one = this.#idle.at(-1)) {
      if (!one.dead && now - one.idleSinceMs >= this.#times.reuseMs(one, now)) return null;
      this.#idle.pop();
      if (!one.dead) return one;
    }
    return null;
  }

  #observe(connection: Connection | undefined, now: number): void {
    if (connection !== undefined && !connection.dead) this.#times.alive(connection, now);
  }

  #open(): void {
    let connection: Connection;
    try {
      connection = new Connection(this, this.#dial);
    } catch (thrown) {
      // What cannot even be tried: a certificate that is none, a socket path that is too long.
      const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
      this.#notOpened(ownErrorOf({ kind: "error", error: cause }), cause);
      return;
    }
    this.#all.add(connection);
    this.#dialling.set(connection, this.#limitDial(connection));
    this.#makeWayFor(connection);
  }

  #makeWayFor(connection: Connection): void {
    const now = this.clock.monotonicMs();
    const youngest = this.#idle.at(-1);
    const waitMs = youngest === undefined ? null : this.#times.makeWayMs(youngest.idleSinceMs, now);
    if (waitMs === null) return;
    afterReading(this.clock, waitMs, () => {
      const later = this.clock.monotonicMs();
      if (connection.dead || !connection.unheard || this.#times.makeWayMs(later, later) === null) return;
      for (const one of this.#idle.splice(0)) {
        if (!one.dead) this.#times.madeWay(one, later);
        one.destroy();
      }
    });
  }

  #limitDial(connection: Connection): Timer | null {
    if (this.#connectTimeoutMs <= 0) return null;
    return afterReading(this.clock, this.#connectTimeoutMs, () => {
      this.#dialling.delete(connection);
      connection.destroy();
      this.#notOpened("connect_timeout", null);
    });
  }

  onOpen(connection: Connection): void {
    this.#dialling.get(connection)?.cancel();
    this.#dialling.delete(connection);
    this.counts.opened("1.1", connection.idleSinceMs - connection.dialledMs);
    const call = this.#line.takeForFresh();
    if (call === undefined) this.#keep(connection);
    else call.begin(connection);
  }

  onFree(connection: Connection): void {
    this.#times.answered(connection.idleSinceMs, this.#idle.at(-1)?.dead === false);
    this.#keep(connection);
  }

  onAnswered(connection: Connection, call: Call): void {
    if (!connection.dead) this.onFree(connection);
    if (call.over) return;
    call.close();
    call.handler.onEnd(call.trailers);
    // The model answered before it had read everything: the rest is discarded as it comes.
    if (call.request.body === "streamed") call.handler.onDrain();
  }

  #keep(connection: Connection): void {
    this.#idle.push(connection);
    if (this.#line.length > 0) this.#line.serveSoon();
    this.#sweeper ??= this.clock.every(SWEEP_MS, () => onceRead(() => this.#sweep()));
  }

  #sweep(): void {
    if (this.#sweeper === null) return;
    const now = this.clock.monotonicMs();
    const kept: Connection[] = [];
    // The youngest stand last.
    const longFrom = this.#idle.length - (this.#keepsWaiting(now) ? 0 : LONG_MAX);
    for (const [i, one] of this.#idle.entries()) {
      this.#observe(one, now);
      if (one.dead) continue;
      if (now - one.idleSinceMs < this.#times.keptMs(one, now, i >= longFrom)) kept.push(one);
      else one.destroy();
    }
    this.#times.looked(now);
    this.#idle = kept;
    if (kept.length > 0) return;
    this.#sweeper.cancel();
    this.#sweeper = null;
  }

  /** A server with a thread for each connection, all of them held by idle ones, does not take up a new one. */
  #keepsWaiting(now: number): boolean {
    for (const one of this.#all) if (one.unheard && now - one.idleSinceMs >= SWEEP_MS) return true;
    return false;
  }

  onDead(connection: Connection, call: Call | null, end: End): void {
    this.#all.delete(connection);
    if (this.#all.size <= this.#dialling.size) this.#times.gone();
    if (!connection.open) {
      this.#dialFailed(connection, end);
      return;
    }
    const unanswered = !connection.answering || call === null;
    const closedUnasked = connection.served > 0 && (end.kind === "ended" || end.kind === "error");
    if (closedUnasked && unanswered) this.#times.closed(connection, this.clock.monotonicMs(), call !== null);
    if (call === null || call.over) return;
    if (closedUnasked && !connection.answering) {
      if (!call.needsFresh && mayBeRepeated(call)) {
        call.detach();
        call.resent = "connection_closed";
        this.#line.join(call);
        return;
      }
      this.counts.resend("connection_closed", "given_up");
    }
    this.#line.fail(call, ownErrorOf(end), causeOf(end));
  }

  #dialFailed(connection: Connection, end: End): void {
    const timer = this.#dialling.get(connection);
    if (timer === undefined) return;
    timer?.cancel();
    this.#dialling.delete(connection);
    this.#notOpened(ownErrorOf(end), causeOf(end));
  }

  #notOpened(code: OwnError, thrown: Error | null): void {
    this.counts.notOpened("1.1", code);
    this.#failOldest(code, thrown);
  }

  /** One dial less: the first in line has waited for it, or for one like it. */
  #failOldest(code: OwnError, thrown: Error | null): void {
    if (this.#dialling.size >= this.#line.length) return;
    const call = this.#line.takeFirst();
    if (call !== undefined) this.#line.fail(call, code, thrown);
  }

  onAbandoned(call: Call): void {
    this.#line.leave(call);
    // A dial that nobody waits for is given up: the model does not hear of a client that has left.
    for (const [connection, timer] of this.#dialling) {
      if (this.#dialling.size <= this.#line.length) return;
      this.#giveUp(connection, timer);
    }
  }

  #giveUp(connection: Connection, timer: Timer | null): void {
    timer?.cancel();
    this.#dialling.delete(connection);
    this.counts.notOpened("1.1", "cancelled");
    connection.destroy();
  }

  close(): void {
    this.#closed = true;
    this.#sweeper?.cancel();
    this.#sweeper = null;
    for (const [connection, timer] of this.#dialling) this.#giveUp(connection, timer);
    for (const connection of this.#all) connection.destroy();
    this.#idle = [];
    this.#line.failAll("draining", null);
  }
}

/** Only what asks for nothing to be done (RFC 9110 §9.2.1): the model may have begun it before its connection ended. */
function mayBeRepeated({ request: { method, framing } }: Call): boolean {
  if (framing !== "none") return false;
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}

function causeOf(end: End): Error | null {
  if (end.kind === "error") return end.error;
  if (end.kind === "defect") return new Error(end.defect);
  return end.kind === "ended" ? new Error("the other side closed the connection") : null;
}

function ownErrorOf(end: End): OwnError {
  if (end.kind === "defect") return "invalid_response";
  if (end.kind === "timeout") return "response_timeout";
  if (end.kind === "given-up") return "draining";
  if (end.kind === "ended") return "connection_reset";
  return ownErrorOfCode(codeOf(end.error)) ?? "connection_reset";
}
