// One answer on a client's connection: its framing (RFC 9112 §6), and as few writes as it takes.
//
//   nothing ──writeHead──▶ head waits ──first bytes, end or flush──▶ body ──end──▶ ended ──handed to the system──▶ finished

import type { Socket } from "node:net";
import type { ClientConnection } from "./client-connection.ts";
import { FIELD, fieldOf } from "./field-names.ts";
import type { ClientSide } from "./messages.ts";
import type { RelayRequest } from "./client-request.ts";
import type { PlainLines } from "./response-head.ts";
import { STATUS_CODES } from "../kernel/http.ts";
import { SHORT_BYTES_MAX } from "./upstream.ts";
import { writeTogether } from "./write-together.ts";

type Framing = "length" | "chunked" | "none" | "until-close";

/** Both sides of what a client sees of an exchange. */
export interface RelayEnds {
  readonly request: RelayRequest;
  readonly response: RelayResponse;
}

/** What is written around a chunk, latin-1. `spareBytes`: so many before the chunk in its memory may be overwritten. */
interface Around {
  readonly before: string;
  readonly behind: string;
  readonly spareBytes: number;
}

export class RelayResponse {
  readonly #connection: ClientConnection;
  readonly #request: RelayRequest;
  #receiver: ClientSide | null = null;
  #head = "";
  #framing: Framing = "none";
  #trailers = "";
  headersSent = false;
  ended = false;
  /** All of it has been handed to the system. */
  writableFinished = false;
  /** Another request may follow on this connection. */
  keepsConnection = true;

  constructor(connection: ClientConnection, request: RelayRequest) {
    this.#connection = connection;
    this.#request = request;
  }

