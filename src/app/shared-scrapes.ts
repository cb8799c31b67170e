// Scrapes that come while the same answer is on its way share it: the observer is asked once, however many scrape. And the more
// that got the last answer, the longer the next one waits, so that a storm of scrapes takes no more than a small share of the process that relays.

import { sleep, type Clock } from "../kernel/clock.ts";

/** The pause that each scrape answered puts before the next question: 200 scrapes a second, at some 0.2 ms of CPU each. */
const PAUSE_MS = 5;
const PAUSE_MS_MAX = 1000;

/** null: there was no answer in time. */
export type Ask<A> = (accept: string, acceptEncoding: string, timeoutMs: number) => Promise<A | null>;

interface Asked<A> {
  readonly answer: Promise<A | null>;
  /** When the question was put, or will be. */
  readonly atMs: number;
  sharedBy: number;
}

export class SharedScrapes<A> {
  readonly #clock: Pick<Clock, "monotonicMs" | "after">;
  readonly #ask: Ask<A>;
  /** On their way, by what was asked: no more than there are scrapes. */
  readonly #asked = new Map<string, Asked<A>>();
  /** No question before. */
  #nextAtMs = -Infinity;

  constructor(clock: Pick<Clock, "monotonicMs" | "after">, ask: Ask<A>) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /**
   * `timeoutMs` counts from when the question is put; the pause before that is 1 s at most. Whoever joined late and is left without
   * an answer asks anew with the time that is left.
   */
  async get(accept: string, acceptEncoding: string, timeoutMs: number): Promise<A | null> {
    const key = JSON.stringify([accept, acceptEncoding]);
    const asked = this.#asked.get(key);
    if (asked === undefined) return this.#put(key, () => this.#ask(accept, acceptEncoding, timeoutMs));
    asked.sharedBy++;
    const since = Math.max(asked.atMs, this.#clock.monotonicMs());
    const answer = await asked.answer;
    const leftMs = timeoutMs - (this.#clock.monotonicMs() - since);
    return answer ?? (leftMs > 0 ? this.get(accept, acceptEncoding, leftMs) : null);
  }

  #put(key: string, ask: () => Promise<A | null>): Promise<A | null> {
    const now = this.#clock.monotonicMs();
    const atMs = Math.max(now, this.#nextAtMs);
    const answer = (atMs > now ? sleep(this.#clock, atMs - now).then(ask) : ask()).finally(() => {
      this.#asked.delete(key);
      this.#pauseFor(asked.sharedBy);
    });
    const asked: Asked<A> = { answer, atMs, sharedBy: 1 };
    this.#asked.set(key, asked);
    return answer;
  }

  #pauseFor(scrapes: number): void {
    const now = this.#clock.monotonicMs();
    this.#nextAtMs = Math.min(Math.max(now, this.#nextAtMs) + scrapes * PAUSE_MS, now + PAUSE_MS_MAX);
  }
}
