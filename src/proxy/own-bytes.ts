// Bytes that stay are copied where they lie in much more memory than they fill.

/** A copy in memory of its own: a pool's slab, or what was read with it, would stay as long as it does. */
export function copyOf(chunk: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(chunk.length);
  chunk.copy(own);
  return own;
}

/** `chunk`, or a copy where it would keep more than twice its length. */
export function ownBytes(chunk: Buffer): Buffer {
  return chunk.buffer.byteLength > 2 * chunk.length ? copyOf(chunk) : chunk;
}
