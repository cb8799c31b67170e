// Heads that go on in the pieces they came in: nothing in them that the relay does more to than leave a line out. Of their lines only
// what somebody asks for becomes a string of its own. Any other head is read line by line (field-lines.ts), with the same result.

import type { RawHeaders } from "../facts/exchange.ts";
import type { HeaderFilter } from "../facts/header-filter.ts";
import { flat, says } from "../kernel/ascii.ts";
import { readFieldLines } from "./field-lines.ts";
import { FIELD } from "./field-names.ts";
import { GAP_BYTES_MIN, type Gap } from "./head-gaps.ts";
import { HeadScan, digits } from "./head-scan.ts";
import { Worth, type KnownHead, type KnownHeads } from "./known-heads.ts";

/** What a plain request and a plain answer have alike. Not a class that both extend: their makers would cost more. */
export interface PlainHead {
  readonly plain: true;
  /** All of it. */
  readonly text: string;
  /** Lines to whose list values we add: [field, where in `kept` it is added, field, ...], in that order; null: none. */
  extended: number[] | null;
  /** The lines that go on, each with its CRLF: without hop-by-hop ones and those that the relay writes anew. */
  kept: string;
  /** Content-Length; -1: none is given. */
  length: number;
  /** The other side closes its connection after this message. */
  closes: boolean;
  hasConnection: boolean;
}

/** Does the head go on with something of ours added to a line of this name? */
export function isExtended({ extended }: PlainHead, field: number): boolean {
  if (extended === null) return false;
  for (let i = 0; i < extended.length; i += 2) if (extended[i] === field) return true;
  return false;
}

/** All lines of a plain head as they came. */
export function linesOf(text: string): RawHeaders {
  const lines: string[] = [];
  readFieldLines(text.slice(0, -2), text.indexOf("\r\n") + 2, lines);
  return lines;
}

/** Those that are told to the observer; `filter`: null: all. Looked for when they are asked for: then the answer has long left. */
export function observedIn(text: string, filter: HeaderFilter | null): RawHeaders {
  if (filter === null) return linesOf(text);
  const observed: string[] = [];
  let at = text.indexOf("\r\n") + 2;
  for (let end = text.indexOf("\r\n", at); end > at; end = text.indexOf("\r\n", at)) {
    const nameEnd = text.indexOf(":", at);
    const name = filter.keptIn(text, at, nameEnd);
    if (name !== null) observed.push(name, text.slice(nameEnd + 2, end));
    at = end + 2;
  }
  return observed;
}

/** What becomes of a line; "extend": something is added to its value. */
export type Use = "keep" | "drop" | "extend" | "not plain";

/** One for all connections: a head is scanned and worked off at once. */
const SCAN = new HeadScan();

/** Reads the heads of one connection. Holds nothing of them but offsets: what long-lived objects point to costs the collector. */
export abstract class PlainReader<Head extends KnownHead<Head>> {
  protected readonly filter: HeaderFilter | null;
  protected readonly scan = SCAN;
  readonly #known: KnownHeads<Head>;
  /** Where a head of this connection was known last; -1: none was. */
  #place = -1;
  readonly #worth = new Worth();

  /** `known`: heads of all connections. */
  constructor(known: KnownHeads<Head>) {
    this.#known = known;
    this.filter = known.filter;
  }

