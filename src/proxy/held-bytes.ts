// The part of a head that has come so far. It grows by doubling, so that a head that arrives byte by byte is not copied once per byte.

const FIRST_BYTES = 512;
const NO_BYTES = Buffer.alloc(0);

export class HeldBytes {
  #buffer: Buffer = NO_BYTES;
  #length = 0;
  /** What `append` gave last. */
  #view: Buffer | null = null;

  get length(): number {
    return this.#length;
  }

  /** What is held with the first `length` of `bytes` behind it: a view, valid until the next call. */
  append(bytes: Buffer, length: number): Buffer {
    const to = this.#length + length;
    this.#grow(to);
    bytes.copy(this.#buffer, this.#length, 0, length);
    this.#length = to;
    this.#view = this.#buffer.subarray(0, to);
    return this.#view;
  }

  #grow(bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, bytes, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  /** Holds `bytes` from `from` to `to` and nothing else. */
  keep(bytes: Buffer, from: number, to: number): void {
    if (bytes === this.#view && from === 0) {
      this.#length = to;
      return;
    }
    const kept = bytes === this.#view ? Buffer.from(bytes.subarray(from, to)) : bytes.subarray(from, to);
    this.#length = 0;
    this.append(kept, kept.length);
  }

  clear(): void {
    this.#buffer = NO_BYTES;
    this.#length = 0;
    this.#view = null;
  }
}
