// What passes between a client's connection and whoever relays its requests.

import type { RawHeaders } from "../facts/exchange.ts";

/** Who is told what the client does. */
export interface ClientSide {
  /** False: no more until `RelayRequest.readMore`. The bytes are the receiver's own as long as it says that it keeps them. */
  onRequestData(chunk: Buffer): boolean;
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
