// An exchange while it happens; sealed once into the fact that everyone counts from.

import type {
  Clocks,
  EndedExchange,
  EndedFact,
  Exchange,
  Outcome,
  OwnError,
  RawHeaders,
  Trace,
  WebSocketFacts,
} from "../facts/exchange.ts";
import type { Clock } from "../kernel/clock.ts";
import { uuidv7 } from "../kernel/ids.ts";
import type { BodyTap } from "./tap.ts";

const NO_LINES: RawHeaders = Object.freeze([]);

/** A head, by what of it is told to the observer. */
export interface ObservedHead {
  /** Those lines, at least. */
  readonly observed: RawHeaders;
}

const NO_HEAD: ObservedHead = Object.freeze({ observed: NO_LINES });

export interface Opening {
  readonly clock: Clock;
  readonly method: string;
  readonly target: string;
  readonly httpVersion: string;
  readonly requestHead: ObservedHead;
  /** The client's own id, or null: one is minted. */
  readonly predictionId: string | null;
  readonly trace: Trace;
  readonly request: BodyTap;
  readonly response: BodyTap;
  /** It has begun already, then and with this id. Default null. */
  readonly begun?: Begun | null;
}

export interface Begun {
  readonly id: string;
  /** Of the clock's monotonic time. */
  readonly startMs: number;
  /** Unix time. */
  readonly startedAtMs: number;
}

/** Sealed once, after it was closed. */
export class Draft implements EndedExchange {
  readonly #opening: Opening;
  readonly #startMs: number;
  readonly #startedAtMs: number;
  id: string;
  idSource: Exchange["idSource"];
  status: number | null = null;
  ownError: OwnError | null = null;
  abortedBy: Exchange["abortedBy"] = null;
  upgraded = false;
  /** Filled in before it is sealed, where the upgrade was to a WebSocket. */
  webSocket: WebSocketFacts | null = null;
  announcedVersion: string | null = null;
  responseHead: ObservedHead = NO_HEAD;
  responseTrailers: RawHeaders = NO_LINES;
  #requestEndMs: number | null = null;
  #headMs: number | null = null;
  #firstByteMs: number | null = null;
  #lastByteMs: number | null = null;
  #longestGapMs = 0;
  #outcome: Outcome | null = null;
  #endMs = 0;
  #closed = false;

  constructor(opening: Opening) {
    this.#opening = opening;
    const { begun, clock } = opening;
    this.#startMs = begun?.startMs ?? clock.monotonicMs();
    this.#startedAtMs = begun?.startedAtMs ?? clock.wallMs();
    this.id = begun?.id ?? opening.predictionId ?? uuidv7(this.#startedAtMs);
    this.idSource = opening.predictionId === null ? "minted" : "client";
  }

  #sinceStart(): number {
    return this.#opening.clock.monotonicMs() - this.#startMs;
  }

  /** The request had no body: its end was its head. */
  requestWasHead(): void {
    this.#requestEndMs = 0;
  }

  requestEnded(): void {
    this.#requestEndMs = this.#sinceStart();
  }

  headArrived(): number {
    this.#headMs = this.#sinceStart();
    return this.#headMs;
  }

  /** `bytes`: how long the heads say the bodies are. */
  expectRequest(bytes: number): void {
    this.#opening.request.expect(bytes, this.#opening.requestHead);
  }

  expectResponse(bytes: number): void {
    this.#opening.response.expect(bytes, this.responseHead);
  }

  requestBytes(chunk: Uint8Array): void {
    this.#opening.request.add(chunk);
  }

  responseBytes(chunk: Uint8Array): void {
    this.#opening.response.add(chunk, this.#byteArrived());
  }

  /** A whole body, as latin-1 text. */
  requestText(body: string): void {
    this.#opening.request.addText(body);
  }

  responseText(body: string): void {
    this.#byteArrived();
    this.#opening.response.addText(body);
  }

