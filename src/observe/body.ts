// From the copied bytes of a body to JSON: decoding, byte order mark, the binary tail behind a JSON head.

import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync, zstdDecompressSync } from "node:zlib";
import type { BodyCopy } from "../facts/exchange.ts";
import { codeOf } from "../kernel/problem.ts";
import type { Answer } from "./readers.ts";
import type { FailureReason } from "./rules.ts";

/** Decompressed bodies may be this many times the capture limit. */
const GROWTH_MAX = 8;

export interface BodyHead {
  /** `Content-Encoding`, or undefined. */
  readonly encoding: string | undefined;
  /** `Inference-Header-Content-Length`, or undefined. */
  readonly jsonBytes: string | undefined;
  /** The capture limit. */
  readonly bytesMax: number;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function decompress(bytes: Buffer, encoding: string, maxOutputLength: number): Buffer | null {
  switch (encoding) {
    case "gzip":
    case "x-gzip":
      return gunzipSync(bytes, { maxOutputLength });
    case "deflate":
      // Servers disagree whether "deflate" has zlib's wrapping; its first byte tells.
      return ((bytes[0] ?? 0) & 0x0f) === 8
        ? inflateSync(bytes, { maxOutputLength })
        : inflateRawSync(bytes, { maxOutputLength });
    case "br":
      return brotliDecompressSync(bytes, { maxOutputLength });
    case "zstd":
      return zstdDecompressSync(bytes, { maxOutputLength });
    default:
      return null;
  }
}

function decoded(bytes: Buffer, head: BodyHead): Buffer | FailureReason {
  const encoding = (head.encoding ?? "").toLowerCase();
  if (encoding === "" || encoding === "identity") return bytes;
  try {
    return decompress(bytes, encoding, head.bytesMax * GROWTH_MAX) ?? "encoding";
  } catch (thrown) {
    if (codeOf(thrown) === "ERR_BUFFER_TOO_LARGE") return "too_large";
    // Announced but not done: some servers label plain JSON as compressed.
    const first = bytes[0];
    return first === 0x7b || first === 0x5b ? bytes : "encoding";
  }
}

/**
 * NaN and Infinity (Python writes them) become null, so that one bad row does not cost all others.
 * A text without end matches too: were it tried again from each of its quotes, time would grow with the square.
 */
const NOT_JSON = /"(?:[^"\\]+|\\[^])*"?|-?\b(?:NaN|Infinity)\b/g;

function tolerant(text: string): unknown {
  try {
    const parsed: unknown = JSON.parse(text);
    return parsed;
  } catch {
    if (!text.includes("NaN") && !text.includes("Infinity")) return undefined;
  }
  try {
    const mended: unknown = JSON.parse(
      text.replace(NOT_JSON, (token) => (token.startsWith('"') ? token : "null")),
    );
    return mended;
  } catch {
    return undefined;
  }
}

/** Parses JSON text in UTF-8, with or without byte order mark; undefined when it is none. */
export function parseJson(bytes: Buffer): unknown {
  const mark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  return tolerant(bytes.toString("utf8", mark));
}

function kept(body: BodyCopy): FailureReason | null {
  switch (body.kept) {
    case "whole":
      return null;
    case "truncated":
      return "truncated";
    case "shed":
      return "shed";
    case "not-captured":
      return "not_captured";
    default:
      return body.kept satisfies never;
  }
}

/** The answer as JSON and what follows it, or why there is none. */
export function readBody(body: BodyCopy, head: BodyHead): Answer | FailureReason {
  const missing = kept(body);
  if (missing !== null) return missing;
  if (body.bytes.length === 0) return "no_prediction";
  const bytes = decoded(asBuffer(body.bytes), head);
  if (typeof bytes === "string") return bytes;
  let json = bytes;
  let tail: Buffer | null = null;
  if (head.jsonBytes !== undefined && /^\d{1,9}$/.test(head.jsonBytes)) {
    json = bytes.subarray(0, Number(head.jsonBytes));
    tail = bytes.subarray(Number(head.jsonBytes));
  }
  const parsed = parseJson(json);
  return parsed === undefined ? "not_json" : { json: parsed, tail };
}

/** The request's JSON when it is small, whole and plain; undefined otherwise. */
export function readRequest(body: BodyCopy, bytesMax: number): unknown {
  if (body.kept !== "whole" || body.bytes.length === 0 || body.bytes.length > bytesMax) return undefined;
  const bytes = asBuffer(body.bytes);
  const first = bytes[0];
  const isText =
    first === 0x7b || first === 0x5b || first === 0x20 || first === 0x0a || first === 0x0d || first === 0xef;
  return isText ? parseJson(bytes) : undefined;
}

/** Whether the bytes hold `text`, without decoding them. */
export function holds(body: BodyCopy, text: string): boolean {
  return asBuffer(body.bytes).includes(text, 0, "latin1");
}
