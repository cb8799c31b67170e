// One question to a registry, asked at intervals: in trouble the pauses grow. Never in the way of a request.

import type { Clock, Timer } from "../kernel/clock.ts";
import { messageOf } from "../kernel/problem.ts";
import { failed, type Reply } from "./registry.ts";

const LONGEST_PAUSE_MS = 600_000;
/** Looks asked for between two regular ones are at least so far apart, whoever asks. */
const SOONEST_MS = 1000;

export interface PollOptions<T> {
  readonly everyMs: number;
  readonly ask: () => Promise<Reply<T>>;
  /** Every answer, good or not. */
  readonly took: (reply: Reply<T>) => void;
  readonly clock: Clock;
}

export class RegistryPoll<T> {
  readonly #options: PollOptions<T>;
  #failures = 0;
  #timer: Timer | null = null;
  #started = false;
  #stopped = false;
  #looking = false;
  #again = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #answeredAt: number | null = null;

  constructor(options: PollOptions<T>) {
    this.#options = options;
  }

  /** Unix ms of the last answer ("none" is one); null: none yet. */
  get answeredAt(): number | null {
    return this.#answeredAt;
  }

  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Looks soon, because something has happened: at once, after the look under way, or a second after the last one. */
  soon(): void {
    if (this.#stopped || !this.#started) return;
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#timer?.cancel();
    const { clock, everyMs } = this.#options;
    const since = clock.monotonicMs() - this.#lookedAt;
    this.#timer = clock.after(Math.max(0, Math.min(SOONEST_MS, everyMs) - since), () => this.#look());
  }

  #look(): void {
    const { ask, took, clock } = this.#options;
    this.#looking = true;
    this.#again = false;
    this.#lookedAt = clock.monotonicMs();
    void ask()
      .catch((thrown: unknown): Reply<T> => failed(messageOf(thrown), true))
      .then((reply) => {
        this.#looking = false;
        if (this.#stopped) return;
        if (reply.kind === "ok" || reply.kind === "none") this.#answeredAt = clock.wallMs();
        took(reply);
        const pause = this.#pauseAfter(reply);
        this.#timer = clock.after(pause, () => this.#look());
        if (this.#again) this.soon();
      });
  }

  /** What has never answered is asked soon again: predictions have no version until then. */
  #pauseAfter(reply: Reply<T>): number {
    const { everyMs } = this.#options;
    // "none" is an answer: nothing is declared.
    if (reply.kind !== "failed") {
      this.#failures = 0;
      return everyMs;
    }
    const leastMs = this.#answeredAt === null ? Math.min(everyMs, SOONEST_MS) : everyMs;
    const pause = leastMs * 2 ** Math.min(this.#failures++, 10);
    return Math.max(leastMs, reply.retryAfterMs ?? 0, Math.min(LONGEST_PAUSE_MS, pause));
  }
}
