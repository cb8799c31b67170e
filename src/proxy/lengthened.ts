// What a short exchange becomes when something is out of the ordinary: a relay that begins in the middle. Its request is whole.

import type { PlainAnswer } from "./plain-answer.ts";
import { Relay } from "./relay.ts";
import type { UpstreamCall, UpstreamHandler, UpstreamRequest } from "./upstream.ts";

/** What was written to the client. */
export interface WrittenAnswer {
  readonly head: PlainAnswer;
  readonly body: string;
  /** The version it names. */
  readonly version: string | null;
}

export class Lengthened extends Relay {
  /** The model has been asked, or will be. `take` gives the call. */
  goOn(body: string, take: (request: UpstreamRequest, handler: UpstreamHandler) => UpstreamCall): void {
    try {
      this.#adopt(body);
      this.state = "asked";
      this.call = take(this.asks(null, body === "" ? null : body), this);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  /** The model has answered, and the client has not taken all of it. */
  goOnAnswered(body: string, answer: WrittenAnswer): void {
    try {
      this.#adopt(body);
      this.state = "answering";
      const { draft } = this;
      draft.headArrived();
      draft.status = answer.head.status;
      draft.responseHead = answer.head;
      draft.announcedVersion = answer.version;
      if (answer.body !== "") draft.responseText(answer.body);
      this.response.written();
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  /** Something went wrong by a bug of ours while the answer was written: the client cannot be told. */
  failed(body: string, thrown: unknown): void {
    this.#adopt(body);
    this.state = "answering";
    this.response.headersSent = true;
    this.bug(thrown);
  }

  #adopt(body: string): void {
    this.response.attach(this);
    this.request.receiver = this;
    this.request.complete = true;
    this.draft.requestWasHead();
    if (body !== "") this.draft.requestText(body);
  }
}
