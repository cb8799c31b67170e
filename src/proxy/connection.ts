// One connection to the upstream, and the calls it carries, one after the other.
//
//   opening ──connected──▶ idle ◀──answer whole, nothing behind it──┐
//      │                    └──────────────begin──────────▶ busy ───┘
//   Every state goes to `dead` on an error, an end, a byte nobody asked for, or `destroy`.

import type { Socket } from "node:net";
import type { RawHeaders } from "../facts/exchange.ts";
import { afterReading, type Clock, type Timer } from "../kernel/clock.ts";
import { AnswerReader, type AnswerHead, type AnswerSink } from "./answer-reader.ts";
import type { Call, Carrier } from "./call.ts";
import type { Dial, Reader } from "./dial.ts";
import type { KnownHeads } from "./known-heads.ts";
import type { PlainAnswer } from "./plain-answer.ts";
import type { Reading } from "./read-blocks.ts";
import { chunkHead, lastChunk, requestText } from "./request-text.ts";
import type { ShortCall, ShortCarrier } from "./short-call.ts";
import { SHORT_BYTES_MAX } from "./upstream.ts";
import { writeTogether } from "./write-together.ts";

/** What ended a connection, and what it means for the call it carried. */
export type End =
  | { readonly kind: "error"; readonly error: Error }
  | { readonly kind: "ended" }
  | { readonly kind: "defect"; readonly defect: string }
  | { readonly kind: "timeout" }
  | { readonly kind: "given-up" };

const ENDED: End = Object.freeze({ kind: "ended" });
const GIVEN_UP: End = Object.freeze({ kind: "given-up" });
const NO_BYTES = Buffer.alloc(0);

export interface ConnectionOwner {
  readonly clock: Clock;
  readonly responseTimeoutMs: number;
  readonly knownHeads: KnownHeads<PlainAnswer>;
  onOpen(connection: Connection): void;
  /** The answer of a short call is whole; the connection is idle. */
  onFree(connection: Connection): void;
  /** The answer of `call` is whole; the connection is idle, or dead. */
  onAnswered(connection: Connection, call: Call): void;
  /** Called once. `call`: the one that was not finished, or null. */
  onDead(connection: Connection, call: Call | null, end: End): void;
}

export class Connection implements AnswerSink, Carrier, ShortCarrier, Reader {
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #reader: AnswerReader;
  #call: Call | null = null;
  /** Instead of `#call`. */
  #short: ShortCall | null = null;
  #requestSent = true;
  /** The client takes nothing for now. */
  #paused = false;
  /** The call has more waiting than it allows, less than the socket does. */
  #full = false;
  #reading: Reading | null = null;
  #deadlineMs = 0;
  #timer: Timer | null = null;
  open = false;
  dead = false;
  /** Answers it has carried. */
  served = 0;
  readonly dialledMs: number;
  idleSinceMs = 0;
  /** The server's own word on how long it keeps an idle connection, or null. */
  keepAliveMs: number | null = null;

