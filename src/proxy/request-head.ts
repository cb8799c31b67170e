// A request's head on its way in: what it says to the relay, and the header lines that go on to the upstream.

import type { RawHeaders } from "../facts/exchange.ts";
import { flat } from "../kernel/ascii.ts";
import { FIELD, addConnectionTokens, fieldOf, removeNamed } from "./field-names.ts";
import { isExtended } from "./plain-head.ts";
import type { PlainRequest } from "./plain-request.ts";
import { beginTrace, continueCurrent, continueTrace, type Tracing } from "./trace.ts";

const VISIBLE_ASCII = /^[\x21-\x7e]{1,256}$/;

/** Ids that callers may choose (interface §2): 1-256 visible ASCII characters. */
export function isPredictionId(value: string): boolean {
  return VISIBLE_ASCII.test(value);
}

/** The bytes after a request's head: none, or a body to be forwarded. */
export type Framing = "none" | "length" | "chunked";

export interface RequestHead {
  /** Flat lines for the upstream, without the relay's own (`addOwnLines`). */
  readonly lines: string[];
  /** Request line and all lines for the upstream, each with its CRLF; null: `lines` has them. */
  readonly text: string | null;
  readonly framing: Framing;
  /** The client said `TE: trailers`. */
  readonly acceptsTrailers: boolean;
  /** With framing "length". */
  readonly bodyBytes: number;
  /** The client waits for a 100 before it sends its body. */
  readonly expectsContinue: boolean;
  readonly predictionId: string | null;
  readonly tracing: Tracing;
  /** Why the request cannot be forwarded, or null. */
  readonly refusal: string | null;
}

export interface HeadContext {
  readonly httpVersion: string;
  readonly peer: string;
  /** Replaces `Host` when the upstream wants its own name; null keeps what the client sent. */
  readonly upstreamHost: string | null;
  /** Of an absolute target (`hostOfTarget`): it stands in for what the client's Host line says. */
  readonly targetHost: string | null;
  /** Host and port of the upstream, for an HTTP/1.0 request that names no host: what we send is HTTP/1.1. */
  readonly upstreamAuthority: string;
  readonly traceSampleRatio: number;
  /** How clients connect. */
  readonly scheme: "http" | "https";
  /** HTTP/2: a body comes, whether or not a length is given. Null: the lines tell. */
  readonly bodyFollows: boolean | null;
}

/** What one pass over the lines gathers. Indexes point into `lines`, -1: not there. */
interface Gathered {
  hosts: number;
  host: string;
  lengths: number;
  length: string | null;
  expectsContinue: boolean;
  encodings: number;
  encoding: string;
  acceptsTrailers: boolean;
  named: Set<string> | null;
  via: number;
  forwardedFor: number;
  forwardedProto: number;
  forwardedHost: number;
  traceparents: number;
  traceparent: string;
  tracestate: string[] | null;
  predictionId: string | null;
}

/** Reads the head and filters its lines (RFC 9110 §7.6.1): order, spelling and number of equal names are kept. */
export function readRequestHead(raw: RawHeaders, context: HeadContext): RequestHead {
  const lines: string[] = [];
  const { upstreamHost, targetHost, upstreamAuthority } = context;
  const seen = gather(raw, lines, upstreamHost ?? targetHost);
  const tracing =
    (seen.traceparents === 1 ? continueTrace(seen.traceparent) : null) ??
    beginTrace(context.traceSampleRatio);
  if (seen.hosts === 0) lines.push("Host", upstreamHost ?? targetHost ?? upstreamAuthority);
  addOwnLines(lines, seen, context);
  if (tracing.trace.parentSpanId !== null && seen.tracestate !== null) lines.push(...seen.tracestate);
  lines.push("traceparent", tracing.traceparent);
  if (seen.named !== null) removeNamed(lines, seen.named);
  return {
    lines,
    text: null,
    framing: framingOf(seen, context.bodyFollows),
    acceptsTrailers: seen.acceptsTrailers,
    bodyBytes: Number(seen.length ?? 0),
    expectsContinue: seen.expectsContinue && context.httpVersion !== "1.0",
    predictionId: seen.predictionId,
    tracing,
    refusal: targetHost === "" ? NO_HOST : refusalOf(seen, context.httpVersion),
  };
}

