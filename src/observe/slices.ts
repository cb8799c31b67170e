// The slices of a prediction: values of configured request headers or body fields, each with a cap.

import type { JsonPath } from "../kernel/jsonpath.ts";
import { readPath } from "../kernel/jsonpath.ts";
import type { Heads } from "./heads.ts";
import { isFiniteNumber } from "./json.ts";
import { OTHER } from "./names.ts";

const CHARACTERS_MAX = 64;
const CONTROL = /\p{Cc}/u;

export interface SliceSource {
  readonly name: string;
  /** In lower case. */
  readonly header: string | null;
  readonly body: JsonPath | null;
  readonly maxValues: number;
}

function textOf(raw: unknown): string | null {
  if (isFiniteNumber(raw) || typeof raw === "boolean") return String(raw);
  return typeof raw === "string" && raw !== "" ? raw : null;
}

function emptySlice(): Record<string, string> {
  const slice: Record<string, string> = Object.create(null);
  return slice;
}

/** The slices of one model. Values beyond `maxValues` (first come), and values that are no plain text, are `_OTHER`. */
export class Slices {
  readonly #sources: readonly { readonly source: SliceSource; readonly seen: Set<string> }[];
  /** Exchanges with a value that became `_OTHER`. */
  overflowed = 0;

  constructor(sources: readonly SliceSource[]) {
    this.#sources = sources.map((source) => ({ source, seen: new Set<string>() }));
  }

  /** Null when the exchange has none of them. */
  read(requestHeads: Heads, requestBody: unknown): Readonly<Record<string, string>> | null {
    let slice: Record<string, string> | null = null;
    for (const { source, seen } of this.#sources) {
      const fromHeader = source.header === null ? null : textOf(requestHeads.get(source.header));
      const raw = fromHeader ?? (source.body === null ? null : textOf(readPath(requestBody, source.body)));
      if (raw === null) continue;
      slice ??= emptySlice();
      slice[source.name] = this.#admit(raw, seen, source.maxValues);
    }
    return slice;
  }

  #admit(raw: string, seen: Set<string>, maxValues: number): string {
    if (seen.has(raw)) return raw;
    if (seen.size >= maxValues || raw.length > CHARACTERS_MAX || CONTROL.test(raw)) {
      this.overflowed++;
      return OTHER;
    }
    seen.add(raw);
    return raw;
  }
}
