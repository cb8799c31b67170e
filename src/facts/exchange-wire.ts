// An exchange as bytes, for the road between the traffic process and the observer. Decode undoes encode.

import type { ByteReader, ByteWriter } from "../kernel/wire.ts";
import { UNREAD_PART_BYTES, isReadInParts } from "./read-in-parts.ts";
import type {
  BodyCopy,
  EndedBody,
  EndedFact,
  Exchange,
  OwnError,
  Outcome,
  RawHeaders,
  WebSocketFacts,
} from "./exchange.ts";

const OUTCOMES: readonly Outcome[] = [
  "ok",
  "client_error",
  "server_error",
  "timeout",
  "connect_error",
  "reset",
  "client_abort",
  "rejected",
];
const OWN_ERRORS: readonly OwnError[] = [
  "connection_refused",
  "connect_timeout",
  "connection_reset",
  "response_timeout",
  "invalid_response",
  "dns_failure",
  "tls_failure",
  "bad_request",
  "draining",
  "internal",
];
const ID_SOURCES: readonly Exchange["idSource"][] = ["client", "model", "minted"];
const KEPT: readonly BodyCopy["kept"][] = ["whole", "truncated", "not-captured", "shed"];
const SIDES: readonly Exchange["abortedBy"][] = [null, "client", "upstream"];
/** Of the texts: those of one exchange alone, and with them those before the texts of its headers. */
const ID_TEXTS = 4;
const FIXED_TEXTS = 8;
/** What `encodeExchange` writes before the texts. */
const NUMBERS_BYTES = 79;
const NO_BYTES = new Uint8Array(0);
const NO_MARKS: readonly number[] = Object.freeze([]);

function index<T>(list: readonly T[], value: T): number {
  const at = list.indexOf(value);
  if (at < 0) throw new RangeError(`wire: ${String(value)}`);
  return at;
}

function pick<T>(list: readonly T[], at: number): T {
  const value = list[at];
  if (value === undefined) throw new RangeError(`wire: no value ${at}`);
  return value;
}

const numberOrNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
const textOrNull = (value: string): string | null => (value === "" ? null : value);

/** Which header lines cross, by name. */
export type KeepsHeader = (name: string) => boolean;

export interface EncodeOptions {
  /** The copies of the bodies stay behind. */
  readonly shedBodies: boolean;
  readonly keeps: KeepsHeader;
  /** What was appended before it, and will be read before it: the words that both have are not said again. Default null. */
  readonly before?: EndedFact | null;
}

/** Adds the lines that are kept to `texts`; gives how many texts that are. */
function gather(texts: string[], headers: RawHeaders, keeps: KeepsHeader): number {
  const before = texts.length;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? "";
    if (keeps(name)) texts.push(name, headers[i + 1] ?? "");
  }
  return texts.length - before;
}

function encodeBody(out: ByteWriter, body: EndedBody, how: { shed: boolean; headers: RawHeaders }): void {
  const { shed, headers } = how;
  out.u8(index(KEPT, shed && heldOf(body) > 0 ? "shed" : body.kept));
  out.f64(body.total);
  const { bytes, text, marks = NO_MARKS, tail = NO_BYTES } = shed ? SHED : asOfUse(body, headers);
  if (text === undefined) out.bytes(bytes);
  else out.latin1(text);
  out.u32(marks.length);
  for (const mark of marks) out.f64(mark);
  out.bytes(tail);
}

type Copied = Pick<EndedBody, "bytes" | "text" | "marks" | "tail">;

const SHED: Copied = { bytes: NO_BYTES };

/** Bytes of a copy, its tail not counted. */
export function heldOf({ bytes, text }: EndedBody): number {
  return text === undefined ? bytes.length : text.length;
}

function asOfUse(body: EndedBody, headers: RawHeaders): Copied {
  if (body.kept !== "truncated" || body.bytes.length <= UNREAD_PART_BYTES || isReadInParts(headers))
    return body;
  return { bytes: body.bytes.subarray(0, UNREAD_PART_BYTES) };
}

function decodeBody(from: ByteReader): BodyCopy {
  const kept = pick(KEPT, from.u8());
  const total = from.f64();
  const bytes = from.bytes();
  const marks: number[] = [];
  for (let left = from.u32(); left > 0; left--) marks.push(from.f64());
  const tail = from.bytes();
  const body = { kept, total, bytes };
  if (marks.length === 0 && tail.length === 0) return body;
  return {
    ...body,
    ...(marks.length > 0 ? { marks } : {}),
    ...(tail.length > 0 ? { tail } : {}),
  };
}

