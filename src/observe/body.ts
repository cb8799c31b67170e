// From the copied bytes of a body to JSON: decoding, byte order mark, the binary tail behind a JSON head.

import {
  brotliDecompressSync,
  constants,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  zstdDecompressSync,
} from "node:zlib";
import type { BodyCopy } from "../facts/exchange.ts";
import { codeOf } from "../kernel/problem.ts";
import { parseJson } from "./parse-json.ts";
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

/** "whole": the bytes must end where the coding ends; "prefix": as far as they go. */
type Extent = "whole" | "prefix";

function decompress(
  bytes: Buffer,
  encoding: string,
  of: { bytesMax: number; extent: Extent },
): Buffer | null {
  const options = { maxOutputLength: of.bytesMax };
  const zlib = of.extent === "prefix" ? { ...options, finishFlush: constants.Z_SYNC_FLUSH } : options;
  switch (encoding) {
    case "gzip":
    case "x-gzip":
      return gunzipSync(bytes, zlib);
    case "deflate":
      // Servers disagree whether "deflate" has zlib's wrapping; its first byte tells.
      return ((bytes[0] ?? 0) & 0x0f) === 8 ? inflateSync(bytes, zlib) : inflateRawSync(bytes, zlib);
    case "br":
      return brotliDecompressSync(
        bytes,
        of.extent === "prefix" ? { ...options, finishFlush: constants.BROTLI_OPERATION_FLUSH } : options,
      );
    case "zstd":
      return zstdDecompressSync(
        bytes,
        of.extent === "prefix" ? { ...options, finishFlush: constants.ZSTD_e_flush } : options,
      );
    default:
      return null;
  }
}

const encodingOf = ({ encoding }: BodyHead): string =>
  encoding === undefined ? "" : encoding.trim().toLowerCase();
const isPlain = (encoding: string): boolean => encoding === "" || encoding === "identity";

function decoded(bytes: Buffer, head: BodyHead, extent: Extent = "whole"): Buffer | FailureReason {
  const encoding = encodingOf(head);
  if (isPlain(encoding)) return bytes;
  try {
    return decompress(bytes, encoding, { bytesMax: head.bytesMax * GROWTH_MAX, extent }) ?? "encoding";
  } catch (thrown) {
    if (codeOf(thrown) === "ERR_BUFFER_TOO_LARGE") return "too_large";
    // Announced but not done: some servers label plain JSON as compressed.
    const first = bytes[0];
    return first === 0x7b || first === 0x5b ? bytes : "encoding";
  }
}

/** What the first `bytes` of a body say, however much of it they are; null when they cannot be decoded. */
export function readPrefix(bytes: Uint8Array, head: BodyHead): Buffer | null {
  const text = decoded(asBuffer(bytes), head, "prefix");
  return typeof text === "string" ? null : text;
}

/** Whether the body's bytes are its text. */
export function isEncoded(head: BodyHead): boolean {
  return !isPlain(encodingOf(head));
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

/** The length of the JSON head where binary tensors follow it, else null. */
function jsonHead(head: BodyHead): number | null {
  const { jsonBytes } = head;
  return jsonBytes !== undefined && /^\d{1,9}$/.test(jsonBytes) ? Number(jsonBytes) : null;
}

/** Of a body of which only the beginning was copied the JSON head may still be whole. */
function hasWholeHead(body: BodyCopy, head: BodyHead): boolean {
  const length = jsonHead(head);
  return body.kept === "truncated" && length !== null && length <= body.bytes.length && !isEncoded(head);
}

/** As `parseJson`, whose way it need not go. */
interface Parser {
  parse(bytes: Buffer): unknown;
}

const PLAIN: Parser = Object.freeze({ parse: parseJson });

/** The answer as JSON and what follows it, or why there is none. */
export function readBody(body: BodyCopy, head: BodyHead, parser: Parser = PLAIN): Answer | FailureReason {
  const missing = kept(body);
  if (missing !== null && !hasWholeHead(body, head)) return missing;
  if (body.bytes.length === 0) return "no_prediction";
  const bytes = decoded(asBuffer(body.bytes), head);
  if (typeof bytes === "string") return bytes;
  const length = jsonHead(head);
  const parsed = parser.parse(length === null ? bytes : bytes.subarray(0, length));
  if (parsed === undefined) return "not_json";
  const tail = length === null ? null : { bytes: bytes.subarray(length), whole: missing === null };
  return { json: parsed, tail };
}

const OPENERS: ReadonlySet<number> = new Set([0x7b, 0x5b, 0x20, 0x09, 0x0a, 0x0d, 0xef, 0xff, 0xfe]);

/** "all"; or only JSON of at most `bytesMax` bytes in which `bytes` stand: mostly nothing in a request is asked for. */
export type Wanted = "all" | { readonly bytes: Buffer; readonly bytesMax: number };

/** The request's JSON, or its JSON head before binary tensors; undefined when it is none, not whole or not wanted. */
export function readRequest(body: BodyCopy, head: BodyHead, wanted: Wanted): unknown {
  if (body.bytes.length === 0 || (body.kept !== "whole" && !hasWholeHead(body, head))) return undefined;
  const text = decoded(asBuffer(body.bytes), head);
  if (typeof text === "string") return undefined;
  const length = jsonHead(head);
  const json = length === null ? text : text.subarray(0, length);
  if (!OPENERS.has(json[0] ?? 0)) return undefined;
  const asked = wanted === "all" || (json.length <= wanted.bytesMax && json.includes(wanted.bytes));
  return asked ? parseJson(json) : undefined;
}