  get #socket(): Socket {
    return this.#connection.socket;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed;
  }

  get receiver(): ClientSide | null {
    return this.#receiver;
  }

  /** Written, and not yet handed to the system: memory that is still needed. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  attach(receiver: ClientSide): void {
    this.#receiver = receiver;
  }

  release(): void {
    this.#receiver = null;
  }

  writeContinue(): void {
    if (!this.headersSent) this.#socket.write("HTTP/1.1 100 Continue\r\n\r\n", "latin1");
  }

  writeInformation(status: number, lines: readonly string[]): void {
    if (this.headersSent) return;
    this.#socket.write(`${statusLine(status, STATUS_CODES[status] ?? "")}${linesText(lines)}\r\n`, "latin1");
  }

  /** `lines` carry no framing but Content-Length, and no `Connection` but `close`. */
  writeHead(status: number, reason: string, lines: readonly string[]): void {
    if (this.headersSent) return;
    let hasLength = false;
    let hasDate = false;
    let closes = false;
    let text = "";
    for (let i = 0; i < lines.length; i += 2) {
      const name = lines[i] ?? "";
      const field = fieldOf(name);
      if (field === FIELD.contentLength) hasLength = true;
      else if (field === FIELD.connection) closes = true;
      else if (name.length === 4 && name.toLowerCase() === "date") hasDate = true;
      text += `${name}: ${lines[i + 1]}\r\n`;
    }
    this.#writeHead({ status, reason, closes }, { text, hasLength, hasDate });
  }

  /** `ends`: the connection ends with this answer, and the client is told so. */
  writePlainHead(start: { status: number; reason: string; ends: boolean }, lines: PlainLines): void {
    if (this.headersSent) return;
    const { status, reason, ends } = start;
    if (ends) this.keepsConnection = false;
    this.#writeHead({ status, reason, closes: false }, lines);
  }

  /** `closes`: the lines say so. */
  #writeHead(start: { status: number; reason: string; closes: boolean }, lines: PlainLines): void {
    this.headersSent = true;
    const { method, httpVersion } = this.#request;
    const { status, reason, closes } = start;
    const { hasLength, hasDate } = lines;
    let text = statusLine(status, reason) + lines.text;
    // RFC 9110 §6.6.1: whoever forwards an answer without one adds it.
    if (!hasDate) text += `Date: ${this.#connection.date()}\r\n`;
    if (method === "HEAD" || status === 204 || status === 304) this.#framing = "none";
    else if (hasLength) this.#framing = "length";
    else if (httpVersion === "1.1") {
      this.#framing = "chunked";
      text += "Transfer-Encoding: chunked\r\n";
    } else this.#framing = "until-close";
    const ends = closes || this.#framing === "until-close" || !this.#connection.mayPersist;
    if (ends || !this.keepsConnection) {
      this.keepsConnection = false;
      if (!closes) text += "Connection: close\r\n";
    } else text += this.#connection.keepAliveLines;
    this.#head = `${text}\r\n`;
  }

  /** Sends the head now, though nothing has followed it. */
  flushHeaders(): void {
    if (this.#head === "") return;
    const head = this.#head;
    this.#head = "";
    this.#socket.write(head, "latin1");
  }

  /**
   * `chunk`: as text, it is short and latin-1. `spareBytes`: see `Around`. False: not all of it could leave, wait for the receiver's
   * `onClientDrained`.
   */
  write(chunk: Buffer | string, spareBytes = 0): boolean {
    const framing = this.#framing;
    if (this.ended || framing === "none" || chunk.length === 0) return true;
    const before = this.#head + (framing === "chunked" ? `${chunk.length.toString(16)}\r\n` : "");
    this.#head = "";
    return this.#send({ before, behind: framing === "chunked" ? "\r\n" : "", spareBytes }, chunk);
  }

  addTrailers(lines: readonly (readonly [string, string])[]): void {
    for (const [name, value] of lines) this.#trailers += `${name}: ${value}\r\n`;
  }

  end(chunk: Buffer | string | null): void {
    if (this.ended) return;
    const framing = this.#framing;
    const body = framing === "none" || chunk === null || chunk.length === 0 ? null : chunk;
    let before = this.#head;
    let behind = "";
    this.#head = "";
    if (framing === "chunked") {
      if (body !== null) before += `${body.length.toString(16)}\r\n`;
      behind = `${body === null ? "" : "\r\n"}0\r\n${this.#trailers}\r\n`;
    }
    this.ended = true;
    if (body !== null) this.#send({ before, behind, spareBytes: 0 }, body);
    else if (before !== "" || behind !== "") this.#socket.write(before + behind, "latin1");
    this.#connection.onAnswerEnded(this);
  }

  #send({ before, behind, spareBytes }: Around, chunk: Buffer | string): boolean {
    const socket = this.#socket;
    if (typeof chunk === "string") return socket.write(before + chunk + behind, "latin1");
    if (chunk.length <= SHORT_BYTES_MAX)
      return socket.write(before + chunk.toString("latin1") + behind, "latin1");
    if (behind !== "" || before.length > spareBytes) return writeTogether(socket, [before, chunk, behind]);
    return socket.write(before === "" ? chunk : withBefore(before, chunk));
  }

  /** All of it was written by somebody else. */
  written(): void {
    this.headersSent = true;
    this.ended = true;
    this.#connection.onAnswerEnded(this);
  }

  /** The connection tells: every byte has left, or none will any more. */
  settle(finished: boolean): void {
    this.writableFinished = finished;
    const receiver = this.#receiver;
    this.#receiver = null;
    receiver?.onClientClosed();
  }
}

/** Latin-1 `before` and `chunk` in one piece: it is written into the memory in front of that. */
function withBefore(before: string, chunk: Buffer): Buffer {
  const { length } = before;
  const all = Buffer.from(chunk.buffer, chunk.byteOffset - length, length + chunk.length);
  all.write(before, 0, length, "latin1");
  return all;
}

function statusLine(status: number, reason: string): string {
  return `HTTP/1.1 ${status} ${reason}\r\n`;
}

function linesText(lines: readonly string[]): string {
  let text = "";
  for (let i = 0; i < lines.length; i += 2) text += `${lines[i]}: ${lines[i + 1]}\r\n`;
  return text;
}
