// How a client's connection is told to go without losing a request (RFC 9113 §6.8): a notice that names no last stream, a round trip, and
// the notice that names it. What crosses the first is still served.
//
// nghttp2 takes no new streams from the moment it has sent a GOAWAY, whatever that one says, and node:http2 knows no other notice. So the
// first is written past both, where it can be: on a cleartext socket of whose writes none waits, which is between two frames. What it
// is found by is private to Node; where it is not found, or the socket is full, there is only the second notice: what crosses it is said not
// to be processed, and can be sent again.

import { writeSync } from "node:fs";
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Clock, Timer } from "../../kernel/clock.ts";
import { ofHandle } from "./socket-handle.ts";

/** GOAWAY, NO_ERROR, up to stream 2^31 - 1: of every stream. */
const NOTICE = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
/** Some clients go at the first word and answer no ping. */
const ROUND_TRIP_MS = 1000;
/** Has heard the end of its connection: so long it may keep its own half open. */
const GOODBYE_MS = 1000;

export class Leaving {
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #clock: Clock;
  /** The client has acknowledged our SETTINGS, which are the first frame it gets. */
  #greeted = false;
  #told = false;
  #goneAtMs: number | null = null;
  #late: Timer | null = null;

  constructor(session: ServerHttp2Session, socket: Socket, clock: Clock) {
    this.#session = session;
    this.#socket = socket;
    this.#clock = clock;
    session.once("close", () => this.#late?.cancel());
    session.once("localSettings", () => {
      this.#greeted = true;
      if (this.#told) this.#notice();
    });
  }

  begin(): void {
    if (this.#told || this.#session.destroyed || this.#session.closed) return;
    this.#told = true;
    if (this.#greeted) this.#notice();
    else this.#closeLater();
  }

  #notice(): void {
    const session = this.#session;
    if (session.destroyed || session.closed) return;
    this.#closeLater();
    const told = writeNow(this.#socket, NOTICE);
    const asked =
      told &&
      session.ping(() => {
        this.#late?.cancel();
        session.close();
      });
    if (!asked) session.close();
  }

  #closeLater(): void {
    this.#late?.cancel();
    this.#late = this.#clock.after(ROUND_TRIP_MS, () => this.#session.close());
  }

  /** True: the session is over, and its client has had `limitMs` (0: no limit) for what was sent, or a second more than that took. */
  overstays(nowMs: number, limitMs: number): boolean {
    if (!this.#session.destroyed) return false;
    this.#goneAtMs ??= nowMs;
    const forMs = nowMs - this.#goneAtMs;
    return this.#socket.writableFinished ? forMs > GOODBYE_MS : limitMs > 0 && forMs > limitMs;
  }
}

/** False: it could not be handed to the system at once, and nothing of it was. */
function writeNow(socket: Socket, bytes: Buffer): boolean {
  const fd = ofHandle(socket, "fd");
  if ("encrypted" in socket || ofHandle(socket, "writeQueueSize") !== 0) return false;
  if (typeof fd !== "number" || fd < 0) return false;
  try {
    const written = writeSync(fd, bytes);
    // Half a frame: nothing else can be said on this connection.
    if (written < bytes.length) socket.destroy();
    return true;
  } catch {
    return false;
  }
}
