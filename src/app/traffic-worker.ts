// A traffic worker: one of several processes that relay behind one listening socket. It ends when the traffic process says so, or is gone.

import { headerFilter } from "../facts/header-filter.ts";
import { Socket } from "node:net";
import type { TrafficStats } from "../facts/road.ts";
import { systemClock, type Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { codeOf, messageOf } from "../kernel/problem.ts";
import { frame, FrameReader } from "../kernel/wire.ts";
import { createProxy, type Proxy } from "../proxy/proxy.ts";
import { Batches } from "./batches.ts";
import { createLogger } from "./logger.ts";
import { createLossBook, type LossBook } from "./loss.ts";
import { Outbox } from "./outbox.ts";
import {
  parseCertificate,
  parseNumberField,
  parseSnapshot,
  parseUpstreamTls,
  parseWorkerOpening,
} from "./parse-worker.ts";
import { WORKER_FRAME, type WorkerOpening } from "./worker-road.ts";

/** Descriptors that the traffic process opened for us. */
const ROAD_FD = 3;
/** The first of the listening sockets. */
const LISTEN_FD = 4;
const BEAT_MS = 250;
/** Bytes that the traffic process has not read; more stays in our own bounded queue. */
const SOCKET_BYTES_MAX = 4 * 1024 * 1024;

/** At the end: for the facts that the traffic process has not taken yet. */
const HAND_OVER_MS = 2000;

/** Resolves to the exit code. */
export async function runTrafficWorker(env: Readonly<Record<string, string | undefined>>): Promise<number> {
  // A signal to the process group is the traffic process's to handle: it tells us what to do.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
  const socket = new Socket({ fd: ROAD_FD, readable: true, writable: true });
  return await new Promise<number>((resolve) => {
    let worker: TrafficWorker | null = null;
    const frames = new FrameReader((kind, payload) => {
      if (kind === WORKER_FRAME.opening)
        worker = new TrafficWorker(parseWorkerOpening(payload), { socket, env, ended: resolve });
      else worker?.onFrame(kind, payload);
    });
    socket.on("data", (chunk: Buffer) => frames.push(chunk));
    socket.on("drain", () => worker?.pump());
    // The traffic process is gone: what is under way is finished, and nothing more is taken.
    socket.on("end", () => worker?.leave());
    socket.on("error", () => worker?.leave());
  });
}

interface WorkerNeeds {
  readonly socket: Socket;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly ended: (code: number) => void;
}

class TrafficWorker {
  readonly #opening: WorkerOpening;
  readonly #needs: WorkerNeeds;
  readonly #log: Log;
  readonly #loss: LossBook = createLossBook();
  readonly #batches: Batches;
  readonly #outbox: Outbox;
  readonly #proxy: Proxy;
  readonly #beat: Timer;
  #beatDueAtMs: number;
  #loopDelayMs = 0;
  #stopping = false;
  #handedOver: (() => void) | null = null;

  constructor(opening: WorkerOpening, needs: WorkerNeeds) {
    this.#opening = opening;
    this.#needs = needs;
    const { number, socket, extraHeaders, queueBytesMax, snapshot } = opening;
    this.#log = createLogger(`traffic-${number}`, needs.env["LOG_LEVEL"] ?? "info");
    this.#batches = new Batches(this.#loss, { extraHeaders, queueBytesMax });
    this.#outbox = new Outbox(this.#batches, {
      clock: systemClock,
      log: this.#log,
      pump: () => this.pump(),
    });
    this.#proxy = createProxy(
      { ...opening.proxy, listen: { fd: LISTEN_FD + socket } },
      {
        clock: systemClock,
        log: this.#log,
        deliver: (ended) => this.#outbox.deliver(ended),
        observed: headerFilter(extraHeaders),
      },
    );
    this.#proxy.setSnapshot(snapshot);
    this.#beatDueAtMs = systemClock.monotonicMs() + BEAT_MS;
    this.#beat = systemClock.every(BEAT_MS, () => this.#onBeat());
    void this.#start();
  }

  async #start(): Promise<void> {
    try {
      await this.#proxy.start();
      this.#send(WORKER_FRAME.listening, {});
    } catch (thrown) {
      this.#send(WORKER_FRAME.refused, { code: codeOf(thrown) ?? "", message: messageOf(thrown) });
      this.#needs.socket.end(() => this.#needs.ended(1));
    }
  }

  onFrame(kind: number, payload: Buffer): void {
    if (kind === WORKER_FRAME.snapshot) this.#proxy.setSnapshot(parseSnapshot(payload));
    else if (kind === WORKER_FRAME.certificate) this.#proxy.setCertificate(parseCertificate(payload));
    else if (kind === WORKER_FRAME.upstreamTls) this.#proxy.setUpstreamTls(parseUpstreamTls(payload));
    else if (kind === WORKER_FRAME.cover) void this.#cover(parseNumberField(payload, "socket"));
    else if (kind === WORKER_FRAME.held)
      this.#batches.heldBehindBytes = parseNumberField(payload, "heldBytes");
    else if (kind === WORKER_FRAME.stop) void this.#stop(parseNumberField(payload, "deadlineMs"));
  }

  /** The worker whose socket it is does not accept: its connections are taken from here on, too. */
  async #cover(socket: number): Promise<void> {
    try {
      await this.#proxy.listenAlso(LISTEN_FD + socket);
    } catch (thrown) {
      this.#log.warn({ error: messageOf(thrown) }, "the socket of another worker cannot be listened at");
    }
  }

  leave(): void {
    if (!this.#stopping) this.#log.warn({}, "the traffic process is gone: draining");
    void this.#stop(this.#opening.drainMs);
  }

  /** Hands batches over: from then on the traffic process answers for them. */
  pump(): void {
    const { socket } = this.#needs;
    while (socket.writable && socket.writableLength < SOCKET_BYTES_MAX) {
      const batch = this.#batches.take();
      if (batch === null) break;
      // Its memory is used again once the system has it.
      socket.write(batch.bytes, () => this.#onWritten(batch.number));
    }
    if (!socket.writable) this.#handedOver?.();
  }

  #onWritten(number: number): void {
    this.#batches.acknowledge(number, 0);
    if (this.#batches.queuedFacts === 0) this.#handedOver?.();
  }

  #send(kind: number, message: unknown): void {
    const { socket } = this.#needs;
    if (socket.writable) socket.write(frame(kind, Buffer.from(JSON.stringify(message))));
  }

  #onBeat(): void {
    const now = systemClock.monotonicMs();
    this.#loopDelayMs = Math.max(0, now - this.#beatDueAtMs);
    this.#beatDueAtMs = now + BEAT_MS;
    if (this.#needs.socket.writableLength < SOCKET_BYTES_MAX) this.#send(WORKER_FRAME.stats, this.#stats());
  }

  #stats(): TrafficStats {
    return {
      ...this.#proxy.stats(),
      seen: this.#loss.seen,
      recorded: this.#loss.recorded,
      dropped: Object.fromEntries(this.#loss.dropped),
      queuedFacts: this.#batches.queuedFacts + this.#outbox.waiting,
      queuedBytes: this.#batches.queuedBytes + this.#outbox.waitingBytes,
      observerRestarts: 0,
      loopDelayMs: this.#loopDelayMs,
      workers: 1,
      workerRestarts: 0,
    };
  }

  async #stop(deadlineMs: number): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    await this.#proxy.stop(deadlineMs);
    this.#beat.cancel();
    await new Promise<void>((resolve) => {
      this.#handedOver = resolve;
      systemClock.after(HAND_OVER_MS, resolve);
      this.#outbox.push();
      if (this.#batches.queuedFacts === 0) resolve();
    });
    this.#batches.dropRest();
    this.#send(WORKER_FRAME.stats, this.#stats());
    const { socket, ended } = this.#needs;
    if (socket.writable) socket.end(() => ended(0));
    else ended(0);
  }
}
