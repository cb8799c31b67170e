// An exchange of which both messages are short and come whole, each in one read: the everyday prediction. One object carries it from the
// read to the write. At the first thing that is out of the ordinary it is lengthened: it becomes a relayed request like any other
// (relay.ts), at the point where it is, and that deals with it.
//
//   waiting ──connection──▶ asked ──whole answer──▶ over
//      └──────lengthen────────┴──lengthen──▶ (Relay)

import type { EndedBody, EndedExchange, EndedFact, RawHeaders } from "../facts/exchange.ts";
import { uuidv7 } from "../kernel/ids.ts";
import { RelayResponse } from "./client-answer.ts";
import type { ClientConnection } from "./client-connection.ts";
import { RelayRequest } from "./client-request.ts";
import { outcomeOfAnswer } from "./draft.ts";
import { Lengthened } from "./lengthened.ts";
import { openBegun } from "./opening.ts";
import type { PlainAnswer } from "./plain-answer.ts";
import type { PlainRequest } from "./plain-request.ts";
import { plainRequestHead, plainTracing, traceLines } from "./request-head.ts";
import type { Road, Underway } from "./road.ts";
import { NO_COPY, tapsOf, type Rules } from "./rules.ts";
import type { ShortCall, ShortCalls, ShortCarrier } from "./short-call.ts";
import { planOf, type ShortPlan } from "./short-plan.ts";
import type { Tracing } from "./trace.ts";
import { SHORT_BYTES_MAX } from "./upstream.ts";

const NO_LINES: RawHeaders = Object.freeze([]);
const NO_BYTES = new Uint8Array(0);
/** See `Place.notShort`. */
const NOT_SHORT = 16;

/** What came from the client: a whole request. */
export interface ShortRequest {
  readonly client: ClientConnection;
  readonly head: PlainRequest;
  /** Latin-1. */
  readonly body: string;
}

/** Null: its route or its length ask for more than such an exchange does. */
export function shortExchange(road: Road, calls: ShortCalls, request: ShortRequest): ShortExchange | null {
  const { rules } = road;
  const { client, head, body } = request;
  const plan = planOf(head, client.ownLines(head.host, road.scheme), rules);
  const { place, route } = plan;
  if (place !== null && place.notShort > 0) {
    place.notShort--;
    return null;
  }
  if (route !== null && route.versionHeader !== null) return null;
  if (body.length > rules.snapshot.capture.bodyBytesMax) return null;
  return new ShortExchange(road, request, { calls, plan, taps: tapsOf(rules, route) });
}

interface Found {
  readonly calls: ShortCalls;
  readonly plan: ShortPlan;
  readonly taps: Rules["taps"];
}

export class ShortExchange implements Underway, EndedExchange, ShortCall {
  slot = -1;
  carrier: ShortCarrier | null = null;
  readonly id: string;
  readonly #road: Road;
  readonly #calls: ShortCalls;
  readonly #plan: ShortPlan;
  readonly #taps: Rules["taps"];
  /** Null: over, or lengthened. */
  #client: ClientConnection | null;
  readonly #head: PlainRequest;
  readonly #tracing: Tracing;
  readonly #body: string;
  readonly #bodyKept: boolean;
  readonly #startMs: number;
  readonly #startedAtMs: number;
  #answer: PlainAnswer | null = null;
  #answerBody = "";
  #answerKept = false;
  #answeredMs = 0;
  /** By a bug. */
  #failed = false;

  constructor(road: Road, { client, head, body }: ShortRequest, { calls, plan, taps }: Found) {
    const { clock } = road;
    this.#road = road;
    this.#calls = calls;
    this.#plan = plan;
    this.#taps = taps;
    this.#client = client;
    this.#head = head;
    this.#tracing = plainTracing(head, plan.rules.snapshot.traceSampleRatio);
    this.#body = body;
    this.#startMs = clock.monotonicMs();
    this.#startedAtMs = clock.wallMs();
    this.id = head.predictionId ?? uuidv7(this.#startedAtMs);
    this.#bodyKept = this.#keep(taps.request, body);
  }

  /** True: there is room for a copy of the body, which is taken. */
  #keep({ bodyBytesMax, totalBytesMax }: Rules["taps"]["request"], body: string): boolean {
    if (bodyBytesMax === null) return false;
    return body.length === 0 || this.#road.budget.take(body.length, totalBytesMax);
  }

  get method(): string {
    return this.#head.method;
  }

  get short(): boolean {
    return this.#client !== null;
  }

  get held(): number {
    const client = this.#client;
    return client === null ? 0 : client.socket.readableLength + (this.carrier?.unsentBytes ?? 0);
  }

  begin(carrier: ShortCarrier): string {
    this.carrier = carrier;
    return `${this.#plan.text}${traceLines(this.#head, this.#tracing)}\r\n${this.#body}`;
  }

