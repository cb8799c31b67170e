// A call whose request is whole and short, as text, and whose answer is taken only when it is the same. It is no object of its own but
// the exchange itself; as soon as it is anything else it becomes an ordinary call, at the point where it is.

import type { Call } from "./call.ts";
import type { PlainAnswer } from "./plain-answer.ts";
import type { UpstreamCall, UpstreamHandler, UpstreamRequest } from "./upstream.ts";

/** The connection that carries it. */
export interface ShortCarrier {
  readonly unsentBytes: number;
  /** What it carries is an ordinary call from now on. */
  lengthen(call: Call): void;
}

export interface ShortCall {
  readonly method: string;
  /** Null: it waits for a connection. */
  readonly carrier: ShortCarrier | null;
  /** It is one still: neither over nor an ordinary call. */
  readonly short: boolean;
  /** Has a connection; gives what is to be written on it: head and body, latin-1. */
  begin(carrier: ShortCarrier): string;
  /** Can it be ended with this answer, the head and what came behind it? `head`: null: no plain one. */
  takes(head: PlainAnswer | null, bodyBytes: number): head is PlainAnswer;
  /** The whole answer; its connection is free again. Only where it takes that. */
  answer(head: PlainAnswer, body: string): void;
  /** Becomes an ordinary call before this returns, if it is a short one. */
  lengthen(): void;
}

export interface ShortCalls {
  sendShort(call: ShortCall): void;
  /** `call` goes on as an ordinary one where it is: in line, or on its connection. */
  goOn(call: ShortCall, request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall;
}
