// An exchange as bytes, for the road between the traffic process and the observer. Decode undoes encode.

import type { ByteReader, ByteWriter } from "../kernel/wire.ts";
import { UNREAD_PART_BYTES, isReadInParts } from "./read-in-parts.ts";
import type { BodyCopy, Exchange, OwnError, Outcome, RawHeaders, WebSocketFacts } from "./exchange.ts";

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
/** The exchange's own, before those of its headers. */
const FIXED_TEXTS = 8;
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

function encodeBody(out: ByteWriter, body: BodyCopy, how: { shed: boolean; headers: RawHeaders }): void {
  const { shed, headers } = how;
  out.u8(index(KEPT, shed && body.bytes.length > 0 ? "shed" : body.kept));
  out.f64(body.total);
  const { bytes, marks = NO_MARKS, tail = NO_BYTES } = shed ? SHED : asOfUse(body, headers);
  out.bytes(bytes);
  out.u32(marks.length);
  for (const mark of marks) out.f64(mark);
  out.bytes(tail);
}

type Copied = Pick<BodyCopy, "bytes" | "marks" | "tail">;

const SHED: Copied = { bytes: NO_BYTES };

function asOfUse(body: BodyCopy, headers: RawHeaders): Copied {
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
  return {
    kept,
    total,
    bytes,
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

function decodeWebSocket(from: ByteReader): { webSocket?: WebSocketFacts } {
  if (from.u8() === 0) return {};
  const webSocket = {
    requestMessages: from.f64(),
    responseMessages: from.f64(),
    firstMessageMs: numberOrNull(from.f64()),
    closedBy: pick(SIDES, from.u8()),
    closeCode: numberOrNull(from.f64()),
    measured: from.u8() === 1,
  };
  return { webSocket };
}

/** Appends `exchange`. */
export function encodeExchange(out: ByteWriter, exchange: Exchange, options: EncodeOptions): void {
  const { trace, clocks } = exchange;
  const { shedBodies, keeps } = options;
  const texts = [
    exchange.id,
    trace.traceId,
    trace.spanId,
    trace.parentSpanId ?? "",
    exchange.method,
    exchange.target,
    exchange.httpVersion,
    exchange.announcedVersion ?? "",
  ];
  out.u32(gather(texts, exchange.requestHeaders, keeps));
  out.u32(gather(texts, exchange.responseHeaders, keeps));
  out.u32(gather(texts, exchange.responseTrailers, keeps));
  out.texts(texts);
  out.u8(index(ID_SOURCES, exchange.idSource));
  out.u8(trace.sampled ? 1 : 0);
  out.f64(exchange.startedAtMs);
  out.f64(clocks.requestEndMs ?? Number.NaN);
  out.f64(clocks.headMs ?? Number.NaN);
  out.f64(clocks.firstByteMs ?? Number.NaN);
  out.f64(clocks.lastByteMs ?? Number.NaN);
  out.f64(clocks.endMs);
  out.f64(clocks.longestGapMs);
  out.u32(exchange.status ?? 0);
  out.u8(index(OUTCOMES, exchange.outcome));
  out.u8(exchange.ownError === null ? 255 : index(OWN_ERRORS, exchange.ownError));
  out.u8(index(SIDES, exchange.abortedBy));
  out.u8(exchange.upgraded ? 1 : 0);
  encodeWebSocket(out, exchange.webSocket);
  encodeBody(out, exchange.request, { shed: shedBodies, headers: exchange.requestHeaders });
  encodeBody(out, exchange.response, { shed: shedBodies, headers: exchange.responseHeaders });
}

/** Reads one exchange. Its bodies are views into the frame. */
export function decodeExchange(from: ByteReader): Exchange {
  const requestParts = from.u32();
  const responseParts = from.u32();
  const trailerParts = from.u32();
  const texts = from.texts();
  const [id = "", traceId = "", spanId = "", parentSpanId = "", method = "", target = "", httpVersion = ""] =
    texts;
  if (texts.length !== FIXED_TEXTS + requestParts + responseParts + trailerParts)
    throw new RangeError("wire: texts");
  const responseAt = FIXED_TEXTS + requestParts;
  const idSource = pick(ID_SOURCES, from.u8());
  const sampled = from.u8() === 1;
  const startedAtMs = from.f64();
  const clocks = {
    requestEndMs: numberOrNull(from.f64()),
    headMs: numberOrNull(from.f64()),
    firstByteMs: numberOrNull(from.f64()),
    lastByteMs: numberOrNull(from.f64()),
    endMs: from.f64(),
    longestGapMs: from.f64(),
  };
  const status = from.u32();
  const outcome = pick(OUTCOMES, from.u8());
  const ownErrorAt = from.u8();
  return {
    id,
    idSource,
    trace: { traceId, spanId, parentSpanId: textOrNull(parentSpanId), sampled },
    method,
    target,
    httpVersion,
    startedAtMs,
    clocks,
    status: status === 0 ? null : status,
    outcome,
    ownError: ownErrorAt === 255 ? null : pick(OWN_ERRORS, ownErrorAt),
    abortedBy: pick(SIDES, from.u8()),
    upgraded: from.u8() === 1,
    ...decodeWebSocket(from),
    announcedVersion: textOrNull(texts[7] ?? ""),
    requestHeaders: texts.slice(FIXED_TEXTS, responseAt),
    responseHeaders: texts.slice(responseAt, responseAt + responseParts),
    responseTrailers: texts.slice(responseAt + responseParts),
    request: decodeBody(from),
    response: decodeBody(from),
  };
}
