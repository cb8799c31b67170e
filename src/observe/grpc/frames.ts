// gRPC's framing of messages within a body: a flag, a length, the bytes (gRPC over HTTP/2, "Length-Prefixed-Message").

import { gunzipSync, inflateSync } from "node:zlib";
import { codeOf } from "../../kernel/problem.ts";
import type { FailureReason } from "../rules.ts";

const HEAD_BYTES = 5;
/** Messages of one stream that are looked at. */
const MESSAGES_MAX = 2;

export interface Frames {
  /** The first messages, at most two, unpacked. */
  readonly messages: readonly Buffer[];
  /** More follow, or the last one is cut off. */
  readonly more: boolean;
}

/** Takes a body apart. `encoding`: the value of `grpc-encoding`; a message unfolds to at most `bytesMax` bytes. */
export function readFrames(
  body: Buffer,
  encoding: string | undefined,
  bytesMax: number,
): Frames | FailureReason {
  const messages: Buffer[] = [];
  let at = 0;
  while (at + HEAD_BYTES <= body.length && messages.length < MESSAGES_MAX) {
    const end = at + HEAD_BYTES + body.readUInt32BE(at + 1);
    if (end > body.length) return { messages, more: true };
    const packed = body.subarray(at + HEAD_BYTES, end);
    const message = body[at] === 0 ? packed : unpacked(packed, encoding, bytesMax);
    if (typeof message === "string") return message;
    messages.push(message);
    at = end;
  }
  return { messages, more: at < body.length };
}

function unpacked(packed: Buffer, encoding: string | undefined, bytesMax: number): Buffer | FailureReason {
  try {
    if (encoding === "gzip") return gunzipSync(packed, { maxOutputLength: bytesMax });
    return encoding === "deflate" ? inflateSync(packed, { maxOutputLength: bytesMax }) : "encoding";
  } catch (thrown) {
    return codeOf(thrown) === "ERR_BUFFER_TOO_LARGE" ? "too_large" : "encoding";
  }
}
