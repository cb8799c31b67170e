// A bounded copy of a body as it passes. The bytes are counted truly whatever is kept.

import { MARKS_MAX, type BodyCopy } from "../facts/exchange.ts";

const NO_BYTES = new Uint8Array(0);
const NOT_CAPTURED = "not-captured";

/** Bytes that all copies in flight may hold together. What does not fit is not copied, and counted. */
export class CopyBudget {
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
  readonly #limits: TapLimits;
  #first: Uint8Array | null = null;
  #more: Uint8Array[] | null = null;
  #marks: number[] | null = null;
  /** The last chunks beyond what is copied: at least `tailBytes`, no chunk more than that takes. */
  #tail: Uint8Array[] | null = null;
  #tailHeld = 0;
  #kept = 0;
  #copying: boolean;
  #total = 0;

  constructor(budget: CopyBudget, limits: TapLimits) {
    this.#budget = budget;
    this.#limits = limits;
    this.#copying = limits.bodyBytesMax !== null;
  }

  /** `atMs`: when it came, where that is to be kept. */
  add(chunk: Uint8Array, atMs: number | null = null): void {
    this.#total += chunk.length;
    if (!this.#copying || chunk.length === 0) return;
    const room = (this.#limits.bodyBytesMax ?? 0) - this.#kept;
    if (room < chunk.length) this.#keepLast(room <= 0 ? chunk : chunk.subarray(room));
    if (room <= 0 || !this.#copying) return;
    const part = chunk.length <= room ? chunk : chunk.subarray(0, room);
    if (!this.#budget.take(part.length, this.#limits.totalBytesMax)) {
      this.#forget();
      return;
    }
    const own = ownBytes(part);
    if (this.#first === null) this.#first = own;
    else {
      (this.#more ??= []).push(own);
      if (atMs !== null) this.#mark(atMs);
    }
    this.#kept += part.length;
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
    if (!this.#budget.take(last.length, totalBytesMax)) {
      this.#forget();
      return;
    }
    const tail = (this.#tail ??= []);
    // A copy where it is a piece of a long chunk: the tail must not hold what it does not keep.
    tail.push(last.length * 2 < part.length ? Buffer.from(last) : ownBytes(last));
    this.#tailHeld += last.length;
    while (this.#tailHeld - (tail[0]?.length ?? 0) >= tailBytes) {
      const gone = tail.shift()?.length ?? 0;
      this.#tailHeld -= gone;
      this.#budget.give(gone);
    }
  }

  /** Counts bytes without a copy: tunnels. */
  count(bytes: number): void {
    this.#total += bytes;
  }

  #forget(): void {
    this.#budget.give(this.#kept + this.#tailHeld);
    this.#kept = 0;
    this.#tailHeld = 0;
    this.#tail = null;
    this.#marks = null;
    this.#first = null;
    this.#more = null;
    this.#copying = false;
  }

  /** The copy, once: what it holds no longer counts against the budget. */
  seal(): BodyCopy {
    const total = this.#total;
    if (!this.#copying) return Object.freeze({ bytes: NO_BYTES, total, kept: NOT_CAPTURED });
    const first = this.#first;
    let bytes = first ?? NO_BYTES;
    if (first !== null && this.#more !== null) bytes = Buffer.concat([first, ...this.#more], this.#kept);
    const kept = this.#kept === total ? "whole" : "truncated";
    const marks = this.#marks;
    const tail = this.#tail === null ? null : Buffer.concat(this.#tail, this.#tailHeld);
    this.#forget();
    if (marks === null && tail === null) return Object.freeze({ bytes, total, kept });
    const last = tail?.subarray(-(this.#limits.tailBytes ?? 0));
    return Object.freeze({
      bytes,
      total,
      kept,
      ...(marks === null ? {} : { marks }),
      ...(last === undefined ? {} : { tail: last }),
    });
  }
}

/** The bytes themselves where they fill most of the buffer they came in, else a copy: a few bytes must not hold a whole read. */
function ownBytes(part: Uint8Array): Uint8Array {
  return part.buffer.byteLength <= part.length * 2 + 1024 ? part : Buffer.from(part);
}
