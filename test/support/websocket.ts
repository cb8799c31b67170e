// WebSocket frames by hand (RFC 6455, section 5.2), right or wrong as a test wants them.

export interface FrameParts {
  /** Default: the last of its message. */
  readonly fin?: boolean;
  /** Three bits. Default 0. */
  readonly rsv?: number;
  readonly opcode: number;
  readonly payload: Uint8Array;
  /** 32 bits; null or absent: unmasked. */
  readonly mask?: number | null;
  /** A length other than the payload's own. */
  readonly length?: number;
}

export function frame({
  fin = true,
  rsv = 0,
  opcode,
  payload,
  mask = null,
  length = payload.length,
}: FrameParts): Buffer {
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const bit = mask === null ? 0 : 0x80;
  if (length < 126) head.push(bit | length);
  else if (length < 65_536) head.push(bit | 126, length >> 8, length & 0xff);
  else {
    const long = Buffer.alloc(8);
    long.writeBigUInt64BE(BigInt(length));
    head.push(bit | 127, ...long);
  }
  if (mask === null) return Buffer.concat([Buffer.from(head), payload]);
  const key = Buffer.alloc(4);
  key.writeUInt32BE(mask);
  const covered = Buffer.from(payload.map((byte, at) => byte ^ (key[at % 4] ?? 0)));
  return Buffer.concat([Buffer.from(head), key, covered]);
}