function encodeWebSocket(out: ByteWriter, facts: WebSocketFacts | undefined): void {
  out.u8(facts === undefined ? 0 : 1);
  if (facts === undefined) return;
  out.f64(facts.requestMessages);
  out.f64(facts.responseMessages);
  out.f64(facts.firstMessageMs ?? Number.NaN);
  out.u8(index(SIDES, facts.closedBy));
  out.f64(facts.closeCode ?? Number.NaN);
  out.u8(facts.measured ? 1 : 0);
}

function decodeWebSocket(from: ByteReader): WebSocketFacts | null {
  if (from.u8() === 0) return null;
  return {
    requestMessages: from.f64(),
    responseMessages: from.f64(),
    firstMessageMs: numberOrNull(from.f64()),
    closedBy: pick(SIDES, from.u8()),
    closeCode: numberOrNull(from.f64()),
    measured: from.u8() === 1,
  };
}

/** The same lists of headers, mostly: those of a head that has come before. What they say is not compared. */
function haveSameWords(one: EndedFact, other: EndedFact): boolean {
  return (
    one.target === other.target &&
    one.method === other.method &&
    one.httpVersion === other.httpVersion &&
    one.announcedVersion === other.announcedVersion &&
    one.requestHeaders === other.requestHeaders &&
    one.responseHeaders === other.responseHeaders &&
    one.responseTrailers.length === 0 &&
    other.responseTrailers.length === 0
  );
}

/** Appends `exchange`. */
export function encodeExchange(out: ByteWriter, exchange: EndedFact, options: EncodeOptions): void {
  const { trace, clocks } = exchange;
  const { shedBodies, keeps, before = null } = options;
  const texts = [exchange.id, trace.traceId, trace.spanId, trace.parentSpanId ?? ""];
  const again = before !== null && haveSameWords(before, exchange);
  let requestTexts = 0;
  let responseTexts = 0;
  let trailerTexts = 0;
  if (!again) {
    const { method, target, httpVersion, announcedVersion } = exchange;
    texts.push(method, target, httpVersion, announcedVersion ?? "");
    requestTexts = gather(texts, exchange.requestHeaders, keeps);
    responseTexts = gather(texts, exchange.responseHeaders, keeps);
    trailerTexts = gather(texts, exchange.responseTrailers, keeps);
  }
  const at = out.reserve(NUMBERS_BYTES);
  out.setU32(at, requestTexts);
  out.setU32(at + 4, responseTexts);
  out.setU32(at + 8, trailerTexts);
  out.setU32(at + 12, exchange.status ?? 0);
  out.setF64(at + 16, exchange.startedAtMs);
  out.setF64(at + 24, clocks.requestEndMs ?? Number.NaN);
  out.setF64(at + 32, clocks.headMs ?? Number.NaN);
  out.setF64(at + 40, clocks.firstByteMs ?? Number.NaN);
  out.setF64(at + 48, clocks.lastByteMs ?? Number.NaN);
  out.setF64(at + 56, clocks.endMs);
  out.setF64(at + 64, clocks.longestGapMs);
  out.setU8(at + 72, index(ID_SOURCES, exchange.idSource));
  out.setU8(at + 73, trace.sampled ? 1 : 0);
  out.setU8(at + 74, index(OUTCOMES, exchange.outcome));
  out.setU8(at + 75, exchange.ownError === null ? 255 : index(OWN_ERRORS, exchange.ownError));
  out.setU8(at + 76, index(SIDES, exchange.abortedBy));
  out.setU8(at + 77, exchange.upgraded ? 1 : 0);
  out.setU8(at + 78, again ? 1 : 0);
  out.texts(texts);
  encodeWebSocket(out, exchange.webSocket);
  encodeBody(out, exchange.request, { shed: shedBodies, headers: exchange.requestHeaders });
  encodeBody(out, exchange.response, { shed: shedBodies, headers: exchange.responseHeaders });
}

/** What an exchange says in words beside its ids. */
type Words = Pick<
  Exchange,
  | "method"
  | "target"
  | "httpVersion"
  | "announcedVersion"
  | "requestHeaders"
  | "responseHeaders"
  | "responseTrailers"
