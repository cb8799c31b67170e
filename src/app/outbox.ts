// Facts gathered for a moment before they leave: a batch goes when it is full, or shortly after its first fact.

import type { Exchange } from "../facts/exchange.ts";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { Batches } from "./batches.ts";

const FLUSH_MS = 20;

export class Outbox {
  readonly #batches: Batches;
  readonly #clock: Clock;
  readonly #pump: () => void;
  #flush: Timer | null = null;

  /** `pump` writes what waits in `batches`, as far as it is taken. */
  constructor(batches: Batches, clock: Clock, pump: () => void) {
    this.#batches = batches;
    this.#clock = clock;
    this.#pump = pump;
  }

  deliver(exchange: Exchange): void {
    this.#batches.add(exchange);
    if (this.#batches.full) this.push();
    else this.#flush ??= this.#clock.after(FLUSH_MS, () => this.push());
  }

  /** What has been gathered leaves now. */
  push(): void {
    this.#flush?.cancel();
    this.#flush = null;
    this.#batches.seal();
    this.#pump();
  }
}