/** The same for a plain head. The upstream is asked by the host's name that the client used. */
export function plainRequestHead(head: PlainRequest, context: PlainContext): RequestHead {
  const { own, tracing } = context;
  return {
    lines: NO_LINES,
    text: plainText(head, own) + traceLines(head, tracing),
    framing: head.length > 0 ? "length" : "none",
    acceptsTrailers: false,
    bodyBytes: Math.max(0, head.length),
    expectsContinue: false,
    predictionId: head.predictionId,
    tracing,
    refusal: null,
  };
}

/** Request line and lines for the upstream but those of the trace, each with its CRLF. */
export function plainText(head: PlainRequest, own: OwnLines): string {
  return head.extended === null ? head.kept + own.text : extendedText(head, head.extended, own);
}

/** Those of the trace. */
export function traceLines({ tracestate }: PlainRequest, { trace, traceparent }: Tracing): string {
  const line = `traceparent: ${traceparent}\r\n`;
  return trace.parentSpanId === null || tracestate === "" ? line : tracestate + line;
}

/** The client's trace, or one that begins here. */
export function plainTracing({ traceparent, continuesTrace }: PlainRequest, sampleRatio: number): Tracing {
  if (traceparent === null) return beginTrace(sampleRatio);
  const continued = continuesTrace ? continueCurrent(traceparent) : continueTrace(traceparent);
  return continued ?? beginTrace(sampleRatio);
}

export interface PlainContext {
  readonly own: OwnLines;
  readonly tracing: Tracing;
}

/** The lines that the relay adds to each request of one client to one host. */
export interface OwnLines {
  readonly host: string;
  readonly peer: string;
  readonly lines: readonly { readonly field: number; readonly name: string; readonly value: string }[];
  /** All of them. */
  readonly text: string;
}

export type ClientPlace = Pick<HeadContext, "peer" | "scheme">;

const NO_LINES: string[] = [];

export function ownLinesOf(host: string, { peer, scheme }: ClientPlace): OwnLines {
  const flatHost = flat(host);
  const lines = [
    { field: FIELD.via, name: "Via", value: "1.1 outrider" },
    { field: FIELD.forwardedFor, name: "X-Forwarded-For", value: peer },
    { field: FIELD.forwardedProto, name: "X-Forwarded-Proto", value: scheme },
    { field: FIELD.forwardedHost, name: "X-Forwarded-Host", value: flatHost },
  ];
  const text = flat(lines.map(({ name, value }) => `${name}: ${value}\r\n`).join(""));
  return { host: flatHost, peer, lines, text };
}

/** Where such a line has come already its list goes on with ours (`append`). */
function extendedText(head: PlainRequest, extended: readonly number[], own: OwnLines): string {
  const { kept } = head;
  let text = "";
  let from = 0;
  for (let i = 0; i < extended.length; i += 2) {
    const at = extended[i + 1] ?? 0;
    const value = own.lines.find(({ field }) => field === extended[i])?.value ?? "";
    text += `${kept.slice(from, at)}, ${value}`;
    from = at;
  }
  text += kept.slice(from);
  for (const { field, name, value } of own.lines)
    if (!isExtended(head, field)) text += `${name}: ${value}\r\n`;
  return text;
}

function framingOf(seen: Gathered, bodyFollows: boolean | null): Framing {
  if (bodyFollows === false) return "none";
  if (seen.encodings > 0) return "chunked";
  if (bodyFollows === true && seen.length === null) return "chunked";
  return seen.length === null || isZero(seen.length) ? "none" : "length";
}

