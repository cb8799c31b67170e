// The traffic workers together: processes that relay behind one listening socket, told what changes, and counted as one.

import { lookup } from "node:dns/promises";
import { BoundSocket } from "node:net";
import { createSecureContext } from "node:tls";
import type { PartState } from "../facts/road.ts";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { Problem } from "../kernel/problem.ts";
import { checkUpstreamTls, type UpstreamTls } from "../proxy/dial.ts";
import type { ProxyOptions, RelaySnapshot } from "../proxy/proxy.ts";
import { QUEUE_BYTES_MAX } from "./batches.ts";
import type { RelayFigures } from "./supervisor.ts";
import type { Traffic } from "./traffic.ts";
import {
  WORKER_OPENING_MS,
  WorkerKeeper,
  addCounts,
  type WorkerOptions,
  type WorkerOwner,
} from "./worker-keeper.ts";
import { WORKER_FRAME, type WorkerOpening } from "./worker-road.ts";

const BEAT_MS = 100;
/** Of one worker, however many there are. */
const QUEUE_BYTES_MIN = 4 * 1024 * 1024;
/** What the workers know of the observer's queue is as exact as this. */
const HELD_STEP_BYTES = 512 * 1024;
/** After the drain: for the last facts of a worker. */
const LAST_WORDS_MS = 2500;

export interface WorkersOptions {
  readonly threads: number;
  readonly listen: { readonly host: string; readonly port: number };
  readonly proxy: Omit<ProxyOptions, "listen">;
  readonly snapshot: RelaySnapshot;
  readonly extraHeaders: readonly string[];
  readonly drainMs: number;
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface WorkersNeeds extends Pick<WorkerOwner, "clock" | "log" | "deliverBatch" | "addLosses"> {
  /** Bytes that wait for the observer. */
  readonly heldBytes: () => number;
}

interface Starting {
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

class TrafficWorkers implements Traffic, WorkerOwner {
  readonly clock: Clock;
  readonly log: Log;
  readonly #options: WorkersOptions;
  readonly #needs: WorkersNeeds;
  readonly #workers: WorkerKeeper[] = [];
  #proxy: Omit<ProxyOptions, "listen">;
  #snapshot: RelaySnapshot;
  /** Bound here, accepted from in the workers: what waits in them outlives every worker. */
  #sockets: readonly BoundSocket[] = [];
  #address: { host: string; port: number } | null = null;
  #beat: Timer | null = null;
  #starting: Starting | null = null;
  #toldHeldBytes = 0;

  constructor(options: WorkersOptions, needs: WorkersNeeds) {
    this.#options = options;
    this.#needs = needs;
    this.clock = needs.clock;
    this.log = needs.log;
    this.#snapshot = options.snapshot;
    const { proxy, threads } = options;
    this.#proxy = { ...proxy, maxConnections: Math.ceil(proxy.maxConnections / threads) };
  }

  get address(): { host: string; port: number } | null {
    return this.#address;
  }

  /** Resolves when all accept connections. Rejects with the system's error when the address cannot be listened at. */
  async start(): Promise<void> {
    const { listen, threads, command, env } = this.#options;
    const { address: host } = await lookup(listen.host);
    const sockets = bindAll({ host, port: listen.port }, threads);
    this.#sockets = sockets;
    const [first] = sockets;
    const descriptors = sockets.map((socket) => socket.fd());
    if (first === undefined || descriptors.some((fd) => fd < 0))
      throw new Problem("listen_failed", NOT_HERE, "proxy.threads");
    const bound = first.address();
    for (let number = 1; number <= threads; number++) {
      const socket = (number - 1) % sockets.length;
      this.#workers.push(new WorkerKeeper({ number, socket, command, env, descriptors }, this));
    }
    await this.#startAll();
    this.#address = { host: bound.address, port: bound.port };
    this.#beat = this.clock.every(BEAT_MS, () => this.#onBeat());
  }

  async #startAll(): Promise<void> {
    const slow = new Problem("listen_failed", "the traffic workers did not accept connections in time");
    let late: Timer | null = null;
    try {
      await new Promise<void>((done, failed) => {
        this.#starting = { done, failed };
        late = this.clock.after(WORKER_OPENING_MS, () => failed(slow));
        for (const { child } of this.#workers) child.start();
      });
    } finally {
      this.#starting = null;
      (late as Timer | null)?.cancel();
    }
  }

  opening({ number, socket }: WorkerOptions): WorkerOpening {
    const { extraHeaders, drainMs, threads } = this.#options;
    return {
      number,
      socket,
      proxy: this.#proxy,
      snapshot: this.#snapshot,
      extraHeaders,
      queueBytesMax: Math.max(QUEUE_BYTES_MAX / threads, QUEUE_BYTES_MIN),
      drainMs,
    };
  }

  onListening(): void {
    this.#tellHeld(true);
    if (this.#up === this.#workers.length) this.#starting?.done();
  }

  onRefused(error: Error): void {
    this.#starting?.failed(error);
  }

  onGone(): void {
    this.#starting?.failed(
      new Problem("listen_failed", "a traffic worker ended before it accepted connections"),
    );
    this.#coverAll();
  }

  deliverBatch(payload: Buffer): void {
    this.#needs.deliverBatch(payload);
    this.#tellHeld(false);
  }

  addLosses(dropped: Readonly<Record<string, number>>): void {
    this.#needs.addLosses(dropped);
  }

