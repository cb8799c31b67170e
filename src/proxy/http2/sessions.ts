// The HTTP/2 connections of clients: their limits, what ends them, and how they drain.

import {
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerSessionOptions,
} from "node:http2";
import type { Socket } from "node:net";
import type { RawHeaders } from "../../facts/exchange.ts";
import { onceRead, type Clock, type Timer } from "../../kernel/clock.ts";
import { codeOf } from "../../kernel/problem.ts";
import type { ConnectionLimits } from "../connection-limits.ts";
import { sweepMsOf } from "../client-connections.ts";
import { problemAnswer, type Failure } from "../failures.ts";
import { failedHere } from "./answer.ts";
import { RESET } from "./codes.ts";
import { responseFields } from "./fields.ts";
import type { StreamPlace } from "./exchange.ts";
import { endWithSocket, keepSessionOf } from "./lasting.ts";
import { Leaving } from "./leaving.ts";
import { FrameShare } from "./frame-share.ts";
import { Shares } from "./pieces.ts";
import { Uploads } from "./uploads.ts";

/** A head that never ends keeps its connection from closing by itself. */
const GOODBYE_MS = 1000;
/** Streams that a client begins and resets (CVE-2023-44487): a burst, then so many a second; calls cancelled at their deadlines are fewer. */
const RESET_BURST = 1000;
const RESETS_PER_SECOND = 250;
/** Of those that a gap between two ids tells: as many end the connection. */
const REFUSED_MAX = 1000;
const PROTOCOL_ERROR = -505;
/** Errors of nghttp2 that mean frames without end: too many of SETTINGS, PING or empty ones, of broken ones, of CONTINUATION. */
const FLOODS: ReadonlySet<unknown> = new Set([-904, -902, -905]);

/** What one connection may hold at once, beside the limits that HTTP/1.1 has, too. */
export interface StreamLimits extends ConnectionLimits {
  readonly streamsMax: number;
  /** Waits of a connection's uploads until it is worn out. Default: some 8000. */
  readonly waitsMax?: number;
}

/**
 * What nghttp2 bounds for us. Beyond it the stream, or the whole connection, is refused with ENHANCE_YOUR_CALM, and nobody is told:
 * so where we count ourselves, its own bounds are wider. Bytes of requests that nobody reads are bounded by `Uploads`;
 * CONTINUATION frames of one list to eight; a list of fields, as it is sent, to 64 KiB.
 */
function sessionOptions({ headBytesMax, headLinesMax, streamsMax }: StreamLimits): ServerSessionOptions {
  return {
    settings: { maxConcurrentStreams: streamsMax, maxHeaderListSize: headBytesMax * 2 },
    maxHeaderListPairs: headLinesMax + 64,
    /** MiB of one connection: all windows full, and as much on its way out. */
    maxSessionMemory: Math.max(32, Math.ceil(streamsMax / 4)),
    maxSettings: 32,
    maxOutstandingPings: 10,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: REFUSED_MAX,
    streamResetBurst: RESET_BURST * 20,
    streamResetRate: RESETS_PER_SECOND * 20,
    /** Equal names pass as they are, also where one would do. */
    strictSingleValueFields: false,
    /** A field whose value has spaces around it would be left out, and nobody told: `bareLines`. */
    strictFieldWhitespaceValidation: false,
  };
}

export interface SessionsNeeds {
  readonly clock: Clock;
  readonly limits: StreamLimits;
  /** Counted by the value of `limit` in `outrider_proxy_limited_total`. */
  readonly limited: Record<
    | "head_size"
    | "head_timeout"
    | "send_timeout"
    | "idle_timeout"
    | "flood"
    | "stream_resets"
    | "max_streams"
    | "held_body"
    | "worn_out",
    number
  >;
  readonly onStream: (stream: ServerHttp2Stream, fields: RawHeaders, place: StreamPlace) => void;
  /** The connection spoke no proper HTTP/2, or ran into a limit. */
  readonly onClientError: () => void;
  /** About once a second, or more often where a limit is short. */
  readonly onSweep: (nowMs: number) => void;
}

interface Connection {
  readonly session: ServerHttp2Session;
  readonly socket: Socket;
  readonly shares: Shares;
  readonly uploads: Uploads;
  streams: number;
  idleSinceMs: number;
  resets: number;
  resetsAtMs: number;
  lastId: number;
  /** As many streams as may be; stays so when they end with the connection. */
  full: boolean;
  readonly head: HeadWatch;
  readonly leaving: Leaving;
}

