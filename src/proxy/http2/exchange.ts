// One stream of a client and its answer, from the fields that were read to the sealed exchange.
//
//   collecting ──whole body, or none──▶ asked ──head──▶ answering ──last byte out──▶ over
//       └──────turn over: streamed──────▶│                  │
//   Every state goes to `over` when the client resets the stream, the upstream fails, or the drain deadline cuts.

import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { RawHeaders } from "../../facts/exchange.ts";
import type { ConnectionLimits } from "../connection-limits.ts";
import { Ends } from "../ends.ts";
import { EXPECT } from "../expectation.ts";
import { TIME_IS_UP, describeFailure, type Failure, type OwnAnswer } from "../failures.ts";
import { peerOf } from "../messages.ts";
import { openIncoming, type Opened } from "../opening.ts";
import { MessageBounds, grpcFailureTrailers, isGrpc } from "../grpc.ts";
import { lastHopAnswer } from "../last-hop.ts";
import { spendForward, upstreamTarget } from "../request-head.ts";
import { answerLines } from "../answer-head.ts";
import type { Road } from "../road.ts";
import type { AnswerHead } from "../answer-reader.ts";
import type { Upstream, UpstreamCall, UpstreamHandler } from "../upstream.ts";
import { StreamAnswer } from "./answer.ts";
import { failureAnswer, readStreamHead } from "./own-answer.ts";
import { wentWhole } from "./passed.ts";
import { RequestBody, type BodyOwner } from "./request-body.ts";
import type { Uploads } from "./uploads.ts";
import { RESET } from "./codes.ts";
import type { Piece } from "./pieces.ts";
import type { LateStream } from "./times.ts";
import { joinCookies, readRequestFields, refusalOf, type ReadRequest } from "./fields.ts";

const NO_LINES: RawHeaders = Object.freeze([]);

/** What its connection gives a stream. */
export interface StreamPlace {
  readonly piece: Piece;
  readonly uploads: Uploads;
  /** Its connection. */
  readonly socket: Socket;
}

export class StreamExchange extends Ends implements UpstreamHandler, BodyOwner {
  readonly #stream: ServerHttp2Stream;
  readonly #request: ReadRequest;
  readonly #opened: Opened;
  readonly #upstream: Upstream;
  readonly #answer: StreamAnswer;
  #answered = false;
  /** Of an answer of gRPC. */
  #messages: MessageBounds | null = null;
  readonly #body: RequestBody;
  readonly #uploads: Uploads;
  readonly #socket: Socket;
  /** Since when its reset waits to leave. */
  #closedSinceMs: number | null = null;

  constructor(road: Road, stream: ServerHttp2Stream, what: { fields: RawHeaders; place: StreamPlace }) {
    const request = readRequestFields(what.fields);
    const { piece, uploads, socket } = what.place;
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
    this.#body = new RequestBody(stream, this, { road, draft: opened.draft, uploads });
    this.#uploads = uploads;
    this.#socket = socket;
    this.#request = request;
    this.#opened = opened;
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
    this.#body.listen();
    stream.on("wantTrailers", () => this.#safely(() => this.#answer.onWantTrailers()));
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
      this.#body.isNone();
      this.ask(null);
    } else this.#body.begin(head.expectsContinue ? () => this.#answer.inform(100, NO_LINES) : null);
  }

