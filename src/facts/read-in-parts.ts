// Which bodies are of use though they were copied in part.

import type { RawHeaders } from "./exchange.ts";

/** What is kept of a body that was copied in part and that nobody reads in part: its beginning, to show what it was. */
export const UNREAD_PART_BYTES = 1024;

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json[\t ]*(?:;|$)/i;
/** Its value tells where the JSON before binary tensors ends: that may be whole. */
const JSON_HEAD = "inference-header-content-length";

/** A JSON document is read whole or not at all. Streams of events, messages of gRPC and the JSON head of binary tensors are read as far as they go. */
export function isReadInParts(headers: RawHeaders): boolean {
  let json = false;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? "";
    if (name.length === 12 && name.toLowerCase() === "content-type")
      json = JSON_TYPE.test(headers[i + 1] ?? "");
    else if (name.length === JSON_HEAD.length && name.toLowerCase() === JSON_HEAD) return true;
  }
  return !json;
}