  /** The head that begins at `from` of the `to` bytes that came; null: it is not whole, or not plain. */
  read(bytes: Buffer, from: number, to: number): Head | null {
    const known = this.#known;
    const looks = this.#worth.look();
    const same = looks ? known.find(bytes, { from, to }, Math.max(0, this.#place)) : null;
    if (same !== null) {
      this.#worth.found();
      this.#place = known.foundAt;
      return same;
    }
    const head = this.readAnew(bytes, from, to);
    if (head === null || !looks) return head;
    this.#worth.failed();
    if (!known.due()) return head;
    const open = this.#open(head, bytes);
    const place = known.note(head, { bytes, from, open, runs: this.#runs(head), after: this.#place });
    if (place >= 0) this.#place = place;
    return head;
  }

  protected abstract readAnew(bytes: Buffer, from: number, to: number): Head | null;

  /** The values of the head read last that may be others when it comes again. */
  #open(head: Head, bytes: Uint8Array): Gap[] {
    const { filter, scan } = this;
    const { from, names, nameEnds, valueEnds } = scan;
    const gaps: Gap[] = [];
    let observed = 0;
    for (let i = 0; i < scan.count; i++) {
      const name = head.text.slice((names[i] ?? 0) - from, (nameEnds[i] ?? 0) - from);
      const at = scan.valueAt(i) - from;
      const told = filter === null || filter.keeps(name);
      if (this.#isOpen(head, bytes, i))
        gaps.push({
          field: scan.fields[i] ?? FIELD.other,
          name: flat(name),
          at,
          length: (valueEnds[i] ?? 0) - from - at,
          observedAt: told ? observed + 1 : -1,
        });
      if (told) observed += 2;
    }
    return gaps;
  }

  /** Where what of the head read last goes on begins and ends. */
  #runs(head: Head): number[] {
    const { from, names, valueEnds, drops, keptFrom } = this.scan;
    const runs = [keptFrom];
    for (let i = 0; i < this.scan.count; i++)
      if (drops[i] === 1) runs.push((names[i] ?? 0) - from, (valueEnds[i] ?? 0) + 2 - from);
    runs.push(head.text.length - 2);
    return runs;
  }

  #isOpen(head: Head, bytes: Uint8Array, i: number): boolean {
    if (this.scan.fields[i] === FIELD.contentLength) return true;
    const length = (this.scan.valueEnds[i] ?? 0) - this.scan.valueAt(i);
    return length >= GAP_BYTES_MIN && this.mayDiffer(head, bytes, i);
  }

  /** May the value of line `i` be another one, of the same length, without the head saying anything else to the relay? */
  protected abstract mayDiffer(head: Head, bytes: Uint8Array, i: number): boolean;

  /** Notes what line `i` says. */
  protected abstract use(head: Head, bytes: Uint8Array, i: number): Use;

  /** Line `i` is the Content-Length. */
  protected useLength(head: Head, bytes: Uint8Array, i: number): Use {
    if (head.length >= 0) return "not plain";
    head.length = digits(bytes, this.scan.valueAt(i), this.scan.valueEnds[i] ?? 0);
    return head.length < 0 ? "not plain" : "keep";
  }

  /** Line `i` is a `Connection`. */
  protected useConnection(head: Head, bytes: Uint8Array, i: number): Use {
    if (head.hasConnection) return "not plain";
    head.hasConnection = true;
    head.closes = this.saysValue(bytes, i, "close");
    return head.closes || this.saysValue(bytes, i, "keep-alive") ? "drop" : "not plain";
  }

  /** Fills in what the lines say; the first of what is kept stands at `first` in the text. False: it is not plain. */
  protected gather(head: Head, bytes: Uint8Array, first: number): boolean {
    const { scan } = this;
    const { text } = head;
    const { from, count } = scan;
    scan.keptFrom = first;
    let runAt = first;
    let kept = "";
    for (let i = 0; i < count; i++) {
      const use = this.use(head, bytes, i);
      scan.drops[i] = use === "drop" ? 1 : 0;
      if (use === "keep") continue;
      if (use === "not plain") return false;
      const valueEnd = (scan.valueEnds[i] ?? 0) - from;
      const drops = use === "drop";
      kept += text.slice(runAt, drops ? (scan.names[i] ?? 0) - from : valueEnd);
      runAt = drops ? valueEnd + 2 : valueEnd;
      if (!drops) (head.extended ??= []).push(scan.fields[i] ?? 0, kept.length);
    }
    const rest = text.slice(runAt, -2);
    head.kept = kept === "" ? rest : kept + rest;
    return true;
  }

  protected value(head: Head, i: number): string {
    const { from, valueEnds } = this.scan;
    return head.text.slice(this.scan.valueAt(i) - from, (valueEnds[i] ?? 0) - from);
  }

  /** The whole of line `i`, with its CRLF. */
  protected line(head: Head, i: number): string {
    const { from, names, valueEnds } = this.scan;
    return head.text.slice((names[i] ?? 0) - from, (valueEnds[i] ?? 0) + 2 - from);
  }

  /** Is the value of line `i` this text (lower case; letters and hyphens), in any case? */
  protected saysValue(bytes: Uint8Array, i: number, text: string): boolean {
    const at = this.scan.valueAt(i);
    return (this.scan.valueEnds[i] ?? 0) - at === text.length && says(bytes, at, text);
  }

  /** Does it begin with it? */
  protected beginsValue(bytes: Uint8Array, i: number, text: string): boolean {
    const at = this.scan.valueAt(i);
    return (this.scan.valueEnds[i] ?? 0) - at >= text.length && says(bytes, at, text);
  }

  /** Is this its name? */
  protected isNamed(bytes: Uint8Array, i: number, name: string): boolean {
    const at = this.scan.names[i] ?? 0;
    return (this.scan.nameEnds[i] ?? 0) - at === name.length && says(bytes, at, name);
  }
}
