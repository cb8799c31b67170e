// Facts gathered for a moment before they leave: a batch goes when it is full, or shortly after its first fact.

import type { EndedExchange, EndedFact } from "../facts/exchange.ts";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { Complaints } from "../proxy/road.ts";
import type { Batches } from "./batches.ts";

const FLUSH_MS = 20;
/** Facts are made of so many exchanges at a time: one by one, between reads and writes, each costs several times as much (decision 0059). */
const ENDED_MAX = 32;
/** Of the copies of their bodies: where those are long, a fact is made at once. */
const ENDED_BYTES_MAX = 256 * 1024;

export class Outbox {
  readonly #batches: Batches;
  readonly #clock: Clock;
  readonly #complaints: Complaints;
  readonly #pump: () => void;
  #flush: Timer | null = null;
  #ended: EndedExchange[] = [];
  #endedBytes = 0;

  /** `pump` writes what waits in `batches`, as far as it is taken. */
  constructor(batches: Batches, needs: { clock: Clock; log: Log; pump: () => void }) {
    this.#batches = batches;
    this.#clock = needs.clock;
    this.#complaints = new Complaints(needs.log);
    this.#pump = needs.pump;
  }

  /** Exchanges of which no fact has been made yet. */
  get waiting(): number {
    return this.#ended.length;
  }

  /** Bytes of their bodies. */
  get waitingBytes(): number {
    return this.#endedBytes;
  }

  /** Keeps `ended` until its fact has been made, soon. */
  deliver(ended: EndedExchange): void {
    this.#endedBytes += ended.copiedBytes;
    if (this.#ended.push(ended) >= ENDED_MAX || this.#endedBytes >= ENDED_BYTES_MAX) this.#makeFacts();
    if (this.#batches.full) this.push();
    else this.#flush ??= this.#clock.after(FLUSH_MS, () => this.push());
  }

  /** What has been gathered leaves now. */
  push(): void {
    this.#flush?.cancel();
    this.#flush = null;
    this.#makeFacts();
    this.#batches.seal();
    this.#pump();
  }

  #makeFacts(): void {
    const all = this.#ended;
    this.#ended = [];
    this.#endedBytes = 0;
    for (const ended of all) {
      let fact: EndedFact | null = null;
      try {
        fact = ended.seal();
        this.#batches.add(fact);
        ended.recycle();
      } catch (thrown) {
        if (fact === null) this.#batches.miss();
        this.#complaints.say("an exchange could not be told to the observer", thrown);
      }
    }
  }
}
