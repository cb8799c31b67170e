// The everyday request head.

import type { HeaderFilter } from "../facts/header-filter.ts";
import { TOKEN } from "./field-lines.ts";
import { FIELD } from "./field-names.ts";
import { PlainHead, PlainReader, type Use } from "./plain-head.ts";
import { isHost, isPredictionId } from "./request-head.ts";

const SPACE = 32;
const SLASH = 47;
const DELETE = 127;
const REST_OF_LINE = Buffer.from(" HTTP/1.1\r\n", "latin1");
const GRPC = /^application\/grpc/i;

/** Where the parts of `METHOD /target HTTP/1.1` end. */
interface RequestLine {
  readonly methodEnd: number;
  readonly targetEnd: number;
}

/** `kept` begins with the request line. */
export class PlainRequest extends PlainHead {
  readonly httpVersion = "1.1";
  readonly method: string;
  /** Begins with a slash. */
  readonly target: string;
  host = "";
  predictionId: string | null = null;
  traceparent: string | null = null;
  /** The line, with its CRLF; "": there is none. */
  tracestate = "";

  constructor(text: string, line: RequestLine, observed: string[] | null) {
    super(text, observed);
    this.method = text.slice(0, line.methodEnd);
    this.target = text.slice(line.methodEnd + 1, line.targetEnd);
  }
}

export interface HeadLimits {
  readonly headBytesMax: number;
  readonly headLinesMax: number;
}

export class PlainRequestReader extends PlainReader<PlainRequest> {
  readonly #limits: HeadLimits;

  constructor(limits: HeadLimits, filter: HeaderFilter | null) {
    super(filter);
    this.#limits = limits;
  }

  /** The head that begins at `from`; null: it is not whole, or not plain. */
  read(bytes: Buffer, from: number): PlainRequest | null {
    const { scan } = this;
    const { headBytesMax, headLinesMax } = this.#limits;
    const line = requestLine(bytes, from);
    if (line === null || !scan.scan(bytes, from + line.targetEnd + REST_OF_LINE.length, bytes.length))
      return null;
    if (scan.end - from > headBytesMax || scan.count > headLinesMax) return null;
    const observed = this.noObserved();
    const head = new PlainRequest(this.textOf(bytes, from), line, observed);
    return this.gather(head, 0, observed) && head.host !== "" ? head : null;
  }

  protected override use(head: PlainRequest, i: number): Use {
    switch (this.scan.fields[i] ?? FIELD.other) {
      case FIELD.other:
        return this.isNamed(i, "content-type") && GRPC.test(this.value(i)) ? "not plain" : "keep";
      case FIELD.modelVersion:
        return "keep";
      case FIELD.host:
        if (head.host !== "") return "not plain";
        head.host = this.value(i);
        return isHost(head.host) ? "keep" : "not plain";
      case FIELD.contentLength:
        return this.useLength(head, i);
      case FIELD.connection:
        return this.useConnection(head, i);
      case FIELD.traceparent:
        if (head.traceparent !== null) return "not plain";
        head.traceparent = this.value(i);
        return "drop";
      case FIELD.tracestate:
        if (head.tracestate !== "") return "not plain";
        head.tracestate = this.line(i);
        return "drop";
      case FIELD.predictionId: {
        const value = this.value(i);
        if (head.predictionId === null && isPredictionId(value)) head.predictionId = value;
        return "keep";
      }
      case FIELD.via:
      case FIELD.forwardedFor:
      case FIELD.forwardedProto:
      case FIELD.forwardedHost:
        // Of several with one name only the last would be added to.
        return head.isExtended(this.scan.fields[i] ?? 0) ? "not plain" : "extend";
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
