// The two halves of an exchange with the client as node:http makes them, wired to one receiver without per-request closures.

import { IncomingMessage, ServerResponse } from "node:http";
import type { RawHeaders } from "../facts/exchange.ts";
import { FIELD, fieldOf } from "./field-names.ts";
import { plainLines } from "./response-head.ts";

/** Who is told what the client does. */
export interface ClientSide {
  /** False: no more until `RelayRequest.readMore`. */
  onRequestData(chunk: Buffer): boolean;
  onRequestEnd(): void;
  onClientDrained(): void;
  /** The response is out, or the connection is gone (`response.writableFinished` tells). */
  onClientClosed(): void;
}

/**
 * A request whose body goes straight to its receiver. node:http's parser pushes what it has read; between that push and a
 * 'data' event lie the buffers and ticks of a stream, which cost a fifth of the relay's whole work on a small request.
 */
export class RelayRequest extends IncomingMessage {
  /** Set by node:http: the message asks for another protocol. */
  declare readonly upgrade: boolean | null;
  #receiver: ClientSide | null = null;

  attach(receiver: ClientSide): void {
    this.#receiver = receiver;
    // Also tells node:http that somebody reads this body.
    this.readMore();
  }

  /** The bytes that still come are dropped. */
  detach(): void {
    if (this.#receiver === null) return;
    this.#receiver = NOBODY;
    this.readMore();
  }

  /** Forgets the receiver and the head once the exchange is sealed. */
  release(): void {
    if (this.#receiver !== null) this.#receiver = NOBODY;
    this.rawHeaders = [];
  }

  /** Known once the body has ended. */
  trailersToPass(): RawHeaders {
    const { rawTrailers } = this;
    return rawTrailers.length === 0 ? rawTrailers : plainLines(rawTrailers).flat();
  }

  readMore(): void {
    if (!this.destroyed && !this.socket.destroyed) this._read(0);
  }

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (this.#receiver === null) return super.push(chunk, encoding);
    if (Buffer.isBuffer(chunk)) return this.#receiver.onRequestData(chunk);
    if (chunk === null) this.#receiver.onRequestEnd();
    return true;
  }
}

const NOTHING = Object.freeze({});
const SOME_BODY = Object.freeze({ "content-length": "" });
const inherited = Object.getOwnPropertyDescriptor(IncomingMessage.prototype, "headers");

/**
 * node:http itself looks into `headers` for an expectation and for a body, nothing else, and building that object costs more
 * than the relay's own pass over the lines. It is built only where more than that is asked of it.
 */
Object.defineProperty(RelayRequest.prototype, "headers", {
  configurable: true,
  get(this: RelayRequest): unknown {
    const { rawHeaders } = this;
    let some = NOTHING;
    let plain = this.httpVersion === "1.1" && this.upgrade !== true;
    for (let i = 0; i < rawHeaders.length && plain; i += 2) {
      const field = fieldOf(rawHeaders[i] ?? "");
      if (field === FIELD.expect) plain = false;
      else if (field === FIELD.contentLength || field === FIELD.transferEncoding) some = SOME_BODY;
    }
    return plain ? some : inherited?.get?.call(this);
  },
});

const NOBODY: ClientSide = Object.freeze({
  onRequestData: () => true,
  onRequestEnd: () => {},
  onClientDrained: () => {},
  onClientClosed: () => {},
});

export class RelayResponse extends ServerResponse<RelayRequest> {
  receiver: ClientSide = NOBODY;

  release(): void {
    this.receiver = NOBODY;
  }

  attach(receiver: ClientSide): void {
    this.receiver = receiver;
    this.on("close", onClose);
    // A write that crosses the client's leaving is not news: 'close' tells.
    this.on("error", ignore);
  }
}

function onClose(this: RelayResponse): void {
  this.receiver.onClientClosed();
}

/** Listens for 'drain' once somebody has to wait. */
export function waitForDrain(response: RelayResponse): void {
  response.once("drain", onDrain);
}

function onDrain(this: RelayResponse): void {
  this.receiver.onClientDrained();
}

function ignore(): void {}

/** The client's address, an IPv4 one in its own spelling. */
export function peerOf(remoteAddress: string | undefined): string {
  const address = remoteAddress ?? "unknown";
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}
