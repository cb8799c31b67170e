// Bytes between the two processes: length-prefixed frames, and a growing writer / bounds-checked reader for what is in them.

/** A frame is `u32 length (of what follows) | u8 kind | payload`, little endian. */
export const FRAME_HEAD_BYTES = 5;
/** A longer frame is a bug of the sender; the reader refuses it instead of buffering without end. */
export const FRAME_BYTES_MAX = 64 * 1024 * 1024;

const NOT_LATIN1 = /[\u0100-\uffff]/;
const LATIN1 = 0;
const UTF8 = 1;
/** A buffer taken anew is at most so long at first. */
const TAKEN_BYTES_MAX = 1024 * 1024;
/** Kept of what is given back. */
const SPARE_BYTES_MAX = 8 * 1024 * 1024;

export class ByteWriter {
  #buffer: Buffer;
  /** The same memory: numbers are written by it, which the engine makes one instruction of. */
  #numbers: DataView;
  #length = 0;
  readonly #spare: Buffer[] = [];
  #spareBytes = 0;

  constructor(initialBytes = 64 * 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
    this.#numbers = viewOf(this.#buffer);
  }

  get length(): number {
    return this.#length;
  }

  #room(bytes: number): number {
    const at = this.#length;
    const need = at + bytes;
    if (need > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(need, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
      this.#numbers = viewOf(grown);
    }
    this.#length = need;
    return at;
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#buffer[at] = value;
  }

  u32(value: number): void {
    const at = this.#room(4);
    this.#numbers.setUint32(at, value, true);
  }

  f64(value: number): void {
    const at = this.#room(8);
    this.#numbers.setFloat64(at, value, true);
  }

  /** A byte string of at most 4 GiB. */
  bytes(value: Uint8Array): void {
    this.u32(value.length);
    const at = this.#room(value.length);
    this.#buffer.set(value, at);
  }

  /** Room for `bytes` of numbers, all of which the caller sets; gives where it begins. */
  reserve(bytes: number): number {
    return this.#room(bytes);
  }

  setU8(at: number, value: number): void {
    this.#numbers.setUint8(at, value);
  }

  setF64(at: number, value: number): void {
    this.#numbers.setFloat64(at, value, true);
  }

  /** Also of what was written earlier, e.g. a length that is known only now. */
  setU32(at: number, value: number): void {
    this.#numbers.setUint32(at, value, true);
  }

  /** Latin-1 text, as `bytes` would write its bytes. */
  latin1(text: string): void {
    const { length } = text;
    this.u32(length);
    const at = this.#room(length);
    this.#buffer.write(text, at, "latin1");
  }

  /**
   * Many texts: their lengths, then all of them in one piece. One call out of JavaScript for all is cheaper than one, or a loop, for
   * each; the reader cuts the piece up again without looking at its bytes.
   */
  texts(values: readonly string[]): void {
    // Added up: `join` takes four times as long for a dozen short texts.
    let all = "";
    for (const value of values) all += value;
    this.u32(values.length);
    if (NOT_LATIN1.test(all)) {
      this.u8(UTF8);
      for (const value of values) this.text(value);
      return;
    }
    this.u8(LATIN1);
    const at = this.#room(4 * values.length + all.length);
    const numbers = this.#numbers;
    let into = at;
    for (const { length } of values) {
      numbers.setUint32(into, length, true);
      into += 4;
    }
    this.#buffer.write(all, into, all.length, "latin1");
  }

  /** Text as UTF-8. */
  text(value: string): void {
    const reserve = value.length * 3;
    const at = this.#room(4 + reserve);
    const written = this.#buffer.write(value, at + 4, reserve, "utf8");
    this.#numbers.setUint32(at, written, true);
    this.#length = at + 4 + written;
  }

  /** Forgets what was written behind `length`, one that the writer had. */
  rewind(length: number): void {
    this.#length = length;
  }

