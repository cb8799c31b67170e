// Readiness waits a little for versions that somebody else must be asked for, so that the first predictions carry theirs.

import type { Config } from "../config/config.ts";
import type { PartState } from "../facts/road.ts";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";

/** Whoever has not said its version by then is not waited for: observation may fail, traffic may not. */
export const VERSION_WAIT_MS = 5000;

/** The state of the part names so many models. */
const NAMED_MAX = 5;

export interface VersionWaitNeeds {
  readonly clock: Clock;
  readonly log: Log;
}

/** Does a poll or a registry tell the version of any model? */
export function asksForVersions({ models, registries }: Pick<Config, "models" | "registries">): boolean {
  return models.some(({ version }) =>
    version === null ? registries.length > 0 : "poll" in version || "registry" in version,
  );
}

export class VersionWait {
  readonly #needs: VersionWaitNeeds;
  /** Models that nobody has answered for; null: the observer has not told yet. */
  #awaited: readonly string[] | null = null;
  #over = false;
  #endsAt = 0;
  #since = 0;
  #timer: Timer | null = null;

  constructor(needs: VersionWaitNeeds) {
    this.#needs = needs;
    this.#since = needs.clock.wallMs();
  }

  /** From now on it is waited, for at most VERSION_WAIT_MS. */
  start(): void {
    const { clock, log } = this.#needs;
    this.#since = clock.wallMs();
    this.#endsAt = this.#since + VERSION_WAIT_MS;
    this.#timer = clock.after(VERSION_WAIT_MS, () => {
      if (this.#over) return;
      this.#over = true;
      const fields = { models: this.#awaited?.slice(0, NAMED_MAX) ?? [], waitedMs: VERSION_WAIT_MS };
      log.warn(fields, `ready without a version: ${this.#missing()}`);
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** What the observer says of models that are still awaited. Once none is, it is never waited again. */
  told(awaited: readonly string[]): void {
    const before = this.#awaited;
    this.#awaited = awaited;
    if (awaited.length > 0) return;
    if (before === null || before.length > 0) this.#since = this.#needs.clock.wallMs();
    this.#over = true;
    this.stop();
  }

  get over(): boolean {
    return this.#over;
  }

  state(): PartState {
    const since = new Date(this.#since).toISOString();
    if (this.#awaited?.length === 0) return { state: "ok", why: null, since };
    const then = this.#over
      ? `the last one noted is taken, else "unknown"`
      : `waiting until ${new Date(this.#endsAt).toISOString()}, then ready without`;
    return { state: "degraded", why: `${this.#missing()}; ${then}`, since };
  }

  #missing(): string {
    if (this.#awaited === null) return "the observer has not told yet which versions it knows";
    const more = this.#awaited.length - NAMED_MAX;
    const names = this.#awaited.slice(0, NAMED_MAX).join(", ");
    return `nobody has answered yet which version serves of ${names}${more > 0 ? ` and ${more} more` : ""}`;
  }
}
