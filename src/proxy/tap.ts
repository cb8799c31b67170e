// A bounded copy of a body as it passes. The bytes are counted truly whatever is kept.

import type { BodyCopy } from "../facts/exchange.ts";

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
}

export class BodyTap {
  readonly #budget: CopyBudget;
  readonly #limits: TapLimits;
  #first: Uint8Array | null = null;
  #more: Uint8Array[] | null = null;
  #kept = 0;
  #copying: boolean;
  #total = 0;

  constructor(budget: CopyBudget, limits: TapLimits) {
    this.#budget = budget;
    this.#limits = limits;
    this.#copying = limits.bodyBytesMax !== null;
  }

  add(chunk: Uint8Array): void {
    this.#total += chunk.length;
    if (!this.#copying) return;
    const room = (this.#limits.bodyBytesMax ?? 0) - this.#kept;
    if (room <= 0) return;
    const part = chunk.length <= room ? chunk : chunk.subarray(0, room);
    if (!this.#budget.take(part.length, this.#limits.totalBytesMax)) {
      this.#forget();
      return;
    }
    this.#kept += part.length;
    const own = ownBytes(part);
    if (this.#first === null) this.#first = own;
    else (this.#more ??= []).push(own);
  }

  /** Counts bytes without a copy: tunnels. */
  count(bytes: number): void {
    this.#total += bytes;
  }

  #forget(): void {
    this.#budget.give(this.#kept);
    this.#kept = 0;
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
    this.#forget();
    return Object.freeze({ bytes, total, kept });
  }
}

/** The bytes themselves where they fill most of the buffer they came in, else a copy: a few bytes must not hold a whole read. */
function ownBytes(part: Uint8Array): Uint8Array {
  return part.buffer.byteLength <= part.length * 2 + 1024 ? part : Buffer.from(part);
}