  /** The bytes written so far (a view), and starts afresh in another buffer. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#length);
    this.#spareBytes -= this.#spare.at(-1)?.length ?? 0;
    this.#buffer =
      this.#spare.pop() ??
      Buffer.allocUnsafeSlow(Math.max(64 * 1024, Math.min(this.#buffer.length, TAKEN_BYTES_MAX)));
    this.#numbers = viewOf(this.#buffer);
    this.#length = 0;
    return taken;
  }

  /** Gives back what `take` gave: nobody reads it any more. */
  recycle(taken: Buffer): void {
    const { byteLength } = taken.buffer;
    if (byteLength > 2 * TAKEN_BYTES_MAX || this.#spareBytes + byteLength > SPARE_BYTES_MAX) return;
    this.#spare.push(Buffer.from(taken.buffer));
    this.#spareBytes += byteLength;
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

const NO_BYTES = Buffer.alloc(0);

export class ByteReader {
  readonly #buffer: Buffer;
  /** The same memory, as in the writer. */
  readonly #numbers: DataView;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
    this.#numbers = viewOf(buffer);
  }

  get done(): boolean {
    return this.#at >= this.#buffer.length;
  }

  #advance(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#buffer.length) throw new RangeError("wire: short read");
    this.#at = at + bytes;
    return at;
  }

  u8(): number {
    return this.#numbers.getUint8(this.#advance(1));
  }

  u32(): number {
    return this.#numbers.getUint32(this.#advance(4), true);
  }

  f64(): number {
    return this.#numbers.getFloat64(this.#advance(8), true);
  }

  /** A view into the frame, not a copy. */
  bytes(): Buffer {
    const length = this.u32();
    if (length === 0) return NO_BYTES;
    const at = this.#advance(length);
    return this.#buffer.subarray(at, at + length);
  }

  texts(): string[] {
    const count = this.u32();
    const coding = this.u8();
    const texts: string[] = [];
    if (coding === UTF8) {
      for (let i = 0; i < count; i++) texts.push(this.text());
      return texts;
    }
    const lengthsAt = this.#advance(4 * count);
    let total = 0;
    for (let i = 0; i < count; i++) total += this.#numbers.getUint32(lengthsAt + 4 * i, true);
    const at = this.#advance(total);
    const all = this.#buffer.toString("latin1", at, at + total);
    let from = 0;
    for (let i = 0; i < count; i++) {
      const to = from + this.#numbers.getUint32(lengthsAt + 4 * i, true);
      texts.push(all.slice(from, to));
      from = to;
    }
    return texts;
  }

  text(): string {
    const length = this.u32();
    const at = this.#advance(length);
    return this.#buffer.toString("utf8", at, at + length);
  }
}

/** One frame, ready to be written. */
export function frame(kind: number, payload: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(FRAME_HEAD_BYTES + payload.length);
  out.writeUInt32LE(payload.length + 1, 0);
  out[4] = kind;
  out.set(payload, FRAME_HEAD_BYTES);
  return out;
}

/** Cuts a byte stream into frames, however it was chunked. */
export class FrameReader {
  readonly #onFrame: (kind: number, payload: Buffer) => void;
  #parts: Buffer[] = [];
  #have = 0;
  #need = FRAME_HEAD_BYTES;

  constructor(onFrame: (kind: number, payload: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    this.#parts.push(chunk);
    this.#have += chunk.length;
    if (this.#have < this.#need) return;
    let data = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#have);
    while (data.length >= FRAME_HEAD_BYTES) {
      const length = data.readUInt32LE(0);
      if (length < 1 || length > FRAME_BYTES_MAX) throw new RangeError(`wire: frame of ${length} bytes`);
      if (data.length < 4 + length) break;
      this.#onFrame(data.readUInt8(4), data.subarray(FRAME_HEAD_BYTES, 4 + length));
      data = data.subarray(4 + length);
    }
    this.#parts = data.length === 0 ? [] : [data];
    this.#have = data.length;
    this.#need = data.length >= 4 ? 4 + data.readUInt32LE(0) : FRAME_HEAD_BYTES;
  }
}
