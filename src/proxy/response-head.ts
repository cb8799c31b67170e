// A response's head on its way out: the upstream's lines without the hop-by-hop ones, with the id and the version.

import type { RawHeaders } from "../facts/exchange.ts";
import { FIELD, addConnectionTokens, fieldOf, removeNamed } from "./field-names.ts";
import { isPredictionId } from "./request-head.ts";

export interface ResponseHead {
  /** Flat lines for the client, without the relay's own. */
  readonly lines: string[];
  readonly hasLength: boolean;
  /** The model's own `x-prediction-id`, when it is valid. */
  readonly modelId: string | null;
  readonly modelSentVersion: boolean;
  /** Value of the version header the route names, or null. */
  readonly headerVersion: string | null;
  /** Why this is not an answer we can pass on, or null. */
  readonly defect: string | null;
}

export interface AnswerContext {
  readonly status: number;
  /** A HEAD request was asked: no body follows, whatever the lines say. */
  readonly headOnly: boolean;
  readonly httpVersion: string;
  /** How the upstream spoke. */
  readonly receivedVersion: string;
  /** Lower-case name of the header that carries the version, or null. */
  readonly versionHeader: string | null;
}

interface Gathered {
  length: boolean;
  encoding: string | null;
  named: Set<string> | null;
  via: number;
  trailer: string | null;
  modelId: string | null;
  modelSentVersion: boolean;
  headerVersion: string | null;
}

export function readResponseHead(raw: RawHeaders, context: AnswerContext): ResponseHead {
  const lines: string[] = [];
  const seen = gather(raw, lines, context);
  const via = `${context.receivedVersion} outrider`;
  if (seen.via < 0) lines.push("Via", via);
  else lines[seen.via] = `${lines[seen.via]}, ${via}`;
  // Chunks win over a length (RFC 9112 §6.3), and 204 has neither.
  const noLength = seen.encoding !== null || context.status === 204;
  if (seen.length && noLength) dropField(lines, FIELD.contentLength);
  const hasLength = seen.length && !noLength;
  const chunked = !hasLength && !context.headOnly && context.httpVersion !== "1.0" && hasBody(context.status);
  if (seen.trailer !== null && chunked) lines.push("Trailer", seen.trailer);
  if (seen.named !== null) removeNamed(lines, seen.named);
  const encoding = seen.encoding?.trim().toLowerCase() ?? "chunked";
  return {
    lines,
    hasLength,
    modelId: seen.modelId,
    modelSentVersion: seen.modelSentVersion,
    headerVersion: seen.headerVersion,
    defect:
      encoding === "chunked" || encoding === "identity"
        ? null
        : `Transfer-Encoding: ${encoding.slice(0, 60)}`,
  };
}

function hasBody(status: number): boolean {
  return status !== 204 && status !== 304;
}

function gather(raw: RawHeaders, lines: string[], context: AnswerContext): Gathered {
  const seen: Gathered = {
    length: false,
    encoding: null,
    named: null,
    via: -1,
    trailer: null,
    modelId: null,
    modelSentVersion: false,
    headerVersion: null,
  };
  const wanted = context.versionHeader;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    if (wanted !== null && name.length === wanted.length && name.toLowerCase() === wanted)
      seen.headerVersion ??= value;
    const field = fieldOf(name);
    if (field === FIELD.other || note(seen, field, { value, at: lines.length + 1 })) lines.push(name, value);
  }
  return seen;
}

/** Notes a line the relay has an opinion about; true: it goes on. `at` is where its value will stand. */
function note(seen: Gathered, field: number, line: { value: string; at: number }): boolean {
  switch (field) {
    case FIELD.connection:
      seen.named = addConnectionTokens(seen.named, line.value);
      return false;
    case FIELD.hop:
    case FIELD.te:
      return false;
    case FIELD.transferEncoding:
      seen.encoding = seen.encoding === null ? line.value : `${seen.encoding}, ${line.value}`;
      return false;
    case FIELD.contentLength:
      seen.length = true;
      return true;
    case FIELD.trailer:
      seen.trailer = seen.trailer === null ? line.value : `${seen.trailer}, ${line.value}`;
      return false;
    case FIELD.via:
      seen.via = line.at;
      return true;
    case FIELD.predictionId:
      if (seen.modelId !== null || !isPredictionId(line.value)) return false;
      seen.modelId = line.value;
      return true;
    case FIELD.modelVersion:
      seen.modelSentVersion = true;
      return true;
    default:
      return true;
  }
}

function dropField(lines: string[], field: number): void {
  for (let i = lines.length - 2; i >= 0; i -= 2) {
    if (fieldOf(lines[i] ?? "") === field) lines.splice(i, 2);
  }
}

/** Lines of a 1xx answer or of trailers that may pass: neither hop-by-hop (also by `Connection`) nor framing nor routing. */
export function plainLines(raw: RawHeaders): [string, string][] {
  const kept: [string, string][] = [];
  let named: Set<string> | null = null;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    const field = fieldOf(name);
    if (field === FIELD.connection) named = addConnectionTokens(named, value);
    if (field === FIELD.other || field === FIELD.traceparent || field === FIELD.tracestate)
      kept.push([name, value]);
  }
  return named === null ? kept : kept.filter(([name]) => named.has(name.toLowerCase()) === false);
}

/** A response head that waits, within the same turn, for its first chunk. */
export interface WaitingHead {
  readonly status: number;
  readonly reason: string;
  /** Flat lines, or, of a plain head, their text and what stands in it. */
  readonly lines: string[] | PlainLines;
}

/** Lines ready to be written: among them no `Connection`. */
export interface PlainLines {
  readonly text: string;
  readonly hasLength: boolean;
  readonly hasDate: boolean;
}

/** A reason phrase as it may stand in a status line. */
export function reasonPhrase(reason: string): string {
  return /^[\t -~\x80-\xff]*$/.test(reason) ? reason : "";
}
