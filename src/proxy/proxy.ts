// The relay of the traffic process: the listener, the exchanges under way, and how both end.

import type { ServerHttp2Stream } from "node:http2";
import { setImmediate as turnOver } from "node:timers/promises";
import type { EndedExchange, RawHeaders } from "../facts/exchange.ts";
import type { HeaderFilter } from "../facts/header-filter.ts";
import { ReadingClock, type Clock } from "../kernel/clock.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { Acceptor, type Certificate, type ListenAt } from "./accept.ts";
import type { RelayResponse } from "./client-answer.ts";
import { ClientConnections, LIMITS } from "./client-connections.ts";
import type { RelayRequest } from "./client-request.ts";
import { checkUpstreamTls, type UpstreamTls } from "./dial.ts";
import { StreamExchange, type StreamPlace } from "./http2/exchange.ts";
import type { Piece } from "./http2/pieces.ts";
import { Sessions, type StreamLimits } from "./http2/sessions.ts";
import { Relay } from "./relay.ts";
import { AfterTurn, Complaints, Roll, type Road, type Underway, type Way } from "./road.ts";
import { countsOf, newRecall, type Recalls } from "./recall.ts";
import { OPENING_SNAPSHOT, compileRules, type RelaySnapshot, type Rules } from "./rules.ts";
import { shortExchange, type ShortExchange, type ShortRequest } from "./short-exchange.ts";
import { CopyBudget } from "./tap.ts";
import { isTunnelRequest } from "./tunnel-request.ts";
import { Tunnel, type TunnelEnds, type TunnelOptions } from "./upgrade.ts";
import type { Upstream } from "./upstream.ts";
import { UpstreamCounts } from "./upstream-counts.ts";
import { waysOf } from "./ways.ts";

export type { RelaySnapshot } from "./rules.ts";

export interface ProxyOptions {
  readonly listen: ListenAt;
  readonly upstream: {
    /** http://, https://, h2c:// or unix:/path. A path behind the authority is not used: targets pass as they came. */
    readonly url: string;
    /** Where gRPC calls go: h2c://, https:// or unix:/path. Null: to `url`. */
    readonly grpcUrl?: string | null;
    readonly tls: UpstreamTls | null;
  };
  /** What clients connect to; null: cleartext. */
  readonly tls?: Certificate | null;
  /** What the upstream sees as `Host`: the client's, or its own. */
  readonly host: "preserve" | "upstream";
  readonly connectTimeoutMs: number;
  /** From the request's last byte to the response's head; 0: no limit. */
  readonly responseTimeoutMs: number;
  readonly maxConnections: number;
  readonly limits: StreamLimits;
}

export interface ProxyStats {
  readonly openConnections: number;
  readonly activeRequests: number;
  /** Connections closed because `maxConnections` were open. */
  readonly refusedConnections: number;
  /** Messages that were no HTTP, or too slow, and never became a request. */
  readonly clientErrors: number;
  /** Of HTTP/2 streams: bytes of bodies that the other side does not take. */
  readonly heldBytes: number;
  /** Ended by a limit, by which one. */
  readonly limited: Readonly<Record<string, number>>;
  /** Requests that came back from the model without an answer: keys `reason/outcome`. */
  readonly resends: Readonly<Record<string, number>>;
  /** Calls that found no stream free at a model of HTTP/2. */
  readonly streamWaits: number;
  /** Connections to the model whose opening has ended: keys `version/outcome`. */
  readonly upstreamConnections: Readonly<Record<string, number>>;
  /** Of those that were opened, how long it took: keys `version/bucket` and `version/sum`, seconds. */
  readonly upstreamConnectTimes: Readonly<Record<string, number>>;
  /** Of what is remembered of earlier messages: `request_head`, `answer_head`, `target`. */
  readonly cacheMisses: Readonly<Record<string, number>>;
  readonly cacheEvictions: Readonly<Record<string, number>>;
  /** Bodies that were not copied because all copies together held as much as they may. */
  readonly uncapturedBodies: number;
  /** Requests whose head was read. Each is delivered once, when it ends. */
  readonly seen: number;
}

export interface ProxyNeeds {
  readonly clock: Clock;
  readonly log: Log;
  /** Called exactly once per request; never throws, never blocks. */
  readonly deliver: (ended: EndedExchange) => void;
  /** Which header lines exchanges need to carry: others may be left out. Default null: all. */
  readonly observed?: HeaderFilter | null;
  /** Default true. False: also exchanges that are short go the way of the others from their beginning. */
  readonly shortExchanges?: boolean;
}

export interface Proxy extends Part {
  /** Where it listens; null before `start` and after `stop`. */
  readonly address: { readonly host: string; readonly port: number } | null;
  /** Accepts from another bound socket, too. */
  listenAlso(fd: number): Promise<void>;
  /** Replaces the rules for requests that come from now on. */
  setSnapshot(snapshot: RelaySnapshot): void;
  /** Shown to clients from the next TLS handshake on. Throws when the two do not belong together. */
  setCertificate(certificate: Certificate): void;
  /** For connections to the upstream that are opened from now on. Throws when it is none. */
  setUpstreamTls(tls: UpstreamTls): void;
  stats(): ProxyStats;
}

