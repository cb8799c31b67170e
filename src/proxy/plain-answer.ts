// The everyday head of a final answer.

import type { RawHeaders } from "../facts/exchange.ts";
import type { HeaderFilter } from "../facts/header-filter.ts";
import { flat } from "../kernel/ascii.ts";
import { FIELD } from "./field-names.ts";
import { observedWith, type Filled } from "./head-gaps.ts";
import { digits } from "./head-scan.ts";
import type { KnownHead } from "./known-heads.ts";
import { PlainReader, linesOf, observedIn, type Use } from "./plain-head.ts";

const CR = 13;
const LF = 10;
const SPACE = 32;
const DELETE = 127;
const BEFORE_STATUS = Buffer.from("HTTP/1.1 ", "latin1");
const REASON_AT = BEFORE_STATUS.length + 4;
/** What we add to a plain answer, up to the prediction's id. */
export const BEFORE_ID = "Via: 1.1 outrider\r\nx-prediction-id: ";

export class PlainAnswer implements KnownHead<PlainAnswer> {
  readonly plain = true;
  readonly text: string;
  extended: number[] | null = null;
  kept = "";
  length = -1;
  closes = false;
  hasConnection = false;
  readonly receivedVersion = "1.1";
  readonly status: number;
  readonly reason: string;
  chunked = false;
  /** From the server's `Keep-Alive: timeout`, milliseconds, or null. */
  keepAliveMs: number | null = null;
  hasDate = false;
  #lasts = false;
  #opening: string | null = null;
  readonly #filter: HeaderFilter | null;
  #observed: RawHeaders | null = null;
  #filled: Filled | null = null;

  constructor(
    text: string,
    line: { readonly status: number; readonly reason: string },
    filter: HeaderFilter | null,
  ) {
    this.text = text;
    this.#filter = filter;
    this.status = line.status;
    this.reason = line.reason;
  }

  get lines(): RawHeaders {
    return linesOf(this.text);
  }

  /** Status line, what goes on of the lines, and `BEFORE_ID`. */
  get opening(): string {
    if (this.#opening !== null) return this.#opening;
    const text = `HTTP/1.1 ${this.status} ${this.reason}\r\n${this.kept}${BEFORE_ID}`;
    if (!this.#lasts) return text;
    this.#opening = flat(text);
    return this.#opening;
  }

  get observed(): RawHeaders {
    const known = this.#observed;
    if (known === null) return observedIn(this.text, this.#filter);
    return this.#filled === null ? known : observedWith(known, this.#filled);
  }

  lasting(): PlainAnswer {
    const line = { status: this.status, reason: flat(this.reason) };
    const head = this.#as(new PlainAnswer(flat(this.text), line, this.#filter));
    head.kept = flat(this.kept);
    head.length = this.length;
    head.#observed = this.observed.map(flat);
    head.#lasts = true;
    return head;
  }

  filled(filled: Filled): PlainAnswer {
    const head = this.#as(new PlainAnswer(filled.text, this, this.#filter));
    head.kept = filled.kept;
    head.length = filled.length;
    head.#filled = filled;
    return head;
  }

  /** `head` with all that does not depend on its text, its length and its gaps. */
  #as(head: PlainAnswer): PlainAnswer {
    head.extended = this.extended;
    head.closes = this.closes;
    head.hasConnection = this.hasConnection;
    head.chunked = this.chunked;
    head.keepAliveMs = this.keepAliveMs;
    head.hasDate = this.hasDate;
    head.#observed = this.#observed;
    return head;
  }
}

export class PlainAnswerReader extends PlainReader<PlainAnswer> {
  protected override readAnew(bytes: Buffer, from: number, to: number): PlainAnswer | null {
    const { scan } = this;
    const status = statusAt(bytes, from);
    if (status < 200 || status === 204 || status === 304) return null;
    let at = from + REASON_AT;
    for (let byte = bytes[at] ?? 0; byte >= SPACE && byte < DELETE; byte = bytes[at] ?? 0) at++;
    if (bytes[at] !== CR || bytes[at + 1] !== LF || !scan.scan(bytes, { from, linesAt: at + 2, to }))
      return null;
    const text = bytes.toString("latin1", from, scan.end);
    const reason = text.slice(REASON_AT, at - from);
    const head = new PlainAnswer(text, { status, reason }, this.filter);
    if (!this.gather(head, bytes, at + 2 - from)) return null;
    return head.chunked && head.length >= 0 ? null : head;
  }

  protected override mayDiffer(_head: PlainAnswer, bytes: Uint8Array, i: number): boolean {
    // A date changes once a second: between two of them heads are the same.
    return this.scan.fields[i] === FIELD.other && !this.isNamed(bytes, i, "date");
  }

  protected override use(head: PlainAnswer, bytes: Uint8Array, i: number): Use {
    switch (this.scan.fields[i] ?? FIELD.other) {
      case FIELD.other:
        if (this.isNamed(bytes, i, "date")) head.hasDate = true;
        return "keep";
      case FIELD.contentLength:
        return this.useLength(head, bytes, i);
      case FIELD.transferEncoding:
        if (head.chunked || !this.saysValue(bytes, i, "chunked")) return "not plain";
        head.chunked = true;
        return "drop";
      case FIELD.connection:
        return this.useConnection(head, bytes, i);
      case FIELD.hop:
        if (!this.isNamed(bytes, i, "keep-alive")) return "not plain";
        head.keepAliveMs = timeoutMsOf(this.value(head, i)) ?? head.keepAliveMs;
        return "drop";
      default:
        return "not plain";
    }
  }
}

/** Milliseconds that a `Keep-Alive` value says, or null. */
export function timeoutMsOf(value: string): number | null {
  const timeout = /(?:^|[,;\s])timeout\s*=\s*(\d{1,9})/i.exec(value)?.[1];
  return timeout === undefined ? null : Number(timeout) * 1000;
}

/** `HTTP/1.1 NNN ` from `at` on; -1: it is not that. */
function statusAt(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < BEFORE_STATUS.length; i++) if (bytes[at + i] !== BEFORE_STATUS[i]) return -1;
  return bytes[at + REASON_AT - 1] === SPACE
    ? digits(bytes, at + BEFORE_STATUS.length, at + REASON_AT - 1)
    : -1;
}
