// Heads that go on in the pieces they came in: nothing in them that the relay does more to than leave a line out. Of their lines only
// what somebody asks for becomes a string of its own. Any other head is read line by line (field-lines.ts), with the same result.

import type { RawHeaders } from "../facts/exchange.ts";
import type { HeaderFilter } from "../facts/header-filter.ts";
import { says } from "../kernel/ascii.ts";
import { readFieldLines } from "./field-lines.ts";
import { HeadScan, digits } from "./head-scan.ts";

const NONE: readonly number[] = Object.freeze([]);

export class PlainHead {
  readonly plain = true;
  /** Lines to whose list values we add: [field, where in `kept` it is added, field, ...], in that order. */
  extended: readonly number[] = NONE;
  /** The lines that go on, each with its CRLF: without hop-by-hop ones and those that the relay writes anew. */
  kept = "";
  /** Content-Length; -1: none is given. */
  length = -1;
  /** The other side closes its connection after this message. */
  closes = false;
  hasConnection = false;
  readonly #text: string;
  readonly #observed: string[] | null;

  /** `text`: all of it. `observed` is filled in as it is read. */
  constructor(text: string, observed: string[] | null) {
    this.#text = text;
    this.#observed = observed;
  }

  extend(field: number, at: number): void {
    this.extended = [...this.extended, field, at];
  }

  isExtended(field: number): boolean {
    for (let i = 0; i < this.extended.length; i += 2) if (this.extended[i] === field) return true;
    return false;
  }

  /** Bytes. */
  get size(): number {
    return this.#text.length;
  }

  /** All lines as they came. */
  get lines(): RawHeaders {
    const lines: string[] = [];
    readFieldLines(this.#text.slice(0, -2), this.#text.indexOf("\r\n") + 2, lines);
    return lines;
  }

  /** The lines that are told to the observer. */
  get observed(): RawHeaders {
    return this.#observed ?? this.lines;
  }
}

/** What becomes of a line; "extend": something is added to its value. */
export type Use = "keep" | "drop" | "extend" | "not plain";

/** One for all connections: a head is scanned and worked off at once. */
const SCAN = new HeadScan();

/** Reads heads one after the other, each at once: what it holds of one is overwritten by the next. */
export abstract class PlainReader<Head extends PlainHead> {
  readonly #filter: HeaderFilter | null;
  protected readonly scan = SCAN;
  protected bytes: Uint8Array = new Uint8Array(0);
  #text = "";
  /** Where `text` begins in `bytes`. */
  #from = 0;

  /** `filter`: which lines are told to the observer; null: all. */
  constructor(filter: HeaderFilter | null) {
    this.#filter = filter;
  }

  /** Notes what line `i` says. */
  protected abstract use(head: Head, i: number): Use;

  /** Line `i` is the Content-Length. */
  protected useLength(head: Head, i: number): Use {
    if (head.length >= 0) return "not plain";
    head.length = digits(this.bytes, this.scan.valueAt(i), this.scan.valueEnds[i] ?? 0);
    return head.length < 0 ? "not plain" : "keep";
  }

  /** Line `i` is a `Connection`. */
  protected useConnection(head: Head, i: number): Use {
    if (head.hasConnection) return "not plain";
    head.hasConnection = true;
    head.closes = this.saysValue(i, "close");
    return head.closes || this.saysValue(i, "keep-alive") ? "drop" : "not plain";
  }

  /** The text of the head that was scanned and begins at `from`. */
  protected textOf(bytes: Buffer, from: number): string {
    this.bytes = bytes;
    this.#from = from;
    this.#text = bytes.toString("latin1", from, this.scan.end);
    return this.#text;
  }

  protected noObserved(): string[] | null {
    return this.#filter === null ? null : [];
  }

  /** Fills in what the lines say; the first of what is kept stands at `first` in the text. False: it is not plain. */
  protected gather(head: Head, first: number, observed: string[] | null): boolean {
    const { scan } = this;
    const from = this.#from;
    let runAt = first;
    let kept = "";
    for (let i = 0; i < scan.count; i++) {
      const use = this.use(head, i);
      if (use === "not plain") return false;
      if (observed !== null) this.#observe(observed, i);
      if (use === "keep") continue;
      const valueEnd = (scan.valueEnds[i] ?? 0) - from;
      const drops = use === "drop";
      kept += this.#text.slice(runAt, drops ? (scan.names[i] ?? 0) - from : valueEnd);
      runAt = drops ? valueEnd + 2 : valueEnd;
      if (!drops) head.extend(scan.fields[i] ?? 0, kept.length);
    }
    head.kept = kept + this.#text.slice(runAt, -2);
    return true;
  }

  #observe(observed: string[], i: number): void {
    const at = this.scan.names[i] ?? 0;
    const end = this.scan.nameEnds[i] ?? 0;
    const name = this.#filter?.keptAt(this.bytes, at, end) ?? null;
    if (name !== null) observed.push(name, this.value(i));
  }

  protected value(i: number): string {
    const { scan } = this;
    return this.#text.slice(scan.valueAt(i) - this.#from, (scan.valueEnds[i] ?? 0) - this.#from);
  }

  /** The whole of line `i`, with its CRLF. */
  protected line(i: number): string {
    const { names, valueEnds } = this.scan;
    return this.#text.slice((names[i] ?? 0) - this.#from, (valueEnds[i] ?? 0) + 2 - this.#from);
  }

  /** Is the value of line `i` this text (lower case; letters and hyphens), in any case? */
  protected saysValue(i: number, text: string): boolean {
    const at = this.scan.valueAt(i);
    return (this.scan.valueEnds[i] ?? 0) - at === text.length && says(this.bytes, at, text);
  }

  /** Is this its name? */
  protected isNamed(i: number, name: string): boolean {
    const at = this.scan.names[i] ?? 0;
    return (this.scan.nameEnds[i] ?? 0) - at === name.length && says(this.bytes, at, name);
  }
}
