// Writes to one registry, one after the other: the newest of each kind wins, trouble is retried with growing pauses, and a full
// queue gives up its oldest write. Nobody waits for it.

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
  readonly #waiting = new Map<string, Write>();
  #running = false;
  #stopped = false;
  #tries = 0;
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
    this.#waiting.set(write.key, write);
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
    this.#waiting.delete(oldest.key);
    this.#needs.count(oldest.operation, "dropped");
    oldest.ended?.({ kind: "failed", message: "too many writes waited", retry: false, retryAfterMs: null });
  }

  #next(): void {
    if (this.#running || this.#stopped || this.#timer !== null) return;
    const [write] = this.#waiting.values();
    if (write === undefined) return;
    this.#running = true;
    void this.#run(write).then((pauseMs) => {
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
  async #run(write: Write): Promise<number | null> {
    const reply = await write.run().catch((thrown: unknown): Reply<null> => ({
      kind: "failed",
      message: messageOf(thrown),
      retry: false,
      retryAfterMs: null,
    }));
    if (reply.kind === "failed" && reply.retry && ++this.#tries < TRIES_MAX) {
      this.#needs.count(write.operation, "retried");
      this.#say(write, reply.message);
      const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#tries - 1));
      return reply.retryAfterMs ?? pause;
    }
    this.#tries = 0;
    // A newer write of this key may have come meanwhile; that one stays.
    if (this.#waiting.get(write.key) === write) this.#waiting.delete(write.key);
    this.#needs.count(write.operation, reply.kind);
    if (reply.kind === "ok") this.#saidTrouble = false;
    else this.#say(write, reply.message);
    write.ended?.(reply);
    return null;
  }

  /** Once per spell of trouble. */
  #say(write: Write, message: string): void {
    if (this.#saidTrouble) return;
    this.#saidTrouble = true;
    const { log, registry } = this.#needs;
    log.warn({ registry, operation: write.operation, error: message }, "a write to the registry failed");
  }
}