>;

/** How many of the texts are of headers. */
interface Parts {
  readonly request: number;
  readonly response: number;
  readonly trailers: number;
}

function wordsOf(texts: readonly string[], { request, response }: Parts): Words {
  const responseAt = FIXED_TEXTS + request;
  return {
    method: texts[4] ?? "",
    target: texts[5] ?? "",
    httpVersion: texts[6] ?? "",
    announcedVersion: textOrNull(texts[7] ?? ""),
    requestHeaders: texts.slice(FIXED_TEXTS, responseAt),
    responseHeaders: texts.slice(responseAt, responseAt + response),
    responseTrailers: texts.slice(responseAt + response),
  };
}

function isSaid(headers: RawHeaders, texts: readonly string[], from: number): boolean {
  for (let i = 0; i < headers.length; i++) if (headers[i] !== texts[from + i]) return false;
  return true;
}

/** Whether `wordsOf` would give what stands in `words`. */
function areSaid(words: Words, texts: readonly string[], { request, response, trailers }: Parts): boolean {
  const { requestHeaders, responseHeaders, responseTrailers } = words;
  return (
    requestHeaders.length === request &&
    responseHeaders.length === response &&
    responseTrailers.length === trailers &&
    words.method === texts[4] &&
    words.target === texts[5] &&
    words.httpVersion === texts[6] &&
    words.announcedVersion === textOrNull(texts[7] ?? "") &&
    isSaid(requestHeaders, texts, FIXED_TEXTS) &&
    isSaid(responseHeaders, texts, FIXED_TEXTS + request) &&
    isSaid(responseTrailers, texts, FIXED_TEXTS + request + response)
  );
}

/** Those of the exchange before. */
function wordsAgain(before: Words | null, texts: readonly string[]): Words {
  if (before === null || texts.length !== ID_TEXTS) throw new RangeError("wire: texts again");
  return before;
}

function wordsRead(before: Words | null, texts: readonly string[], parts: Parts): Words {
  if (texts.length !== FIXED_TEXTS + parts.request + parts.response + parts.trailers)
    throw new RangeError("wire: texts");
  return before !== null && areSaid(before, texts, parts) ? before : wordsOf(texts, parts);
}

/**
 * Reads one exchange. Its bodies are views into the frame. Target and headers are the same objects as those of `before`, the one
 * that was read before it, where they say the same, as they mostly do: whoever looks for them again finds them at once.
 */
export function decodeExchange(from: ByteReader, before: Exchange | null = null): Exchange {
  const parts = { request: from.u32(), response: from.u32(), trailers: from.u32() };
  const status = from.u32();
  const startedAtMs = from.f64();
  const clocks = {
    requestEndMs: numberOrNull(from.f64()),
    headMs: numberOrNull(from.f64()),
    firstByteMs: numberOrNull(from.f64()),
    lastByteMs: numberOrNull(from.f64()),
    endMs: from.f64(),
    longestGapMs: from.f64(),
  };
  const idSource = pick(ID_SOURCES, from.u8());
  const sampled = from.u8() === 1;
  const outcome = pick(OUTCOMES, from.u8());
  const ownErrorAt = from.u8();
  const abortedBy = pick(SIDES, from.u8());
  const upgraded = from.u8() === 1;
  const again = from.u8() === 1;
  const texts = from.texts();
  const words = again ? wordsAgain(before, texts) : wordsRead(before, texts, parts);
  const webSocket = decodeWebSocket(from);
  const exchange = {
    id: texts[0] ?? "",
    idSource,
    trace: {
      traceId: texts[1] ?? "",
      spanId: texts[2] ?? "",
      parentSpanId: textOrNull(texts[3] ?? ""),
      sampled,
    },
    method: words.method,
    target: words.target,
    httpVersion: words.httpVersion,
    startedAtMs,
    clocks,
    status: status === 0 ? null : status,
    outcome,
    ownError: ownErrorAt === 255 ? null : pick(OWN_ERRORS, ownErrorAt),
    abortedBy,
    upgraded,
    announcedVersion: words.announcedVersion,
    requestHeaders: words.requestHeaders,
    responseHeaders: words.responseHeaders,
    responseTrailers: words.responseTrailers,
    request: decodeBody(from),
    response: decodeBody(from),
  };
  return webSocket === null ? exchange : { ...exchange, webSocket };
}
