// One request on a client's connection, as its receiver sees it.

import type { Socket } from "node:net";
import type { RawHeaders } from "../facts/exchange.ts";
import type { ClientConnection } from "./client-connection.ts";
import type { ClientSide } from "./messages.ts";
import type { PlainRequest } from "./plain-request.ts";
import type { OwnLines } from "./request-head.ts";
import type { ReadHead } from "./request-line.ts";

export class RelayRequest {
  readonly #connection: ClientConnection;
  #head: ReadHead | PlainRequest | null;
  readonly method: string;
  readonly url: string;
  readonly httpVersion: "1.0" | "1.1";
  receiver: ClientSide | null = null;
  /** Head and body have been read to their end. */
  complete = false;

  constructor(connection: ClientConnection, head: ReadHead | PlainRequest) {
    this.#connection = connection;
    this.#head = head;
    this.method = head.method;
    this.url = head.target;
    this.httpVersion = head.httpVersion;
  }

  get rawHeaders(): RawHeaders {
    return this.#head?.lines ?? NO_LINES;
  }

  /** The head, when it is a plain one. */
  get plainHead(): PlainRequest | null {
    return this.#head?.plain === true ? this.#head : null;
  }

  /** See `OwnLines`. */
  ownLines(host: string, scheme: "http" | "https"): OwnLines {
    return this.#connection.ownLines(host, scheme);
  }

  get socket(): Socket {
    return this.#connection.socket;
  }

  get peer(): string {
    return this.#connection.peer;
  }

  /** The body's bytes go to `receiver` from now on; `length` null: they come in chunks. Only while the head is being handed over. */
  attach(receiver: ClientSide, length: number | null): void {
    this.receiver = receiver;
    this.#connection.expectBody(length);
  }

  /** See `ClientConnection.takeOver`. */
  takeOver(taker: (glued: Buffer) => void): void {
    this.#connection.takeOver(taker);
  }

  readMore(): void {
    this.#connection.readMore();
  }

  /** The bytes that still come are dropped. */
  detach(): void {
    this.receiver = null;
    this.#connection.readMore();
  }

  /** Forgets the receiver and the head once the exchange is sealed. */
  release(): void {
    this.receiver = null;
    this.#head = null;
  }
}

const NO_LINES: RawHeaders = Object.freeze([]);
