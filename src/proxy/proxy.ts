// The relay of the traffic process: the listener, the exchanges under way, and how both end.

import { createServer, type Server } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Exchange, RawHeaders } from "../facts/exchange.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { codeOf, messageOf } from "../kernel/problem.ts";
import { Acceptor, type Certificate } from "./accept.ts";
import { parseUpstreamUrl, type UpstreamTls } from "./dial.ts";
import { problemMessage, type Failure } from "./failures.ts";
import { StreamExchange } from "./http2/exchange.ts";
import { createStreamUpstream } from "./http2/pool.ts";
import { Sessions } from "./http2/sessions.ts";
import { RelayRequest, RelayResponse } from "./messages.ts";
import { createUpstream } from "./pool.ts";
import { Relay } from "./relay.ts";
import { AfterTurn, Complaints, Roll, type Road, type Underway, type Way } from "./road.ts";
import { OPENING_SNAPSHOT, compileRules, type RelaySnapshot, type Rules } from "./rules.ts";
import { CopyBudget } from "./tap.ts";
import { Tunnel, isTunnelRequest } from "./upgrade.ts";
import type { Upstream, UpstreamOptions } from "./upstream.ts";

export type { RelaySnapshot } from "./rules.ts";

export interface ProxyOptions {
  readonly listen: { readonly host: string; readonly port: number };
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
}

export interface ProxyStats {
  readonly openConnections: number;
  readonly activeRequests: number;
  /** Connections closed because `maxConnections` were open. */
  readonly refusedConnections: number;
  /** Messages that were no HTTP, or too slow, and never became a request. */
  readonly clientErrors: number;
  /** Bodies that were not copied because all copies together held `capture.totalBytesMax`. */
  readonly uncapturedBodies: number;
  /** Requests whose head was read. Each is delivered once, when it ends. */
  readonly seen: number;
}

export interface ProxyNeeds {
  readonly clock: Clock;
  readonly log: Log;
  /** Called exactly once per request; never throws, never blocks. */
  readonly deliver: (exchange: Exchange) => void;
}

export interface Proxy extends Part {
  /** Where it listens; null before `start` and after `stop`. */
  readonly address: { readonly host: string; readonly port: number } | null;
  /** Replaces the rules for requests that come from now on. */
  setSnapshot(snapshot: RelaySnapshot): void;
  /** Shown to clients from the next TLS handshake on. Throws when the two do not belong together. */
  setCertificate(certificate: Certificate): void;
  stats(): ProxyStats;
}

export function createProxy(options: ProxyOptions, needs: ProxyNeeds): Proxy {
  return new HttpProxy(options, needs);
}

const HEAD_BYTES_MAX = 64 * 1024;
const HEAD_MS_MAX = 60_000;
const IDLE_MS = 75_000;
/** Requests that one client connection may have sent ahead of the answer it is waiting for. */
const PIPELINED_MAX = 100;
/** How long a client may take to read the answer to something that was no HTTP. */
const GOODBYE_MS = 5000;

type RelayServer = Server<typeof RelayRequest, typeof RelayResponse>;

class HttpProxy implements Proxy, Road {
  readonly #needs: ProxyNeeds;
  readonly #upstreamOptions: UpstreamOptions;
  readonly #underway = new Roll();
  readonly #pipelined = new WeakMap<Duplex, number>();
  readonly upstream: Upstream;
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
  rules: Rules = compileRules(OPENING_SNAPSHOT);
  draining = false;
  readonly #acceptor: Acceptor;
  readonly #server: RelayServer;
  readonly #sessions: Sessions;
  #stopping: Promise<void> | null = null;
  #clientErrors = 0;
  #seen = 0;

