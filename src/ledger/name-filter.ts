// Which sealed segment may know a name: a Bloom filter whose bits for one name lie in one cache line.
// F. Putze, P. Sanders, J. Singler: Cache-, Hash- and Space-Efficient Bloom Filters (2007), blocked variant.

const WORDS_PER_BLOCK = 8;
const BITS_PER_NAME = 16;
const PROBES = 6;

/** About one name in 500 that was never added is taken for known. 2 bytes a name. */
export class NameFilter {
  readonly #words: Uint32Array;
  readonly #blocks: number;

  constructor(names: number) {
    this.#blocks = Math.max(1, Math.ceil((names * BITS_PER_NAME) / (32 * WORDS_PER_BLOCK)));
    this.#words = new Uint32Array(this.#blocks * WORDS_PER_BLOCK);
  }

  get bytes(): number {
    return this.#words.byteLength;
  }

  /** As it is stored. */
  encode(): Uint8Array {
    return new Uint8Array(this.#words.buffer);
  }

  /** From what was stored of a filter for as many names; false: it was not. */
  fill(bytes: Uint8Array): boolean {
    if (bytes.length !== this.#words.byteLength) return false;
    new Uint8Array(this.#words.buffer).set(bytes);
    return true;
  }

  add(hash: number): void {
    const base = Math.floor((hash * this.#blocks) / 2 ** 32) * WORDS_PER_BLOCK;
    let bits = mix(hash);
    for (let i = 0; i < PROBES; i++) {
      const at = base + (bits >>> 29);
      this.#words[at] = (this.#words[at] ?? 0) | (1 << ((bits >>> 24) & 31));
      bits = Math.imul(bits, 0x9e3779b1);
    }
  }

  has(hash: number): boolean {
    const base = Math.floor((hash * this.#blocks) / 2 ** 32) * WORDS_PER_BLOCK;
    let bits = mix(hash);
    for (let i = 0; i < PROBES; i++) {
      if (((this.#words[base + (bits >>> 29)] ?? 0) & (1 << ((bits >>> 24) & 31))) === 0) return false;
      bits = Math.imul(bits, 0x9e3779b1);
    }
    return true;
  }
}

/** The leading bits chose the block; what chooses within it must not depend on them alone. Never 0: it is multiplied on. */
function mix(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) | 1;
}
