// How an exchange ends, in whatever version of HTTP: whole, by an error of ours, left by its client, cut by the drain, or failed by a bug. Once.

import type { Outcome } from "../facts/exchange.ts";
import { messageOf } from "../kernel/problem.ts";
import type { Draft } from "./draft.ts";
import { describeFailure, outcomeOf, type Failure } from "./failures.ts";
import type { Opened } from "./opening.ts";
import type { Road, Underway } from "./road.ts";
import type { UpstreamCall } from "./upstream.ts";

export type ExchangeState = "collecting" | "asked" | "answering" | "over";

export abstract class Ends implements Underway {
  slot = -1;
  protected readonly road: Road;
  protected readonly draft: Draft;
  readonly #upstreamName: string;
  protected state: ExchangeState = "collecting";
  protected call: UpstreamCall | null = null;
  /** Set when the sidecar ends the exchange itself. */
  protected ownOutcome: Outcome | null = null;
  #delivered = false;

  constructor(road: Road, { draft, way }: Opened) {
    this.road = road;
    this.draft = draft;
    this.#upstreamName = way.upstreamName;
  }

  /** Answers with our own error: nothing of an answer has left. */
  protected abstract answerFailure(failure: Failure): void;
  /** The head has left: what was written still does, and the end is visibly none. */
  protected abstract breakOff(failure: Failure): void;
  protected abstract readonly headSent: boolean;
  /** Ends the client's side at once. */
  protected abstract drop(): void;
  /** The exchange is about to be sealed: nothing may keep it alive. */
  protected abstract release(): void;
  abstract readonly held: number;

  abstract onData(chunk: Buffer, lent: boolean): boolean;

  onText(body: string): void {
    try {
      this.takeText(body);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  /** The answer's body, all of it, as latin-1 text. */
  protected takeText(body: string): void {
    this.onData(Buffer.from(body, "latin1"), false);
  }

  onFailure(failure: Failure): void {
    if (this.state === "over") return;
    try {
      this.call = null;
      if (this.state === "answering") this.draft.abortedBy = "upstream";
      this.fail(failure);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  /** The upstream is left, and the client told why. */
  giveUp(failure: Failure): void {
    if (this.state === "over") return;
    try {
      this.#leaveUpstream();
      this.fail(failure);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  /** Ends the exchange by our own error: an answer while that is possible, a visible break after the head. */
  protected fail(failure: Failure): void {
    const answering = this.state === "answering";
    this.draft.ownError = failure.code;
    this.ownOutcome = answering ? "reset" : outcomeOf(failure.code);
    if (answering) this.breakOff(failure);
    this.state = "over";
    if (!answering) this.answerFailure(failure);
  }

  /** The client's side is over; `finished`: it got all of the answer. */
  protected clientOver(finished: boolean): void {
    if (!finished) this.call?.abort();
    this.call = null;
    this.state = "over";
    if (!finished && this.ownOutcome === null) this.draft.abortedBy = "client";
    this.#deliver(this.ownOutcome ?? (finished ? null : "client_abort"));
  }

  /** The drain deadline: answered while that is possible, else broken off; delivered now. */
  cut(): void {
    try {
      this.#leaveUpstream();
      if (this.state !== "over") this.fail(describeFailure("draining", this.#upstreamName, null));
      this.#deliver(this.ownOutcome ?? "reset");
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  #leaveUpstream(): void {
    this.call?.abort();
    this.call = null;
  }

  /** `outcome`: null when the answer says it. */
  #deliver(outcome: Outcome | null): void {
    if (this.#delivered) return;
    this.#delivered = true;
    this.release();
    this.road.ended(this, this.draft.close(outcome));
  }

  /** A bug of ours ends this exchange and no other. */
  protected bug(thrown: unknown): void {
    this.road.complaints.say("relaying a request failed by a bug", thrown);
    try {
      this.#leaveUpstream();
      if (this.state !== "over" && !this.headSent) {
        this.state = "asked";
        this.fail(describeFailure("internal", this.#upstreamName, new Error(messageOf(thrown))));
        return;
      }
      if (!this.#delivered) this.draft.ownError ??= "internal";
      this.ownOutcome ??= "reset";
      this.state = "over";
      this.drop();
    } catch {
      this.drop();
    }
  }
}
