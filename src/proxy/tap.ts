// A bounded copy of a body as it passes. The bytes are counted truly whatever is kept.

import { MARKS_MAX, type EndedBody, type RawHeaders } from "../facts/exchange.ts";
import { UNREAD_PART_BYTES, isReadInParts } from "../facts/read-in-parts.ts";
import { Slabs } from "./slabs.ts";

const NO_BYTES = new Uint8Array(0);
const NOT_CAPTURED = "not-captured";

/** Bytes that all copies in flight may hold together. What does not fit is not copied, and counted. */
export class CopyBudget {
  readonly slabs = new Slabs();
  #held = 0;
  #refused = 0;

  /** Bodies that were not copied because the budget was spent. */
  get refused(): number {
    return this.#refused;
  }

  get heldBytes(): number {
    return this.#held;
  }

  take(bytes: number, bytesMax: number): boolean {
    if (this.#held + bytes > bytesMax) {
      this.#refused++;
      return false;
    }
    this.#held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

export interface TapLimits {
  /** Bytes kept of this body; null: nothing is copied. */
  readonly bodyBytesMax: number | null;
  /** Bytes of all copies together. */
  readonly totalBytesMax: number;
  /** Bytes kept of the end of a body that is longer than what is copied. Default 0. */
  readonly tailBytes?: number;
}

export class BodyTap {
  readonly #budget: CopyBudget;
  #limits: TapLimits;
  #slab: Buffer | null = null;
  /** All of a body; then there is no slab. */
  #text: string | null = null;
  #kept = 0;
  #marks: number[] | null = null;
  /** Twice `tailBytes`: the last bytes beyond what is copied stand before `#tailEnd`. */
  #tail: Buffer | null = null;
  #tailEnd = 0;
  /** What the budget counts of it. */
  #tailHeld = 0;
  #copying: boolean;
  #total = 0;

  constructor(budget: CopyBudget, limits: TapLimits) {
    this.#budget = budget;
    this.#limits = limits;
    this.#copying = limits.bodyBytesMax !== null;
  }

  /** Of a body that will be longer than what is copied, and that nobody reads in part, only the beginning is. Before its first byte. */
  expect(bytes: number, head: { readonly observed: RawHeaders }): void {
    const { bodyBytesMax } = this.#limits;
    if (bodyBytesMax === null || bytes <= bodyBytesMax || isReadInParts(head.observed)) return;
    this.#limits = { ...this.#limits, bodyBytesMax: Math.min(bodyBytesMax, UNREAD_PART_BYTES), tailBytes: 0 };
  }

  /** Copies: the chunk is the caller's again. `atMs`: when it came, where that is to be kept. */
  add(chunk: Uint8Array, atMs: number | null = null): void {
    const { length } = chunk;
    this.#total += length;
    if (!this.#copying || length === 0) return;
    const { bodyBytesMax, totalBytesMax } = this.#limits;
    const room = (bodyBytesMax ?? 0) - this.#kept;
    if (room < length) this.#keepLast(room <= 0 ? chunk : chunk.subarray(room));
    if (room <= 0 || !this.#copying) return;
    const bytes = Math.min(length, room);
    if (!this.#budget.take(bytes, totalBytesMax)) {
      this.#forget();
      return;
    }
    if (this.#slab !== null && atMs !== null) this.#mark(atMs);
    this.#place(this.#kept + bytes).set(bytes === length ? chunk : chunk.subarray(0, bytes), this.#kept);
    this.#kept += bytes;
  }

  /** A whole body, as latin-1 text: instead of `add`. */
  addText(body: string): void {
    const { length } = body;
    const { bodyBytesMax, totalBytesMax } = this.#limits;
    if (!this.#copying || length === 0 || length > (bodyBytesMax ?? 0)) {
      this.add(Buffer.from(body, "latin1"));
      return;
    }
    this.#total = length;
    if (!this.#budget.take(length, totalBytesMax)) {
      this.#forget();
      return;
    }
    this.#text = body;
    this.#kept = length;
  }

  /** A slab that takes `bytes`, with what has been copied so far. */
  #place(bytes: number): Buffer {
    const before = this.#slab;
    if (before !== null && before.length >= bytes) return before;
    const { slabs } = this.#budget;
    const slab = slabs.take(bytes);
    if (before !== null) {
      before.copy(slab, 0, 0, this.#kept);
      slabs.give(before);
    }
    this.#slab = slab;
    return slab;
  }

  #mark(atMs: number): void {
    const marks = (this.#marks ??= []);
    const room = 2 * MARKS_MAX - marks.length;
    if (room > 0) marks.push(this.#kept, room > 2 ? atMs : Number.NaN);
  }

  #keepLast(part: Uint8Array): void {
    const { tailBytes = 0, totalBytesMax } = this.#limits;
    if (tailBytes === 0) return;
    const last = part.length <= tailBytes ? part : part.subarray(part.length - tailBytes);
    const grows = Math.min(2 * tailBytes, this.#tailEnd + last.length) - this.#tailHeld;
    if (grows > 0 && !this.#budget.take(grows, totalBytesMax)) {
      this.#forget();
      return;
    }
    this.#tailHeld += Math.max(0, grows);
    const tail = (this.#tail ??= this.#budget.slabs.take(2 * tailBytes));
    if (this.#tailEnd + last.length > 2 * tailBytes) {
      // What has to stay of it moves to the front.
      const stays = tailBytes - last.length;
      tail.copyWithin(0, this.#tailEnd - stays, this.#tailEnd);
      this.#tailEnd = stays;
    }
    tail.set(last, this.#tailEnd);
    this.#tailEnd += last.length;
  }

  /** Counts bytes without a copy: tunnels. */
  count(bytes: number): void {
    this.#total += bytes;
  }

  /** Bytes of the copy. */
  get heldBytes(): number {
    return this.#kept + this.#tailHeld;
  }

  /** What is held no longer counts against the budget. */
  #release(): void {
    this.#budget.give(this.heldBytes);
  }

  #forget(): void {
    this.#release();
    this.#copying = false;
    this.#kept = 0;
    this.#text = null;
    this.#tailHeld = 0;
    this.#marks = null;
    this.recycle();
  }

  /** The copy, once. Its bytes are views of memory that `recycle` takes back. */
  seal(): EndedBody {
    const total = this.#total;
    if (!this.#copying) return { bytes: NO_BYTES, total, kept: NOT_CAPTURED };
    this.#release();
    this.#copying = false;
    if (this.#text !== null) return { bytes: NO_BYTES, total, kept: "whole", text: this.#text };
    const bytes = this.#slab?.subarray(0, this.#kept) ?? NO_BYTES;
    const kept = this.#kept === total ? "whole" : "truncated";
    const marks = this.#marks;
    if (marks === null && this.#tail === null) return { bytes, total, kept };
    const from = Math.max(0, this.#tailEnd - (this.#limits.tailBytes ?? 0));
    const last = this.#tail?.subarray(from, this.#tailEnd);
    return {
      bytes,
      total,
      kept,
      ...(marks === null ? {} : { marks }),
      ...(last === undefined ? {} : { tail: last }),
    };
  }

  /** Nobody reads the sealed copy any more: its memory is used for others. */
  recycle(): void {
    const { slabs } = this.#budget;
    if (this.#slab !== null) slabs.give(this.#slab);
    if (this.#tail !== null) slabs.give(this.#tail);
    this.#slab = null;
    this.#tail = null;
  }
}
