// Where the connections to the upstream read into: one buffer for all, and for those that carry long answers a block each, so that
// what was read is written on without a copy.

/** Bytes of one read at most, unless smaller ones are asked for. */
export const READ_BYTES = 64 * 1024;
/** Room in front of what is read into a block: the head that we send fits in there, so that it leaves with the body's beginning in one piece. */
const BEFORE_BYTES = 1024;
/** Connections that hold a block of their own; the others' long answers are copied. */
const BLOCKS_MAX = 64;

export class ReadBlocks {
  /** A read into it is worked off before the next one begins, on whatever connection. */
  readonly shared: Buffer;
  readonly #free: Buffer[] = [];
  #used = 0;

  constructor(readBytes: number = READ_BYTES) {
    this.shared = Buffer.allocUnsafeSlow(readBytes);
  }

  /** Null: too many have one, or it would not be worth it. */
  take(): Buffer | null {
    if (this.#used >= BLOCKS_MAX || this.shared.length < READ_BYTES) return null;
    this.#used++;
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BEFORE_BYTES + READ_BYTES).subarray(BEFORE_BYTES);
  }

  give(block: Buffer): void {
    this.#used--;
    this.#free.push(block);
  }

  /** Somebody still reads from it: it is left to the collector. */
  lose(): void {
    this.#used--;
  }
}

/** One connection's reading. */
export class Reading {
  readonly #blocks: ReadBlocks;
  #block: Buffer | null = null;
  #sinceIdle = 0;
  #inRead = false;
  #closed = false;
  /** What was read last is still being written: it must not be overwritten. */
  kept = false;

  constructor(blocks: ReadBlocks) {
    this.#blocks = blocks;
  }

  /** The bytes of the read going on stay until this connection's next one, or longer if `kept` is set. */
  get lends(): boolean {
    return this.#block !== null;
  }

  begin(): void {
    this.#inRead = true;
  }

  /** Where the next read goes. `length`: of the read just worked off; `idle`: it ended an answer. */
  next(length: number, idle: boolean): Buffer {
    this.#inRead = false;
    this.#sinceIdle += length;
    if (this.kept) {
      this.kept = false;
      this.#block = null;
      this.#blocks.lose();
    }
    if (this.#closed) this.#giveBack();
    else if (length === READ_BYTES) this.#block ??= this.#blocks.take();
    else if (idle && this.#sinceIdle < READ_BYTES) this.#giveBack();
    if (idle) this.#sinceIdle = 0;
    return this.#block ?? this.#blocks.shared;
  }

  /** No read follows. */
  close(): void {
    this.#closed = true;
    // Within a read its end sees to the block: its bytes may be on their way to the client.
    if (!this.#inRead) this.#giveBack();
  }

  #giveBack(): void {
    if (this.#block === null) return;
    this.#blocks.give(this.#block);
    this.#block = null;
  }
}
