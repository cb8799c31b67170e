// One request and its answer, from the head that was read to the sealed exchange.
//
//   collecting ──whole body, or none──▶ asked ──head──▶ answering ──last byte out──▶ over
//       └──────turn over: streamed──────▶│                  │
//   Every state goes to `over` when the client leaves, the upstream fails, or the drain deadline cuts.

import { STATUS_CODES } from "../kernel/http.ts";
import { CollectedBody } from "./collected.ts";
import type { RawHeaders } from "../facts/exchange.ts";
import { answerLines, plainAnswerLines, type AnswerClues } from "./answer-head.ts";
import type { AnswerHead } from "./answer-reader.ts";
import { Ends } from "./ends.ts";
import { EXPECT, Expectation } from "./expectation.ts";
import { describeFailure, problemAnswer, type Failure } from "./failures.ts";
import type { RelayRequest } from "./client-request.ts";
import type { RelayEnds, RelayResponse } from "./client-answer.ts";
import { lastHopAnswer } from "./last-hop.ts";
import type { ClientSide } from "./messages.ts";
import { openExchange, type Opened } from "./opening.ts";
import { NO_PATH, spendForward, upstreamTarget, type RequestHead } from "./request-head.ts";
import type { PlainAnswer } from "./plain-answer.ts";
import {
  plainLines,
  readResponseHead,
  reasonPhrase,
  type PlainLines,
  type WaitingHead,
} from "./response-head.ts";
import type { Road, Way } from "./road.ts";
import { SHORT_BYTES_MAX, type UpstreamHandler, type UpstreamRequest } from "./upstream.ts";

export class Relay extends Ends implements ClientSide, UpstreamHandler {
  readonly request: RelayRequest;
  protected readonly response: RelayResponse;
  readonly #clues: AnswerClues;
  readonly #head: RequestHead;
  readonly #way: Way;
  readonly #collected = new CollectedBody();
  #waitingHead: WaitingHead | null = null;
  /** Of the request: short, and whole. */
  #text: string | null = null;
  #firstChunk: Buffer | string | null = null;
  /** The answer's end can be told from its framing alone, without the connection's. */
  #framed = true;
  #lastOnConnection = false;
  #expectation: Expectation | null = null;

  constructor(road: Road, { request, response }: RelayEnds, opened: Opened = openExchange(road, request)) {
    super(road, opened);
    this.request = request;
    this.response = response;
    this.#way = opened.way;
    this.#clues = { rules: opened.rules, route: opened.route, target: request.url };
    this.#head = opened.head;
  }

