// Which requests ask for a tunnel.

import type { RawHeaders } from "../facts/exchange.ts";
import type { RelayRequest } from "./client-request.ts";
import { FIELD, fieldOf } from "./field-names.ts";

/** Is this a request for a tunnel? h2c is not passed on, and a request with a body is relayed as an ordinary one. */
export function isTunnelRequest(request: RelayRequest): boolean {
  // Nothing of the kind is a plain head.
  if (request.plainHead !== null) return false;
  const { rawHeaders } = request;
  // The everyday request has no such line: one look at the length of its names.
  let upgrade = "";
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? "";
    if (name.length === 7 && name.toLowerCase() === "upgrade") upgrade = rawHeaders[i + 1] ?? "";
  }
  if (upgrade === "" || request.httpVersion !== "1.1") return false;
  if (request.method === "CONNECT" || /(?:^|,)\s*h2c?\s*(?:,|$)/i.test(upgrade)) return false;
  return asksToSwitch(rawHeaders);
}

/** `Connection: upgrade` (RFC 9110 §7.8), and no body. */
function asksToSwitch(rawHeaders: RawHeaders): boolean {
  let named = false;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const field = fieldOf(rawHeaders[i] ?? "");
    const value = rawHeaders[i + 1] ?? "";
    if (field === FIELD.transferEncoding) return false;
    if (field === FIELD.contentLength && !/^0*$/.test(value)) return false;
    if (field === FIELD.connection && /(?:^|,)[\t ]*upgrade[\t ]*(?:,|$)/i.test(value)) named = true;
  }
  return named;
}