export class Sessions {
  readonly #needs: SessionsNeeds;
  readonly #options: ServerSessionOptions;
  readonly #open = new Set<Connection>();
  #sweeper: Timer | null = null;
  #draining = false;

  constructor(needs: SessionsNeeds) {
    this.#needs = needs;
    this.#options = sessionOptions(needs.limits);
  }

  /** Takes over a connection; what was read of it has been put back. */
  accept(socket: Socket): void {
    // A client that has closed its half has left: half-open connections are a thing of HTTP/1.1.
    socket.allowHalfOpen = false;
    let session: ServerHttp2Session;
    try {
      session = performServerHandshake(socket, this.#options);
    } catch {
      // Gone before it began.
      socket.destroy();
      return;
    }
    endWithSocket(socket);
    const { clock, limits } = this.#needs;
    const nowMs = clock.monotonicMs();
    const uploads = new Uploads({
      clock,
      session,
      streamsMax: limits.streamsMax,
      waitsMax: limits.waitsMax,
      frames: new FrameShare(socket, clock),
      streams: () => connection.streams,
      onClosed: () => this.#needs.limited.held_body++,
      onWornOut: () => {
        this.#needs.limited.worn_out++;
        leaving.begin();
      },
    });
    const shares = new Shares();
    const leaving = new Leaving(session, socket, clock);
    const connection: Connection = {
      session,
      socket,
      shares,
      uploads,
      streams: 0,
      idleSinceMs: nowMs,
      resets: 0,
      resetsAtMs: nowMs,
      lastId: -1,
      full: false,
      head: new HeadWatch(session, socket),
      leaving,
    };
    this.#open.add(connection);
    this.#sweeper ??= clock.every(sweepMsOf(limits), () => onceRead(() => this.#sweep()));
    session.on("stream", (stream, ...[, , raw]) => this.#onStream(connection, stream, raw));
    session.on("error", (error: Error) => this.#onError(connection, error));
    session.once("close", () => {
      this.#open.delete(connection);
      uploads.stop();
    });
    if (this.#draining) leaving.begin();
  }

  #onStream(connection: Connection, stream: ServerHttp2Stream, raw: RawHeaders): void {
    keepSessionOf(stream);
    this.#countRefused(connection, stream.id ?? 0);
    connection.full = ++connection.streams >= this.#needs.limits.streamsMax;
    stream.once("close", () => this.#onStreamClosed(connection, stream));
    const refusal = refusalOf(raw, this.#needs.limits);
    if (refusal === null) {
      const { shares, uploads, socket } = connection;
      const piece = shares.take();
      stream.once("close", () => shares.give(piece));
      this.#needs.onStream(stream, raw, { piece, uploads, socket });
    } else {
      this.#needs.limited.head_size++;
      this.#needs.onClientError();
      refuse(stream, refusal);
    }
  }

  #onStreamClosed(connection: Connection, stream: ServerHttp2Stream): void {
    const nowMs = this.#needs.clock.monotonicMs();
    connection.streams--;
    connection.idleSinceMs = nowMs;
    if (connection.session.destroyed) return;
    connection.full = false;
    if ((stream.rstCode === RESET.none && !stream.aborted) || failedHere(stream)) return;
    const refilled = ((nowMs - connection.resetsAtMs) / 1000) * RESETS_PER_SECOND;
    connection.resets = Math.max(0, connection.resets - refilled) + 1;
    connection.resetsAtMs = nowMs;
    if (connection.resets <= RESET_BURST) return;
    this.#needs.limited.stream_resets++;
    this.#needs.onClientError();
    connection.session.destroy(undefined, RESET.calm);
  }

  /** Streams too many are refused without a word to us: what is missing in the order of ids, while there were as many as may be, was one. */
  #countRefused(connection: Connection, id: number): void {
    const { limits, limited } = this.#needs;
    const missing = (id - connection.lastId) / 2 - 1;
    if (connection.streams >= limits.streamsMax - 1 && missing > 0)
      limited.max_streams += Math.min(missing, REFUSED_MAX);
    connection.lastId = id;
  }

  #onError(connection: Connection, error: Error): void {
    if (codeOf(error)?.startsWith("ERR_HTTP2_") !== true) return;
    const { limited, onClientError } = this.#needs;
    onClientError();
    if (!("errno" in error)) return;
    if (FLOODS.has(error.errno)) limited.flood++;
    // A client that has been told how many there may be, and began another.
    else if (error.errno === PROTOCOL_ERROR && connection.full) limited.max_streams++;
  }

  /** A connection without streams is idle, whatever else it sends: pings, or a head that never ends. */
  #sweep(): void {
    if (this.#sweeper === null) return;
    const { clock, limits, limited, onSweep } = this.#needs;
    const nowMs = clock.monotonicMs();
    for (const connection of this.#open) {
      const { session, socket, streams, idleSinceMs, head, leaving } = connection;
      if (leaving.overstays(nowMs, limits.sendMs)) this.#endLingering(socket);
      if (streams > 0) head.rest();
      else if (head.trickles(nowMs, limits.headMs)) {
        limited.head_timeout++;
        session.destroy(undefined, RESET.calm);
      }
      if (streams > 0 || nowMs - idleSinceMs <= limits.idleMs) continue;
      if (!session.closed) {
        limited.idle_timeout++;
        session.close();
      } else if (nowMs - idleSinceMs > limits.idleMs + GOODBYE_MS) session.destroy();
    }
    onSweep(nowMs);
    if (this.#open.size === 0) this.stop();
  }

  #endLingering(socket: Socket): void {
    if (!socket.writableFinished) this.#needs.limited.send_timeout++;
    socket.destroy();
  }

  stop(): void {
    this.#sweeper?.cancel();
    this.#sweeper = null;
  }

  /** Every client is told to go; what it has sent until it hears is still served. */
  drain(): void {
    this.#draining = true;
    for (const { leaving } of this.#open) leaving.begin();
  }

  /** Of all connections, not over yet. */
  get streams(): number {
    let streams = 0;
    for (const connection of this.#open) streams += connection.streams;
    return streams;
  }

  destroyAll(): void {
    for (const { session } of this.#open) session.destroy();
  }
}

/**
 * Tells a head that never ends from an idle connection. A client answers a PING, unless it is within a head, which no other frame
 * may interrupt (RFC 9113 §4.3): bytes that come, and no answer among them, are those of a head.
 */
class HeadWatch {
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  #bytes: number;
  #askedAtMs: number | null = null;

  constructor(session: ServerHttp2Session, socket: Socket) {
    this.#session = session;
    this.#socket = socket;
    this.#bytes = socket.bytesRead;
  }

  /** Streams are open: nothing is watched. */
  rest(): void {
    this.#bytes = this.#socket.bytesRead;
    this.#askedAtMs = null;
  }

  /** True: a head has been on its way for longer than `limitMs`; 0: there is no limit. */
  trickles(nowMs: number, limitMs: number): boolean {
    const came = this.#socket.bytesRead > this.#bytes;
    if (limitMs <= 0 || this.#session.destroyed || !came) return false;
    if (this.#askedAtMs !== null) return nowMs - this.#askedAtMs > limitMs;
    this.#bytes = this.#socket.bytesRead;
    this.#askedAtMs = nowMs;
    this.#session.ping(() => this.rest());
    return false;
  }
}

/** A list of fields counts as the head that HTTP/1.1 would make of it. */
function refusalOf(raw: RawHeaders, limits: StreamLimits): Failure | null {
  let bytes = 0;
  for (const text of raw) bytes += text.length + 2;
  if (bytes <= limits.headBytesMax && raw.length <= limits.headLinesMax * 2) return null;
  return {
    code: "bad_request",
    status: 431,
    detail:
      bytes > limits.headBytesMax
        ? "The request's head is longer than `proxy.limits.maxHeadSize` allows."
        : "The request has more header lines than `proxy.limits.maxHeaderLines` allows.",
  };
}

/** Answers, and takes nothing more of the request. */
function refuse(stream: ServerHttp2Stream, failure: Failure): void {
  stream.on("error", () => {});
  // Reset before it was looked at.
  if (stream.destroyed || stream.closed) return;
  const { status, lines, body } = problemAnswer(failure, null);
  stream.respond(responseFields(status, lines));
  stream.end(body);
  if (!stream.endAfterHeaders) stream.once("finish", () => setImmediate(() => stream.close(RESET.none)));
}
