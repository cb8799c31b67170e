// Early labels in memory: hash of the name -> the newest revision on disk. Names and values stay on disk.

import { IdIndex } from "./id-index.ts";

export class WaitingBook {
  readonly #index = new IdIndex();
  /** Slot -> sequence number of the revision that holds; 0: free. */
  readonly #heads: number[] = [];
  /** Slot -> revisions on disk. */
  readonly #depths: number[] = [];
  readonly #free: number[] = [];
  /** Revisions on disk, superseded ones included. */
  revisions = 0;

  /** Names that wait. */
  get size(): number {
    return this.#index.size;
  }

  add(hash: number, head: number, depth: number): number {
    const slot = this.#free.pop() ?? this.#heads.length;
    this.#heads[slot] = head;
    this.#depths[slot] = depth;
    this.revisions += depth;
    this.#index.add(hash, slot);
    return slot;
  }

  remove(hash: number, slot: number): void {
    this.#index.remove(hash, slot);
    this.#heads[slot] = 0;
    this.revisions -= this.#depths[slot] ?? 0;
    this.#depths[slot] = 0;
    this.#free.push(slot);
  }

  head(slot: number): number {
    return this.#heads[slot] ?? 0;
  }

  setHead(slot: number, head: number): void {
    this.#heads[slot] = head;
  }

  depth(slot: number): number {
    return this.#depths[slot] ?? 0;
  }

  deepen(slot: number, by: number): void {
    this.#depths[slot] = this.depth(slot) + by;
    this.revisions += by;
  }

  /** Slots that may hold a name of this hash. */
  candidates(hash: number): number[] {
    const slots: number[] = [];
    this.#index.collect(hash, 0, slots);
    return slots;
  }
}
