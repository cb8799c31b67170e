// What all exchanges of one proxy share: the way to the upstream, the rules of the moment, and what is done once per turn of the loop.

import type { EndedExchange } from "../facts/exchange.ts";
import type { Clock } from "../kernel/clock.ts";
import { messageOf } from "../kernel/problem.ts";
import type { Log } from "../kernel/log.ts";
import type { Piece } from "./http2/pieces.ts";
import type { Rules } from "./rules.ts";
import type { CopyBudget } from "./tap.ts";
import type { Upstream } from "./upstream.ts";

/** An exchange under way. */
export interface Underway {
  /** Kept by `Roll`. */
  slot: number;
  /** Bytes of its bodies, both ways, that were read and not handed on to the system. */
  readonly held: number;
  /** Ends it now; it is delivered before this returns. */
  cut(): void;
}

/** Where requests go. */
export interface Way {
  readonly upstream: Upstream;
  /** For streams of HTTP/2, by how much of an answer is read at a time. */
  readonly byPiece: ReadonlyMap<Piece, Upstream>;
  readonly upstreamName: string;
  /** `Host` for the upstream; null: the client's is kept. */
  readonly upstreamHost: string | null;
  /** Host and port of the upstream. */
  readonly upstreamAuthority: string;
  readonly speaks: "http/1.1" | "h2";
}

/** As a way it is that of HTTP requests. */
export interface Road extends Way {
  readonly clock: Clock;
  /** The way of gRPC calls. */
  readonly grpc: Way;
  /** How clients connect. */
  readonly scheme: "http" | "https";
  readonly rules: Rules;
  readonly budget: CopyBudget;
  readonly complaints: Complaints;
  readonly afterTurn: AfterTurn;
  readonly draining: boolean;
  /** An exchange under way goes on as another. */
  lengthened(which: Underway, as: Underway): void;
  /** Exactly once per exchange. Never throws. */
  ended(which: Underway, ended: EndedExchange): void;
}

/**
 * The exchanges under way. An array, because a Set that thousands of short-lived members pass through keeps, in its outgrown
 * tables, half of them alive until the next full collection: that doubled the collector's share of the relay's work.
 */
export class Roll<Member extends { slot: number }> {
  readonly #members: Member[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(one: Member): void {
    one.slot = this.#members.push(one) - 1;
  }

  remove(one: Member): void {
    const { slot } = one;
    if (this.#members[slot] !== one) return;
    const last = this.#members.pop();
    if (last === undefined || last === one) return;
    this.#members[slot] = last;
    last.slot = slot;
  }

  /** As they are now: members may leave while the caller goes through them. */
  all(): readonly Member[] {
    return this.#members.slice();
  }
}

interface Flushable {
  flush(): void;
}

interface Streamable {
  stream(): void;
}

/** Gathers what has to be looked at again when the turn is over: one callback for all exchanges of the turn, not one each. */
export class AfterTurn {
  #flushing: Flushable[] = [];
  #streaming: Streamable[] = [];

  /** `flush` is called when the reading that is going on has been worked off. */
  flush(which: Flushable): void {
    if (this.#flushing.push(which) === 1) process.nextTick(() => this.#flushAll());
  }

  /** `stream` is called when all that could be read in this turn of the loop has been read. */
  streamUnlessWhole(which: Streamable): void {
    if (this.#streaming.push(which) === 1) setImmediate(() => this.#streamAll());
  }

  #flushAll(): void {
    const waiting = this.#flushing;
    this.#flushing = [];
    for (const one of waiting) one.flush();
  }

  #streamAll(): void {
    const waiting = this.#streaming;
    this.#streaming = [];
    for (const one of waiting) one.stream();
  }
}

/** Bugs are logged at the 1st, 2nd, 4th, 8th … time, so that a bug on every request does not become a flood. */
export class Complaints {
  readonly #log: Log;
  #count = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  say(what: string, thrown: unknown): void {
    const count = ++this.#count;
    if ((count & (count - 1)) !== 0) return;
    try {
      this.#log.error(
        { error: messageOf(thrown), stack: thrown instanceof Error ? thrown.stack : null, count },
        what,
      );
    } catch {
      // A log that throws must not touch the traffic.
    }
  }
}
