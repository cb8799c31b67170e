// One stream of a client and its answer, from the fields that were read to the sealed exchange.
//
//   collecting ──whole body, or none──▶ asked ──head──▶ answering ──last byte out──▶ over
//       └──────turn over: streamed──────▶│                  │
//   Every state goes to `over` when the client resets the stream, the upstream fails, or the drain deadline cuts.

import type { ServerHttp2Stream } from "node:http2";
import { CollectedBody } from "../collected.ts";
import type { RawHeaders } from "../../facts/exchange.ts";
import type { ConnectionLimits } from "../connection-limits.ts";
import { Ends } from "../ends.ts";
import { EXPECT, Expectation } from "../expectation.ts";
import { TIME_IS_UP, describeFailure, type Failure } from "../failures.ts";
import { peerOf } from "../messages.ts";
import { openIncoming, type Opened } from "../opening.ts";
import { lastHopAnswer } from "../last-hop.ts";
import { spendForward, upstreamTarget } from "../request-head.ts";
import { answerLines } from "../answer-head.ts";
import { plainLines } from "../response-head.ts";
import type { Road } from "../road.ts";
import type { AnswerHead } from "../answer-reader.ts";
import type { Upstream, UpstreamHandler } from "../upstream.ts";
import { StreamAnswer } from "./answer.ts";
import { failureAnswer, readStreamHead, type OwnAnswer } from "./own-answer.ts";
import { wentWhole } from "./passed.ts";
import { endOnceReset, StreamReading } from "./reading.ts";
import type { Upload, Uploads } from "./uploads.ts";
import { RESET } from "./codes.ts";
import type { Piece } from "./pieces.ts";
import { StreamTimes, type LateStream } from "./times.ts";
import { bareLines, joinCookies, readRequestFields, refusalOf, type ReadRequest } from "./fields.ts";

const NO_LINES: RawHeaders = Object.freeze([]);

/** Of each of a connection's streams. */
const COLLECT_BYTES_MAX = 64 * 1024;
/** A frame with less of a body waits for the others of its turn: written one by one, thousands of one read would take a second. */
const SMALL_BYTES = 1024;

/** What its connection gives a stream. */
export interface StreamPlace {
  readonly piece: Piece;
  readonly uploads: Uploads;
}

export class StreamExchange extends Ends implements UpstreamHandler, Upload {
  readonly #stream: ServerHttp2Stream;
  readonly #request: ReadRequest;
  readonly #opened: Opened;
  readonly #upstream: Upstream;
  readonly #collected = new CollectedBody(COLLECT_BYTES_MAX);
  #requestEnded = false;
  #requestTrailers: RawHeaders = NO_LINES;
  readonly #answer: StreamAnswer;
  #answered = false;
  readonly reading: StreamReading;
  readonly #uploads: Uploads;
  /** Of a whole body, until it is answered. */
  #keptBytes = 0;
  readonly #times: StreamTimes;
  #expectation: Expectation | null = null;