export function createProxy(options: ProxyOptions, needs: ProxyNeeds): Proxy {
  return new HttpProxy(options, needs);
}

/** Of the loop: trailers of HTTP/2 leave in the one after their body's end, over TLS later still. */
const LAST_TURNS = 20;

class HttpProxy implements Proxy, Road {
  readonly #needs: ProxyNeeds;
  readonly #upstreamOptions: TunnelOptions;
  #upstreamTls: UpstreamTls | null;
  readonly #underway = new Roll<Underway>();
  readonly upstream: Upstream;
  readonly byPiece: ReadonlyMap<Piece, Upstream>;
  readonly upstreamName: string;
  readonly upstreamHost: string | null;
  readonly upstreamAuthority: string;
  readonly speaks: Way["speaks"];
  readonly grpc: Way;
  readonly scheme: "http" | "https";
  readonly budget = new CopyBudget();
  readonly afterTurn = new AfterTurn();
  readonly complaints: Complaints;
  readonly clock: Clock;
  readonly #upstreamCounts = new UpstreamCounts();
  readonly #recalls: Recalls = { request_head: newRecall(), answer_head: newRecall(), target: newRecall() };
  rules: Rules = compileRules(OPENING_SNAPSHOT, this.#recalls.target);
  draining = false;
  readonly #acceptor: Acceptor;
  readonly #connections: ClientConnections;
  readonly #sessions: Sessions;
  #stopping: Promise<void> | null = null;
  #seen = 0;
  /** Connections that ended before they spoke HTTP/1.1, and those of HTTP/2. */
  #clientErrors = 0;

  constructor(options: ProxyOptions, needs: ProxyNeeds) {
    this.#needs = needs;
    this.#upstreamTls = options.upstream.tls;
    this.#upstreamOptions = {
      ...options.upstream,
      tls: () => this.#upstreamTls,
      connectTimeoutMs: options.connectTimeoutMs,
      responseTimeoutMs: options.responseTimeoutMs,
      observed: needs.observed ?? null,
      recall: this.#recalls.answer_head,
      idleMs: options.limits.tunnelIdleMs,
      onIdle: () => void this.#connections.limited.tunnel_idle_timeout++,
      counts: this.#upstreamCounts,
    };
    const clock = ReadingClock.of(needs.clock);
    this.clock = clock;
    const { http, grpc } = waysOf(options, this.#upstreamOptions, clock);
    this.upstream = http.upstream;
    this.byPiece = http.byPiece;
    this.upstreamName = http.upstreamName;
    this.upstreamAuthority = http.upstreamAuthority;
    this.upstreamHost = http.upstreamHost;
    this.speaks = http.speaks;
    this.grpc = grpc;
    this.scheme = options.tls == null ? "http" : "https";
    this.complaints = new Complaints(needs.log);
    this.#connections = this.#clientConnections(options);
    const onClientError = (): void => {
      this.#clientErrors++;
    };
    this.#sessions = new Sessions({
      clock,
      limits: options.limits,
      limited: this.#connections.limited,
      onStream: (stream, fields, place) => this.#onStream(stream, fields, place),
      onClientError,
      onSweep: (nowMs) => this.#checkStreams(nowMs, options.limits),
    });
    this.#acceptor = new Acceptor(
      { ...options, tls: options.tls ?? null, firstBytesMs: options.limits.headMs },
      {
        log: needs.log,
        clock,
        acceptHttp1: (socket, first) => this.#connections.accept(socket, first),
        acceptHttp2: (socket) => this.#sessions.accept(socket),
        onClientError,
        onSilent: () => {
          this.#connections.limited.head_timeout++;
        },
      },
    );
  }

  #clientConnections(options: ProxyOptions): ClientConnections {
    return new ClientConnections({
      clock: this.clock,
      limits: options.limits,
      observed: this.#needs.observed ?? null,
      recall: this.#recalls.request_head,
      onShortRequest: (request) => this.#onShortRequest(request),
      onRequest: (request, response) => this.#onRequest(request, response),
      onSpoiled: (request, failure) => this.#relayOf(request)?.connectionSpoiled(failure),
      onOverdue: (request, failure) => this.#relayOf(request)?.giveUp(failure),
    });
  }

  get address(): { host: string; port: number } | null {
    return this.#acceptor.address;
  }

  setSnapshot(snapshot: RelaySnapshot): void {
    this.rules = compileRules(snapshot, this.#recalls.target);
  }

  setCertificate(certificate: Certificate): void {
    this.#acceptor.setCertificate(certificate);
  }

  setUpstreamTls(tls: UpstreamTls): void {
    checkUpstreamTls(tls);
    this.#upstreamTls = tls;
  }

  stats(): ProxyStats {
    return Object.freeze({
      openConnections: this.#acceptor.openConnections,
      activeRequests: this.#underway.size,
      refusedConnections: this.#acceptor.refusedConnections,
      clientErrors: this.#clientErrors + this.#connections.defects + this.#connections.limited.head_timeout,
      heldBytes: this.#heldBytes(),
      limited: { ...this.#connections.limited, stream_wait: this.#upstreamCounts.streamWaitsOver },
      resends: { ...this.#upstreamCounts.resends },
      streamWaits: this.#upstreamCounts.streamWaits,
      upstreamConnections: { ...this.#upstreamCounts.connections },
      upstreamConnectTimes: { ...this.#upstreamCounts.connectTimes },
      cacheMisses: countsOf(this.#recalls, "misses"),
      cacheEvictions: countsOf(this.#recalls, "evictions"),
      uncapturedBodies: this.budget.refused,
      seen: this.#seen,
    });
  }

  #heldBytes(): number {
    let held = 0;
    for (const one of this.#underway.all()) held += one.held;
    return held;
  }

  start(): Promise<void> {
    return this.#acceptor.start();
  }

  listenAlso(fd: number): Promise<void> {
    return this.draining ? Promise.resolve() : this.#acceptor.listenAlso(fd);
  }

  #onStream(stream: ServerHttp2Stream, fields: RawHeaders, place: StreamPlace): void {
    this.#seen++;
    try {
      const exchange = new StreamExchange(this, stream, { fields, place });
      this.#underway.add(exchange);
      exchange.begin();
    } catch (thrown) {
      this.complaints.say("a stream could not be taken up, by a bug", thrown);
      stream.destroy();
    }
  }

  #checkStreams(nowMs: number, limits: StreamLimits): void {
    for (const one of this.#underway.all()) {
      const late = one instanceof StreamExchange ? one.check(nowMs, limits) : null;
      if (late !== null) this.#connections.limited[LIMITS[late]]++;
    }
  }

  /** Null: it is an ordinary one. */
  #onShortRequest(request: ShortRequest): ShortExchange | null {
    const { shortCalls } = this.upstream;
    if (shortCalls === null || this.upstreamHost !== null || this.#needs.shortExchanges === false)
      return null;
    try {
      const exchange = shortExchange(this, shortCalls, request);
      if (exchange === null) return null;
      this.#seen++;
      this.#underway.add(exchange);
      shortCalls.sendShort(exchange);
      return exchange;
    } catch (thrown) {
      this.complaints.say("a request could not be taken up as a short one, by a bug", thrown);
      return null;
    }
  }

  lengthened(which: Underway, as: Underway): void {
    this.#underway.remove(which);
    this.#underway.add(as);
  }

  #onRequest(request: RelayRequest, response: RelayResponse): void {
    this.#seen++;
    // HTTP/2 has no such upgrade: there the request goes on as an ordinary one (RFC 9110 §7.8).
    if (this.speaks === "http/1.1" && isTunnelRequest(request)) {
      request.takeOver((glued) => this.#onTunnel({ request, socket: request.socket, glued }));
      return;
    }
    try {
      const relay = new Relay(this, { request, response });
      this.#underway.add(relay);
      relay.begin();
    } catch (thrown) {
      this.complaints.say("a request could not be taken up, by a bug", thrown);
      request.socket.destroy();
    }
  }

  #onTunnel(ends: TunnelEnds): void {
    try {
      const tunnel = new Tunnel(this, this.#upstreamOptions, ends);
      this.#underway.add(tunnel);
      tunnel.begin();
    } catch (thrown) {
      this.complaints.say("an upgrade could not be taken up, by a bug", thrown);
      ends.socket.destroy();
    }
  }

  #relayOf(request: RelayRequest): Relay | undefined {
    return this.#underway.all().find((one): one is Relay => one instanceof Relay && one.request === request);
  }

  ended(which: Underway, ended: EndedExchange): void {
    this.#underway.remove(which);
    try {
      this.#needs.deliver(ended);
    } catch (thrown) {
      this.complaints.say("an exchange could not be delivered", thrown);
    }
  }

  stop(deadlineMs: number): Promise<void> {
    this.#stopping ??= this.#stop(deadlineMs);
    return this.#stopping;
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.draining = true;
    if (this.address !== null) {
      const closed = this.#acceptor.close();
      this.#connections.drain();
      this.#sessions.drain();
      const inTime = await this.#untilDeadline(closed, deadlineMs);
      // The streams of a connection that has just ended hear of it a turn later: those of its client are not ours to cut.
      for (let turns = 0; inTime && turns < LAST_TURNS && this.#underway.size > 0; turns++) await turnOver();
      for (const one of this.#underway.all()) one.cut();
      // The last answers are handed to the system before the connections go.
      await turnOver();
      for (let turns = 1; turns < LAST_TURNS && this.#sessions.streams > 0; turns++) await turnOver();
      this.#sessions.destroyAll();
      this.#acceptor.destroyAll();
    }
    this.#connections.stop();
    this.#sessions.stop();
    for (const way of [this, this.grpc]) {
      way.upstream.close();
      for (const upstream of way.byPiece.values()) upstream.close();
    }
  }

  /** True: it was done before. */
  #untilDeadline(work: Promise<void>, deadlineMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.clock.after(Math.max(0, deadlineMs), () => resolve(false));
      void work.then(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }
}
