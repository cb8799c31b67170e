// Writes to one registry, one after the other: the newest of each key wins; what fails goes to the end of the queue and is tried
// again after growing pauses; a full queue gives up its oldest write. Nobody waits for it.

import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import { failed, type Reply } from "./registry.ts";

/** Writes that wait; beyond it the oldest is dropped and counted. */
const WAITING_MAX = 1000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 300_000;
/** After so many failures of an outage kind a write is given up. */
const TRIES_MAX = 12;
/** A write that waits for something of its own (a trace that has not arrived) is given up sooner. */
const ALONE_TRIES_MAX = 6;

export interface Write {
  /** A later write of the same key replaces one that waits. */
  readonly key: string;
  readonly operation: "metrics" | "labels" | "promotion" | "registration";
  readonly run: () => Promise<Reply<null>>;
  /** Told when the write is over, for good or not. */
  readonly ended?: (reply: Reply<null>) => void;
}

export interface WriteNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly registry: string;
  readonly count: (operation: string, result: string) => void;
  /** The trouble came, or went. */
  readonly onState: () => void;
}

interface Waiting {
  readonly write: Write;
  tries: number;
  /** Monotonic ms. */
  notBefore: number;
}

export class RegistryWrites {
  readonly #needs: WriteNeeds;
  readonly #waiting = new Map<string, Waiting>();
  #running = false;
  #stopped = false;
  /** Failures since the last success. */
  #failures = 0;
  /** Monotonic ms: until then the registry is left alone. */
  #pausedUntil = 0;
  #timer: Timer | null = null;
  #trouble: string | null = null;
  #lastRefusal: string | null = null;

  constructor(needs: WriteNeeds) {
    this.#needs = needs;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Why the last write failed; null: it did not. */
  get trouble(): string | null {
    return this.#trouble;
  }

  put(write: Write): void {
    if (this.#stopped) return;
    this.#waiting.delete(write.key);
    this.#waiting.set(write.key, { write, tries: 0, notBefore: 0 });
    if (this.#waiting.size > WAITING_MAX) this.#dropOldest();
    this.#next();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #dropOldest(): void {
    const [oldest] = this.#waiting.values();
    if (oldest === undefined) return;
    this.#waiting.delete(oldest.write.key);
    this.#needs.count(oldest.write.operation, "dropped");
    oldest.write.ended?.(failed("too many writes waited", false));
  }

  #next(): void {
    if (this.#running || this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = null;
    const now = this.#needs.clock.monotonicMs();
    let earliest = Number.POSITIVE_INFINITY;
    for (const waiting of this.#waiting.values()) {
      const at = Math.max(waiting.notBefore, this.#pausedUntil);
      if (at <= now) {
        this.#start(waiting);
        return;
      }
      earliest = Math.min(earliest, at);
    }
    if (earliest === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#needs.clock.after(earliest - now, () => this.#next());
  }

  #start(waiting: Waiting): void {
    this.#running = true;
    void this.#run(waiting).then(() => {
      this.#running = false;
      this.#next();
    });
  }

  async #run(waiting: Waiting): Promise<void> {
    const { write } = waiting;
    const reply = await write.run().catch((thrown: unknown): Reply<null> => failed(messageOf(thrown), false));
    // A newer write of this key may have come meanwhile; that one stays.
    const newest = this.#waiting.get(write.key) === waiting;
    if (newest) this.#waiting.delete(write.key);
    const alone = reply.kind === "failed" && reply.alone === true;
    if (reply.kind === "failed" && reply.retry && ++waiting.tries < (alone ? ALONE_TRIES_MAX : TRIES_MAX)) {
      const pause = Math.max(
        reply.retryAfterMs ?? 0,
        this.#pauseOf(alone ? waiting.tries - 1 : this.#failures++),
      );
      const until = this.#needs.clock.monotonicMs() + pause;
      if (alone) waiting.notBefore = until;
      else this.#pausedUntil = until;
      if (newest) this.#waiting.set(write.key, waiting);
      this.#needs.count(write.operation, "retried");
      if (!alone) this.#tell(write, reply.message);
      return;
    }
    if (reply.kind !== "failed") this.#failures = 0;
    this.#needs.count(write.operation, reply.kind);
    // What is refused for its own sake says nothing against the registry; a refused token does.
    const refused = reply.kind === "failed" && !reply.retry && !/^status 40[13]/.test(reply.message);
    if (refused || alone) this.#refused(write, reply.message);
    else this.#tell(write, reply.kind === "failed" ? reply.message : null);
    write.ended?.(reply);
  }

  #pauseOf(failures: number): number {
    return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 16));
  }

  /** Logged when it is not what was logged last. */
  #refused({ operation }: Write, why: string): void {
    if (this.#lastRefusal === why) return;
    this.#lastRefusal = why;
    const { log, registry } = this.#needs;
    log.warn({ registry, operation, error: why }, "the registry refused a write; it is given up");
  }

  /** Logged once per spell of trouble. */
  #tell({ operation }: Write, trouble: string | null): void {
    const before = this.#trouble;
    this.#trouble = trouble;
    if ((before === null) === (trouble === null)) return;
    const { log, registry, onState } = this.#needs;
    if (trouble === null) log.info({ registry, operation }, "writes to the registry succeed again");
    else log.warn({ registry, operation, error: trouble }, "a write to the registry failed");
    onState();
  }
}
