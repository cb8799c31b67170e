// One call on its stream: the request out, the answer in, and what its end means.

import type { ClientHttp2Stream } from "node:http2";
import type { OwnError, RawHeaders } from "../../facts/exchange.ts";
import { afterReading, type Clock, type Timer } from "../../kernel/clock.ts";
import { codeOf, messageOf } from "../../kernel/problem.ts";
import type { Call, Carrier } from "../call.ts";
import { REST } from "../connection-limits.ts";
import { ownErrorOfCode } from "../failures.ts";
import { plainLines } from "../response-head.ts";
import { HEAD_BYTES_MAX } from "../answer-reader.ts";
import type { ResendReason } from "../upstream-counts.ts";
import type { Channel } from "./channel.ts";
import { RESET, nameOfCode } from "./codes.ts";
import { bareLines, fieldMap, readResponseFields, requestFields } from "./fields.ts";
import { keepSessionOf } from "./lasting.ts";
import { StreamReading } from "./reading.ts";

const END_STREAM = 1;
/** Of a request, waiting to leave while more of it is taken from the client, unless the request says less. */
const AHEAD_BYTES = 16 * 1024;
const NO_LINES: RawHeaders = Object.freeze([]);

/** How a call ended without an answer, or within it. */
export interface Broken {
  readonly code: OwnError;
  readonly cause: Error;
  /** The model has not processed the request and says so (RFC 9113 §8.7): its connection went away, or it refused the stream. */
  readonly unprocessed: ResendReason | null;
  /** The code of the model's reset, or null. */
  readonly resetCode: number | null;
}

export interface CarrierOwner {
  readonly clock: Clock;
  readonly responseTimeoutMs: number;
  readonly scheme: string;
  readonly authority: string;
  onBroken(call: Call, broken: Broken): void;
}

export class StreamCarrier implements Carrier {
  readonly #owner: CarrierOwner;
  readonly #channel: Channel;
  #stream: ClientHttp2Stream | null = null;
  #reading: StreamReading | null = null;
  #call: Call | null = null;
  #timer: Timer | null = null;
  #headSeen = false;
  #full = false;
  /** Why we ended it. */
  #own: { readonly code: OwnError; readonly why: string } | null = null;
  #interimBytes = 0;
  #error: Error | null = null;
  #sending: RawHeaders = NO_LINES;
  /** Bytes that the answer's Content-Length still promises; null: it promises nothing. */
  #promised: number | null = null;
  /** Its status, or HEAD, says that no content follows. */
  #bare = false;

  constructor(owner: CarrierOwner, channel: Channel) {
    this.#owner = owner;
    this.#channel = channel;
  }

