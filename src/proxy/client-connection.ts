// A client's connection speaking HTTP/1.1: one exchange at a time, in the order of the requests.
//
//   waiting ──head read──▶ exchanging ──answer out and request read──▶ waiting
//   Every state goes to `closed`: the client leaves, the connection may not persist, a defect was answered, or time is up.
//   exchanging ──takeOver──▶ a tunnel owns the socket

import type { Socket } from "node:net";
import type { RawHeaders } from "../facts/exchange.ts";
import { peerOf, persistenceOf } from "./messages.ts";
import { RelayRequest } from "./client-request.ts";
import { RelayResponse } from "./client-answer.ts";
import type { ConnectionOwner } from "./client-owner.ts";
import type { ClientReading } from "./client-reads.ts";
import { AHEAD_BYTES_MAX, GOODBYE_MS, PROGRESS_BYTES, REST, type Late } from "./connection-limits.ts";
import { EarlyRest } from "./early-rest.ts";
import type { PlainRequest } from "./plain-request.ts";
import { PausedUpload } from "./paused-upload.ts";
import type { OwnLines } from "./request-head.ts";
import type { BadHead, ReadHead } from "./request-line.ts";
import { RequestReader, type RequestSink } from "./request-reader.ts";
import type { ShortExchange } from "./short-exchange.ts";
import { SHORT_BYTES_MAX } from "./upstream.ts";
import { TurnShare } from "./turn-share.ts";

const NO_BYTES = Buffer.alloc(0);

export class ClientConnection implements RequestSink {
  /** Kept by `Connections`. */
  slot = -1;
  readonly socket: Socket;
  readonly peer: string;
  readonly #owner: ConnectionOwner;
  readonly #bytes: ClientReading;
  readonly #reader: RequestReader;
  /** Under way, instead of `#request` and `#response`. */
  #short: ShortExchange | null = null;
  #request: RelayRequest | null = null;
  #response: RelayResponse | null = null;
  #ahead: Buffer = NO_BYTES;
  #reading = false;
  /** What is being read is the reader's again afterwards. */
  #lent = false;
  /** What was not lent: somebody still reads it. */
  #kept = false;
  readonly #upload: PausedUpload;
  #closing = false;
  #clientEnded = false;
  #persists = true;
  #wantsKeepAlive = false;
  #movedMs: number;
  #unsentBytes = 0;
  #headBegan = false;
  #headSinceMs = 0;
  #bodyBytes = 0;
  readonly #rest = new EarlyRest();
  #taker: ((glued: Buffer) => void) | null = null;
  #ownLines: OwnLines | null = null;
  readonly #share = new TurnShare(() => void (this.#upload.paused || this.#closing || this.socket.resume()));

