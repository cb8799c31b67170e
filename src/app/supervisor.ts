// The observer's keeper: starts it, feeds it facts, asks it for metrics, starts it again with back-off. It never makes traffic wait.

import { spawn, type ChildProcess } from "node:child_process";
import { Duplex } from "node:stream";
import type { Exchange } from "../facts/exchange.ts";
import { FRAME, type ObserverState, type Opening, type TrafficStats } from "../facts/road.ts";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import { ByteReader, frame, FrameReader } from "../kernel/wire.ts";
import { Batches, QUEUE_BYTES_MAX } from "./batches.ts";
import { createLossBook, type LossBook } from "./loss.ts";
import { parseObserverState, parseReady } from "./parse-state.ts";

const FLUSH_MS = 20;
const BEAT_MS = 1000;
/** Silence of a ready observer after which it counts as hung and is killed. */
const HANG_MS = 30_000;
/** A large store may take long to open. */
const OPENING_MS = 600_000;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 30_000;
/** An observer that lived this long starts the back-off afresh. */
const HEALTHY_MS = 60_000;
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
  readonly limited: Readonly<Record<string, number>>;
}

export interface Supervisor extends Part {
  deliver(exchange: Exchange): void;
  /** Prometheus text from the observer, or null when it does not answer within `timeoutMs`. */
  askMetrics(accept: string, acceptEncoding: string, timeoutMs: number): Promise<Answer | null>;
  stats(): TrafficStats;
  readonly up: boolean;
  readonly downSinceMs: number | null;
}

/**
 * States: stopped -> opening (child runs, store opens) -> ready -> waiting (child gone, back-off runs) -> opening ...
 * Facts are taken in every state; only `ready` puts them on the wire.
 */
class ObserverSupervisor implements Supervisor {
  readonly #options: SupervisorOptions;
  readonly #needs: SupervisorNeeds;
  readonly #loss: LossBook = createLossBook();
  readonly #batches: Batches;
  readonly #questions = new Map<number, (answer: Answer | null) => void>();
  #state: "stopped" | "opening" | "ready" | "waiting" = "stopped";
  #stopping = false;
  #child: ChildProcess | null = null;
  #pipe: Duplex | null = null;
  #flush: Timer | null = null;
  #beat: Timer | null = null;
  #restart: Timer | null = null;
  #backoffMs = BACKOFF_FIRST_MS;
  #bornAtMs = 0;
  #heardAtMs = 0;
  #downSinceMs: number | null = 0;
  #restarts = 0;
  #question = 0;
  #beatDueAtMs = 0;
  #loopDelayMs = 0;
  #exited: (() => void) | null = null;

