// The HTTP/2 connections of clients: their limits, what ends them, and how they drain.

import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { RawHeaders } from "../../facts/exchange.ts";
import type { Clock } from "../../kernel/clock.ts";
import { codeOf } from "../../kernel/problem.ts";
import { RESET } from "./codes.ts";

/** Streams of one connection at a time; further ones are refused with REFUSED_STREAM, which a client may repeat. */
const STREAMS_MAX = 128;
const IDLE_MS = 300_000;
const FIELDS_BYTES_MAX = 64 * 1024;
/** Said before a drain: no stream is cut off by it (RFC 9113 §6.8). */
const EVERY_STREAM = 2 ** 31 - 1;

/** Some clients go at the first word and answer no ping. */
const ROUND_TRIP_MS = 1000;

/**
 * What nghttp2 bounds for us. Beyond it the stream, or the whole connection, is refused with ENHANCE_YOUR_CALM.
 * Bytes of a stream that nobody reads are bounded by its window, 64 KiB; CONTINUATION frames of one list to eight.
 */
const SESSION_OPTIONS = Object.freeze({
  settings: Object.freeze({ maxConcurrentStreams: STREAMS_MAX, maxHeaderListSize: FIELDS_BYTES_MAX }),
  maxHeaderListPairs: 2000,
  /** MiB of one connection: all windows full, and as much on its way out. */
  maxSessionMemory: 32,
  maxSettings: 32,
  maxOutstandingPings: 10,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 1000,
  /** Rapid reset (CVE-2023-44487): a burst, then so many a second; calls cancelled at their deadlines are fewer. */
  streamResetBurst: 2000,
  streamResetRate: 500,
  /** Equal names pass as they are, also where one would do. */
  strictSingleValueFields: false,
});

export interface SessionsNeeds {
  readonly clock: Clock;
  readonly onStream: (stream: ServerHttp2Stream, fields: RawHeaders) => void;
  /** The connection spoke no proper HTTP/2, or ran into a limit. */
  readonly onClientError: () => void;
}

export class Sessions {
  readonly #needs: SessionsNeeds;
  readonly #open = new Set<ServerHttp2Session>();
  #draining = false;

  constructor(needs: SessionsNeeds) {
    this.#needs = needs;
  }

  /** Takes over a connection; what was read of it has been put back. */
  accept(socket: Socket): void {
    // A client that has closed its half has left: half-open connections are a thing of HTTP/1.1.
    socket.allowHalfOpen = false;
    let session: ServerHttp2Session;
    try {
      session = performServerHandshake(socket, SESSION_OPTIONS);
    } catch {
      // Gone before it began.
      socket.destroy();
      return;
    }
    this.#open.add(session);
    session.on("stream", (stream, ...[, , raw]) => this.#needs.onStream(stream, raw));
    session.on("error", (error: Error) => {
      if (codeOf(error)?.startsWith("ERR_HTTP2_") === true) this.#needs.onClientError();
    });
    session.once("close", () => this.#open.delete(session));
    session.setTimeout(IDLE_MS, () => session.close());
    if (this.#draining) this.#leave(session);
  }

  /** Every client is told to go; what it has sent until it hears is still served. */
  drain(): void {
    this.#draining = true;
    for (const session of this.#open) this.#leave(session);
  }

  /** Two GOAWAY frames with a round trip between them: a request that crosses the first is not lost. */
  #leave(session: ServerHttp2Session): void {
    if (session.destroyed || session.closed) return;
    session.goaway(RESET.none, EVERY_STREAM);
    const late = this.#needs.clock.after(ROUND_TRIP_MS, () => session.close());
    const asked = session.ping(() => {
      late.cancel();
      session.close();
    });
    if (!asked) session.close();
  }

  destroyAll(): void {
    for (const session of this.#open) session.destroy();
  }
}
