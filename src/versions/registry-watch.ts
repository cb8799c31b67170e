// What a registry declares to be in production, asked at intervals; in trouble the last answer stays, with its age, and the
// pauses grow. Never in the way of a request.

import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import type { Registry, RegistryVersion, Reply } from "./registry.ts";

const LONGEST_PAUSE_MS = 600_000;

export interface Declared {
  readonly version: string;
  /** Unix ms: when it was first seen to be the declared one. */
  readonly since: number;
  /** Unix ms of the last answer. */
  readonly checkedAt: number;
  /** Why the last look failed; null: it succeeded. */
  readonly trouble: string | null;
}

export interface WatchNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly count: (operation: string, result: string) => void;
  /** The declared version became another one (also the first time). */
  readonly onVersion: (model: string, version: RegistryVersion) => void;
  /** State or trouble changed. */
  readonly onState: () => void;
}

export interface WatchOptions {
  readonly model: string;
  readonly everyMs: number;
}

export class RegistryWatch {
  readonly model: string;
  readonly #registry: Registry;
  readonly #everyMs: number;
  readonly #needs: WatchNeeds;
  #declared: Declared | null = null;
  #trouble: string | null = null;
  #failures = 0;
  #timer: Timer | null = null;
  #stopped = false;
  #looking = false;

  constructor(registry: Registry, { model, everyMs }: WatchOptions, needs: WatchNeeds) {
    this.model = model;
    this.#registry = registry;
    this.#everyMs = everyMs;
    this.#needs = needs;
  }

  get declared(): Declared | null {
    return this.#declared === null ? null : { ...this.#declared, trouble: this.#trouble };
  }

  get trouble(): string | null {
    return this.#trouble;
  }

  start(): void {
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Looks now, e.g. because a promotion was written. */
  soon(): void {
    if (this.#stopped || this.#looking) return;
    this.#timer?.cancel();
    this.#look();
  }

  #look(): void {
    this.#looking = true;
    void this.#registry
      .current(this.model)
      .catch((thrown: unknown): Reply<RegistryVersion> => ({
        kind: "failed",
        message: messageOf(thrown),
        retry: true,
        retryAfterMs: null,
      }))
      .then((reply) => {
        this.#looking = false;
        if (this.#stopped) return;
        const pause = this.#take(reply);
        this.#timer = this.#needs.clock.after(pause, () => this.#look());
      });
  }

  #take(reply: Reply<RegistryVersion>): number {
    this.#needs.count("current", reply.kind);
    if (reply.kind === "ok") {
      this.#failures = 0;
      this.#answered(reply.value);
      return this.#everyMs;
    }
    // "none" is an answer: nothing is declared.
    if (reply.kind === "none") {
      this.#failures = 0;
      this.#declared = null;
      this.#setTrouble(reply.message);
      return this.#everyMs;
    }
    this.#failures++;
    this.#setTrouble(reply.message);
    const pause = this.#everyMs * 2 ** Math.min(this.#failures - 1, 10);
    const retryAfterMs = reply.kind === "failed" ? (reply.retryAfterMs ?? 0) : 0;
    return Math.max(this.#everyMs, retryAfterMs, Math.min(LONGEST_PAUSE_MS, pause));
  }

  #answered(found: RegistryVersion): void {
    const now = this.#needs.clock.wallMs();
    const before = this.#declared;
    const same = before?.version === found.version;
    this.#declared = {
      version: found.version,
      since: same ? before.since : now,
      checkedAt: now,
      trouble: null,
    };
    this.#setTrouble(null);
    if (!same) this.#needs.onVersion(this.model, found);
  }

  #setTrouble(why: string | null): void {
    if (this.#trouble === why) return;
    this.#trouble = why;
    const { log } = this.#needs;
    const fields = { registry: this.#registry.type, model: this.model };
    if (why === null) log.info(fields, "the registry answers again");
    else
      log.warn({ ...fields, error: why }, "the registry could not be asked; the last declared version stays");
    this.#needs.onState();
  }
}