  takes(head: PlainAnswer | null, bodyBytes: number): head is PlainAnswer {
    const { place, rules } = this.#plan;
    const { bodyBytesMax } = rules.snapshot.capture;
    if (head === null || head.length !== bodyBytes || bodyBytes > Math.min(bodyBytesMax, SHORT_BYTES_MAX)) {
      if (place !== null) place.notShort = NOT_SHORT;
      return false;
    }
    return !head.closes && this.#client?.takesShort === true;
  }

  answer(head: PlainAnswer, body: string): void {
    const client = this.#client;
    if (client === null) return;
    this.#client = null;
    this.carrier = null;
    try {
      this.#answerClient(client, head, body);
    } catch (thrown) {
      this.#become(client)?.failed(this.#body, thrown);
    }
  }

  #answerClient(client: ClientConnection, head: PlainAnswer, body: string): void {
    const { behindId, version } = this.#plan;
    const date = head.hasDate ? "" : `Date: ${client.date()}\r\n`;
    const { socket } = client;
    socket.write(`${head.opening}${this.id}${behindId}${date}${client.keepAliveLines}\r\n${body}`, "latin1");
    if (socket.writableLength > 0 || socket.destroyed) {
      this.#become(client)?.goOnAnswered(this.#body, { head, body, version });
      return;
    }
    this.#answer = head;
    this.#answerBody = body;
    this.#answerKept = this.#keep(this.#taps.response, body);
    this.#answeredMs = this.#road.clock.monotonicMs() - this.#startMs;
    client.shortEnded();
    this.#road.ended(this, this);
  }

  lengthen(): void {
    this.#lengthen();
  }

  cut(): void {
    this.#lengthen()?.cut();
  }

  /** Null: it is none any more. */
  #lengthen(): Lengthened | null {
    const client = this.#client;
    if (client === null) return null;
    const relay = this.#become(client);
    relay?.goOn(this.#body, (request, handler) => this.#calls.goOn(this, request, handler));
    return relay;
  }

  /** In its place, without a call. Null: a bug has ended it. */
  #become(client: ClientConnection): Lengthened | null {
    this.#client = null;
    try {
      return this.#becomeRelay(client);
    } catch (thrown) {
      this.#road.complaints.say("a short exchange could not be lengthened, by a bug", thrown);
      this.#failed = true;
      client.shortEnded();
      client.socket.destroy();
      this.#road.ended(this, this);
      return null;
    }
  }

  #becomeRelay(client: ClientConnection): Lengthened {
    const { id } = this;
    const plan = this.#plan;
    const request = new RelayRequest(client, this.#head);
    const response = new RelayResponse(client, request);
    const opened = openBegun(this.#road, {
      request: this.#head,
      head: plainRequestHead(this.#head, { own: plan.own, tracing: this.#tracing }),
      rules: plan.rules,
      route: plan.route,
      taps: this.#bodyKept ? this.#taps : { ...this.#taps, request: NO_COPY },
      begun: { id, startMs: this.#startMs, startedAtMs: this.#startedAtMs },
    });
    const relay = new Lengthened(this.#road, { request, response }, opened);
    if (this.#bodyKept) this.#road.budget.give(this.#body.length);
    this.#road.lengthened(this, relay);
    client.lengthened(request, response);
    return relay;
  }

  get copiedBytes(): number {
    return (this.#bodyKept ? this.#body.length : 0) + (this.#answerKept ? this.#answerBody.length : 0);
  }

  recycle(): void {}

  seal(): EndedFact {
    this.#road.budget.give(this.copiedBytes);
    const { method, target, httpVersion, predictionId, observed: requestHeaders } = this.#head;
    const status = this.#answer?.status ?? null;
    const responseHeaders = this.#answer?.observed ?? NO_LINES;
    const answeredMs = this.#answeredMs;
    const bodyMs = this.#answerBody === "" ? null : answeredMs;
    return {
      id: this.id,
      idSource: predictionId === null ? "minted" : "client",
      trace: this.#tracing.trace,
      method,
      target,
      httpVersion,
      startedAtMs: this.#startedAtMs,
      clocks: {
        requestEndMs: 0,
        headMs: answeredMs,
        firstByteMs: bodyMs,
        lastByteMs: bodyMs,
        endMs: answeredMs,
        longestGapMs: 0,
      },
      status,
      outcome: this.#failed
        ? "reset"
        : outcomeOfAnswer({ status, headers: responseHeaders, trailers: NO_LINES }),
      ownError: this.#failed ? "internal" : null,
      abortedBy: null,
      upgraded: false,
      announcedVersion: this.#plan.version,
      requestHeaders,
      responseHeaders,
      responseTrailers: NO_LINES,
      request: endedBody(this.#body, this.#bodyKept),
      response: endedBody(this.#answerBody, this.#answerKept),
    };
  }
}

/** `kept`: it was copied. */
function endedBody(body: string, kept: boolean): EndedBody {
  const total = body.length;
  if (!kept) return { bytes: NO_BYTES, total, kept: "not-captured" };
  const copy = { bytes: NO_BYTES, total, kept: "whole" } as const;
  return total === 0 ? copy : { ...copy, text: body };
}
