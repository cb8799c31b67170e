// A request's body while it may still arrive whole within one turn of the loop.

/** Bytes gathered before the body is streamed after all. */
const COLLECT_BYTES_MAX = 256 * 1024;

export class CollectedBody {
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(bytesMax: number = COLLECT_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** True: it has become too long to be waited for. */
  add(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    return this.#bytes > this.#bytesMax;
  }

  /** All of it in one piece; one chunk is not copied. */
  whole(): Buffer {
    const [first] = this.#chunks;
    return this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks);
  }

  /** The chunks, which are then no longer held here. */
  take(): readonly Buffer[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#bytes = 0;
    return chunks;
  }
}
