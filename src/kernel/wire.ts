// Bytes between the two processes: length-prefixed frames, and a growing writer / bounds-checked reader for what is in them.

/** A frame is `u32 length (of what follows) | u8 kind | payload`, little endian. */
export const FRAME_HEAD_BYTES = 5;
/** A longer frame is a bug of the sender; the reader refuses it instead of buffering without end. */
export const FRAME_BYTES_MAX = 64 * 1024 * 1024;

const SHORT_TEXT_MAX = 64;
/** A buffer taken anew is at most so long at first. */
const TAKEN_BYTES_MAX = 1024 * 1024;
/** Kept of what is given back. */
const SPARE_BYTES_MAX = 8 * 1024 * 1024;

export class ByteWriter {
  #buffer: Buffer;
  #length = 0;
  readonly #spare: Buffer[] = [];
  #spareBytes = 0;

  constructor(initialBytes = 64 * 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
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
    this.#buffer.writeUInt32LE(value, at);
  }

  f64(value: number): void {
    const at = this.#room(8);
    this.#buffer.writeDoubleLE(value, at);
  }

  /** A byte string of at most 4 GiB. */
  bytes(value: Uint8Array): void {
    this.u32(value.length);
    const at = this.#room(value.length);
    this.#buffer.set(value, at);
  }

  /** Text as UTF-8. Header values are latin-1 on the wire and survive this round trip. */
  text(value: string): void {
    if (value.length <= SHORT_TEXT_MAX && this.#shortAscii(value)) return;
    const reserve = value.length * 3;
    const at = this.#room(4 + reserve);
    const written = this.#buffer.write(value, at + 4, reserve, "utf8");
    this.#buffer.writeUInt32LE(written, at);
    this.#length = at + 4 + written;
  }

  /** Most texts are short and ASCII: a loop here is cheaper than a call out of JavaScript. False: nothing was written. */
  #shortAscii(value: string): boolean {
    const { length } = value;
    const at = this.#room(4 + length);
    const buffer = this.#buffer;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) {
        this.#length = at;
        return false;
      }
      buffer[at + 4 + i] = code;
    }
    buffer.writeUInt32LE(length, at);
    return true;
  }

  /** Overwrites an earlier u32, e.g. a length that is known only now. */
  patchU32(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value, at);
  }

  /** The bytes written so far (a view), and starts afresh in another buffer. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#length);
    this.#spareBytes -= this.#spare.at(-1)?.length ?? 0;
    this.#buffer =
      this.#spare.pop() ??
      Buffer.allocUnsafeSlow(Math.max(64 * 1024, Math.min(this.#buffer.length, TAKEN_BYTES_MAX)));
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

export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
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
    return this.#buffer.readUInt8(this.#advance(1));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#advance(4));
  }

  f64(): number {
    return this.#buffer.readDoubleLE(this.#advance(8));
  }

  /** A view into the frame, not a copy. */
  bytes(): Buffer {
    const length = this.u32();
    const at = this.#advance(length);
    return this.#buffer.subarray(at, at + length);
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
