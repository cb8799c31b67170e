// Writes to one registry, one after the other: the newest of each key wins; what fails goes to the end of the queue and is tried
// again after growing pauses; a full queue gives up its oldest write. Nobody waits for it.

import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import type { Reply } from "./registry.ts";

/** Writes that wait; beyond it the oldest is dropped and counted. */
const WAITING_MAX = 1000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 300_000;
/** After so many failures of an outage kind a write is given up. */
const TRIES_MAX = 12;

export interface Write {
  /** A later write of the same key replaces one that waits. */
  readonly key: string;
  readonly operation: "metrics" | "labels" | "promotion";
  readonly run: () => Promise<Reply<null>>;
  /** Told when the write is over, for good or not. */
  readonly ended?: (reply: Reply<null>) => void;
}

export interface WriteNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly registry: string;
  readonly count: (operation: string, result: string) => void;
}

export class RegistryWrites {
  readonly #needs: WriteNeeds;
  readonly #waiting = new Map<string, { readonly write: Write; tries: number }>();
  #running = false;
  #stopped = false;
  /** Failures since the last success. */
  #failures = 0;
  #timer: Timer | null = null;
  #saidTrouble = false;

  constructor(needs: WriteNeeds) {
    this.#needs = needs;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  put(write: Write): void {
    if (this.#stopped) return;
    this.#waiting.delete(write.key);
    this.#waiting.set(write.key, { write, tries: 0 });
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
    oldest.write.ended?.({
      kind: "failed",
      message: "too many writes waited",
      retry: false,
      retryAfterMs: null,
    });
  }

  #next(): void {
    if (this.#running || this.#stopped || this.#timer !== null) return;
    const [next] = this.#waiting.values();
    if (next === undefined) return;
    this.#running = true;
    void this.#run(next).then((pauseMs) => {
      this.#running = false;
      if (pauseMs === null) this.#next();
      else this.#pause(pauseMs);
    });
  }

  #pause(ms: number): void {
    if (this.#stopped) return;
    this.#timer = this.#needs.clock.after(ms, () => {
      this.#timer = null;
      this.#next();
    });
  }

  /** How long to wait before the next try; null: go on at once. */
  async #run(waiting: { readonly write: Write; tries: number }): Promise<number | null> {
    const { write } = waiting;
    const reply = await write.run().catch((thrown: unknown): Reply<null> => ({
      kind: "failed",
      message: messageOf(thrown),
      retry: false,
      retryAfterMs: null,
    }));
    // A newer write of this key may have come meanwhile; that one stays.
    const newest = this.#waiting.get(write.key) === waiting;
    if (newest) this.#waiting.delete(write.key);
    if (reply.kind === "failed" && reply.retry && ++waiting.tries < TRIES_MAX) {
      if (newest) this.#waiting.set(write.key, waiting);
      this.#needs.count(write.operation, "retried");
      this.#say(write, reply.message);
      return reply.retryAfterMs ?? this.#growingPause();
    }
    if (reply.kind !== "failed") this.#failures = 0;
    this.#needs.count(write.operation, reply.kind);
    if (reply.kind === "ok") this.#saidTrouble = false;
    else this.#say(write, reply.message);
    write.ended?.(reply);
    return null;
  }

  #growingPause(): number {
    return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.#failures++, 16));
  }

  /** Once per spell of trouble. */
  #say(write: Write, message: string): void {
    if (this.#saidTrouble) return;
    this.#saidTrouble = true;
    const { log, registry } = this.#needs;
    log.warn({ registry, operation: write.operation, error: message }, "a write to the registry failed");
  }
}