  constructor(options: SupervisorOptions, needs: SupervisorNeeds) {
    this.#options = options;
    this.#needs = needs;
    this.#batches = new Batches(this.#loss, {
      extraHeaders: options.extraHeaders,
      queueBytesMax: QUEUE_BYTES_MAX,
    });
  }

  get up(): boolean {
    return this.#state === "ready";
  }

  get downSinceMs(): number | null {
    return this.#downSinceMs;
  }

  start(): Promise<void> {
    this.#stopping = false;
    this.#downSinceMs = this.#needs.clock.wallMs();
    this.#beatDueAtMs = this.#needs.clock.monotonicMs() + BEAT_MS;
    this.#beat = this.#needs.clock.every(BEAT_MS, () => this.#onBeat());
    this.#spawn();
    return Promise.resolve();
  }

  deliver(exchange: Exchange): void {
    this.#batches.add(exchange);
    if (this.#batches.full) this.#push();
    else this.#flush ??= this.#needs.clock.after(FLUSH_MS, () => this.#push());
  }

  #push(): void {
    this.#flush?.cancel();
    this.#flush = null;
    this.#batches.seal();
    this.#pump();
  }

  /** Writes waiting batches while the socket takes them. */
  #pump(): void {
    const pipe = this.#pipe;
    if (this.#state !== "ready" || pipe === null) return;
    while (pipe.writableLength < SOCKET_BYTES_MAX) {
      const batch = this.#batches.take();
      if (batch === null) return;
      pipe.write(batch.bytes);
    }
  }

  #spawn(): void {
    const [executable, ...args] = this.#options.command;
    this.#state = "opening";
    this.#bornAtMs = this.#needs.clock.monotonicMs();
    this.#heardAtMs = this.#bornAtMs;
    const child = spawn(executable, args, {
      stdio: ["ignore", "inherit", "inherit", "pipe"],
      env: { ...this.#options.env },
    });
    this.#child = child;
    child.on("error", (error) =>
      this.#needs.log.error({ error: error.message }, "observer could not be started"),
    );
    // "close", not "exit": what it acknowledged before it ended is read first.
    child.on("close", (code, signal) => this.#onExit(child, { code, signal }));
    const pipe = child.stdio[3];
    if (pipe instanceof Duplex) this.#listen(pipe);
  }

  #listen(pipe: Duplex): void {
    this.#pipe = pipe;
    const frames = new FrameReader((kind, payload) => this.#onFrame(kind, payload));
    pipe.on("data", (chunk: Buffer) => {
      try {
        frames.push(chunk);
      } catch (thrown) {
        this.#needs.log.error(
          { error: messageOf(thrown) },
          "observer sent what cannot be read; starting it again",
        );
        this.#child?.kill("SIGKILL");
      }
    });
    pipe.on("drain", () => this.#pump());
    // A dead observer's socket fails on write: its exit is what counts.
    pipe.on("error", () => {});
    this.#send(FRAME.opening, { ...this.#options.opening, stats: this.stats() });
  }

  #send(kind: number, message: unknown): void {
    const pipe = this.#pipe;
    if (pipe === null || !pipe.writable) return;
    pipe.write(frame(kind, Buffer.from(JSON.stringify(message))));
  }

  #onFrame(kind: number, payload: Buffer): void {
    this.#heardAtMs = this.#needs.clock.monotonicMs();
    if (kind === FRAME.ack) {
      this.#batches.acknowledge(payload.readUInt32LE(0), payload.readUInt32LE(4));
      this.#pump();
    } else if (kind === FRAME.state) this.#needs.onState(parseObserverState(JSON.parse(payload.toString())));
    else if (kind === FRAME.answer) this.#onAnswer(payload);
    else if (kind === FRAME.ready) {
      this.#state = "ready";
      this.#downSinceMs = null;
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
    if (this.#state !== "ready" || this.#questions.size >= QUESTIONS_MAX) return Promise.resolve(null);
    const id = ++this.#question;
    return new Promise((resolve) => {
      const timer = this.#needs.clock.after(timeoutMs, () => {
        this.#questions.delete(id);
        resolve(null);
      });
      this.#questions.set(id, (answer) => {
        timer.cancel();
        resolve(answer);
      });
      this.#send(FRAME.question, { id, accept, acceptEncoding, stats: this.stats() });
    });
  }

  /** Once a second: figures go over, a hung observer is found, and the lateness of this very call is our loop delay. */
  #onBeat(): void {
    const now = this.#needs.clock.monotonicMs();
    this.#loopDelayMs = Math.max(0, now - this.#beatDueAtMs);
    this.#beatDueAtMs = now + BEAT_MS;
    if (this.#child === null) return;
    const silentMs = now - this.#heardAtMs;
    if (silentMs > (this.#state === "opening" ? OPENING_MS : HANG_MS)) {
      this.#needs.log.error(
        { silentMs: Math.round(silentMs) },
        "observer does not answer; starting it again",
      );
      this.#heardAtMs = now;
      this.#child.kill("SIGKILL");
    } else if ((this.#pipe?.writableLength ?? 0) < SOCKET_BYTES_MAX) this.#send(FRAME.stats, this.stats());
  }

  #onExit(child: ChildProcess, how: { code: number | null; signal: string | null }): void {
    if (child !== this.#child) return;
    this.#child = null;
    this.#pipe?.destroy();
    this.#pipe = null;
    this.#state = "waiting";
    this.#downSinceMs = this.#needs.clock.wallMs();
    for (const settle of this.#questions.values()) settle(null);
    this.#questions.clear();
    this.#exited?.();
    if (this.#stopping) return;
    if (this.#needs.clock.monotonicMs() - this.#bornAtMs > HEALTHY_MS) this.#backoffMs = BACKOFF_FIRST_MS;
    this.#needs.log.error(
      { ...how, againInMs: this.#backoffMs },
      "observer ended; traffic goes on, starting it again",
    );
    this.#restarts += 1;
    this.#restart = this.#needs.clock.after(this.#backoffMs, () => this.#spawn());
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MAX_MS);
  }

  stats(): TrafficStats {
    return {
      ...this.#needs.relayStats(),
      seen: this.#loss.seen,
      recorded: this.#loss.recorded,
      dropped: Object.fromEntries(this.#loss.dropped),
      queuedFacts: this.#batches.queuedFacts,
      queuedBytes: this.#batches.queuedBytes,
      observerRestarts: this.#restarts,
      loopDelayMs: this.#loopDelayMs,
    };
  }

  async stop(deadlineMs: number): Promise<void> {
    if (this.#stopping || this.#state === "stopped") return;
    this.#stopping = true;
    this.#restart?.cancel();
    this.#push();
    const child = this.#child;
    if (child !== null) await this.#stopChild(child, deadlineMs);
    this.#beat?.cancel();
    this.#flush?.cancel();
    this.#batches.dropRest();
    this.#state = "stopped";
  }

  async #stopChild(child: ChildProcess, deadlineMs: number): Promise<void> {
    const { clock } = this.#needs;
    const gone = new Promise<void>((resolve) => {
      this.#exited = resolve;
    });
    // Three quarters of the time for the observer's own end; the rest is for ending it ourselves.
    this.#send(FRAME.stop, { deadlineMs: deadlineMs * 0.75 });
    const kill = clock.after(deadlineMs * 0.9, () => child.kill("SIGKILL"));
    const late = new Promise<void>((resolve) => clock.after(deadlineMs, resolve));
    await Promise.race([gone, late]);
    kill.cancel();
  }
}

export function createSupervisor(options: SupervisorOptions, needs: SupervisorNeeds): Supervisor {
  return new ObserverSupervisor(options, needs);
}
