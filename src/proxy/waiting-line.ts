// The calls that wait for a connection to the model, in order, and how one of them fails.

import type { OwnError } from "../facts/exchange.ts";
import type { Call } from "./call.ts";
import { describeFailure } from "./failures.ts";

export class WaitingLine {
  readonly #upstreamName: string;
  readonly #later: (work: () => void) => void;
  readonly #serve: () => void;
  #calls: Call[] = [];
  #serving = false;

  /** `serve` is called by `later`, once however often it was asked for: never before the caller has returned. */
  constructor(upstreamName: string, how: { later: (work: () => void) => void; serve: () => void }) {
    this.#upstreamName = upstreamName;
    this.#later = how.later;
    this.#serve = how.serve;
  }

  get length(): number {
    return this.#calls.length;
  }

  /** Those that wait. */
  get calls(): readonly Call[] {
    return this.#calls;
  }

  /** In front of those that came later (`order`): else one that is sent again could be overtaken for good. */
  rejoin(call: Call): void {
    const later = this.#calls.findIndex(({ order }) => order > call.order);
    this.#calls.splice(later < 0 ? this.#calls.length : later, 0, call);
    this.serveSoon();
  }

  join(call: Call): void {
    this.#calls.push(call);
    this.serveSoon();
  }

  serveSoon(): void {
    if (this.#serving) return;
    this.#serving = true;
    this.#later(() => {
      this.#serving = false;
      this.#serve();
    });
  }

  /** Empties the line. */
  takeAll(): Call[] {
    const calls = this.#calls;
    this.#calls = [];
    return calls;
  }

  /** At the end, without asking to be served. */
  putBack(call: Call): void {
    this.#calls.push(call);
  }

  takeFirst(): Call | undefined {
    return this.#calls.shift();
  }

  /** The one that needs a new connection, else the first. */
  takeForFresh(): Call | undefined {
    const fresh = this.#calls.findIndex((one) => one.needsFresh);
    return this.#calls.splice(Math.max(0, fresh), 1)[0];
  }

  leave(call: Call): void {
    const at = this.#calls.indexOf(call);
    if (at >= 0) this.#calls.splice(at, 1);
  }

  /** Also of a call that is not in the line. */
  fail(call: Call, code: OwnError, thrown: unknown): void {
    if (call.over) return;
    call.close();
    call.handler.onFailure(describeFailure(code, this.#upstreamName, thrown));
  }

  failAll(code: OwnError, thrown: unknown): void {
    for (const call of this.takeAll()) this.fail(call, code, thrown);
  }
}