  constructor(owner: ConnectionOwner, dial: Dial) {
    this.#owner = owner;
    this.dialledMs = owner.clock.monotonicMs();
    this.#reader = new AnswerReader(this, owner.knownHeads);
    const { socket, openEvent } = dial(this);
    this.#socket = socket;
    socket.once(openEvent, () => {
      if (this.dead) return;
      this.open = true;
      this.idleSinceMs = owner.clock.monotonicMs();
      owner.onOpen(this);
    });
    socket.on("error", (error) => this.#end({ kind: "error", error }));
    socket.on("end", () => this.#onEnd());
    socket.on("close", () => this.#end(ENDED));
    socket.on("drain", () => this.#call?.handler.onDrain());
  }

  /** Has a byte of the answer come? */
  get answering(): boolean {
    return this.#reader.begun;
  }

  /** It has a call, and has never brought a byte: perhaps the server has not even looked at it. */
  get unheard(): boolean {
    return this.open && this.served === 0 && !this.idle && !this.#reader.begun;
  }

  begin(call: Call): void {
    const { request } = call;
    const { body } = request;
    this.#call = call;
    this.#reader.expect(request.method);
    this.#requestSent = body !== "streamed";
    const head = requestText(request);
    const socket = this.#socket;
    if (request.shortBody != null) socket.write(head + request.shortBody, "latin1");
    else if (body === null || body === "streamed") socket.write(head, "latin1");
    else if (body.length <= SHORT_BYTES_MAX) socket.write(head + body.toString("latin1"), "latin1");
    else writeTogether(socket, [head, body]);
    if (this.#requestSent) this.#awaitHead();
  }

  beginShort(call: ShortCall): void {
    this.#short = call;
    this.#reader.expect(call.method);
    this.#requestSent = true;
    this.#socket.write(call.begin(this), "latin1");
    this.#awaitHead();
  }

  lengthen(call: Call): void {
    this.#short = null;
    this.#call = call;
    call.goOn(this);
  }

  /** False: it is no short call's whole answer. */
  #endShort(call: ShortCall, bytes: Buffer, length: number): boolean {
    const head = this.#reader.look(bytes, length);
    if (!call.takes(head, length - (head?.text.length ?? 0))) {
      call.lengthen();
      return false;
    }
    this.#reader.took();
    this.#short = null;
    this.#deadlineMs = 0;
    this.keepAliveMs = head.keepAliveMs;
    this.served++;
    this.idleSinceMs = this.#owner.clock.monotonicMs();
    this.#owner.onFree(this);
    call.answer(head, bytes.toString("latin1", head.text.length, length));
    return true;
  }

  /** False: wait for the call's `onDrain`. */
  write(call: Call, chunk: Buffer): boolean {
    if (this.#call !== call || this.dead) return true;
    const { framing, ahead } = call.request;
    const more = framing === "length" ? this.#socket.write(chunk) : this.#writeChunk(chunk);
    if (!more || ahead === undefined || this.#socket.writableLength <= ahead.aheadBytes) return more;
    if (!this.#full) this.#socket.write(NO_BYTES, this.#onSent);
    this.#full = true;
    return false;
  }

  #writeChunk(chunk: Buffer): boolean {
    if (chunk.length === 0) return true;
    return writeTogether(this.#socket, [chunkHead(chunk.length), chunk, "\r\n"]);
  }

  /** All that was written when the call had too much ahead has left. */
  readonly #onSent = (error?: Error | null): void => {
    this.#full = false;
    if (error == null) this.#call?.handler.onDrain();
  };

  finish(call: Call, trailers: RawHeaders): void {
    if (this.#call !== call || this.dead) return;
    if (call.request.framing === "chunked") this.#socket.write(lastChunk(trailers), "latin1");
    this.#requestSent = true;
    this.#awaitHead();
  }

  get unreadBytes(): number {
    return this.#socket.readableLength;
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  pause(call: Call): void {
    if (this.#call !== call) return;
    this.#paused = true;
    this.#socket.pause();
  }

  resume(call: Call): void {
    if (this.#call === call && this.#paused) this.#resume();
  }

  #resume(): void {
    this.#paused = false;
    this.#socket.resume();
  }

  readOn(): void {
    if (!this.#paused && !this.dead) this.#socket.resume();
  }

  destroy(): void {
    this.#reader.stop();
    this.#end(GIVEN_UP);
  }

  /** The limit runs from the request's last byte. One timer serves many requests: it is moved only when it fires too early. */
  #awaitHead(): void {
    const { responseTimeoutMs, clock } = this.#owner;
    if (responseTimeoutMs <= 0 || !this.#reader.headPending) return;
    this.#deadlineMs = clock.monotonicMs() + responseTimeoutMs;
    this.#timer ??= afterReading(clock, responseTimeoutMs, this.#checkDeadline);
  }

  readonly #checkDeadline = (): void => {
    this.#timer = null;
    if (this.#deadlineMs === 0 || this.dead) return;
    const leftMs = this.#deadlineMs - this.#owner.clock.monotonicMs();
    if (leftMs <= 0) this.#end({ kind: "timeout" });
    else this.#timer = afterReading(this.#owner.clock, Math.ceil(leftMs), this.#checkDeadline);
  };

  onInterim(status: number, headers: RawHeaders): void {
    this.#call?.handler.onInformation(status, headers);
  }

  onAnswerHead(head: AnswerHead): void {
    this.#deadlineMs = 0;
    this.keepAliveMs = this.#reader.keepAliveMs;
    const call = this.#call;
    if (call === null) return;
    call.answered();
    call.handler.onHead(head);
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    const call = this.#call;
    if (call === null) return;
    const reading = this.#reading;
    const short = end - start <= SHORT_BYTES_MAX;
    if (short && this.#reader.wholeAtOnce) call.handler.onText(bytes.toString("latin1", start, end));
    else if (reading === null) call.handler.onData(bytes.subarray(start, end), false);
    else if (short ? this.#reader.done : reading.lends) {
      if (call.handler.onData(bytes.subarray(start, end), true)) reading.kept = true;
    } else {
      const own = Buffer.allocUnsafe(end - start);
      bytes.copy(own, 0, start, end);
      call.handler.onData(own, false);
    }
  }

  get idle(): boolean {
    return this.#call === null && this.#short === null;
  }

  onBytes(bytes: Buffer, length: number, reading: Reading | null): void {
    if (this.dead) return;
    if (this.#short !== null && this.#endShort(this.#short, bytes, length)) return;
    if (this.#call === null) {
      // Nobody asked: whatever this is, it must not answer the next request.
      this.#end({ kind: "defect", defect: "bytes behind an answer" });
      return;
    }
    this.#reading = reading;
    const defect = this.#reader.read(bytes, length);
    if (defect !== null) this.#end({ kind: "defect", defect });
    else if (this.#reader.done) this.#answered();
    else this.#call.handler.onLull();
  }

  #onEnd(): void {
    this.#short?.lengthen();
    if (this.#call !== null && this.#reader.end()) this.#answered();
    else this.#end(ENDED);
  }

  #answered(): void {
    const call = this.#call;
    if (call === null) return;
    this.#call = null;
    this.served++;
    this.idleSinceMs = this.#owner.clock.monotonicMs();
    if (!this.#reader.persistent || !this.#requestSent) this.#end(GIVEN_UP);
    else if (this.#paused) this.#resume();
    call.trailers = this.#reader.trailers;
    this.#owner.onAnswered(this, call);
  }

  #end(end: End): void {
    if (this.dead) return;
    this.#short?.lengthen();
    this.dead = true;
    const call = this.#call;
    this.#call = null;
    this.#timer?.cancel();
    this.#socket.destroy();
    this.#owner.onDead(this, call, end);
  }
}
