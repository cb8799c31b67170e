// The everyday head of a final answer.

import { FIELD } from "./field-names.ts";
import { digits } from "./head-scan.ts";
import { PlainHead, PlainReader, type Use } from "./plain-head.ts";

const CR = 13;
const LF = 10;
const SPACE = 32;
const DELETE = 127;
const BEFORE_STATUS = Buffer.from("HTTP/1.1 ", "latin1");
const REASON_AT = BEFORE_STATUS.length + 4;

export class PlainAnswer extends PlainHead {
  readonly receivedVersion = "1.1";
  readonly status: number;
  readonly reason: string;
  chunked = false;
  /** From the server's `Keep-Alive: timeout`, milliseconds, or null. */
  keepAliveMs: number | null = null;
  hasDate = false;

  constructor(text: string, line: { status: number; reasonEnd: number }, observed: string[] | null) {
    super(text, observed);
    this.status = line.status;
    this.reason = text.slice(REASON_AT, line.reasonEnd);
  }
}

export class PlainAnswerReader extends PlainReader<PlainAnswer> {
  /** The head that begins at `from` of the `to` bytes that came; null: it is not whole, or not plain. */
  read(bytes: Buffer, from: number, to: number): PlainAnswer | null {
    const { scan } = this;
    const status = statusAt(bytes, from);
    if (status < 200 || status === 204 || status === 304) return null;
    let at = from + REASON_AT;
    for (let byte = bytes[at] ?? 0; byte >= SPACE && byte < DELETE; byte = bytes[at] ?? 0) at++;
    if (bytes[at] !== CR || bytes[at + 1] !== LF || !scan.scan(bytes, at + 2, to)) return null;
    const observed = this.noObserved();
    const line = { status, reasonEnd: at - from };
    const head = new PlainAnswer(this.textOf(bytes, from), line, observed);
    if (!this.gather(head, line.reasonEnd + 2, observed)) return null;
    return head.chunked && head.length >= 0 ? null : head;
  }

  protected override use(head: PlainAnswer, i: number): Use {
    switch (this.scan.fields[i] ?? FIELD.other) {
      case FIELD.other:
        if (this.isNamed(i, "date")) head.hasDate = true;
        return "keep";
      case FIELD.contentLength:
        return this.useLength(head, i);
      case FIELD.transferEncoding:
        if (head.chunked || !this.saysValue(i, "chunked")) return "not plain";
        head.chunked = true;
        return "drop";
      case FIELD.connection:
        return this.useConnection(head, i);
      case FIELD.hop:
        if (!this.isNamed(i, "keep-alive")) return "not plain";
        head.keepAliveMs = timeoutMsOf(this.value(i)) ?? head.keepAliveMs;
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
