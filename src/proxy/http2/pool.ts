// The way to a model that speaks HTTP/2: as few connections as its stream limit allows, many calls on each.

import type { OwnError } from "../../facts/exchange.ts";
import { afterReading, type Clock, type Timer } from "../../kernel/clock.ts";
import { codeOf } from "../../kernel/problem.ts";
import type { Call, CallOwner } from "../call.ts";
import { createStreamDial, parseUpstreamUrl } from "../dial.ts";
import { describeFailure, noStream, notProcessed, ownErrorOfCode } from "../failures.ts";
import type {
  Upstream,
  UpstreamCall,
  UpstreamHandler,
  UpstreamOptions,
  UpstreamRequest,
} from "../upstream.ts";
import { UpstreamCounts } from "../upstream-counts.ts";
import { StreamCarrier, type Broken, type CarrierOwner } from "./carrier.ts";
import { Channel, type ChannelOwner } from "./channel.ts";
import { RepeatableCall } from "./repeatable-call.ts";
import { WaitingLine } from "../waiting-line.ts";

export function createStreamUpstream(options: UpstreamOptions, clock: Clock): Upstream {
  return new StreamPool(options, clock);
}

/** Connections beyond the first are opened when all streams of the others are taken; further calls wait in line. */
const CHANNELS_MAX = 64;
/** A connection without calls is closed after this: before the common limits of servers and of the boxes between. */
const IDLE_MS = 120_000;
const SWEEP_MS = 5000;

/** What HTTP/2 itself begins with. */
const STREAM_WINDOW = 65_535;

class StreamPool implements Upstream, ChannelOwner, CarrierOwner, CallOwner {
  readonly shortCalls = null;
  readonly clock: Clock;
  readonly responseTimeoutMs: number;
  readonly scheme: string;
  readonly authority: string;
  readonly counts: UpstreamCounts;
  readonly #connectTimeoutMs: number;
  readonly #name: string;
  readonly #openSocket: ReturnType<typeof createStreamDial>;
  readonly #streamWindow: number;
  readonly #channels = new Set<Channel>();
  readonly #dialling = new Map<Channel, Timer | null>();
  readonly #line: WaitingLine;
  #closed = false;
  #begun = 0;
  #sweeper: Timer | null = null;
  /** At the line, and the last of them that left calls in it though a connection stood: those wait for a stream. */
  #looks = 0;
  #lookInVain = 0;
  /** Of the call that waits longest for a stream. */
  #patience: Timer | null = null;

