// One traffic worker as the traffic process sees it: its life, what it told, and what it took with it when it ended.

import type { TrafficStats } from "../facts/road.ts";
import { parseStats } from "../facts/parse-stats.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { KeptChild } from "./kept-child.ts";
import type { RelayFigures } from "./supervisor.ts";
import { parseRefusal } from "./parse-worker.ts";
import { WORKER_FRAME, type WorkerOpening } from "./worker-road.ts";

/** From its start until it accepts connections. */
export const WORKER_OPENING_MS = 30_000;
/** A worker tells figures four times a second: after this it is taken for one that accepts nothing. */
const SILENT_MS = 1500;
/** While it is down the others have its connections: it is not left away for long. */
const BACKOFF_MAX_MS = 5000;

export interface WorkerOptions {
  readonly number: number;
  /** Which of the sockets is its own, from 0. */
  readonly socket: number;
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of the listening sockets. */
  readonly descriptors: readonly number[];
}

export interface WorkerOwner {
  readonly clock: Clock;
  readonly log: Log;
  opening(of: WorkerOptions): WorkerOpening;
  onListening(): void;
  /** It cannot accept connections. */
  onRefused(error: Error): void;
  /** It has ended. */
  onGone(worker: WorkerKeeper): void;
  /** The payload of a facts frame. */
  deliverBatch(payload: Buffer): void;
  /** What was lost there since it last told, by `queue/what`. */
  addLosses(dropped: Readonly<Record<string, number>>): void;
}

type Counters = Pick<
  RelayFigures,
  | "refusedConnections"
  | "clientErrors"
  | "limited"
  | "resends"
  | "streamWaits"
  | "upstreamConnections"
  | "upstreamConnectTimes"
  | "uncapturedBodies"
  | "cacheMisses"
  | "cacheEvictions"
>;

const NOTHING: Counters = Object.freeze({
  refusedConnections: 0,
  clientErrors: 0,
  limited: {},
  resends: {},
  streamWaits: 0,
  upstreamConnections: {},
  upstreamConnectTimes: {},
  uncapturedBodies: 0,
  cacheMisses: {},
  cacheEvictions: {},
});

export function addCounts(
  one: Readonly<Record<string, number>>,
  other: Readonly<Record<string, number>>,
  sign: 1 | -1 = 1,
): Record<string, number> {
  const sum: Record<string, number> = { ...one };
  for (const [key, count] of Object.entries(other)) sum[key] = (sum[key] ?? 0) + sign * count;
  return sum;
}

function addCounters(one: Counters, other: Counters): Counters {
  return {
    refusedConnections: one.refusedConnections + other.refusedConnections,
    clientErrors: one.clientErrors + other.clientErrors,
    limited: addCounts(one.limited, other.limited),
    resends: addCounts(one.resends, other.resends),
    streamWaits: one.streamWaits + other.streamWaits,
    upstreamConnections: addCounts(one.upstreamConnections, other.upstreamConnections),
    upstreamConnectTimes: addCounts(one.upstreamConnectTimes, other.upstreamConnectTimes),
    uncapturedBodies: one.uncapturedBodies + other.uncapturedBodies,
    cacheMisses: addCounts(one.cacheMisses, other.cacheMisses),
    cacheEvictions: addCounts(one.cacheEvictions, other.cacheEvictions),
  };
}

export class WorkerKeeper {
  readonly child: KeptChild;
  /** Listening sockets that it accepts connections from, its own among them. */
  readonly accepting = new Set<number>();
  readonly #number: number;
  readonly #socket: number;
  readonly #owner: WorkerOwner;
  /** What it told last in this life; null: nothing yet. */
  #told: TrafficStats | null = null;
  /** Counters of its earlier lives. */
  #before: Counters = NOTHING;
  /** Facts that it has handed over in this life. */
  #taken = 0;

  constructor(options: WorkerOptions, owner: WorkerOwner) {
    const { number, socket, command, env, descriptors } = options;
    this.#number = number;
    this.#socket = socket;
    this.#owner = owner;
    this.child = new KeptChild(
      {
        name: `traffic worker ${number}`,
        meanwhile: "the others take its connections",
        command,
        env,
        descriptors,
        openingMs: WORKER_OPENING_MS,
        backoffMaxMs: BACKOFF_MAX_MS,
      },
      {
        clock: owner.clock,
        log: owner.log,
        onBorn: () => this.child.send(WORKER_FRAME.opening, owner.opening(options)),
        onFrame: (kind, payload) => this.#onFrame(kind, payload),
        onDrain: () => {},
        onGone: () => this.#onGone(),
      },
    );
  }

  #onFrame(kind: number, payload: Buffer): void {
    if (kind === WORKER_FRAME.facts) {
      this.#taken += payload.readUInt32LE(4);
      this.#owner.deliverBatch(payload);
    } else if (kind === WORKER_FRAME.stats) {
      const told = parseStats(JSON.parse(payload.toString()));
      this.#owner.addLosses(addCounts(told.dropped, this.#told?.dropped ?? {}, -1));
      this.#told = told;
    } else if (kind === WORKER_FRAME.listening) {
      this.child.becomeReady();
      this.accepting.add(this.#socket);
      this.#owner.onListening();
    } else if (kind === WORKER_FRAME.refused) {
      const error = parseRefusal(payload);
      this.#owner.log.error({ worker: this.#number, error: error.message }, "traffic worker cannot listen");
      this.#owner.onRefused(error);
    }
  }

  /** Facts that it had told of and never handed over are lost with it. */
  #onGone(): void {
    const told = this.#told;
    if (told !== null) {
      const lost = told.seen - this.#taken - (told.dropped["observer/fact"] ?? 0);
      this.#owner.addLosses({ "worker/fact": Math.max(0, lost) });
      this.#before = addCounters(this.#before, told);
    }
    this.#told = null;
    this.#taken = 0;
    this.accepting.clear();
    this.#owner.onGone(this);
  }

  /** It runs, and was heard a moment ago. */
  get lively(): boolean {
    return this.child.ready && this.child.silentMs < SILENT_MS;
  }

  /** It accepts from `socket`, too, from now on. */
  cover(socket: number): void {
    this.accepting.add(socket);
    this.child.send(WORKER_FRAME.cover, { socket });
  }

  /** Counters over all its lives; gauges of this one. */
  figures(): Required<RelayFigures> {
    const { child } = this;
    const told = this.#told;
    return {
      ...addCounters(this.#before, told ?? NOTHING),
      activeRequests: told?.activeRequests ?? 0,
      openConnections: told?.openConnections ?? 0,
      heldBytes: told?.heldBytes ?? 0,
      loopDelayMs: told?.loopDelayMs ?? 0,
      workers: child.ready ? 1 : 0,
      workerRestarts: child.restarts,
    };
  }
}