  begin(): void {
    try {
      this.response.attach(this);
      this.#begin();
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  #begin(): void {
    const head = this.#head;
    const { method, url } = this.request;
    const target = method === "CONNECT" ? null : upstreamTarget(method, url);
    if (head.refusal !== null || target === null) {
      this.#lastOnConnection = true;
      this.fail({ code: "bad_request", detail: head.refusal ?? NO_PATH });
      return;
    }
    if (!spendForward(method, head.lines)) {
      this.#answerAsLast(method);
      return;
    }
    if (head.framing === "none") {
      this.draft.requestWasHead();
      this.#send(null);
      return;
    }
    this.request.attach(this, head.framing === "length" ? head.bodyBytes : null);
    if (head.expectsContinue)
      this.#expectation = new Expectation(this.road.clock, () => this.response.writeContinue());
  }

  /** `Max-Forwards` is used up: we are whom the request was for. */
  #answerAsLast(method: string): void {
    const { status, reason, lines } = lastHopAnswer(method, this.draft.id);
    this.#lastOnConnection = this.#head.framing !== "none";
    this.draft.status = status;
    this.ownOutcome = "rejected";
    this.state = "over";
    if (this.#lastOnConnection || this.road.draining) lines.push("Connection", "close");
    this.response.writeHead(status, reason, lines);
    this.response.end(null);
  }

  onRequestData(chunk: Buffer): boolean {
    try {
      if (this.state === "over") return true;
      this.draft.requestBytes(chunk);
      this.#expectation?.close();
      if (this.state !== "collecting") return this.call === null || this.call.write(chunk);
      if (this.#collected.add(chunk)) this.stream();
      return true;
    } catch (thrown) {
      this.bug(thrown);
      return true;
    }
  }

  onRequestText(body: string): void {
    if (this.state !== "collecting" || this.#way.speaks === "h2")
      return void this.onRequestData(Buffer.from(body, "latin1"));
    try {
      this.draft.requestText(body);
      this.#expectation?.close();
      this.#text = body;
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  get keepsData(): boolean {
    return this.#collected.bytes > 0 || this.waitingBytes > 0;
  }

  get waitingBytes(): number {
    return this.call?.unsentBytes ?? 0;
  }

  onRequestLull(): void {
    if (this.state === "collecting") this.road.afterTurn.streamUnlessWhole(this);
  }

  onRequestEnd(came: RawHeaders): void {
    try {
      if (this.state === "over") return;
      this.draft.requestEnded();
      // Also of a body without a byte.
      this.#expectation?.close();
      const trailers = came.length === 0 ? came : plainLines(came).flat();
      // Trailers need the chunked coding.
      if (trailers.length > 0) this.stream();
      if (this.state !== "collecting") {
        this.call?.end(trailers);
        return;
      }
      this.#send(this.#text === null ? this.#collected.whole() : null);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  /** The turn is over and the body is not whole: it is forwarded as it comes. */
  stream(): void {
    if (this.state !== "collecting") return;
    try {
      const chunks = this.#collected.take();
      if (this.#expectation?.open === true) this.#head.lines.push(...EXPECT);
      this.#send("streamed");
      for (const chunk of chunks) this.call?.write(chunk);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  #send(body: Buffer | null | "streamed"): void {
    this.state = "asked";
    this.#collected.take();
    const text = this.#text;
    this.#text = null;
    this.call = this.#way.upstream.send(this.asks(body, text), this);
  }

  /** What the model is asked. `shortBody`: instead of `body`. */
  protected asks(body: UpstreamRequest["body"], shortBody: string | null): UpstreamRequest {
    const { method, url } = this.request;
    const { lines, text, framing, acceptsTrailers } = this.#head;
    const target = upstreamTarget(method, url) ?? "/";
    return { method, target, headers: lines, text, framing, body, shortBody, acceptsTrailers };
  }

  onBegun(): void {
    this.#expectation?.wait();
  }

  get held(): number {
    const call = this.call === null ? 0 : this.call.unsentBytes + this.call.keptBytes + this.call.unreadBytes;
    const answer = this.response.unsentBytes + (this.#firstChunk?.length ?? 0);
    return this.#collected.bytes + this.request.socket.readableLength + call + answer;
  }

  onDrain(): void {
    // Once it is complete the connection's reading belongs to the next request.
    if (!this.request.complete) this.request.readMore();
  }

  onInformation(status: number, headers: RawHeaders): void {
    if (this.state !== "asked" || this.request.httpVersion !== "1.1") return;
    try {
      if (status === 100) this.#expectation?.meet();
      else this.response.writeInformation(status, plainLines(headers).flat());
    } catch (thrown) {
      this.road.complaints.say("an interim answer of the upstream could not be passed on", thrown);
    }
  }

  onHead(came: AnswerHead): void {
    if (this.state !== "asked") return;
    try {
      this.#endExpectation();
      this.draft.headArrived();
      const { status, reason } = came;
      const plain = came.plain && this.#clues.route?.versionHeader == null;
      const lines = plain ? this.#plainLines(came) : this.#linesOf(came);
      if (lines === null) return;
      this.state = "answering";
      this.draft.status = status;
      this.draft.responseHead = came;
      if (came.plain) this.draft.expectResponse(came.length);
      this.#waitingHead = { status, reason: came.plain ? reason : reasonPhrase(reason), lines };
      // Over HTTP/1.1 the connection tells when its read has been worked off.
      if (this.#way.speaks === "h2") this.road.afterTurn.flush(this);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  onLull(): void {
    this.flush();
  }

  #plainLines(head: PlainAnswer): PlainLines {
    this.#framed = head.length >= 0 || this.request.httpVersion === "1.1";
    return plainAnswerLines(head, this.draft, this.#clues);
  }

  /** Null: it is no answer that can be passed on, and the exchange is over. */
  #linesOf({ status, lines, receivedVersion }: AnswerHead): string[] | null {
    const head = readResponseHead(lines, {
      status,
      headOnly: this.request.method === "HEAD",
      httpVersion: this.request.httpVersion,
      receivedVersion,
      versionHeader: this.#clues.route?.versionHeader ?? null,
    });
    if (head.defect !== null) {
      this.call?.abort();
      this.fail(describeFailure("invalid_response", this.#way.upstreamName, new Error(head.defect)));
      return null;
    }
    this.#framed = head.hasLength || this.request.httpVersion === "1.1";
    return answerLines(head, this.draft, this.#clues);
  }

  onData(chunk: Buffer, lent: boolean): boolean {
    if (this.state !== "answering") return false;
    try {
      this.draft.responseBytes(chunk);
      const stays = !lent || chunk.length <= SHORT_BYTES_MAX;
      if (stays && this.#waitingHead !== null && this.#firstChunk === null) {
        // Head, body and end often arrive together: held until the turn ends, they leave together.
        this.#firstChunk = chunk;
        return false;
      }
      // Of what was read before it into the block that is lent, nothing has been passed on.
      const first = this.#waitingHead !== null && this.#firstChunk === null;
      if (this.#firstChunk === null) this.#writeHead();
      else this.flush();
      this.#write(chunk, lent && first ? chunk.byteOffset : 0);
      return lent && this.response.unsentBytes > 0;
    } catch (thrown) {
      this.bug(thrown);
      return lent;
    }
  }

  protected override takeText(body: string): void {
    if (this.state !== "answering") return;
    if (this.#waitingHead === null || this.#firstChunk !== null) return super.takeText(body);
    this.draft.responseText(body);
    this.#firstChunk = body;
  }

  #write(chunk: Buffer | string, spareBytes = 0): void {
    if (!this.response.destroyed && !this.response.write(chunk, spareBytes)) this.call?.pause();
  }

  onClientDrained(): void {
    this.call?.resume();
  }

  onEnd(trailers: RawHeaders): void {
    if (this.state !== "answering") return;
    try {
      this.call = null;
      this.draft.responseTrailers = trailers;
      const chunk = this.#takeFirstChunk();
      if (trailers.length > 0) this.response.addTrailers(plainLines(trailers));
      this.response.end(chunk);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  /** The turn is over: what waits leaves now, the head alone if nothing followed it. */
  flush(): void {
    if (this.#waitingHead === null || this.state !== "answering") return;
    try {
      const chunk = this.#takeFirstChunk();
      if (chunk === null) this.response.flushHeaders();
      else this.#write(chunk);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  /** Writes the head that waits; gives the chunk that waited with it. */
  #takeFirstChunk(): Buffer | string | null {
    const chunk = this.#firstChunk;
    this.#firstChunk = null;
    this.#writeHead();
    return chunk;
  }

  #writeHead(): void {
    const head = this.#waitingHead;
    if (head === null) return;
    this.#waitingHead = null;
    const { status, reason, lines } = head;
    const ends = this.#lastOnConnection || this.road.draining;
    if (!Array.isArray(lines)) {
      this.response.writePlainHead({ status, reason, ends }, lines);
      return;
    }
    if (ends) lines.push("Connection", "close");
    this.response.writeHead(status, reason, lines);
  }

  /** Answered while the client waits: it sends its body or another request now, and nothing tells them apart. */
  #endExpectation(): void {
    if (this.#expectation?.open !== true) return;
    this.#expectation.close();
    this.#lastOnConnection = true;
  }

  protected override answerFailure(failure: Failure): void {
    this.#collected.take();
    this.#endExpectation();
    const { status, lines, body } = problemAnswer(failure, this.draft.id);
    this.draft.status = status;
    if (this.#lastOnConnection || this.road.draining) lines.push("Connection", "close");
    this.response.writeHead(status, STATUS_CODES[status] ?? "Error", lines);
    this.response.end(Buffer.from(body));
  }

  /** The connection closes, so that nobody takes the part for the whole. */
  protected override breakOff(): void {
    this.flush();
    const { socket } = this.request;
    if (this.#framed) socket.destroySoon();
    else socket.resetAndDestroy();
  }

  protected override get headSent(): boolean {
    return this.response.headersSent;
  }

  protected override drop(): void {
    this.request.socket.destroy();
  }

  protected override release(): void {
    this.#expectation?.close();
    this.request.release();
    this.response.release();
  }

  /** The rest of this connection is not HTTP: the exchange under way may end, and the connection with it. */
  connectionSpoiled(failure: Failure): void {
    if (this.state === "over") return;
    this.#lastOnConnection = true;
    if (!this.request.complete) this.giveUp(failure);
  }

  onClientClosed(): void {
    try {
      const finished = this.response.writableFinished;
      if (finished && !this.request.complete) this.request.detach();
      this.clientOver(finished);
    } catch (thrown) {
      this.bug(thrown);
    }
  }
}