/** `host`: what the upstream is asked by; null: what the client says. */
function gather(raw: RawHeaders, lines: string[], host: string | null): Gathered {
  const seen: Gathered = {
    hosts: 0,
    host: "",
    lengths: 0,
    length: null,
    expectsContinue: false,
    encodings: 0,
    encoding: "",
    acceptsTrailers: false,
    named: null,
    via: -1,
    forwardedFor: -1,
    forwardedProto: -1,
    forwardedHost: -1,
    traceparents: 0,
    traceparent: "",
    tracestate: null,
    predictionId: null,
  };
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    const field = fieldOf(name);
    lines.push(name, field === FIELD.host && host !== null ? host : value);
    if (field === FIELD.other || note(seen, field, { name, value, at: lines.length - 1 })) continue;
    lines.pop();
    lines.pop();
  }
  return seen;
}

/** Notes a line the relay has an opinion about; true: it goes on. `at` is where its value stands. */
function note(seen: Gathered, field: number, line: { name: string; value: string; at: number }): boolean {
  const { value, at } = line;
  switch (field) {
    case FIELD.host:
      seen.hosts++;
      seen.host = value;
      return true;
    case FIELD.connection:
      seen.named = addConnectionTokens(seen.named, value);
      return false;
    case FIELD.transferEncoding:
      seen.encodings++;
      seen.encoding = value;
      return false;
    case FIELD.contentLength:
      seen.lengths++;
      seen.length = value;
      return true;
    case FIELD.te:
      if (ACCEPTS_TRAILERS.test(value)) seen.acceptsTrailers = true;
      return false;
    case FIELD.expect:
      if (value.toLowerCase() === "100-continue") seen.expectsContinue = true;
      return false;
    case FIELD.via:
      seen.via = at;
      return true;
    case FIELD.forwardedFor:
      seen.forwardedFor = at;
      return true;
    case FIELD.forwardedProto:
      seen.forwardedProto = at;
      return true;
    case FIELD.forwardedHost:
      seen.forwardedHost = at;
      return true;
    case FIELD.traceparent:
      seen.traceparents++;
      seen.traceparent = value;
      return false;
    case FIELD.tracestate:
      seen.tracestate ??= [];
      seen.tracestate.push(line.name, value);
      return false;
    case FIELD.predictionId:
      if (seen.predictionId === null && isPredictionId(value)) seen.predictionId = value;
      return true;
    case FIELD.modelVersion:
      return true;
    default:
      // Hop-by-hop fields; Trailer (whether they come is seen at the body's end).
      return false;
  }
}

function addOwnLines(lines: string[], seen: Gathered, context: HeadContext): void {
  append(lines, seen.via, ["Via", `${context.httpVersion} outrider`]);
  append(lines, seen.forwardedFor, ["X-Forwarded-For", context.peer]);
  append(lines, seen.forwardedProto, ["X-Forwarded-Proto", context.scheme]);
  const host = context.targetHost ?? (seen.hosts > 0 ? seen.host : null);
  if (host !== null) append(lines, seen.forwardedHost, ["X-Forwarded-Host", host]);
}

/** Adds to the list value at `at`, or as a line of its own where there is none. */
function append(lines: string[], at: number, own: readonly [string, string]): void {
  const before = at < 0 ? "" : (lines[at] ?? "");
  if (at < 0) lines.push(own[0], own[1]);
  else lines[at] = before === "" ? own[1] : `${before}, ${own[1]}`;
}

