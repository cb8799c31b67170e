// How much of an answer is read ahead of a client that takes it slowly, so that all streams of a connection together hold at most 1 MiB.

export interface Piece {
  /** Of an answer, read at a time. */
  readonly bytes: number;
  /** Bytes that may wait to leave while more is read. */
  readonly ahead: number;
}

const KIB = 1024;

/** From the largest, and how many streams of one connection have it: few are many bytes ahead of their clients, many are few. */
const SMALLEST = Object.freeze({ streams: Infinity, bytes: 2 * KIB, ahead: 0 });
const SIZES: readonly (Piece & { readonly streams: number })[] = Object.freeze([
  { streams: 1, bytes: 64 * KIB, ahead: 64 * KIB },
  { streams: 8, bytes: 16 * KIB, ahead: 16 * KIB },
  SMALLEST,
]);

export const PIECES: readonly Piece[] = SIZES;
/** Beyond what is written on as it was read, a piece is copied: a stalled stream must not keep what was read along with it. */
export const COPIED_BYTES_MAX = 16 * KIB;

/**
 * The pieces of one connection's streams. A stream keeps the size it began with: what all may hold is bounded before the first byte
 * comes, and none can be starved by others that stand still. A stalled stream holds what was let ahead, the piece (of at most 16 KiB,
 * a DATA frame) that went beyond it, and one more behind it: 144 + 8 * 48 + 119 * 4 = 1004 KiB for 128 streams.
 */
export class Shares {
  readonly #taken = new Map<Piece, number>();

  /** The largest that is free. */
  take(): Piece {
    const piece = SIZES.find((one) => this.#takenOf(one) < one.streams) ?? SMALLEST;
    this.#taken.set(piece, this.#takenOf(piece) + 1);
    return piece;
  }

  give(piece: Piece): void {
    this.#taken.set(piece, this.#takenOf(piece) - 1);
  }

  #takenOf(piece: Piece): number {
    return this.#taken.get(piece) ?? 0;
  }
}
