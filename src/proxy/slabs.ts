// Memory that is used again and again: blocks of a power of two for what is held only as long as an exchange lasts.
// A buffer made anew for each read and copy is cheap to make and dear to collect: it counts as outside memory, and drives full collections.

const SMALLEST_BYTES = 1024;
const LARGEST_BYTES = 1024 * 1024;
/** Free blocks kept, all sizes together; what comes back beyond it is left to the collector. */
const FREE_BYTES_MAX = 8 * 1024 * 1024;

export class Slabs {
  /** By the power of two. */
  readonly #free: Buffer[][] = Array.from({ length: 32 }, () => []);
  #freeBytes = 0;

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** At least `bytes`, with whatever was written there before. */
  take(bytes: number): Buffer {
    const power = powerOf(bytes);
    const free = this.#free[power]?.pop();
    if (free === undefined) return Buffer.allocUnsafeSlow(2 ** power);
    this.#freeBytes -= free.length;
    return free;
  }

  /** `slab` is one that `take` gave, whole, and nobody reads or writes it any more. */
  give(slab: Buffer): void {
    if (slab.length > LARGEST_BYTES || this.#freeBytes + slab.length > FREE_BYTES_MAX) return;
    this.#free[powerOf(slab.length)]?.push(slab);
    this.#freeBytes += slab.length;
  }
}

function powerOf(bytes: number): number {
  return 32 - Math.clz32(Math.max(bytes, SMALLEST_BYTES) - 1);
}
