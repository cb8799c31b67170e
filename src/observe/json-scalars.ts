// Where in a JSON text its numbers and texts stand.

import { isList, isObject } from "./json.ts";

/** Keys and places from the outermost value. */
export type Path = readonly (string | number)[];

export interface Scalar {
  readonly from: number;
  readonly to: number;
  /** With its quotation marks; else it is a number. */
  readonly isText: boolean;
  readonly path: Path;
}

const DEPTH_MAX = 32;
const BLANK = /[ \t\r\n]*/y;
const TEXT = /"[^"\\\p{Cc}]*"/uy;
/** RFC 8259 §6. */
export const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;

class Scanner {
  readonly scalars: Scalar[] = [];
  leaves = 0;
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    this.#take(BLANK);
    return this.#at === this.#text.length;
  }

  #take(token: RegExp): boolean {
    token.lastIndex = this.#at;
    if (!token.test(this.#text)) return false;
    this.#at = token.lastIndex;
    return true;
  }

  #mark(mark: string): boolean {
    this.#take(BLANK);
    if (this.#text[this.#at] !== mark) return false;
    this.#at++;
    return true;
  }

  /** False: it is nothing that we follow. */
  value(path: Path): boolean {
    if (path.length > DEPTH_MAX) return false;
    if (this.#mark("{")) return this.#members("}", () => this.#member(path));
    if (this.#mark("[")) return this.#members("]", (i) => this.value([...path, i]));
    this.leaves++;
    const from = this.#at;
    if (this.#take(WORD)) return true;
    const isText = this.#take(TEXT);
    if (!isText && !this.#take(NUMBER)) return false;
    this.scalars.push({ from, to: this.#at, isText, path });
    return true;
  }

  #members(end: string, member: (i: number) => boolean): boolean {
    if (this.#mark(end)) return true;
    for (let i = 0; ; i++) {
      if (!member(i)) return false;
      if (this.#mark(end)) return true;
      if (!this.#mark(",")) return false;
    }
  }

  #member(path: Path): boolean {
    this.#take(BLANK);
    const from = this.#at;
    if (!this.#take(TEXT)) return false;
    const key = this.#text.slice(from + 1, this.#at - 1);
    return key !== "__proto__" && this.#mark(":") && this.value([...path, key]);
  }
}

function leavesOf(value: unknown): number {
  const inner = isList(value) ? value : isObject(value) ? Object.values(value) : null;
  return inner === null ? 1 : inner.reduce<number>((sum, one) => sum + leavesOf(one), 0);
}

/**
 * The numbers and texts of `text`, which says `value`, in their order; keys are none. null: there is something in it that not
 * every reader takes alike (a key that comes twice, `NaN`), or that we do not follow (an escape).
 */
export function scalarsOf(text: string, value: unknown): readonly Scalar[] | null {
  const scanner = new Scanner(text);
  if (!scanner.value([]) || !scanner.done) return null;
  return scanner.leaves === leavesOf(value) ? scanner.scalars : null;
}
