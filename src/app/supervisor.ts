// The observer's keeper: starts it, feeds it facts, asks it for metrics, starts it again with back-off. It never makes traffic wait.

import type { EndedExchange } from "../facts/exchange.ts";
import { FRAME, type ObserverState, type Opening, type TrafficStats } from "../facts/road.ts";
import { afterReading, type Clock, type Timer } from "../kernel/clock.ts";
import { COMPILED_CODE } from "../kernel/compiled-code.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { ByteReader } from "../kernel/wire.ts";
import { Batches, QUEUE_BYTES_MAX } from "./batches.ts";
import { KeptChild } from "./kept-child.ts";
import { addLosses, createLossBook, type LossBook } from "./loss.ts";
import { Outbox } from "./outbox.ts";
import { parseObserverState, parseReady } from "./parse-state.ts";
import { SharedScrapes } from "./shared-scrapes.ts";

const BEAT_MS = 1000;
/** A large store may take long to open. */
const OPENING_MS = 600_000;
const BACKOFF_MAX_MS = 30_000;
/** Bytes on the socket that the observer has not read; more stays in our own bounded queue. */
const SOCKET_BYTES_MAX = 4 * 1024 * 1024;
const QUESTIONS_MAX = 64;

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly body: Buffer;
}

export interface SupervisorOptions {
  /** Command line of the observer: executable and arguments. */
  readonly command: readonly [string, ...string[]];
  readonly opening: Omit<Opening, "stats">;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder of its compiled code. */
  readonly compiledIn: string;
  /** Header names the configuration mentions (versions, slices, ids), beside the usual ones. */
  readonly extraHeaders: readonly string[];
}

export interface SupervisorNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly onState: (state: ObserverState) => void;
  /** Figures of the relay, for the stats frame. */
  readonly relayStats: () => RelayFigures;
}

export interface RelayFigures {
  readonly activeRequests: number;
  readonly openConnections: number;
  readonly refusedConnections: number;
  readonly clientErrors: number;
  readonly heldBytes: number;
  readonly limited: Readonly<Record<string, number>>;
  readonly resends: Readonly<Record<string, number>>;
  readonly streamWaits: number;
  readonly upstreamConnections: Readonly<Record<string, number>>;
  readonly upstreamConnectTimes: Readonly<Record<string, number>>;
  readonly uncapturedBodies: number;
  readonly cacheMisses: Readonly<Record<string, number>>;
  readonly cacheEvictions: Readonly<Record<string, number>>;
  /** Of traffic workers, where there are any; else our own is measured. */
  readonly loopDelayMs?: number;
  readonly workers?: number;
  readonly workerRestarts?: number;
}

export interface Supervisor extends Part {
  deliver(ended: EndedExchange): void;
  /** Takes what another process has gathered: the payload of a facts frame. */
  deliverBatch(payload: Buffer): void;
  /** Takes over what another process had to drop, by `queue/what`. Those facts were seen, too. */
  addLosses(dropped: Readonly<Record<string, number>>): void;
  /** Bytes that wait for the observer. */
  readonly heldBytes: number;
  /** Prometheus text from the observer, or null when it does not answer within `timeoutMs`. */
  askMetrics(accept: string, acceptEncoding: string, timeoutMs: number): Promise<Answer | null>;
  stats(): TrafficStats;
  readonly up: boolean;
  readonly downSinceMs: number | null;
}

/** Facts are taken in every state of the observer; only a ready one gets them. */
class ObserverSupervisor implements Supervisor {
  readonly #needs: SupervisorNeeds;
  readonly #loss: LossBook = createLossBook();
  readonly #batches: Batches;
  readonly #outbox: Outbox;
  readonly #child: KeptChild;
  readonly #questions = new Map<number, (answer: Answer | null) => void>();
  readonly #scrapes: SharedScrapes<Answer>;
  #beat: Timer | null = null;
  #question = 0;
  #beatDueAtMs = 0;
  #loopDelayMs = 0;

