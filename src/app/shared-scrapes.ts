// Scrapes that come while the same answer is on its way share it: the observer is asked once, however many scrape.

import type { Clock } from "../kernel/clock.ts";

/** null: there was no answer in time. */
export type Ask<A> = (accept: string, acceptEncoding: string, timeoutMs: number) => Promise<A | null>;

export class SharedScrapes<A> {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #ask: Ask<A>;
  /** On their way, by what was asked: no more than there are scrapes. */
  readonly #asked = new Map<string, Promise<A | null>>();

  constructor(clock: Pick<Clock, "monotonicMs">, ask: Ask<A>) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** Whoever joined late and is left without an answer asks anew with the time that is left. */
  async get(accept: string, acceptEncoding: string, timeoutMs: number): Promise<A | null> {
    const key = JSON.stringify([accept, acceptEncoding]);
    const asked = this.#asked.get(key);
    if (asked === undefined) {
      const asking = this.#ask(accept, acceptEncoding, timeoutMs).finally(() => this.#asked.delete(key));
      this.#asked.set(key, asking);
      return asking;
    }
    const since = this.#clock.monotonicMs();
    const answer = await asked;
    const leftMs = timeoutMs - (this.#clock.monotonicMs() - since);
    return answer ?? (leftMs > 0 ? this.get(accept, acceptEncoding, leftMs) : null);
  }
}