  begin(call: Call): void {
    this.#call = call;
    const { method, target, headers, body, acceptsTrailers } = call.request;
    const { scheme, authority } = this.#owner;
    const fields = requestFields({ method, scheme, target, authority }, headers);
    if (acceptsTrailers === true) fields.push("te", "trailers");
    const streamed = body === "streamed";
    // Also what keeps node:http2 from ending a stream before it resets it: half an upload would look whole.
    const stream = this.#channel.session.request(fields, {
      endStream: body === null,
      waitForTrailers: streamed,
    });
    keepSessionOf(stream);
    this.#stream = stream;
    this.#reading = new StreamReading(stream);
    this.#channel.streamBegun();
    this.#listen(stream, call);
    if (streamed) return;
    if (body !== null) stream.end(body);
    this.#awaitHead();
  }

  #listen(stream: ClientHttp2Stream, call: Call): void {
    stream.on("response", (_headers, flags, raw: RawHeaders) => this.#onHead(flags, raw));
    stream.on("headers", (_headers, _flags, raw: RawHeaders) => this.#onInterim(call, raw));
    stream.on("data", (chunk: Buffer) => {
      this.#onData(chunk);
      this.#reading?.taken();
    });
    stream.on("trailers", (_headers, _flags, raw: RawHeaders) => {
      call.trailers = bareLines(raw);
    });
    stream.on("end", () => this.#onEnd());
    stream.on("wantTrailers", () => this.#sendTrailers(stream));
    stream.on("error", (error) => {
      this.#error ??= error;
    });
    stream.once("close", () => this.#onClose(stream));
  }

  /** No window holds them back, and a client may take none: as over HTTP/1.1, all heads of one answer have a bound. */
  #onInterim(call: Call, raw: RawHeaders): void {
    if (call.over || this.#own !== null) return;
    for (const text of raw) this.#interimBytes += text.length + 2;
    const { status, lines } = readResponseFields(raw);
    if (this.#interimBytes > HEAD_BYTES_MAX) {
      this.#end("invalid_response", `interim answers of more than ${HEAD_BYTES_MAX} bytes`);
      // They may go on: the next request does not meet them.
      this.#channel.retire();
    } else call.handler.onInformation(status, lines);
  }

  #sendTrailers(stream: ClientHttp2Stream): void {
    if (stream.closed || stream.destroyed) return;
    try {
      stream.sendTrailers(fieldMap(plainLines(this.#sending)));
    } catch (thrown) {
      // A field that HTTP/2 cannot carry.
      this.#end("bad_request", messageOf(thrown));
    }
  }

  #end(code: OwnError, why: string): void {
    this.#own = { code, why };
    this.#stream?.close(RESET.cancel);
  }

  #onHead(flags: number, raw: RawHeaders): void {
    const call = this.#call;
    this.#timer?.cancel();
    if (call === null || call.over) return;
    this.#headSeen = true;
    call.answered();
    const { status, lines } = readResponseFields(raw);
    const headOnly = call.request.method === "HEAD" || status === 304;
    this.#bare = headOnly || status === 204;
    this.#promised = headOnly ? null : lengthIn(lines);
    call.handler.onHead({ plain: false, status, reason: "", lines, observed: lines, receivedVersion: "2" });
    if ((flags & END_STREAM) !== 0) this.#onEnd();
    else if (this.#bare) this.#endAtHead();
  }

  #onData(chunk: Buffer): void {
    const call = this.#call;
    if (call === null || call.over) return;
    if (this.#promised !== null) this.#promised -= chunk.length;
    call.handler.onData(chunk, false);
  }

  #onEnd(): void {
    const call = this.#call;
    if (call === null || call.over || !this.#headSeen) return;
    // A reset can look like an end.
    const stream = this.#stream;
    if (this.#reading?.whole !== true) return;
    if (this.#promised !== null && this.#promised !== 0) return;
    this.#tellEnd(call);
    const { handler, request } = call;
    // Answered before the request was read: the rest is not wanted (RFC 9113 §8.1).
    if (request.body === "streamed" && stream?.writableEnded === false) {
      handler.onDrain();
      stream.close(RESET.none);
    }
  }

  /**
   * A head that no content follows is the whole answer, as over HTTP/1.1: the client need not wait for the end of its stream, which
   * some models send when they have done more. That is left to them for a while.
   */
  #endAtHead(): void {
    const call = this.#call;
    const stream = this.#stream;
    if (call === null || call.over || stream === null) return;
    if (call.request.body === "streamed" && !stream.writableEnded) return;
    this.#tellEnd(call);
    this.#timer = this.#owner.clock.after(REST.ms, () => stream.close(RESET.none));
  }

  #tellEnd(call: Call): void {
    const { handler, trailers } = call;
    call.close();
    handler.onEnd(trailers);
  }

  #onClose(stream: ClientHttp2Stream): void {
    this.#timer?.cancel();
    const call = this.#call;
    this.#call = null;
    this.#stream = null;
    // Content behind a head that has none is malformed (RFC 9113 §8.1.1), and to node:http2 a reason to end the connection. The head is the
    // whole answer, as over HTTP/1.1, and has been passed on as that.
    const whole = this.#bare && this.#own === null;
    if (call !== null && !call.over && whole) this.#tellEnd(call);
    else if (call !== null && !call.over) this.#owner.onBroken(call, this.#brokenBy(stream));
    this.#channel.streamOver(this.#owner.clock.monotonicMs());
  }

  #brokenBy(stream: ClientHttp2Stream): Broken {
    const { lastStreamId, leaving } = this.#channel;
    const code = stream.rstCode;
    const low = this.#error;
    const own = this.#own;
    return {
      code: own?.code ?? ownErrorOfCode(codeOf(low)) ?? "connection_reset",
      cause: new Error(
        own !== null
          ? own.why
          : `the stream ended with ${nameOfCode(code)}${leaving ? ", the connection is going away" : ""}${low === null ? "" : `; ${messageOf(low)}`}`,
      ),
      unprocessed: this.#headSeen || own !== null ? null : unprocessedBecause(stream, lastStreamId),
      // Of streams whose connection has broken node:http2 says that they were cancelled.
      resetCode: code === RESET.none || this.#channel.session.destroyed ? null : code,
    };
  }

  #awaitHead(): void {
    const { clock, responseTimeoutMs } = this.#owner;
    if (responseTimeoutMs <= 0 || this.#headSeen) return;
    const late = (): void => this.#end("response_timeout", "no head within the limit");
    this.#timer = afterReading(clock, responseTimeoutMs, late);
  }

  write(call: Call, chunk: Buffer): boolean {
    const stream = this.#stream;
    if (stream === null || stream.closed) return true;
    stream.write(chunk, this.#onSent);
    this.#full = stream.writableLength > aheadOf(call);
    return !this.#full;
  }

  readonly #onSent = (error?: Error | null): void => {
    const call = this.#call;
    if (!this.#full || error != null || call === null || this.unsentBytes > aheadOf(call)) return;
    this.#full = false;
    if (!call.over) call.handler.onDrain();
  };

  get unreadBytes(): number {
    return this.#stream?.readableLength ?? 0;
  }

  get unsentBytes(): number {
    return this.#stream?.writableLength ?? 0;
  }

  finish(_call: Call, trailers: RawHeaders): void {
    const stream = this.#stream;
    if (stream === null || stream.closed) return;
    this.#sending = trailers;
    stream.end();
    if (this.#bare) this.#endAtHead();
    else this.#awaitHead();
  }

  pause(): void {
    this.#reading?.stop();
  }

  resume(): void {
    this.#reading?.goOn();
  }

  /** The model is told that nobody waits any more; its connection stays for the others. */
  destroy(): void {
    this.#timer?.cancel();
    this.#stream?.close(RESET.cancel);
    this.#reading?.goOn();
    this.#stream?.resume();
  }
}

/** Null: it may have been processed. */
function unprocessedBecause(
  { id, rstCode }: ClientHttp2Stream,
  lastStreamId: number | null,
): ResendReason | null {
  // It has never left.
  if (id === undefined) return lastStreamId === null ? "connection_closed" : "goaway";
  if (lastStreamId !== null && id > lastStreamId) return "goaway";
  return rstCode === RESET.refused ? "refused_stream" : null;
}

const aheadOf = ({ request }: Call): number => request.ahead?.aheadBytes ?? AHEAD_BYTES;

function lengthIn(lines: RawHeaders): number | null {
  for (let i = 0; i < lines.length; i += 2) {
    if (lines[i] === "content-length") return Number(lines[i + 1]);
  }
  return null;
}
