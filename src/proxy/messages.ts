// What passes between a client's connection and whoever relays its requests.

import type { RawHeaders } from "../facts/exchange.ts";
import { FIELD, fieldOf } from "./field-names.ts";
import type { ReadHead } from "./request-line.ts";

/** Who is told what the client does. */
export interface ClientSide {
  /** False: no more until `RelayRequest.readMore`. The bytes are the receiver's own as long as it says that it keeps them. */
  onRequestData(chunk: Buffer): boolean;
  /** A short body, all of it, as latin-1 text. */
  onRequestText(body: string): void;
  /** Of the bytes it was given last some are still to be read. */
  readonly keepsData: boolean;
  /** Of the request's body: bytes that wait for the model. */
  readonly waitingBytes: number;
  /** All that has been read for now has been told, and the request is not whole. */
  onRequestLull(): void;
  onRequestEnd(trailers: RawHeaders): void;
  onClientDrained(): void;
  /** The response is out, or the connection is gone (`RelayResponse.writableFinished` tells). Called once. */
  onClientClosed(): void;
}

/** The client's address, an IPv4 one in its own spelling. */
export function peerOf(remoteAddress: string | undefined): string {
  const address = remoteAddress ?? "unknown";
  return address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
}

/** Whether a request's connection may carry another one (RFC 9112 §9.3), and whether it says so. */
export function persistenceOf({ httpVersion, lines }: ReadHead): { keep: boolean; persists: boolean } {
  let close = false;
  let keep = false;
  for (let i = 0; i < lines.length; i += 2) {
    if (fieldOf(lines[i] ?? "") !== FIELD.connection) continue;
    const value = (lines[i + 1] ?? "").toLowerCase();
    if (/(?:^|,)[\t ]*close[\t ]*(?:,|$)/.test(value)) close = true;
    if (value.includes("keep-alive")) keep = true;
  }
  return { keep, persists: !close && (httpVersion === "1.1" || keep) };
}