  /** Counts; gives the milliseconds since the request's head. What a tunnel's ends still say once it is closed is not of it. */
  tunnelRequestBytes(bytes: number): number {
    if (this.#closed) return this.#endMs;
    this.#opening.request.count(bytes);
    return this.#sinceStart();
  }

  tunnelResponseBytes(bytes: number): number {
    if (this.#closed) return this.#endMs;
    this.#opening.response.count(bytes);
    return this.#byteArrived();
  }

  #byteArrived(): number {
    const now = this.#sinceStart();
    const before = this.#lastByteMs;
    if (before === null) this.#firstByteMs = now;
    else if (now - before > this.#longestGapMs) this.#longestGapMs = now - before;
    this.#lastByteMs = now;
    return now;
  }

  /** It is over. `outcome`: null when the answer is whole, and says it. Nothing of it changes any more. */
  close(outcome: Outcome | null): EndedExchange {
    this.#outcome = outcome;
    this.#endMs = this.#sinceStart();
    this.#closed = true;
    return this;
  }

  get copiedBytes(): number {
    return this.#opening.request.heldBytes + this.#opening.response.heldBytes;
  }

  recycle(): void {
    this.#opening.request.recycle();
    this.#opening.response.recycle();
  }

  /** Not frozen, which would cost each request more than its clocks do. */
  seal(): EndedFact {
    const opening = this.#opening;
    const { webSocket, responseTrailers } = this;
    const responseHeaders = this.responseHead.observed;
    const answer = { status: this.status, headers: responseHeaders, trailers: responseTrailers };
    const clocks: Clocks = {
      requestEndMs: this.#requestEndMs,
      headMs: this.#headMs,
      firstByteMs: this.#firstByteMs,
      lastByteMs: this.#lastByteMs,
      endMs: this.#endMs,
      longestGapMs: this.#longestGapMs,
    };
    const exchange: EndedFact = {
      id: this.id,
      idSource: this.idSource,
      trace: opening.trace,
      method: opening.method,
      target: opening.target,
      httpVersion: opening.httpVersion,
      startedAtMs: this.#startedAtMs,
      clocks,
      status: this.status,
      outcome: this.#outcome ?? outcomeOfAnswer(answer),
      ownError: this.ownError,
      abortedBy: this.abortedBy,
      upgraded: this.upgraded,
      announcedVersion: this.announcedVersion,
      requestHeaders: opening.requestHead.observed,
      responseHeaders,
      responseTrailers,
      request: opening.request.seal(),
      response: opening.response.seal(),
    };
    return webSocket === null ? exchange : { ...exchange, webSocket };
  }
}

/** Statuses of gRPC that its semantic conventions call errors of the server: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const GRPC_SERVER_ERRORS: ReadonlySet<string> = new Set(["2", "4", "12", "13", "14", "15"]);

/** The outcome of a whole answer: of its HTTP status, or of the gRPC status that its trailers (or its head alone) carry. */
export function outcomeOfAnswer(answer: {
  readonly status: number | null;
  readonly headers: RawHeaders;
  readonly trailers: RawHeaders;
}): Outcome {
  const { status, headers, trailers } = answer;
  const grpc = fieldIn(trailers, "grpc-status") ?? fieldIn(headers, "grpc-status");
  if (grpc === null || grpc === "0" || status !== 200) return outcomeOfStatus(status ?? 0);
  return GRPC_SERVER_ERRORS.has(grpc) ? "server_error" : "client_error";
}

function fieldIn(lines: RawHeaders, name: string): string | null {
  for (let i = 0; i < lines.length; i += 2) {
    const given = lines[i] ?? "";
    if (given.length === name.length && given.toLowerCase() === name) return lines[i + 1] ?? "";
  }
  return null;
}

/** The outcome that an upstream's status means. */
export function outcomeOfStatus(status: number): Outcome {
  if (status >= 500) return "server_error";
  return status >= 400 ? "client_error" : "ok";
}
