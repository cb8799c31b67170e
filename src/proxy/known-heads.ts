// Plain heads that have come before. One client says the same head again and again, and so does a model, but for its Content-Length and
// for ids that are new each time: such a head is told by one comparison of its bytes and is not read again. A head that differs anywhere
// else is read as if nothing were known.

import type { HeaderFilter } from "../facts/header-filter.ts";
import { FIELD } from "./field-names.ts";
import { fits, type Filled, type Gap } from "./head-gaps.ts";
import { digits } from "./head-scan.ts";
import type { PlainHead } from "./plain-head.ts";
import { newRecall, type Recall } from "./recall.ts";

/** Heads known, of all connections; a new one takes the place of the oldest. */
const KNOWN_MAX = 64;
/** A longer head is not kept. */
const KNOWN_BYTES_MAX = 1024;
/** One of so many heads that were not known is kept: most of those come once. */
const KEPT_OF = 8;
/** A head that has come again more often is no sign of what is new each time. */
const COME_AGAIN_MAX = 8;
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
  /** It again, with other values in its gaps. */
  filled(filled: Filled): Head;
}

interface Known<Head> {
  readonly head: Head;
  readonly bytes: Buffer;
  readonly length: number;
  /** Each four bytes, little endian; the last four end with the head. */
  readonly words: Int32Array;
  /** Which of their bits are compared. */
  readonly masks: Int32Array;
  /** In the order they stand in. */
  readonly gaps: readonly Gap[];
  /** Of the head goes on what stands from the first to the second of these, from the third to the fourth, ... */
  readonly runs: readonly number[];
  /** How often it has come again. */
  found: number;
}

/** A head that was read. */
export interface Came {
  readonly bytes: Buffer;
  readonly from: number;
  /** Its values that may be others when it comes again, in order. */
  readonly open: readonly Gap[];
  /** See `Known`. */
  readonly runs: readonly number[];
  /** The place of the head that was known last on its connection; -1: none was. */
  readonly after: number;
}

const NO_BYTES = Buffer.alloc(0);

export class KnownHeads<Head extends KnownHead<Head>> {
  /** Which lines are told to the observer; null: all. */
  readonly filter: HeaderFilter | null;
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
  }

  get size(): number {
    return this.#known.length;
  }

  /** The head at `from` of the `to` bytes that came, if it is the one at `place` or the one kept last; else null. */
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
    if (known === undefined || to - from < known.length) return null;
    const { words, masks } = known;
    const view = this.#view;
    const last = words.length - 1;
    // To the end, whatever differs: how long it takes tells nothing of another client's head.
    let changed = view.getInt32(from + known.length - 4, true) ^ (words[last] ?? 0);
    let differs = changed & (masks[last] ?? 0);
    for (let i = 0; i < last; i++) {
      const other = view.getInt32(from + 4 * i, true) ^ (words[i] ?? 0);
      changed |= other;
      differs |= other & (masks[i] ?? 0);
    }
    if (differs !== 0) return null;
    const head = changed === 0 ? known.head : this.#filled(known, from);
    if (head !== null) known.found++;
    return head;
  }

  /** Null: what stands in a gap is not plainly a value. */
  #filled({ head, gaps, runs, length: bytes }: Known<Head>, from: number): Head | null {
    let { length } = head;
    for (const gap of gaps) {
      if (gap.field === FIELD.contentLength) {
        length = digits(this.#bytes, from + gap.at, from + gap.at + gap.length);
        if (length < 0) return null;
      } else if (!fits(this.#view, from + gap.at, gap)) return null;
    }
    const text = this.#bytes.toString("latin1", from, from + bytes);
    let kept = text.slice(runs[0], runs[1]);
    for (let i = 2; i < runs.length; i += 2) kept += text.slice(runs[i], runs[i + 1]);
    return head.filled({ text, kept, length, gaps });
  }

  /** Asked for each head that was not known: is it one of those that are kept? */
  due(): boolean {
    this.#recall.misses++;
    if (--this.#untilKept > 0) return false;
    this.#untilKept = KEPT_OF;
    return true;
  }

  /** `head` was read. Gives its place, where it is kept, else -1. */
  note(head: Head, came: Came): number {
    const { length } = head.text;
    if (length > KNOWN_BYTES_MAX) return -1;
    const { bytes, from, open, runs, after } = came;
    const before = after < 0 ? undefined : this.#known[after];
    const own = bytes.subarray(from, from + length);
    const renewed = before !== undefined && before.found < COME_AGAIN_MAX && isAlike(before.bytes, own, open);
    const gaps = open.filter(
      (gap) =>
        gap.field === FIELD.contentLength ||
        before?.gaps.some(({ name }) => name === gap.name) === true ||
        (renewed && differsIn(gap, before.bytes, own)),
    );
    const place = renewed ? after : this.#next;
    if (!renewed && place < this.#known.length) this.#recall.evictions++;
    this.#known[place] = knownOf(head.lasting(), own, { gaps, runs });
    this.#last = place;
    if (!renewed) this.#next = (place + 1) % KNOWN_MAX;
    return place;
  }
}

/** Do these two say the same but for values that may be others? */
function isAlike(one: Buffer, other: Buffer, open: readonly Gap[]): boolean {
  if (one.length !== other.length) return false;
  let from = 0;
  for (const { at, length } of open) {
    if (one.compare(other, from, at, from, at) !== 0) return false;
    from = at + length;
  }
  return one.compare(other, from, one.length, from) === 0;
}

function differsIn({ at, length }: Gap, one: Buffer, other: Buffer): boolean {
  return one.compare(other, at, at + length, at, at + length) !== 0;
}

/** `head` has memory of its own, `bytes` has not. */
function knownOf<Head>(
  head: Head,
  bytes: Buffer,
  { gaps, runs }: Pick<Known<Head>, "gaps" | "runs">,
): Known<Head> {
  const { length } = bytes;
  const words = new Int32Array(Math.ceil(length / 4));
  const masks = new Int32Array(words.length).fill(-1);
  const compared = Buffer.alloc(length, 0xff);
  for (const gap of gaps) compared.fill(0, gap.at, gap.at + gap.length);
  for (let i = 0; i < words.length; i++) {
    const at = Math.min(4 * i, length - 4);
    words[i] = bytes.readInt32LE(at);
    masks[i] = compared.readInt32LE(at);
  }
  return { head, bytes: Buffer.from(bytes), length, words, masks, gaps, runs, found: 0 };
}
