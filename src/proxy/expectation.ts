// A client that waits for a 100 before it sends its body (RFC 9110 §10.1.1). The model is asked whether it wants the body: it may
// refuse by the head alone. One that says nothing does not know the expectation: then the client is told to go on all the same.

import { afterReading, type Clock, type Timer } from "../kernel/clock.ts";

/** What a model that answers by the head has for it, and all that a model costs that does not know the expectation. */
const SILENT_MS = 100;

/** To the model, while the expectation is open. */
export const EXPECT: readonly string[] = Object.freeze(["Expect", "100-continue"]);

export class Expectation {
  readonly #clock: Clock;
  readonly #say: () => void;
  #timer: Timer | null = null;
  #open = true;

  /** `say`: tells the client to go on. */
  constructor(clock: Clock, say: () => void) {
    this.#clock = clock;
    this.#say = say;
  }

  /** The client waits still. */
  get open(): boolean {
    return this.#open;
  }

  /** The model has been asked: the head is on its way, on a connection that stands. */
  wait(): void {
    if (this.#open) this.#timer ??= afterReading(this.#clock, SILENT_MS, () => this.meet());
  }

  /** The model wants the body, or says nothing. */
  meet(): void {
    if (!this.#open) return;
    this.close();
    this.#say();
  }

  /** The client did not wait, or there is an answer. */
  close(): void {
    this.#open = false;
    this.#timer?.cancel();
  }
}
