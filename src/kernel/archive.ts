// State to bytes and back, by one description for both ways: what a class writes is what it reads, in the same order.
// Bytes are only read again by the program that wrote them and after a checksum has said that they are whole.

/** The bytes do not fit what reads them: nothing of them may be used. */
export class ArchiveError extends Error {}

/** Writing gives back what it was given; reading ignores that and gives what was written. */
export interface Archive {
  readonly reading: boolean;
  number(value: number): number;
  text(value: string): string;
  bytes(value: Uint8Array): Uint8Array;
  float64s(value: Float64Array): Float64Array;
  int32s(value: Int32Array): Int32Array;
  /** What `body` archives is a part of the state: whoever keeps parts by themselves may write it later, and only when it has changed. */
  part(kept: Kept, body: (io: Archive) => void): void;
}

/** Where a part is kept, and the CRC-32 of what was written there. */
export interface Place {
  readonly key: number;
  crc: number;
}

/** What is remembered about a part that can be kept by itself. One for each; its owner tells of every change beforehand. */
export class Kept {
  /** Where it is kept as it is now (or is about to be: then there is a `copy`); null: nowhere. */
  place: Place | null = null;
  /** Takes a copy of it as it is. */
  copy: (() => void) | null = null;

  /** To be called before anything of the part changes. */
  changing(): void {
    this.copy?.();
    this.place = null;
  }
}

const FIRST_BYTES = 64 * 1024;
/** Up to here a text is written straight into its place, for which three bytes a character are kept. */
const SHORT_TEXT = 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export class ArchiveWriter implements Archive {
  readonly reading = false;
  readonly #bytesMax: number;
  #bytes: Buffer<ArrayBuffer>;
  #view: DataView<ArrayBuffer>;
  #length = 0;

  /** `expected`: bytes that will probably come. Beyond `bytesMax` writing throws an ArchiveError. */
  constructor(bytesMax: number, expected = 0) {
    this.#bytesMax = bytesMax;
    // A little more: to grow is to copy.
    const memory = new ArrayBuffer(Math.min(bytesMax, FIRST_BYTES + Math.ceil(expected * 1.1)));
    this.#bytes = Buffer.from(memory);
    this.#view = new DataView(memory);
  }

  number(value: number): number {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
    return value;
  }

  /** Well-formed texts only. */
  text(value: string): string {
    if (value.length > SHORT_TEXT) this.bytes(encoder.encode(value));
    else {
      this.#reserve(8 + value.length * 3);
      const bytes = this.#bytes.write(value, this.#length + 8);
      this.number(bytes);
      this.#length += bytes;
    }
    return value;
  }

  bytes(value: Uint8Array): Uint8Array {
    this.number(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return value;
  }

  float64s(value: Float64Array): Float64Array {
    this.bytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    return value;
  }

  int32s(value: Int32Array): Int32Array {
    this.bytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    return value;
  }

  part(_kept: Kept, body: (io: Archive) => void): void {
    body(this);
  }

  /** All that was written. */
  finish(): Uint8Array {
    return new Uint8Array(this.#view.buffer, 0, this.#length);
  }

  /** Begins again in the same memory: what `finish` gave is overwritten. */
  reset(): void {
    this.#length = 0;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#view.byteLength) return;
    if (needed > this.#bytesMax) throw new ArchiveError(`more than ${this.#bytesMax} bytes`);
    const memory = new ArrayBuffer(Math.max(needed, this.#view.byteLength * 2));
    const grown = Buffer.from(memory);
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(memory);
  }
}

export class ArchiveReader implements Archive {
  readonly reading = true;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  number(): number {
    if (this.#at + 8 > this.#view.byteLength) throw new ArchiveError("it ends too early");
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += 8;
    return value;
  }

  text(): string {
    return decoder.decode(this.#piece());
  }

  /** A copy, so that it is aligned and nobody's. */
  bytes(): Uint8Array {
    return this.#piece().slice();
  }

  float64s(): Float64Array {
    const piece = this.bytes();
    if (piece.length % 8 !== 0) throw new ArchiveError("not a list of doubles");
    return new Float64Array(piece.buffer);
  }

  int32s(): Int32Array {
    const piece = this.bytes();
    if (piece.length % 4 !== 0) throw new ArchiveError("not a list of numbers");
    return new Int32Array(piece.buffer);
  }

  part(_kept: Kept, body: (io: Archive) => void): void {
    body(this);
  }

  /** Throws when something is left. */
  end(): void {
    if (this.#at !== this.#view.byteLength) throw new ArchiveError("something is left over");
  }

  #piece(): Uint8Array {
    const length = this.number();
    if (!(length >= 0 && length <= this.#view.byteLength - this.#at))
      throw new ArchiveError("it ends too early");
    const piece = new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#at, length);
    this.#at += length;
    return piece;
  }
}

export function archiveFlag(io: Archive, value: boolean): boolean {
  return io.number(value ? 1 : 0) === 1;
}

export function archiveNullable(io: Archive, value: number | null): number | null {
  return archiveFlag(io, value !== null) ? io.number(value ?? 0) : null;
}

export function archiveBigint(io: Archive, value: bigint): bigint {
  return BigInt(io.text(value.toString()));
}

/** What the reader must find as it is: else it is made for something else. */
export function archiveSame(io: Archive, value: string, what: string): void {
  if (io.text(value) !== value) throw new ArchiveError(`${what} is another now`);
}

/** An array whose length both ways know. */
export function archiveInto(io: Archive, array: Int32Array | Float64Array): void {
  const read = array instanceof Int32Array ? io.int32s(array) : io.float64s(array);
  if (read.length !== array.length) throw new ArchiveError("a list of another length");
  array.set(read);
}

/** A map, in its order; `value` is given undefined when it is to be made. */
export function archiveMap<K extends string | number, V>(
  io: Archive,
  map: Map<K, V>,
  of: { readonly key: (key: K | undefined) => K; readonly value: (value: V | undefined, key: K) => V },
): void {
  const size = io.number(map.size);
  if (!io.reading) {
    for (const [key, value] of map) of.value(value, of.key(key));
    return;
  }
  map.clear();
  for (let i = 0; i < size; i++) {
    const key = of.key(undefined);
    map.set(key, of.value(undefined, key));
  }
}

export const numberKey =
  (io: Archive) =>
  (key: number | undefined): number =>
    io.number(key ?? 0);

export const textKey =
  (io: Archive) =>
  (key: string | undefined): string =>
    io.text(key ?? "");

export function archiveTexts(io: Archive, set: Set<string>): void {
  const size = io.number(set.size);
  if (!io.reading) {
    for (const text of set) io.text(text);
    return;
  }
  set.clear();
  for (let i = 0; i < size; i++) set.add(io.text(""));
}
