// Plain heads that have come before. One client says the same head again and again, and so does a model, but for its Content-Length: such
// a head is told by one comparison of its bytes and is not read again. A head that differs anywhere else is read as if nothing were known.

import type { HeaderFilter } from "../facts/header-filter.ts";
import { flat } from "../kernel/ascii.ts";
import { digits } from "./head-scan.ts";
import type { PlainHead } from "./plain-head.ts";
import { newRecall, type Recall } from "./recall.ts";

/** Heads known, of all connections; a new one takes the place of the oldest. */
const KNOWN_MAX = 64;
/** A longer head is not kept. */
const KNOWN_BYTES_MAX = 1024;
/** One of so many heads that were not known is kept: most of those come once. */
const KEPT_OF = 8;
/** Of a connection of whose heads fewer than a third are known so many are not looked for, after about `CREDIT` failures. */
const REST_HEADS = 1024;
const CREDIT = 64;

/** Whether looking for the heads of one connection is worth it. */
export class Worth {
  #credit = CREDIT;
  #resting = 0;

  /** Asked for each head. */
  look(): boolean {
    if (this.#resting === 0) return true;
    this.#resting--;
    return false;
  }

  found(): void {
    this.#credit = Math.min(CREDIT, this.#credit + 2);
  }

  failed(): void {
    if (--this.#credit >= 0) return;
    this.#credit = CREDIT;
    this.#resting = REST_HEADS;
  }
}

export interface KnownHead<Head> extends PlainHead {
  /** The same in memory of its own, with what the observer is told of it. */
  lasting(): Head;
  /** It again, with another Content-Length: `text` and `kept` are those of that one. */
  resized(text: string, kept: string, length: number): Head;
}

/** Where the digits of the Content-Length stand, and what stands around them. */
interface Digits {
  readonly at: number;
  readonly count: number;
  readonly text: readonly [string, string];
  readonly kept: readonly [string, string];
}

interface Known<Head> {
  readonly head: Head;
  readonly bytes: number;
  /** Each four bytes, little endian; the last four end with the head. */
  readonly words: Int32Array;
  /** Which of their bits are compared. */
  readonly masks: Int32Array;
  /** Null: it is the same head only with the same length. */
  readonly digits: Digits | null;
}

const NO_BYTES = Buffer.alloc(0);

export class KnownHeads<Head extends KnownHead<Head>> {
  /** Which lines are told to the observer; null: all. */
  readonly filter: HeaderFilter | null;
  readonly #lengthIsTold: boolean;
  readonly #recall: Recall;
  readonly #known: Known<Head>[] = [];
  /** Where the next one is kept, and the last one was. */
  #next = 0;
  #last = 0;
  #untilKept = KEPT_OF;
  #bytes: Buffer = NO_BYTES;
  #view: DataView = new DataView(NO_BYTES.buffer, 0, 0);
  /** Place of the head that `find` gave. */
  foundAt = 0;

  constructor(filter: HeaderFilter | null, recall: Recall = newRecall()) {
    this.filter = filter;
    this.#recall = recall;
    this.#lengthIsTold = filter === null || filter.keeps("content-length");
  }

  get size(): number {
    return this.#known.length;
  }

  /** The head at `from` of the `to` bytes that came, if it is the one at `place` (0 at first) or the one kept last; else null. */
  find(bytes: Buffer, span: { readonly from: number; readonly to: number }, place: number): Head | null {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    const head = this.#headAt(place, span.from, span.to);
    this.foundAt = place;
    if (head !== null || this.#last === place) return head;
    this.foundAt = this.#last;
    return this.#headAt(this.#last, span.from, span.to);
  }

  #headAt(place: number, from: number, to: number): Head | null {
    const known = this.#known[place];
    // The bytes behind `to` are not ours.
    if (known === undefined || to - from < known.bytes) return null;
    const { words, masks } = known;
    const view = this.#view;
    const last = words.length - 1;
    // To the end, whatever differs: how long it takes tells nothing of another client's head.
    let differs = (view.getInt32(from + known.bytes - 4, true) ^ (words[last] ?? 0)) & (masks[last] ?? 0);
    for (let i = 0; i < last; i++)
      differs |= (view.getInt32(from + 4 * i, true) ^ (words[i] ?? 0)) & (masks[i] ?? 0);
    if (differs !== 0) return null;
    return known.digits === null ? known.head : this.#resized(known.head, known.digits, from);
  }

  #resized(head: Head, { at, count, text, kept }: Digits, from: number): Head | null {
    const length = digits(this.#bytes, from + at, from + at + count);
    if (length < 0 || length === head.length) return length < 0 ? null : head;
    const said = String(length);
    // 0012 is no number's own spelling.
    if (said.length !== count) return null;
    return head.resized(text[0] + said + text[1], kept[0] + said + kept[1], length);
  }

  /** Asked for each head that was not known: is it one of those that are kept? */
  due(): boolean {
    this.#recall.misses++;
    if (--this.#untilKept > 0) return false;
    this.#untilKept = KEPT_OF;
    return true;
  }

  /** `head`, which begins at `from`, was read; its Content-Length stands at `digitsAt`, -1: it has none. Gives its place, where it is kept, else -1. */
  note(head: Head, bytes: Buffer, at: { readonly from: number; readonly digitsAt: number }): number {
    const { length } = head.text;
    if (length > KNOWN_BYTES_MAX) return -1;
    const { from, digitsAt } = at;
    const found = this.#lengthIsTold || digitsAt < 0 ? null : digitsOf(head, digitsAt - from);
    const place = this.#next;
    if (place < this.#known.length) this.#recall.evictions++;
    this.#known[place] = knownOf(head.lasting(), bytes.subarray(from, from + length), found);
    this.#last = place;
    this.#next = (place + 1) % KNOWN_MAX;
    return place;
  }
}

/** Null: the digits are not those of the number. */
function digitsOf({ text, kept, length }: PlainHead, at: number): Digits | null {
  const said = String(length);
  const count = said.length;
  if (text.slice(at, at + count + 2) !== `${said}\r\n`) return null;
  // The line from its name on: no other one is like it, for a plain head has one Content-Length.
  const line = text.slice(text.lastIndexOf("\r\n", at) + 2, at + count + 2);
  const inKept = kept.startsWith(line) ? 0 : kept.indexOf(`\r\n${line}`) + 2;
  const keptAt = inKept + line.length - 2 - count;
  if (!kept.startsWith(line, inKept)) return null;
  return {
    at,
    count,
    text: [flat(text.slice(0, at)), flat(text.slice(at + count))],
    kept: [flat(kept.slice(0, keptAt)), flat(kept.slice(keptAt + count))],
  };
}

function knownOf<Head>(head: Head, bytes: Buffer, found: Digits | null): Known<Head> {
  const { length } = bytes;
  const words = new Int32Array(Math.ceil(length / 4));
  const masks = new Int32Array(words.length).fill(-1);
  const compared = Buffer.alloc(length, 0xff);
  if (found !== null) compared.fill(0, found.at, found.at + found.count);
  for (let i = 0; i < words.length; i++) {
    const at = Math.min(4 * i, length - 4);
    words[i] = bytes.readInt32LE(at);
    masks[i] = compared.readInt32LE(at);
  }
  return { head, bytes: length, words, masks, digits: found };
}
