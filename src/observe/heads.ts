// The few header lines of an exchange that matter here, found in one pass over each head.

import type { RawHeaders } from "../facts/exchange.ts";

/** First value by lower-case name, for the names asked for. */
export type Heads = ReadonlyMap<string, string>;

/** Picks from `headers` the lines whose lower-case name is in `wanted`; of several lines the first counts. */
export function pickHeaders(headers: RawHeaders, wanted: ReadonlySet<string>): Heads {
  const found = new Map<string, string>();
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = (headers[at] ?? "").toLowerCase();
    if (wanted.has(name) && !found.has(name)) found.set(name, (headers[at + 1] ?? "").trim());
  }
  return found;
}

/** Picks as `pickHeaders` does. What was picked last is remembered: exchanges of one kind come in runs. */
export class HeaderPicker {
  readonly #wanted: ReadonlySet<string>;
  #headers: RawHeaders = [];
  #heads: Heads = new Map();

  /** Names in lower case. */
  constructor(wanted: Iterable<string>) {
    this.#wanted = new Set(wanted);
  }

  pick(headers: RawHeaders): Heads {
    if (areEqual(headers, this.#headers)) return this.#heads;
    this.#headers = headers;
    this.#heads = pickHeaders(headers, this.#wanted);
    return this.#heads;
  }
}

function areEqual(a: RawHeaders, b: RawHeaders): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

const JSON_TYPE = "application/json";

/** The media type in lower case, without parameters; "" when there is none. */
export function mediaType(contentType: string | undefined): string {
  if (contentType === undefined) return "";
  // What nearly all answers are.
  if (contentType === JSON_TYPE) return JSON_TYPE;
  const end = contentType.indexOf(";");
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}
