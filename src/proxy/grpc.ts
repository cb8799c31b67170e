// What gRPC asks of a proxy: where its calls go, and how an error of the sidecar's own is told (gRPC over HTTP/2, "Responses").

import type { OwnError, RawHeaders } from "../facts/exchange.ts";
import type { Failure } from "./failures.ts";

/** `application/grpc` and `application/grpc+proto`, not gRPC-Web, which is plain HTTP. */
const GRPC = /^application\/grpc(?:$|[+; ])/i;

export function isGrpc(headers: RawHeaders): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? "";
    if (name.length === 12 && name.toLowerCase() === "content-type") return GRPC.test(headers[i + 1] ?? "");
  }
  return false;
}

const STATUSES: Readonly<Record<OwnError, number>> = Object.freeze({
  connection_refused: 14,
  connect_timeout: 14,
  connection_reset: 14,
  response_timeout: 4,
  invalid_response: 14,
  dns_failure: 14,
  tls_failure: 14,
  bad_request: 3,
  draining: 14,
  internal: 13,
});

/** Fields of the answer that tells a gRPC client of an own error: no body, the status among the headers ("trailers only"). */
export function grpcFailureLines(failure: Failure, id: string): string[] {
  return ["content-type", "application/grpc", ...grpcFailureTrailers(failure), "x-prediction-id", id];
}

/** The same behind messages that have been passed on. */
export function grpcFailureTrailers(failure: Failure): string[] {
  return [
    "grpc-status",
    String(STATUSES[failure.code]),
    "grpc-message",
    percentEncoded(failure.detail),
    "x-outrider-error",
    failure.code,
  ];
}

const PREFIX_BYTES = 5;

/** Where a body of gRPC stands: messages, each behind a byte of flags and four of its length. */
export class MessageBounds {
  #prefixBytes = 0;
  #length = 0;
  /** Of the message. */
  #left = 0;

  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
        continue;
      }
      const byte = chunk[at++] ?? 0;
      if (this.#prefixBytes > 0) this.#length = this.#length * 256 + byte;
      if (++this.#prefixBytes < PREFIX_BYTES) continue;
      this.#left = this.#length;
      this.#length = 0;
      this.#prefixBytes = 0;
    }
  }

  /** All that has come is whole messages. */
  get between(): boolean {
    return this.#left === 0 && this.#prefixBytes === 0;
  }
}

/** Everything but printable ASCII, and `%` itself, byte by byte. */
function percentEncoded(text: string): string {
  let encoded = "";
  for (const byte of Buffer.from(text)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

const SERVICE = "/inference.GRPCInferenceService/";

/** May this call carry predictions? Patterns of paths are for HTTP; a gRPC call has only its method. */
export function carriesPredictions(target: string): boolean {
  return target.startsWith(SERVICE);
}
