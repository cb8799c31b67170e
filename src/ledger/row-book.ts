// What memory knows of the rows on disk: where a name may be found, which label revision holds, which times a block covers.
// Cut into segments of a million rows: retention drops whole ones, and a sealed one can later keep its index on disk.

import { IdIndex } from "./id-index.ts";

export const SEGMENT_ROWS = 1 << 20;
export const BLOCK_ROWS = 4096;
const BLOCKS = SEGMENT_ROWS / BLOCK_ROWS;

/** No such row (any more). */
export const ABSENT = -1;
/** A gap in an exchange: the row exists, no prediction does. */
export const VOID = -2;

class Segment {
  readonly base: number;
  readonly index: IdIndex;
  /** Per row: ABSENT, VOID, 0 (unlabelled) or the sequence number of the revision that holds. */
  heads: Float64Array;
  readonly minTs = new Float64Array(BLOCKS).fill(Number.POSITIVE_INFINITY);
  readonly maxTs = new Float64Array(BLOCKS).fill(Number.NEGATIVE_INFINITY);
  readonly live = new Uint32Array(BLOCKS);
  liveTotal = 0;

  constructor(base: number, expectedNames: number) {
    this.base = base;
    this.index = new IdIndex(expectedNames);
    this.heads = new Float64Array(1024).fill(ABSENT);
  }

  reach(offset: number): void {
    if (offset < this.heads.length) return;
    let length = this.heads.length;
    while (length <= offset) length *= 2;
    const grown = new Float64Array(Math.min(length, SEGMENT_ROWS)).fill(ABSENT);
    grown.set(this.heads);
    this.heads = grown;
  }
}

/** Beyond so many bearers an alias is ambiguous for good; indexing further ones would only make the search longer. */
export const SHARED_ALIAS_MAX = 8;

/** A block of rows, first and last inclusive. */
export interface Block {
  readonly first: number;
  readonly last: number;
}

export class RowBook {
  readonly #segments = new Map<number, Segment>();
  /** Newest first: most questions are about young rows. */
  #newestFirst: Segment[] = [];

  #segmentOf(row: number): Segment | undefined {
    return this.#segments.get(Math.floor(row / SEGMENT_ROWS));
  }

  #segmentFor(row: number, expectedNames: number): Segment {
    const number = Math.floor(row / SEGMENT_ROWS);
    const known = this.#segments.get(number);
    if (known !== undefined) return known;
    const made = new Segment(number * SEGMENT_ROWS, expectedNames);
    this.#segments.set(number, made);
    this.#newestFirst = [...this.#segments.values()].sort((a, b) => b.base - a.base);
    return made;
  }

  /** Makes room for names before many are added. */
  expect(row: number, names: number): void {
    this.#segmentFor(row, names);
  }

  append(row: number, ts: number, head: number): void {
    const segment = this.#segmentFor(row, 0);
    const offset = row - segment.base;
    segment.reach(offset);
    segment.heads[offset] = head;
    const block = Math.floor(offset / BLOCK_ROWS);
    if (ts < (segment.minTs[block] ?? 0)) segment.minTs[block] = ts;
    if (ts > (segment.maxTs[block] ?? 0)) segment.maxTs[block] = ts;
    segment.live[block] = (segment.live[block] ?? 0) + 1;
    segment.liveTotal++;
  }

  /** Takes a row out. A segment without rows is dropped, unless it is the newest. */
  forget(row: number): void {
    const segment = this.#segmentOf(row);
    if (segment === undefined) return;
    const offset = row - segment.base;
    if ((segment.heads[offset] ?? ABSENT) === ABSENT) return;
    segment.heads[offset] = ABSENT;
    const block = Math.floor(offset / BLOCK_ROWS);
    segment.live[block] = (segment.live[block] ?? 1) - 1;
    segment.liveTotal--;
    if (segment.live[block] === 0) {
      segment.minTs[block] = Number.POSITIVE_INFINITY;
      segment.maxTs[block] = Number.NEGATIVE_INFINITY;
    }
    if (segment.liveTotal === 0 && segment !== this.#newestFirst[0]) {
      this.#segments.delete(segment.base / SEGMENT_ROWS);
      this.#newestFirst = this.#newestFirst.filter((other) => other !== segment);
    }
  }

  head(row: number): number {
    const segment = this.#segmentOf(row);
    return segment === undefined ? ABSENT : (segment.heads[row - segment.base] ?? ABSENT);
  }

  setHead(row: number, head: number): void {
    const segment = this.#segmentOf(row);
    if (segment !== undefined) segment.heads[row - segment.base] = head;
  }

  name(hash: number, row: number): void {
    const segment = this.#segmentFor(row, 0);
    segment.index.add(hash, row - segment.base);
  }

  unname(hash: number, row: number): void {
    const segment = this.#segmentOf(row);
    segment?.index.remove(hash, row - segment.base);
  }

  /** Rows whose exchange may bear a name of this hash, newest segment first; forgotten ones left out. */
  candidates(hash: number): number[] {
    const rows: number[] = [];
    for (const segment of this.#newestFirst) segment.index.collect(hash, segment.base, rows);
    return rows.length === 0 ? rows : rows.filter((row) => this.head(row) !== ABSENT);
  }

  /** `limit` or more exchanges may bear a name of this hash. */
  crowded(hash: number, limit: number): boolean {
    return this.candidates(hash).length >= limit;
  }

  /** Blocks, oldest first, that may hold rows with fromTs < ts <= toTs. */
  *blocks(fromTs: number, toTs: number): Generator<Block> {
    for (const segment of this.#newestFirst.toReversed()) {
      for (let block = 0; block < BLOCKS; block++) {
        if ((segment.live[block] ?? 0) === 0) continue;
        if ((segment.maxTs[block] ?? 0) <= fromTs || (segment.minTs[block] ?? 0) > toTs) continue;
        const first = segment.base + block * BLOCK_ROWS;
        yield { first, last: first + BLOCK_ROWS - 1 };
      }
    }
  }

  /** The times left in a block after a sweep read all of it. */
  narrow(block: Block, minTs: number): void {
    const segment = this.#segmentOf(block.first);
    if (segment === undefined) return;
    const at = Math.floor((block.first - segment.base) / BLOCK_ROWS);
    if ((segment.live[at] ?? 0) > 0) segment.minTs[at] = minTs;
  }

  /** Bytes of the typed arrays. */
  get bytes(): number {
    let bytes = 0;
    for (const segment of this.#newestFirst) {
      bytes += segment.index.bytes + segment.heads.byteLength + BLOCKS * 20;
    }
    return bytes;
  }
}