  constructor(road: Road, stream: ServerHttp2Stream, what: { fields: RawHeaders; place: StreamPlace }) {
    const request = readRequestFields(what.fields);
    const { piece, uploads } = what.place;
    const { method, target, lines } = request;
    const opened = openIncoming(road, {
      method,
      target,
      httpVersion: "2",
      rawHeaders: lines,
      peer: peerOf(stream.session?.socket.remoteAddress),
      bodyFollows: !stream.endAfterHeaders,
    });
    super(road, opened);
    this.#stream = stream;
    this.#upstream = opened.way.byPiece.get(piece) ?? opened.way.upstream;
    this.#answer = new StreamAnswer(stream, {
      clock: road.clock,
      piece,
      onTaken: () => this.call?.resume(),
    });
    this.reading = new StreamReading(stream);
    this.#uploads = uploads;
    this.#request = request;
    this.#opened = opened;
    this.#times = new StreamTimes(road.clock.monotonicMs());
  }

  get socket(): unknown {
    return this.#stream.session?.socket;
  }

  begin(): void {
    this.#safely(() => {
      this.#listen();
      this.#begin();
    });
  }

  #safely(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  #listen(): void {
    const stream = this.#stream;
    stream.on("error", ignore);
    stream.on("trailers", (_fields, _flags, raw: RawHeaders) => {
      this.#requestTrailers = plainLines(bareLines(raw)).flat();
    });
    stream.on("data", (chunk: Buffer) => {
      this.#onRequestData(chunk);
      this.reading.taken();
    });
    stream.on("end", () => this.#onRequestEnd());
    stream.on("wantTrailers", () => this.#safely(() => this.#answer.onWantTrailers()));
    endOnceReset(stream);
    stream.once("close", () => this.#onClosed());
  }

  #begin(): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) {
      // Reset before it was taken up: the model never hears of it.
      this.#onClosed();
      return;
    }
    const { head } = this.#opened;
    const refusal = refusalOf(this.#request) ?? head.refusal;
    if (refusal !== null) this.fail({ code: "bad_request", detail: refusal });
    else if (!spendForward(this.#request.method, head.lines)) this.#answerAsLast();
    else if (head.framing === "none") {
      this.#requestEnded = true;
      this.draft.requestWasHead();
      this.#send(null);
    } else {
      if (head.expectsContinue)
        this.#expectation = new Expectation(this.road.clock, () => this.#answer.inform(100, NO_LINES));
      this.#uploads.add(this);
      this.road.afterTurn.streamUnlessWhole(this);
    }
  }

  /** `Max-Forwards` is used up: we are whom the request was for. */
  #answerAsLast(): void {
    this.ownOutcome = "rejected";
    this.state = "over";
    this.#answerOwn({ ...lastHopAnswer(this.#request.method, this.draft.id), body: "" });
  }

  get heldBytes(): number {
    return this.#collected.bytes + (this.call?.unsentBytes ?? 0) + this.#stream.readableLength;
  }

  /** The same of its answer, that the client does not take. */
  get heldAnswerBytes(): number {
    return this.#answer.unsentBytes + (this.call?.unreadBytes ?? 0);
  }

  get held(): number {
    return this.heldBytes + (this.call?.keptBytes ?? 0) + this.heldAnswerBytes;
  }

  released(): void {
    this.#times.moved(this.road.clock.monotonicMs());
  }

  #onRequestData(chunk: Buffer): void {
    try {
      if (this.state === "over") return;
      this.draft.requestBytes(chunk);
      this.#expectation?.close();
      this.#times.bodyCame(chunk.length, this.road.clock.monotonicMs());
      const gathering = this.state === "collecting" || this.#collected.bytes > 0;
      if (!gathering && chunk.length >= SMALL_BYTES) this.#pass(chunk);
      else if (this.#collected.add(chunk)) this.stream();
      else if (!gathering) this.road.afterTurn.streamUnlessWhole(this);
      this.#uploads.came(chunk.length);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  #onRequestEnd(): void {
    try {
      const stream = this.#stream;
      // A reset ends the reading too.
      const reset = stream.aborted || !this.reading.whole;
      if (this.state === "over" || this.#requestEnded || reset) return;
      this.#requestEnded = true;
      this.draft.requestEnded();
      this.#expectation?.close();
      // Trailers need a streamed body, and what is not kept cannot be sent twice.
      const { bytes } = this.#collected;
      const plain = this.state === "collecting" && this.#requestTrailers.length === 0;
      if (plain && this.#uploads.keep(bytes)) this.#keptBytes = bytes;
      else this.stream();
      if (this.state !== "collecting") {
        this.call?.end(this.#requestTrailers);
        return;
      }
      this.#send(this.#collected.whole());
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  /** The turn is over and the body is not whole: it is forwarded as it comes, small frames of one turn together. */
  stream(): void {
    if (this.state === "over") return;
    try {
      const gathered = this.#collected.whole();
      this.#collected.take();
      if (this.state === "collecting") this.#send("streamed");
      if (gathered.length > 0) this.#pass(gathered);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  #pass(chunk: Buffer): void {
    if (this.call?.write(chunk) === false) this.reading.stop();
  }

  #send(body: Buffer | null | "streamed"): void {
    this.state = "asked";
    this.#collected.take();
    const { way, head } = this.#opened;
    const { method, target } = this.#request;
    if (this.#expectation?.open === true) head.lines.push(...EXPECT);
    this.call = this.#upstream.send(
      {
        method,
        target: upstreamTarget(method, target) ?? "/",
        headers: way.speaks === "h2" ? head.lines : joinCookies(head.lines),
        framing: head.framing,
        body,
        acceptsTrailers: head.acceptsTrailers,
        ahead: this.#uploads,
        keeper: this.#uploads,
      },
      this,
    );
  }

  onBegun(): void {
    this.#expectation?.wait();
  }

  onDrain(): void {
    this.#times.taken(this.road.clock.monotonicMs());
    this.reading.goOn();
    this.#uploads.went();
  }

  /** Ends what has run out of time by `limits`, and says what it was. */
  check(nowMs: number, limits: ConnectionLimits): LateStream | null {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return null;
    const underway = this.state !== "over";
    const late = this.#times.late(
      {
        nowMs,
        unsentBytes: stream.writableLength,
        waitingBytes: this.call?.unsentBytes ?? 0,
        awaitsBody: underway && this.#awaitsBody && !stream.headersSent,
        underway,
      },
      limits,
    );
    if (late === "send") {
      stream.close(RESET.cancel);
      this.reading.goOn();
    } else if (late !== null) this.giveUp(TIME_IS_UP[late]);
    return late;
  }

  get #awaitsBody(): boolean {
    return !this.#requestEnded && !this.reading.stopped && this.#uploads.free;
  }

  onInformation(status: number, headers: RawHeaders): void {
    if (this.state !== "asked") return;
    try {
      if (status === 100) this.#expectation?.meet();
      else this.#answer.inform(status, headers);
    } catch (thrown) {
      this.road.complaints.say("an interim answer of the upstream could not be passed on", thrown);
    }
  }

  onHead(came: AnswerHead): void {
    if (this.state !== "asked") return;
    try {
      this.#expectation?.close();
      const { status } = came;
      const { way, route } = this.#opened;
      this.draft.headArrived();
      const versionHeader = route?.versionHeader ?? null;
      const head = readStreamHead(came, { headOnly: this.#request.method === "HEAD", versionHeader });
      if (head.defect !== null) {
        this.call?.abort();
        this.fail(describeFailure("invalid_response", way.upstreamName, new Error(head.defect)));
        return;
      }
      this.state = "answering";
      this.draft.status = status;
      this.draft.responseHead = came;
      const clues = { rules: this.road.rules, route, target: this.#request.target };
      this.#answer.head(status, answerLines(head, this.draft, clues));
      this.road.afterTurn.flush(this);
    } catch (thrown) {
      this.bug(thrown);
    }
  }

  /** The turn of the loop is waited for. */
  onLull(): void {}

  onData(chunk: Buffer, lent: boolean): boolean {
    if (this.state !== "answering") return false;
    try {
      this.draft.responseBytes(chunk);
      if (!this.#answer.write(lent ? Buffer.from(chunk) : chunk)) this.call?.pause();
    } catch (thrown) {
      this.bug(thrown);
    }
    return false;
  }

  onEnd(trailers: RawHeaders): void {
    if (this.state !== "answering") return;
    this.#safely(() => {
      this.call = null;
      this.#answered = true;
      this.draft.responseTrailers = trailers;
      this.#answer.end(trailers);
      if (!this.#requestEnded) this.#answer.closeOnceSent();
    });
  }

  /** The turn is over: what waits leaves now, the head alone if nothing followed it. */
  flush(): void {
    if (this.state === "answering") this.#safely(() => void (this.#answer.flush() || this.call?.pause()));
  }

  protected override breakOff(failure: Failure): void {
    this.reading.goOn();
    const code = failure.resetCode ?? RESET.internal;
    if (failure.code === "draining") this.#answer.breakOffNow(code);
    else this.#answer.breakOff(code);
  }

  protected override answerFailure(failure: Failure): void {
    this.#collected.take();
    // A stream that is not read to its end does not close.
    this.reading.goOn();
    if (failure.unprocessed === true) this.#answer.breakOffNow(RESET.refused);
    else this.#answerOwn(failureAnswer(failure, { id: this.draft.id, grpc: this.#opened.grpc }));
  }

  #answerOwn({ status, lines, body }: OwnAnswer): void {
    this.#expectation?.close();
    this.draft.status = status;
    this.draft.responseHead = { observed: lines };
    this.#answer.head(status, lines);
    if (body !== "" && this.#request.method !== "HEAD") this.#answer.write(Buffer.from(body));
    this.#answer.end(NO_LINES);
    if (!this.#requestEnded) this.#answer.closeOnceSent();
  }

  protected override get headSent(): boolean {
    return this.#stream.headersSent;
  }

  protected override drop(): void {
    this.#stream.close(RESET.internal);
    this.reading.goOn();
  }

  protected override release(): void {
    this.#expectation?.close();
  }

  #onClosed(): void {
    this.#safely(() => {
      this.#uploads.remove(this);
      this.#uploads.release(this.#keptBytes);
      this.#keptBytes = 0;
      // Whatever a reset says that came behind all of it: the client has been sent the answer.
      this.clientOver(this.#answered && wentWhole(this.#stream));
    });
  }
}

function ignore(): void {}