  #onBeat(): void {
    for (const { child } of this.#workers) child.check();
    this.#coverAll();
    this.#tellHeld(false);
  }

  /** The system goes on sending connections to the socket of a worker that is away, or hangs: another one takes them. */
  #coverAll(): void {
    if (this.#starting !== null) return;
    const lively = this.#workers.filter((worker) => worker.lively);
    this.#sockets.forEach((_, socket) => {
      if (lively.some((worker) => worker.accepting.has(socket))) return;
      const [least] = lively.toSorted((a, b) => a.accepting.size - b.accepting.size);
      least?.cover(socket);
    });
  }

  /** A full queue is met at the source: workers shed bodies, then facts, before they send what would be dropped here. */
  #tellHeld(anyway: boolean): void {
    const heldBytes = Math.round(this.#needs.heldBytes() / this.#options.threads);
    if (!anyway && Math.abs(heldBytes - this.#toldHeldBytes) < HELD_STEP_BYTES) return;
    this.#toldHeldBytes = heldBytes;
    this.#tellAll(WORKER_FRAME.held, { heldBytes });
  }

  #tellAll(kind: number, message: unknown): void {
    for (const { child } of this.#workers) child.send(kind, message);
  }

  setSnapshot(snapshot: RelaySnapshot): void {
    this.#snapshot = snapshot;
    this.#tellAll(WORKER_FRAME.snapshot, snapshot);
  }

  setCertificate(certificate: { readonly cert: string; readonly key: string }): void {
    createSecureContext(certificate);
    this.#proxy = { ...this.#proxy, tls: certificate };
    this.#tellAll(WORKER_FRAME.certificate, certificate);
  }

  setUpstreamTls(tls: UpstreamTls): void {
    checkUpstreamTls(tls);
    this.#proxy = { ...this.#proxy, upstream: { ...this.#proxy.upstream, tls } };
    this.#tellAll(WORKER_FRAME.upstreamTls, tls);
  }

  get #up(): number {
    return this.#workers.filter(({ child }) => child.ready).length;
  }

  get accepts(): boolean {
    return this.#up > 0;
  }

  health(): PartState {
    const up = this.#up;
    const count = this.#workers.length;
    const since = this.#workers.map(({ child }) => child.downSinceMs).filter((ms) => ms !== null);
    return {
      state: up === count ? "ok" : "degraded",
      why: up === count ? null : `${count - up} of ${count} traffic workers are being started again`,
      since: new Date(up === count ? this.clock.wallMs() : Math.min(...since)).toISOString(),
    };
  }

  stats(): RelayFigures {
    const all = this.#workers.map((worker) => worker.figures());
    const sum = (of: (one: Required<RelayFigures>) => number): number =>
      all.reduce((total, one) => total + of(one), 0);
    const counts = (of: (one: RelayFigures) => Readonly<Record<string, number>>): Record<string, number> =>
      all.reduce((total: Record<string, number>, one) => addCounts(total, of(one)), {});
    return {
      activeRequests: sum((one) => one.activeRequests),
      openConnections: sum((one) => one.openConnections),
      refusedConnections: sum((one) => one.refusedConnections),
      clientErrors: sum((one) => one.clientErrors),
      heldBytes: sum((one) => one.heldBytes),
      limited: counts((one) => one.limited),
      resends: counts((one) => one.resends),
      streamWaits: sum((one) => one.streamWaits),
      upstreamConnections: counts((one) => one.upstreamConnections),
      upstreamConnectTimes: counts((one) => one.upstreamConnectTimes),
      uncapturedBodies: sum((one) => one.uncapturedBodies),
      cacheMisses: counts((one) => one.cacheMisses),
      cacheEvictions: counts((one) => one.cacheEvictions),
      loopDelayMs: Math.max(0, ...all.map((one) => one.loopDelayMs)),
      workers: this.#up,
      workerRestarts: sum((one) => one.workerRestarts),
    };
  }

  /** All drain for up to `deadlineMs`; their last facts are taken before this resolves. */
  async stop(deadlineMs: number): Promise<void> {
    this.#address = null;
    for (const socket of this.#sockets) socket.close();
    this.#sockets = [];
    await Promise.all(
      this.#workers.map(({ child }) =>
        child.stop({ deadlineMs: deadlineMs + LAST_WORDS_MS, ownMs: deadlineMs, kind: WORKER_FRAME.stop }),
      ),
    );
    this.#beat?.cancel();
  }
}

const NOT_HERE =
  "more than one relay thread needs a system that passes listening sockets on to other processes: set proxy.threads to 1";

/**
 * A socket for each worker, among which the system spreads connections evenly (SO_REUSEPORT). Where it cannot, one for all: they
 * take turns then, less evenly. Throws the system's error when somebody else listens at the address.
 */
function bindAll(at: { readonly host: string; readonly port: number }, count: number): BoundSocket[] {
  // With SO_REUSEPORT a second program of this user would get half of the connections, without an error: asked for without it first.
  const alone = new BoundSocket(at);
  try {
    const probe = new BoundSocket({ host: at.host, reusePort: true });
    probe.close();
  } catch {
    return [alone];
  }
  const { port } = alone.address();
  alone.close();
  return Array.from({ length: count }, () => new BoundSocket({ host: at.host, port, reusePort: true }));
}

export function createWorkers(options: WorkersOptions, needs: WorkersNeeds): Traffic {
  return new TrafficWorkers(options, needs);
}
