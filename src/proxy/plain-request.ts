// The everyday request head.

import type { RawHeaders } from "../facts/exchange.ts";
import type { HeaderFilter } from "../facts/header-filter.ts";
import { flat } from "../kernel/ascii.ts";
import { TOKEN } from "./field-lines.ts";
import { FIELD } from "./field-names.ts";
import { observedWith, valueIn, type Filled } from "./head-gaps.ts";
import type { KnownHead, KnownHeads } from "./known-heads.ts";
import { PlainReader, isExtended, linesOf, observedIn, type Use } from "./plain-head.ts";
import { isHost, isPredictionId } from "./request-head.ts";
import type { ShortPlan } from "./short-plan.ts";

const SPACE = 32;
const SLASH = 47;
const DELETE = 127;
const REST_OF_LINE = Buffer.from(" HTTP/1.1\r\n", "latin1");
const GRPC = "application/grpc";

/** Where the parts of `METHOD /target HTTP/1.1` end. */
interface RequestLine {
  readonly methodEnd: number;
  readonly targetEnd: number;
}

/** `kept` begins with the request line. */
export class PlainRequest implements KnownHead<PlainRequest> {
  readonly plain = true;
  readonly text: string;
  extended: number[] | null = null;
  kept = "";
  length = -1;
  closes = false;
  hasConnection = false;
  readonly httpVersion = "1.1";
  readonly method: string;
  /** Begins with a slash. */
  readonly target: string;
  host = "";
  predictionId: string | null = null;
  traceparent: string | null = null;
  /** It is one of version 00 that was found to be valid. */
  continuesTrace = false;
  /** The line, with its CRLF; "": there is none. */
  tracestate = "";
  /** It is one that is known, and is there to come again. */
  lasts = false;
  /** Of one that lasts; see `planOf`. */
  plan: ShortPlan | null = null;

  readonly #filter: HeaderFilter | null;
  #observed: RawHeaders | null = null;
  #filled: Filled | null = null;

  constructor(
    text: string,
    line: { readonly method: string; readonly target: string },
    filter: HeaderFilter | null,
  ) {
    this.text = text;
    this.#filter = filter;
    this.method = line.method;
    this.target = line.target;
  }

  get lines(): RawHeaders {
    return linesOf(this.text);
  }

  get observed(): RawHeaders {
    const known = this.#observed;
    if (known === null) return observedIn(this.text, this.#filter);
    return this.#filled === null ? known : observedWith(known, this.#filled);
  }

  lasting(): PlainRequest {
    const line = { method: flat(this.method), target: flat(this.target) };
    const head = this.#as(new PlainRequest(flat(this.text), line, this.#filter));
    head.kept = flat(this.kept);
    head.length = this.length;
    head.host = flat(this.host);
    head.#observed = this.observed.map(flat);
    head.lasts = true;
    return head;
  }

  filled(filled: Filled): PlainRequest {
    const { text, kept, length, gaps } = filled;
    const head = this.#as(new PlainRequest(text, this, this.#filter));
    head.kept = kept;
    head.length = length;
    head.#filled = filled;
    for (const gap of gaps) {
      switch (gap.field) {
        case FIELD.traceparent:
          head.traceparent = valueIn(text, gap);
          head.continuesTrace = true;
          break;
        case FIELD.tracestate:
          head.tracestate = `${gap.name}: ${valueIn(text, gap)}\r\n`;
          break;
        case FIELD.predictionId:
          head.predictionId = valueIn(text, gap);
          break;
      }
    }
    return head;
  }

  /** `head` with all that does not depend on its text, its length and its gaps. */
  #as(head: PlainRequest): PlainRequest {
    head.extended = this.extended;
    head.closes = this.closes;
    head.hasConnection = this.hasConnection;
    head.host = this.host;
    head.predictionId = this.predictionId;
    head.traceparent = this.traceparent;
    head.tracestate = this.tracestate;
    head.#observed = this.#observed;
    return head;
  }
}

export interface HeadLimits {
  readonly headBytesMax: number;
  readonly headLinesMax: number;
}