  constructor(options: ProxyOptions, needs: ProxyNeeds) {
    this.#needs = needs;
    this.#upstreamOptions = {
      ...options.upstream,
      connectTimeoutMs: options.connectTimeoutMs,
      responseTimeoutMs: options.responseTimeoutMs,
    };
    const { http, grpc } = waysOf(options, this.#upstreamOptions, needs.clock);
    this.upstream = http.upstream;
    this.upstreamName = http.upstreamName;
    this.upstreamAuthority = http.upstreamAuthority;
    this.upstreamHost = http.upstreamHost;
    this.speaks = http.speaks;
    this.grpc = grpc;
    this.scheme = options.tls == null ? "http" : "https";
    this.clock = needs.clock;
    this.complaints = new Complaints(needs.log);
    this.#server = this.#createServer();
    const onClientError = (): void => {
      this.#clientErrors++;
    };
    this.#sessions = new Sessions({
      clock: needs.clock,
      onStream: (stream, fields) => this.#onStream(stream, fields),
      onClientError,
    });
    this.#acceptor = new Acceptor(
      { ...options, tls: options.tls ?? null },
      {
        log: needs.log,
        clock: needs.clock,
        acceptHttp1: (socket, first) => this.#acceptHttp1(socket, first),
        acceptHttp2: (socket) => this.#sessions.accept(socket),
        onClientError,
      },
    );
  }

  get address(): { host: string; port: number } | null {
    return this.#acceptor.address;
  }

  setSnapshot(snapshot: RelaySnapshot): void {
    this.rules = compileRules(snapshot);
  }

  setCertificate(certificate: Certificate): void {
    this.#acceptor.setCertificate(certificate);
  }

  stats(): ProxyStats {
    return Object.freeze({
      openConnections: this.#acceptor.openConnections,
      activeRequests: this.#underway.size,
      refusedConnections: this.#acceptor.refusedConnections,
      clientErrors: this.#clientErrors,
      uncapturedBodies: this.budget.refused,
      seen: this.#seen,
    });
  }

  start(): Promise<void> {
    // node:http watches over its connections (slow heads, idle ones) once it believes that it listens.
    this.#server.emit("listening");
    return this.#acceptor.start();
  }

  #acceptHttp1(socket: Socket, first: Buffer | null): void {
    if (first !== null) socket.unshift(first);
    this.#server.emit("connection", socket);
  }

  #createServer(): RelayServer {
    const server: RelayServer = createServer({
      IncomingMessage: RelayRequest,
      ServerResponse: RelayResponse,
      maxHeaderSize: HEAD_BYTES_MAX,
      headersTimeout: HEAD_MS_MAX,
      // No limit of our own on how long a body may take to come.
      requestTimeout: 0,
      keepAliveTimeout: IDLE_MS,
      noDelay: true,
      optimizeEmptyRequests: true,
      // Checked by the relay, which explains it.
      requireHostHeader: false,
      // HTTP/2 has no such upgrade: there the request goes on as an ordinary one (RFC 9110 §7.8).
      shouldUpgradeCallback: (request) => this.speaks === "http/1.1" && isTunnelRequest(request),
    });
    server.maxHeadersCount = 0;
    server.on("request", (request, response) => this.#onRequest(request, response, false));
    server.on("checkContinue", (request, response) => this.#onRequest(request, response, true));
    server.on("checkExpectation", (request, response) => this.#onRequest(request, response, false));
    server.on("upgrade", (request, socket, glued) => {
      this.#onTunnel({ request, socket, glued }, (tunnel) => tunnel.begin());
    });
    server.on("connect", (request, socket, glued) => {
      this.#onTunnel({ request, socket, glued }, (tunnel) => {
        tunnel.refuse("CONNECT is not offered: this is the front of one model server, not a forward proxy.");
      });
    });
    server.on("clientError", (error, socket) => this.#onClientError(error, socket));
    return server;
  }

  #onStream(stream: ServerHttp2Stream, fields: RawHeaders): void {
    this.#seen++;
    try {
      const exchange = new StreamExchange(this, stream, fields);
      this.#underway.add(exchange);
      exchange.begin();
    } catch (thrown) {
      this.complaints.say("a stream could not be taken up, by a bug", thrown);
      stream.destroy();
    }
  }

  #onRequest(request: RelayRequest, response: RelayResponse, expectsContinue: boolean): void {
    // Without a socket as yet: an earlier answer on this connection has not left.
    if (response.socket === null && !this.#mayPipeline(request.socket, response)) return;
    this.#seen++;
    try {
      const relay = new Relay(this, request, response);
      this.#underway.add(relay);
      relay.begin(expectsContinue);
    } catch (thrown) {
      this.complaints.say("a request could not be taken up, by a bug", thrown);
      request.socket.destroy();
    }
  }

  /** Every request is forwarded at once: without a bound one connection could open thousands to the model. Counted as a client error. */
  #mayPipeline(socket: Duplex, response: RelayResponse): boolean {
    const ahead = this.#pipelined.get(socket) ?? 0;
    if (socket.destroyed) return false;
    if (ahead >= PIPELINED_MAX) {
      this.#clientErrors++;
      socket.destroy();
      return false;
    }
    this.#pipelined.set(socket, ahead + 1);
    response.once("close", () => this.#pipelined.set(socket, (this.#pipelined.get(socket) ?? 1) - 1));
    return true;
  }

  #onTunnel(
    ends: { request: RelayRequest; socket: Duplex; glued: Buffer },
    begin: (tunnel: Tunnel) => void,
  ): void {
    this.#seen++;
    try {
      const tunnel = new Tunnel(this, this.#upstreamOptions, ends);
      this.#underway.add(tunnel);
      begin(tunnel);
    } catch (thrown) {
      this.complaints.say("an upgrade could not be taken up, by a bug", thrown);
      ends.socket.destroy();
    }
  }

  ended(which: Underway, exchange: Exchange): void {
    this.#underway.remove(which);
    try {
      this.#needs.deliver(exchange);
    } catch (thrown) {
      this.complaints.say("an exchange could not be delivered", thrown);
    }
    // A connection whose last answer began before the drain was not told to close.
    if (this.draining) setImmediate(() => this.#server.closeIdleConnections());
  }

  #onClientError(error: Error, socket: Duplex): void {
    const code = codeOf(error) ?? "";
    const broken = code.startsWith("HPE_") || code === "ERR_HTTP_REQUEST_TIMEOUT";
    // A connection that ends within a message is a client that left, not one that speaks badly.
    if (!socket.writable || !broken || code === "HPE_INVALID_EOF_STATE") {
      socket.destroy();
      return;
    }
    this.#clientErrors++;
    const failure: Failure = {
      code: "bad_request",
      detail: `What came on the connection is not a valid HTTP/1.1 request (${code}: ${messageOf(error).slice(0, 200)}).`,
    };
    let answering = false;
    for (const one of this.#underway.all()) {
      if (one.socket !== socket || !(one instanceof Relay)) continue;
      answering = true;
      one.connectionSpoiled(failure);
    }
    if (answering) return;
    socket.end(problemMessage(failure, null, statusOfParserCode(code)), "latin1");
    const late = this.clock.after(GOODBYE_MS, () => socket.destroy());
    socket.once("close", () => late.cancel());
  }

  stop(deadlineMs: number): Promise<void> {
    this.#stopping ??= this.#stop(deadlineMs);
    return this.#stopping;
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.draining = true;
    if (this.address !== null) {
      const closed = this.#acceptor.close();
      this.#server.closeIdleConnections();
      this.#sessions.drain();
      await this.#untilDeadline(closed, deadlineMs);
      for (const one of this.#underway.all()) one.cut();
      // The last answers are handed to the system before the connections go.
      await new Promise<void>((resolve) => {
        setImmediate(resolve);
      });
      this.#sessions.destroyAll();
      this.#acceptor.destroyAll();
    }
    this.#server.close();
    this.upstream.close();
    this.grpc.upstream.close();
  }

  #untilDeadline(work: Promise<void>, deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.clock.after(Math.max(0, deadlineMs), resolve);
      void work.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}

/** Where HTTP requests and gRPC calls go; one way when the model takes both at one address. */
function waysOf(
  { upstream, host }: ProxyOptions,
  options: UpstreamOptions,
  clock: Clock,
): { readonly http: Way; readonly grpc: Way } {
  const wayTo = (url: string, streams: boolean): Way => {
    const { origin, name } = parseUpstreamUrl(url);
    const upstreamAuthority = new URL(origin).host;
    const create = streams ? createStreamUpstream : createUpstream;
    return {
      upstream: create({ ...options, url }, clock),
      upstreamName: name,
      upstreamAuthority,
      upstreamHost: host === "upstream" ? upstreamAuthority : null,
      speaks: streams ? "h2" : "http/1.1",
    };
  };
  const http = wayTo(upstream.url, parseUpstreamUrl(upstream.url).h2c);
  if (upstream.grpcUrl != null) return { http, grpc: wayTo(upstream.grpcUrl, true) };
  // Over TLS both versions are spoken at one address, by agreement (ALPN).
  return { http, grpc: upstream.url.startsWith("https:") ? wayTo(upstream.url, true) : http };
}

function statusOfParserCode(code: string): number {
  if (code === "HPE_HEADER_OVERFLOW") return 431;
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW") return 413;
  return code === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
}