  constructor(options: SupervisorOptions, needs: SupervisorNeeds) {
    this.#needs = needs;
    const { clock, log } = needs;
    this.#scrapes = new SharedScrapes(clock, (...asked) => this.#ask(...asked));
    this.#batches = new Batches(this.#loss, {
      extraHeaders: options.extraHeaders,
      queueBytesMax: QUEUE_BYTES_MAX,
    });
    this.#outbox = new Outbox(this.#batches, { clock, log, pump: () => this.#pump() });
    this.#child = new KeptChild(
      {
        name: "observer",
        meanwhile: "traffic goes on",
        command: options.command,
        env: options.env,
        help: { [COMPILED_CODE]: options.compiledIn },
        descriptors: [],
        openingMs: OPENING_MS,
        backoffMaxMs: BACKOFF_MAX_MS,
      },
      {
        clock,
        log,
        onBorn: () => this.#child.send(FRAME.opening, { ...options.opening, stats: this.stats() }),
        onFrame: (kind, payload) => this.#onFrame(kind, payload),
        onDrain: () => this.#pump(),
        onGone: () => this.#onGone(),
      },
    );
  }

  get up(): boolean {
    return this.#child.ready;
  }

  get downSinceMs(): number | null {
    return this.#child.downSinceMs;
  }

  get heldBytes(): number {
    return this.#batches.queuedBytes + this.#outbox.waitingBytes;
  }

  start(): Promise<void> {
    this.#beatDueAtMs = this.#needs.clock.monotonicMs() + BEAT_MS;
    this.#beat = this.#needs.clock.every(BEAT_MS, () => this.#onBeat());
    this.#child.start();
    return Promise.resolve();
  }

  deliver(ended: EndedExchange): void {
    this.#outbox.deliver(ended);
  }

  deliverBatch(payload: Buffer): void {
    this.#batches.adopt(payload);
    this.#pump();
  }

  addLosses(dropped: Readonly<Record<string, number>>): void {
    addLosses(this.#loss, dropped);
  }

  /** Writes waiting batches while the socket takes them. */
  #pump(): void {
    if (!this.#child.ready) return;
    while (this.#child.unreadBytes < SOCKET_BYTES_MAX) {
      const batch = this.#batches.take();
      if (batch === null) return;
      this.#child.write(batch.bytes);
    }
  }

  #onFrame(kind: number, payload: Buffer): void {
    if (kind === FRAME.ack) {
      this.#batches.acknowledge(payload.readUInt32LE(0), payload.readUInt32LE(4));
      this.#pump();
    } else if (kind === FRAME.state) this.#needs.onState(parseObserverState(JSON.parse(payload.toString())));
    else if (kind === FRAME.answer) this.#onAnswer(payload);
    else if (kind === FRAME.ready) {
      this.#child.becomeReady();
      this.#batches.requeueSent(parseReady(JSON.parse(payload.toString())).lastBatch);
      this.#pump();
    }
  }

  #onAnswer(payload: Buffer): void {
    const from = new ByteReader(payload);
    const id = from.u32();
    const status = from.u32();
    const contentType = from.text();
    const contentEncoding = from.text();
    const settle = this.#questions.get(id);
    this.#questions.delete(id);
    settle?.({ status, contentType, contentEncoding, body: from.bytes() });
  }

  askMetrics(accept: string, acceptEncoding: string, timeoutMs: number): Promise<Answer | null> {
    return this.#scrapes.get(accept, acceptEncoding, timeoutMs);
  }

  #ask(accept: string, acceptEncoding: string, timeoutMs: number): Promise<Answer | null> {
    if (!this.#child.ready || this.#questions.size >= QUESTIONS_MAX) return Promise.resolve(null);
    const id = ++this.#question;
    return new Promise((resolve) => {
      const timer = afterReading(this.#needs.clock, timeoutMs, () => {
        this.#questions.delete(id);
        resolve(null);
      });
      this.#questions.set(id, (answer) => {
        timer.cancel();
        resolve(answer);
      });
      this.#child.send(FRAME.question, { id, accept, acceptEncoding, stats: this.stats() });
    });
  }

  /** Once a second: figures go over, a hung observer is found, and the lateness of this very call is our loop delay. */
  #onBeat(): void {
    const now = this.#needs.clock.monotonicMs();
    this.#loopDelayMs = Math.max(0, now - this.#beatDueAtMs);
    this.#beatDueAtMs = now + BEAT_MS;
    this.#child.check();
    if (this.#child.unreadBytes < SOCKET_BYTES_MAX) this.#child.send(FRAME.stats, this.stats());
  }

  #onGone(): void {
    for (const settle of this.#questions.values()) settle(null);
    this.#questions.clear();
  }

  stats(): TrafficStats {
    return {
      loopDelayMs: this.#loopDelayMs,
      workers: 1,
      workerRestarts: 0,
      ...this.#needs.relayStats(),
      seen: this.#loss.seen,
      recorded: this.#loss.recorded,
      dropped: Object.fromEntries(this.#loss.dropped),
      queuedFacts: this.#batches.queuedFacts + this.#outbox.waiting,
      queuedBytes: this.heldBytes,
      observerRestarts: this.#child.restarts,
    };
  }

  async stop(deadlineMs: number): Promise<void> {
    if (this.#child.stopped) return;
    this.#outbox.push();
    await this.#child.stop({ deadlineMs, ownMs: deadlineMs * 0.75, kind: FRAME.stop });
    this.#beat?.cancel();
    // What ended only now is lost, and counted.
    this.#outbox.push();
    this.#batches.dropRest();
  }
}

export function createSupervisor(options: SupervisorOptions, needs: SupervisorNeeds): Supervisor {
  return new ObserverSupervisor(options, needs);
}