  /** `Max-Forwards` is used up: we are whom the request was for. */
  #answerAsLast(): void {
    this.ownOutcome = "rejected";
    this.state = "over";
    this.#answerOwn({ ...lastHopAnswer(this.#request.method, this.draft.id), body: "" });
  }

  get held(): number {
    const call = this.call === null ? 0 : this.call.keptBytes + this.call.unreadBytes;
    return this.#body.heldBytes + call + this.#answer.unsentBytes;
  }

  get over(): boolean {
    return this.state === "over";
  }

  get asked(): UpstreamCall | null {
    return this.call;
  }

  failed(thrown: unknown): void {
    this.bug(thrown);
  }

  ask(body: Buffer | null | "streamed"): void {
    this.state = "asked";
    const { way, head } = this.#opened;
    const { method, target } = this.#request;
    if (this.#body.expects) head.lines.push(...EXPECT);
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
    this.#body.awaitContinue();
  }

  onDrain(): void {
    this.#body.goOn();
  }

  /** Ends what has run out of time by `limits`, and says what it was. */
  check(nowMs: number, limits: ConnectionLimits): LateStream | null {
    const stream = this.#stream;
    if (stream.closed) this.#awaitReset(nowMs, limits.sendMs);
    if (stream.destroyed || stream.closed) return null;
    const late = this.#body.late(nowMs, !this.over, limits);
    if (late === "send") {
      // Not taken, though all of it may have been handed to the connection.
      this.#answered = false;
      stream.close(RESET.cancel);
      this.#body.reading.goOn();
    } else if (late !== null) this.giveUp(TIME_IS_UP[late]);
    return late;
  }

  /** A client that takes nothing at all takes no reset either: its connection ends, and its streams with that. */
  #awaitReset(nowMs: number, limitMs: number): void {
    this.#closedSinceMs ??= nowMs;
    if (limitMs > 0 && nowMs - this.#closedSinceMs > limitMs) this.#socket.destroy();
  }

  onInformation(status: number, headers: RawHeaders): void {
    if (this.state !== "asked") return;
    try {
      if (status === 100) this.#body.meetExpectation();
      else this.#answer.inform(status, headers);
    } catch (thrown) {
      this.road.complaints.say("an interim answer of the upstream could not be passed on", thrown);
    }
  }

  onHead(came: AnswerHead): void {
    if (this.state !== "asked") return;
    try {
      this.#body.endExpectation();
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
      if (this.#opened.grpc && status === 200 && isGrpc(came.lines)) this.#messages = new MessageBounds();
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
      this.#messages?.add(chunk);
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
      this.#end(trailers);
    });
  }

  /** The turn is over: what waits leaves now, the head alone if nothing followed it. */
  flush(): void {
    if (this.state === "answering") this.#safely(() => void (this.#answer.flush() || this.call?.pause()));
  }

  protected override breakOff(failure: Failure): void {
    this.#body.reading.goOn();
    const code = failure.resetCode ?? RESET.internal;
    if (this.#mayEndAsGrpc(failure)) this.#endAsGrpc(failure);
    else if (failure.code === "draining") this.#answer.breakOffNow(code);
    else this.#answer.breakOff(code);
  }

  /**
   * Behind whole messages a status says more than a reset, which gRPC clients take for INTERNAL, a bug of the server. Within one it
   * would be a lie, and what the client does not take would hold it up: then it is a reset. So is one of the model's, with its code.
   */
  #mayEndAsGrpc(failure: Failure): boolean {
    if (failure.resetCode != null || this.#messages?.between !== true) return false;
    return failure.code !== "draining" || this.#answer.unsentBytes === 0;
  }

  #endAsGrpc(failure: Failure): void {
    const trailers = grpcFailureTrailers(failure);
    this.draft.responseTrailers = trailers;
    this.#end(trailers);
  }

  #end(trailers: RawHeaders): void {
    this.#answer.end(trailers);
    if (!this.#body.ended) this.#answer.closeOnceSent();
  }

  protected override answerFailure(failure: Failure): void {
    this.#body.drop();
    // A stream that is not read to its end does not close.
    this.#body.reading.goOn();
    if (failure.unprocessed === true) this.#answer.breakOffNow(RESET.refused);
    else this.#answerOwn(failureAnswer(failure, { id: this.draft.id, grpc: this.#opened.grpc }));
  }

  #answerOwn({ status, lines, body }: OwnAnswer): void {
    this.#body.endExpectation();
    this.draft.status = status;
    this.draft.responseHead = { observed: lines };
    this.#answer.head(status, lines);
    if (body !== "" && this.#request.method !== "HEAD") this.#answer.write(Buffer.from(body));
    this.#end(NO_LINES);
  }

  protected override get headSent(): boolean {
    return this.#stream.headersSent;
  }

  protected override drop(): void {
    this.#stream.close(RESET.internal);
    this.#body.reading.goOn();
  }

  protected override release(): void {
    this.#body.endExpectation();
  }

  #onClosed(): void {
    this.#safely(() => {
      this.#body.closed();
      // Whatever a reset says that came behind all of it: the client has been sent the answer.
      this.clientOver(this.#answered && wentWhole(this.#stream));
    });
  }
}

function ignore(): void {}