  constructor(owner: ConnectionOwner, accepted: Socket) {
    this.#owner = owner;
    this.#bytes = owner.reads.read(accepted, this.#onData);
    const { socket } = this.#bytes;
    this.socket = socket;
    this.#upload = new PausedUpload(socket);
    this.peer = peerOf(socket.remoteAddress);
    this.#reader = new RequestReader(this, owner.limits, owner.knownHeads);
    this.#movedMs = owner.nowMs();
    socket.on("end", this.#onEnd);
    socket.on("drain", this.#onDrain);
    socket.on("error", () => {});
    socket.on("close", this.#onClose);
  }

  /** `first` was read already. */
  begin(first: Buffer | null): void {
    if (first !== null && first.length > 0) this.#onData(first, first.length, false);
    if (!this.#upload.paused && !this.socket.destroyed) this.socket.resume();
  }

  /** No exchange is under way. */
  get idle(): boolean {
    return this.#request === null && this.#short === null;
  }

  /** An answer may be written to its end at once, and another request may follow. */
  get takesShort(): boolean {
    return this.mayPersist && !this.socket.destroyed && this.socket.writableLength === 0;
  }

  get mayPersist(): boolean {
    return this.#persists && !this.#owner.draining && !this.#clientEnded;
  }

  /** What a head says to a client whose connection is kept: when it closes, and, to an old one, that it is. */
  get keepAliveLines(): string {
    if (this.#owner.keepAliveLines !== "") return this.#owner.keepAliveLines;
    return this.#wantsKeepAlive ? "Connection: keep-alive\r\n" : "";
  }

  /** Those of the last request serve the next: a client says the same host again and again. */
  ownLines(host: string, scheme: "http" | "https"): OwnLines {
    if (this.#ownLines?.host !== host)
      this.#ownLines = this.#owner.ownLines(host, { peer: this.peer, scheme });
    return this.#ownLines;
  }

  date(): string {
    return this.#owner.date();
  }

  expectBody(length: number | null): void {
    this.#reader.expectBody(length);
  }

  readonly #onData = (bytes: Buffer, length: number, lent: boolean): boolean => {
    this.#kept = false;
    if (this.#closing) return false;
    if (this.#short !== null) this.#short.lengthen();
    else if (length < SHORT_BYTES_MAX && this.#request === null && this.#takeShort(bytes, length))
      return false;
    if (this.#upload.paused) this.#upload.looked(length);
    else this.#moved(length);
    if (this.#rest.took(length)) {
      this.#owner.onLate(this, "rest", null);
      return false;
    }
    if (this.#reading || (this.#request !== null && this.#reader.done))
      this.#keepAhead(bytes.subarray(0, length));
    else this.#read(bytes, length, lent);
    if (!this.#closing && this.#share.usedUp(length)) this.socket.pause();
    return this.#kept;
  };

  /** True: it was a whole request, of a short exchange. */
  #takeShort(bytes: Buffer, length: number): boolean {
    const head = this.#reading || this.#owner.draining ? null : this.#reader.look(bytes, length);
    if (head === null) return false;
    const body = bytes.toString("latin1", head.text.length, length);
    this.#short = this.#owner.onShortRequest({ client: this, head, body });
    if (this.#short === null) return false;
    this.#reader.took();
    this.#wantsKeepAlive = false;
    this.#movedMs = this.#headSinceMs = this.#owner.nowMs();
    return true;
  }

  /** The short exchange is over. */
  shortEnded(): void {
    this.#short = null;
    this.#movedMs = this.#owner.nowMs();
  }

  /** It goes on as an ordinary one. */
  lengthened(request: RelayRequest, response: RelayResponse): void {
    this.#short = null;
    this.#request = request;
    this.#response = response;
    this.#upload.whole();
    this.#reader.whole();
  }

  /** A trickle is no progress: the bytes of a body count once there are enough of them. */
  #moved(bytes: number): void {
    if (this.#reader.inBody) {
      this.#bodyBytes += bytes;
      if (this.#bodyBytes < PROGRESS_BYTES) return;
    }
    this.#bodyBytes = 0;
    this.#movedMs = this.#owner.nowMs();
  }

  #keepAhead(bytes: Buffer): void {
    this.#ahead = this.#ahead.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#ahead, bytes]);
    if (this.#ahead.length > AHEAD_BYTES_MAX) this.#upload.pause();
  }

  /** Reads up to the end of a request; what lies behind waits until it has been answered. */
  #read(bytes: Buffer, length: number, lent: boolean): void {
    this.#reading = true;
    this.#lent = lent;
    let rest = bytes;
    let left = length;
    while (left > 0) {
      if (!this.#headBegan && this.#request === null) {
        this.#headBegan = true;
        this.#headSinceMs = this.#owner.nowMs();
      }
      const end = this.#reader.read(rest, left);
      if (typeof end !== "number") {
        this.#defect(end);
        break;
      }
      // All of it, nearly always: no view of nothing is made.
      if (end === left && this.#taker === null) break;
      rest = rest.subarray(end, left);
      left = rest.length;
      if (this.#taker !== null) {
        this.#kept = true;
        return this.#give(this.#taker, lent ? Buffer.from(rest) : rest);
      }
      if (this.#closing) break;
      if (this.#request !== null && this.#reader.done && rest.length > 0) {
        this.#keepAhead(rest);
        break;
      }
    }
    this.#reading = false;
    const request = this.#request;
    if (request !== null && !request.complete) request.receiver?.onRequestLull();
    this.#next();
  }

  onRequestHead(head: ReadHead | PlainRequest): void {
    this.#headBegan = false;
    this.#headSinceMs = this.#owner.nowMs();
    const request = new RelayRequest(this, head);
    const response = new RelayResponse(this, request);
    this.#request = request;
    this.#response = response;
    if (head.plain) {
      this.#wantsKeepAlive = false;
      this.#persists = !head.closes;
    } else {
      const { keep, persists } = persistenceOf(head);
      this.#wantsKeepAlive = keep && head.httpVersion === "1.0";
      this.#persists = persists;
    }
    this.#owner.onRequest(request, response);
  }

  onRequestBody(bytes: Buffer, start: number, end: number): void {
    const receiver = this.#request?.receiver ?? null;
    if (receiver === null) return;
    // Short and whole: text needs no memory of its own that somebody has to look after.
    if (this.#reader.wholeAtOnce && end - start <= SHORT_BYTES_MAX) {
      receiver.onRequestText(bytes.toString("latin1", start, end));
      return;
    }
    const part = bytes.subarray(start, end);
    if (!receiver.onRequestData(this.#lent ? Buffer.from(part) : part)) this.#upload.pause();
    if (receiver.keepsData) this.#kept = true;
  }

  onRequestWhole(trailers: RawHeaders): void {
    const request = this.#request;
    if (request === null) return;
    request.complete = true;
    this.#upload.whole();
    request.receiver?.onRequestEnd(trailers);
    // It is all in: what the model does not take of it is no reason not to hear of the client's end.
    this.readMore();
  }

  #defect(defect: BadHead): void {
    const request = this.#request;
    this.#persists = false;
    this.#closing = true;
    this.socket.pause();
    if (request === null) this.#owner.onDefect(this, defect);
    else this.#owner.onSpoiled(request, defect);
  }

  readMore(): void {
    if (!this.#upload.paused || this.#ahead.length > AHEAD_BYTES_MAX) return;
    this.#movedMs = this.#owner.nowMs();
    this.#upload.goOn();
  }

  /** The answer's last byte has been written. */
  onAnswerEnded(response: RelayResponse): void {
    if (response !== this.#response) return;
    if (!response.keepsConnection) this.#persists = false;
    if (this.socket.writableLength === 0) this.#answered(response);
    else this.socket.write("", () => this.#answered(response));
  }

  #answered(response: RelayResponse): void {
    if (response !== this.#response) return;
    this.#response = null;
    response.settle(!this.socket.destroyed);
    this.#next();
  }

  /** Both halves done: the next request, or the end. */
  #next(): void {
    const request = this.#request;
    if (this.#reading || this.#response !== null || request === null) return;
    if (!this.#persists || this.#owner.draining) {
      this.#request = null;
      this.close();
      return;
    }
    // What is left of a request that was answered early is read, and dropped.
    if (!request.complete) return this.#rest.begin(this.#owner.nowMs());
    this.#request = null;
    this.#rest.end();
    this.#movedMs = this.#owner.nowMs();
    this.#reader.next();
    const ahead = this.#ahead;
    this.#ahead = NO_BYTES;
    this.readMore();
    if (ahead.length > 0) this.#read(ahead, ahead.length, false);
  }

  /** Ends it after what is still to be flushed. What the client has still sent is read off, so that its system does not throw our answer away. */
  close(): void {
    if (this.socket.destroyed) return;
    this.#closing = true;
    this.#persists = false;
    this.#movedMs = this.#owner.nowMs();
    if (this.#clientEnded) this.socket.destroySoon();
    else {
      this.socket.end();
      this.socket.resume();
    }
  }

  /** Gives the socket away, with the bytes behind the request, as soon as those are known. Only while a head is being handed over. */
  takeOver(taker: (glued: Buffer) => void): void {
    this.#taker = taker;
  }

  #give(taker: (glued: Buffer) => void, glued: Buffer): void {
    const { socket } = this;
    this.#bytes.handOver();
    socket.off("end", this.#onEnd);
    socket.off("drain", this.#onDrain);
    socket.off("close", this.#onClose);
    this.#closing = true;
    this.#request = null;
    this.#response = null;
    this.#owner.onClosed(this);
    taker(glued);
  }

  readonly #onEnd = (): void => {
    this.#short?.lengthen();
    this.#clientEnded = true;
    // A client that has closed its side is taken for one that has left: the model is not kept at work for nobody.
    if (this.#response !== null && !this.#response.ended) this.socket.destroy();
    else this.socket.destroySoon();
  };

  readonly #onDrain = (): void => {
    this.#movedMs = this.#owner.nowMs();
    this.#response?.receiver?.onClientDrained();
  };

  readonly #onClose = (): void => {
    this.#short?.lengthen();
    this.#closing = true;
    const response = this.#response;
    this.#response = null;
    response?.settle(response.ended && this.socket.writableLength === 0 && this.socket.errored === null);
    this.#request = null;
    this.#owner.onClosed(this);
  };

  /** Looked at about once a second: what takes so long is no short exchange. */
  check(nowMs: number): void {
    this.#short?.lengthen();
    const { limits } = this.#owner;
    const unsent = this.socket.writableLength;
    if (unsent !== this.#unsentBytes) {
      this.#unsentBytes = unsent;
      this.#movedMs = nowMs;
    }
    const stillMs = nowMs - this.#movedMs;
    if (this.#closing) {
      if (stillMs > GOODBYE_MS) this.socket.destroy();
    } else if (unsent > 0) this.#limit("send", stillMs, limits.sendMs);
    else if (this.#headBegan) this.#limit("head", nowMs - this.#headSinceMs, limits.headMs);
    else if (this.#request === null) this.#limit("idle", stillMs, limits.idleMs);
    else if (this.#rest.sinceMs !== null)
      this.#limit("rest", nowMs - this.#rest.sinceMs, Math.min(REST.ms, limits.bodyMs || REST.ms));
    else this.#checkUpload(nowMs);
    if (this.#response !== null) this.#limit("total", nowMs - this.#headSinceMs, limits.totalMs);
  }

  /** It is the client's turn to send more, or the model's to take what has come. */
  #checkUpload(nowMs: number): void {
    const { bodyMs, uploadMs } = this.#owner.limits;
    const { inBody } = this.#reader;
    const stillMs = this.#upload.look(nowMs, { inBody, waiting: this.#request?.receiver?.waitingBytes ?? 0 });
    if (!inBody || this.#upload.paused) this.#limit("upload", stillMs, uploadMs);
    else if (this.#response?.headersSent !== true) this.#limit("body", nowMs - this.#movedMs, bodyMs);
  }

  #limit(late: Late, stillMs: number, limitMs: number): void {
    if (limitMs > 0 && stillMs > limitMs && !this.#closing) this.#owner.onLate(this, late, this.#request);
  }

  /** Says a last thing, outside any exchange, and ends. */
  sayLast(text: string): void {
    if (!this.socket.destroyed) this.socket.write(text, "latin1");
    this.close();
  }
}