  constructor(options: UpstreamOptions, clock: Clock) {
    const { origin, name } = parseUpstreamUrl(options.url);
    const { protocol, host } = new URL(origin);
    this.clock = clock;
    this.responseTimeoutMs = options.responseTimeoutMs;
    this.scheme = protocol === "https:" ? "https" : "http";
    this.authority = host;
    this.#name = name;
    this.counts = options.counts ?? new UpstreamCounts();
    this.counts.speaks("2");
    this.#line = new WaitingLine(name, {
      later: (work) => process.nextTick(work),
      serve: () => this.#serve(),
    });
    this.#connectTimeoutMs = options.connectTimeoutMs;
    this.#openSocket = createStreamDial(options);
    this.#streamWindow = options.pieceBytes ?? STREAM_WINDOW;
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const call = new RepeatableCall(this, request, handler);
    call.order = this.#begun++;
    this.#waits(call);
    this.#line.join(call);
    return call;
  }

  #waits(call: Call): void {
    call.waitsSinceMs = this.clock.monotonicMs();
    call.waitsSinceLook = this.#looks;
  }

  /** Its wait is over, however it ends. */
  #waited(call: Call): void {
    if (this.#lookInVain > call.waitsSinceLook) this.counts.streamWaits++;
    call.waitsSinceLook = Infinity;
  }

  #serve(): void {
    this.#looks++;
    let channel = this.#roomiest();
    while (this.#line.length > 0 && (channel !== null || this.#closed)) {
      const call = this.#line.takeFirst();
      if (call === undefined || call.over) continue;
      this.#waited(call);
      if (channel === null) this.#line.fail(call, "draining", null);
      else this.#begin(call, channel);
      channel = channel?.hasRoom === true ? channel : this.#roomiest();
    }
    if (this.#line.length > 0 && this.#full) this.#lookInVain = this.#looks;
    if (this.#line.length > 0 && this.#dialling.size === 0 && this.#mayOpen()) this.#open();
    this.#limitWait();
  }

  /** A call waits for a stream as long as it would for a connection. While the first one is dialled, that has its own limit. */
  #limitWait(): void {
    const needless = this.#line.length === 0 || this.#connectTimeoutMs <= 0 || !this.#connected;
    if (needless || this.#patience !== null) return;
    const sinceMs = this.#line.calls.reduce((min, one) => Math.min(min, one.waitsSinceMs), Infinity);
    const ms = sinceMs + this.#connectTimeoutMs - this.clock.monotonicMs();
    this.#patience = afterReading(this.clock, Math.max(1, ms), () => {
      this.#patience = null;
      if (this.#connected) this.#failOverdue();
      this.#limitWait();
    });
  }

  get #connected(): boolean {
    for (const one of this.#channels) if (one.open) return true;
    return false;
  }

  /** Asked where no connection has room. */
  get #full(): boolean {
    for (const one of this.#channels) if (one.open && !one.leaving) return true;
    return false;
  }

  #failOverdue(): void {
    const joinedBy = this.clock.monotonicMs() - this.#connectTimeoutMs;
    for (const call of this.#line.takeAll()) {
      if (call.waitsSinceMs > joinedBy) this.#line.putBack(call);
      else if (!call.over) {
        this.#waited(call);
        this.counts.streamWaitsOver++;
        call.close();
        call.handler.onFailure(noStream(this.#name));
      }
    }
  }

  #mayOpen(): boolean {
    if (this.#channels.size >= CHANNELS_MAX) return false;
    for (const one of this.#channels) if (one.allowsNone) return false;
    return true;
  }

  #roomiest(): Channel | null {
    let best: Channel | null = null;
    for (const one of this.#channels) {
      if (one.hasRoom && (best === null || one.streams < best.streams)) best = one;
    }
    return best;
  }

  #begin(call: Call, channel: Channel): void {
    try {
      call.begin(new StreamCarrier(this, channel));
    } catch (thrown) {
      // A field that HTTP/2 cannot carry.
      this.#line.fail(call, "bad_request", thrown);
    }
  }

  #open(): void {
    let channel: Channel;
    try {
      channel = new Channel(this, {
        authority: `${this.scheme}://${this.authority}`,
        openSocket: this.#openSocket,
        streamWindow: this.#streamWindow,
      });
    } catch (thrown) {
      this.#notOpened(ownErrorOfCode(codeOf(thrown)) ?? "connection_reset", thrown);
      return;
    }
    this.#channels.add(channel);
    const { clock } = this;
    channel.dialledMs = clock.monotonicMs();
    const limit =
      this.#connectTimeoutMs > 0
        ? afterReading(clock, this.#connectTimeoutMs, () => this.#dialTimedOut(channel))
        : null;
    this.#dialling.set(channel, limit);
    this.#sweeper ??= clock.every(SWEEP_MS, () => this.#sweep());
  }

  #dialTimedOut(channel: Channel): void {
    this.#dialling.delete(channel);
    channel.destroy();
    this.#notOpened("connect_timeout", null);
  }

  /** All that waits has waited for it. */
  #notOpened(code: OwnError, thrown: unknown): void {
    this.counts.notOpened("2", code);
    this.#failAll(code, thrown);
  }

  #failAll(code: OwnError, thrown: unknown): void {
    for (const call of this.#line.calls) this.#waited(call);
    this.#line.failAll(code, thrown);
  }

  onOpen(channel: Channel): void {
    this.#dialling.get(channel)?.cancel();
    this.#dialling.delete(channel);
    channel.idleSinceMs = this.clock.monotonicMs();
    this.counts.opened("2", channel.idleSinceMs - channel.dialledMs);
    this.#line.serveSoon();
  }

  onRoom(): void {
    if (this.#line.length > 0) this.#line.serveSoon();
  }

  onDead(channel: Channel, error: Error | null): void {
    this.#channels.delete(channel);
    const timer = this.#dialling.get(channel);
    if (timer !== undefined) {
      timer?.cancel();
      this.#dialling.delete(channel);
      this.#notOpened(ownErrorOfCode(codeOf(error)) ?? "connection_reset", error);
    }
    if (this.#line.length > 0) this.#line.serveSoon();
  }

  onBroken(call: Call, broken: Broken): void {
    const { code, cause, unprocessed, resetCode } = broken;
    if (unprocessed === null) {
      call.close();
      call.handler.onFailure({ ...describeFailure(code, this.#name, cause), resetCode });
      return;
    }
    call.settleResend("unprocessed");
    const pauseMs = this.#closed ? null : call.takeBack(unprocessed === "refused_stream");
    if (pauseMs === null) {
      this.counts.resend(unprocessed, "given_up");
      call.close();
      call.handler.onFailure(notProcessed(this.#name, cause));
      return;
    }
    call.resent = unprocessed;
    const again = (): void => {
      if (call.over) return;
      this.#waits(call);
      this.#line.rejoin(call);
    };
    if (pauseMs === 0) again();
    else this.clock.after(pauseMs, again);
  }

  onAbandoned(call: Call): void {
    this.#waited(call);
    this.#line.leave(call);
  }

  #sweep(): void {
    const now = this.clock.monotonicMs();
    for (const one of this.#channels) {
      if (one.open && one.streams === 0 && now - one.idleSinceMs >= IDLE_MS) one.retire();
    }
    if (this.#channels.size > 0) return;
    this.#sweeper?.cancel();
    this.#sweeper = null;
  }

  close(): void {
    this.#closed = true;
    this.#sweeper?.cancel();
    this.#sweeper = null;
    this.#patience?.cancel();
    for (const timer of this.#dialling.values()) {
      timer?.cancel();
      this.counts.notOpened("2", "cancelled");
    }
    this.#dialling.clear();
    for (const channel of this.#channels) channel.destroy();
    this.#failAll("draining", null);
  }
}