const ACCEPTS_TRAILERS = /(?:^|,)[\t ]*trailers[\t ]*(?:$|[,;])/i;
const NO_HOST = "The request target names no host that is one. Send a path, or http://host/path.";
const DIGITS = /^\d{1,15}$/;
/** uri-host and port (RFC 9110 §7.2): a name, an IPv4 address, or an IPv6 one in brackets. No comma, which would split a list. */
const HOST = /^(?:\[[\da-f:.]+(?:%[\w\-.~%]+)?\]|(?:[\w\-.~!$&'()*+;=]|%[\da-f]{2})*)(?::\d{0,5})?$/i;

/** What was valid last: one client says the same host again and again. */
let lastHost = "";

export function isHost(value: string): boolean {
  if (value === lastHost) return true;
  if (!HOST.test(value)) return false;
  lastHost = value;
  return true;
}

function isZero(length: string): boolean {
  return length === "0" || /^0+$/.test(length);
}

function refusalOf(seen: Gathered, httpVersion: string): string | null {
  if (httpVersion !== "1.1" && httpVersion !== "1.0" && httpVersion !== "2")
    return `The request says HTTP/${httpVersion}, which is not spoken here. Send HTTP/1.1.`;
  if (seen.hosts > 1) return "The request has more than one Host header line. Send exactly one.";
  if (seen.hosts === 0 && httpVersion !== "1.0")
    return "The request has no Host header line. Send exactly one.";
  if (!isHost(seen.host)) return "The request's Host is not a host name with or without a port.";
  if (seen.lengths > 1 || (seen.length !== null && !DIGITS.test(seen.length)))
    return "The request's Content-Length is not one number. Send exactly one, in digits.";
  if (seen.encodings === 0) return null;
  if (seen.length !== null)
    return "The request has both Content-Length and Transfer-Encoding, so its end is ambiguous. Send one of them.";
  if (seen.encodings > 1 || seen.encoding.toLowerCase() !== "chunked")
    return "The request's Transfer-Encoding is not exactly `chunked`. Send `chunked` or a Content-Length.";
  if (httpVersion !== "1.1") return "Transfer-Encoding needs HTTP/1.1. Send a Content-Length, or HTTP/1.1.";
  return null;
}

/** Absolute form up to its path. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/** The host that an absolute target names: it stands in for the Host line (RFC 9112 §3.2.2). Null: the target has none; "": none that is valid. */
export function hostOfTarget(target: string): string | null {
  if (target.startsWith("/")) return null;
  const authority = ABSOLUTE.exec(target)?.[1];
  if (authority === undefined) return null;
  // Who stands before an @ there is taken for an error (RFC 9110 §4.2.4): no host has one.
  return isHost(authority) ? authority : "";
}

/** More than this is counted down to it: no chain of proxies is as long. */
const FORWARDS_MAX = 999_999_999_999_999;

/**
 * Takes one off `Max-Forwards` of an OPTIONS or TRACE (RFC 9110 §7.6.2); false: it was used up, and the request goes no further. What is
 * not only digits is no such field and stays as it is.
 */
export function spendForward(method: string, lines: string[]): boolean {
  if (method !== "OPTIONS" && method !== "TRACE") return true;
  for (let i = 0; i < lines.length; i += 2) {
    const value = lines[i + 1] ?? "";
    if (lines[i]?.toLowerCase() !== "max-forwards" || !/^\d+$/.test(value)) continue;
    if (isZero(value)) return false;
    lines[i + 1] = String(Math.min(Number(value) - 1, FORWARDS_MAX));
  }
  return true;
}

export const NO_PATH =
  "The request target is not a path behind this one model server, so it cannot be forwarded.";

/** What stands on the request line to the upstream; null: it has no path, so nothing can be forwarded. */
export function upstreamTarget(method: string, target: string): string | null {
  if (target.startsWith("/")) return target;
  // Of the server as a whole (RFC 9112 §3.2.4).
  if (target === "*") return method === "OPTIONS" ? target : null;
  // Absolute form (RFC 9112 §3.2.2): its authority never chooses where we connect.
  const authority = ABSOLUTE.exec(target);
  if (authority === null) return null;
  const rest = target.slice(authority[0].length);
  if (rest === "" && method === "OPTIONS") return "*";
  return rest.startsWith("/") ? rest : `/${rest}`;
}