export class PlainRequestReader extends PlainReader<PlainRequest> {
  readonly #limits: HeadLimits;

  constructor(limits: HeadLimits, known: KnownHeads<PlainRequest>) {
    super(known);
    this.#limits = limits;
  }

  protected override readAnew(bytes: Buffer, from: number, to: number): PlainRequest | null {
    const { scan } = this;
    const { headBytesMax, headLinesMax } = this.#limits;
    const line = requestLine(bytes, from);
    if (
      line === null ||
      !scan.scan(bytes, { from, linesAt: from + line.targetEnd + REST_OF_LINE.length, to })
    )
      return null;
    if (scan.end - from > headBytesMax || scan.count > headLinesMax) return null;
    const text = bytes.toString("latin1", from, scan.end);
    const method = text.slice(0, line.methodEnd);
    const target = text.slice(line.methodEnd + 1, line.targetEnd);
    const head = new PlainRequest(text, { method, target }, this.filter);
    return this.gather(head, bytes, 0) && head.host !== "" ? head : null;
  }

  protected override mayDiffer(head: PlainRequest, bytes: Uint8Array, i: number): boolean {
    switch (this.scan.fields[i] ?? FIELD.other) {
      case FIELD.other:
        // A gRPC call is told by it.
        return !this.isNamed(bytes, i, "content-type");
      case FIELD.traceparent:
      case FIELD.tracestate:
      case FIELD.via:
      case FIELD.forwardedFor:
      case FIELD.forwardedProto:
      case FIELD.forwardedHost:
        return true;
      case FIELD.predictionId:
        return head.predictionId !== null && this.scan.counts(FIELD.predictionId) === 1;
      default:
        return false;
    }
  }

  protected override use(head: PlainRequest, bytes: Uint8Array, i: number): Use {
    switch (this.scan.fields[i] ?? FIELD.other) {
      case FIELD.other:
        return this.isNamed(bytes, i, "content-type") && this.beginsValue(bytes, i, GRPC)
          ? "not plain"
          : "keep";
      case FIELD.modelVersion:
        return "keep";
      case FIELD.host:
        if (head.host !== "") return "not plain";
        head.host = this.value(head, i);
        return isHost(head.host) ? "keep" : "not plain";
      case FIELD.contentLength:
        return this.useLength(head, bytes, i);
      case FIELD.connection:
        return this.useConnection(head, bytes, i);
      case FIELD.traceparent:
        if (head.traceparent !== null) return "not plain";
        head.traceparent = this.value(head, i);
        return "drop";
      case FIELD.tracestate:
        if (head.tracestate !== "") return "not plain";
        head.tracestate = this.line(head, i);
        return "drop";
      case FIELD.predictionId: {
        const value = this.value(head, i);
        if (head.predictionId === null && isPredictionId(value)) head.predictionId = value;
        return "keep";
      }
      case FIELD.via:
      case FIELD.forwardedFor:
      case FIELD.forwardedProto:
      case FIELD.forwardedHost:
        // Of several with one name only the last would be added to.
        return isExtended(head, this.scan.fields[i] ?? 0) ? "not plain" : "extend";
      default:
        return "not plain";
    }
  }
}

/** Null: it is not that, or its method asks more of a relay than others do. */
function requestLine(bytes: Uint8Array, from: number): RequestLine | null {
  let at = from;
  while (TOKEN[bytes[at] ?? 0] === 1) at++;
  const methodEnd = at - from;
  if (methodEnd === 0 || bytes[at] !== SPACE || bytes[at + 1] !== SLASH) return null;
  // OPTIONS and TRACE (Max-Forwards), CONNECT: told by their first letter.
  const first = (bytes[from] ?? 0) | 0x20;
  if (first === 0x6f || first === 0x74 || first === 0x63) return null;
  at += 2;
  for (let byte = bytes[at] ?? 0; byte > SPACE && byte !== DELETE; byte = bytes[at] ?? 0) at++;
  for (let i = 0; i < REST_OF_LINE.length; i++) if (bytes[at + i] !== REST_OF_LINE[i]) return null;
  return { methodEnd, targetEnd: at - from };
}
