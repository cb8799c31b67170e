// An exchange while it happens; sealed once into the fact that everyone counts from.

import type {
  Clocks,
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

export interface Opening {
  readonly clock: Clock;
  readonly method: string;
  readonly target: string;
  readonly httpVersion: string;
  readonly requestHeaders: RawHeaders;
  /** The client's own id, or null: one is minted. */
  readonly predictionId: string | null;
  readonly trace: Trace;
  readonly request: BodyTap;
  readonly response: BodyTap;
}

export class Draft {
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
  responseHeaders: RawHeaders = NO_LINES;
  responseTrailers: RawHeaders = NO_LINES;
  #requestEndMs: number | null = null;
  #headMs: number | null = null;
  #firstByteMs: number | null = null;
  #lastByteMs: number | null = null;
  #longestGapMs = 0;

  constructor(opening: Opening) {
    this.#opening = opening;
    this.#startMs = opening.clock.monotonicMs();
    this.#startedAtMs = opening.clock.wallMs();
    this.id = opening.predictionId ?? uuidv7(this.#startedAtMs);
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
    this.#opening.request.expect(bytes, this.#opening.requestHeaders);
  }

  expectResponse(bytes: number): void {
    this.#opening.response.expect(bytes, this.responseHeaders);
  }

  requestBytes(chunk: Uint8Array): void {
    this.#opening.request.add(chunk);
  }

  responseBytes(chunk: Uint8Array): void {
    this.#opening.response.add(chunk, this.#byteArrived());
  }

  /** Counts; gives the milliseconds since the request's head. */
  tunnelRequestBytes(bytes: number): number {
    this.#opening.request.count(bytes);
    return this.#sinceStart();
  }

  tunnelResponseBytes(bytes: number): number {
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

  /** Nobody reads the bodies of the sealed exchange any more. */
  recycle(): void {
    this.#opening.request.recycle();
    this.#opening.response.recycle();
  }

  /** Once. Not frozen, which would cost each request more than its clocks do. */
  seal(outcome: Outcome): Exchange {
    const opening = this.#opening;
    const clocks: Clocks = {
      requestEndMs: this.#requestEndMs,
      headMs: this.#headMs,
      firstByteMs: this.#firstByteMs,
      lastByteMs: this.#lastByteMs,
      endMs: this.#sinceStart(),
      longestGapMs: this.#longestGapMs,
    };
    const { webSocket } = this;
    const exchange: Exchange = {
      id: this.id,
      idSource: this.idSource,
      trace: opening.trace,
      method: opening.method,
      target: opening.target,
      httpVersion: opening.httpVersion,
      startedAtMs: this.#startedAtMs,
      clocks,
      status: this.status,
      outcome,
      ownError: this.ownError,
      abortedBy: this.abortedBy,
      upgraded: this.upgraded,
      announcedVersion: this.announcedVersion,
      requestHeaders: opening.requestHeaders,
      responseHeaders: this.responseHeaders,
      responseTrailers: this.responseTrailers,
      request: opening.request.seal(),
      response: opening.response.seal(),
    };
    return webSocket === null ? exchange : { ...exchange, webSocket };
  }
}

/** Statuses of gRPC that its semantic conventions call errors of the server: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const GRPC_SERVER_ERRORS: ReadonlySet<string> = new Set(["2", "4", "12", "13", "14", "15"]);

/** The outcome of a whole answer: of its HTTP status, or of the gRPC status that its trailers (or its head alone) carry. */
export function outcomeOfAnswer(draft: Draft): Outcome {
  const { status, responseHeaders, responseTrailers } = draft;
  const grpc = fieldIn(responseTrailers, "grpc-status") ?? fieldIn(responseHeaders, "grpc-status");
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
