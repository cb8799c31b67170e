// What memory knows of the rows on disk: where a name may be found, which label revision holds, which times a block covers.
// Cut into segments of a million rows: the newest are resident, older ones are sealed, retention drops whole ones.

import { ABSENT, BLOCK_ROWS, Segment } from "./segment.ts";
import type { Sql } from "./sql.ts";

export { ABSENT, BLOCK_ROWS, ON_DISK, VOID } from "./segment.ts";

export const SEGMENT_ROWS = 1 << 20;
/** About 24 bytes a row stay in memory for the newest two to three million; the rest takes a little over 2. */
export const RESIDENT_SEGMENTS = 2;

/** Beyond so many bearers an alias is ambiguous for good; indexing further ones would only make the search longer. */
export const SHARED_ALIAS_MAX = 8;

/** A block of rows, first and last inclusive. */
export interface Block {
  readonly first: number;
  readonly last: number;
}

export interface RowBookOptions {
  readonly segmentRows: number;
  /** So many full segments stay resident. */
  readonly residentSegments: number;
}

type Names = Pick<Sql, "bucket">;

export class RowBook {
  readonly #options: RowBookOptions;
  readonly #segments = new Map<number, Segment>();
  /** Newest first: most questions are about young rows. */
  #newestFirst: Segment[] = [];
  /** The one that was asked for last: a label asks for its row several times, and its neighbours come with it. */
  #last: Segment | undefined;
  /** Segments without rows, whose pieces on disk are still to be deleted. */
  readonly emptied: number[] = [];

  constructor(options: RowBookOptions) {
    this.#options = options;
  }

  get segmentRows(): number {
    return this.#options.segmentRows;
  }

  numberOf(row: number): number {
    return Math.floor(row / this.#options.segmentRows);
  }

  #segmentOf(row: number): Segment | undefined {
    const last = this.#last;
    if (last !== undefined && row >= last.base && row < last.base + this.#options.segmentRows) return last;
    this.#last = this.#segments.get(this.numberOf(row));
    return this.#last;
  }

  #segmentFor(row: number): Segment {
    return this.#segmentOf(row) ?? this.#begin(this.numberOf(row), { names: 0, buckets: null });
  }

  #begin(number: number, from: { names: number; buckets: number | null }): Segment {
    const made = new Segment(number, this.#options.segmentRows, from);
    this.#segments.set(number, made);
    this.#last = made;
    this.#newestFirst = [...this.#segments.values()].sort((a, b) => b.base - a.base);
    return made;
  }

  /** Tells, while loading, that a segment's names are on disk. */
  addSealed(number: number, buckets: number, names: number): Segment {
    return this.#begin(number, { names, buckets });
  }

  /** Segments whose names are on disk, in no order. */
  sealed(): Segment[] {
    return this.#newestFirst.filter((segment) => segment.sealed);
  }

  resident(): Segment[] {
    return this.#newestFirst.filter((segment) => !segment.sealed);
  }

  /** The segment of a number, begun when it is not there. */
  residentAt(number: number): Segment {
    return this.#segmentFor(number * this.#options.segmentRows);
  }

  /** The row is known without having been read. */
  isRestored(row: number): boolean {
    return this.#segmentOf(row)?.restored === true;
  }

  hasSegment(number: number): boolean {
    return this.#segments.has(number);
  }

  isSealed(row: number): boolean {
    return this.#segmentOf(row)?.sealed === true;
  }

  append(row: number, ts: number, head: number): void {
    this.#segmentFor(row).append(row, ts, head);
  }

  /** Takes a row out. A segment without rows is dropped, unless it is the newest. */
  forget(row: number): void {
    const segment = this.#segmentOf(row);
    if (segment === undefined) return;
    segment.forget(row);
    if (segment.liveTotal === 0) this.#drop(segment);
  }

  #drop(segment: Segment): void {
    if (segment === this.#newestFirst[0] && !segment.sealed) return;
    this.#segments.delete(segment.number);
    this.#last = undefined;
    this.#newestFirst = this.#newestFirst.filter((other) => other !== segment);
    this.emptied.push(segment.number);
  }

  /** After loading: what lost its last row before. */
  dropEmpty(): void {
    for (const segment of this.#newestFirst) if (segment.liveTotal === 0) this.#drop(segment);
  }

  /** ABSENT, VOID, 0, a sequence number, or ON_DISK. */
  head(row: number): number {
    return this.#segmentOf(row)?.head(row) ?? ABSENT;
  }

  setHead(row: number, head: number): void {
    this.#segmentOf(row)?.setHead(row, head);
  }

  keepsOnDisk(row: number): boolean {
    return this.#segmentOf(row)?.keepsOnDisk(row) === true;
  }

  name(hash: number, row: number): void {
    this.#segmentFor(row).name(hash, row);
  }

  unname(hash: number, row: number): void {
    this.#segmentOf(row)?.unname(hash, row);
  }

  /** Rows whose exchange may bear a name of this hash, newest segment first; forgotten ones left out. */
  candidates(hash: number, sql: Names): number[] {
    const rows: number[] = [];
    for (const segment of this.#newestFirst) segment.collect(hash, sql, rows);
    return rows.length === 0 ? rows : rows.filter((row) => this.head(row) !== ABSENT);
  }

  /** `limit` or more exchanges may bear a name of this hash. */
  crowded(hash: number, sql: Names, limit: number): boolean {
    return this.candidates(hash, sql).length >= limit;
  }

  /** Full segments that are resident beyond those that may stay, oldest first. */
  #due(): Segment[] {
    const resident = this.#newestFirst.filter((segment) => !segment.sealed);
    return resident.slice(this.#options.residentSegments + 1).toReversed();
  }

  /** The segment to seal next. */
  get toSeal(): Segment | undefined {
    return this.#due()[0];
  }

  /** Sealing lags behind what comes in. */
  get overdue(): boolean {
    return this.#due().length > 1;
  }

  /** Blocks, oldest first, that may hold rows with fromTs < ts <= toTs. */
  *blocks(fromTs: number, toTs: number): Generator<Block> {
    const { segmentRows } = this.#options;
    for (const { base, live, minTs, maxTs } of this.#newestFirst.toReversed()) {
      for (let block = 0; block < live.length; block++) {
        if ((live[block] ?? 0) === 0) continue;
        if ((maxTs[block] ?? 0) <= fromTs || (minTs[block] ?? 0) > toTs) continue;
        const first = base + block * BLOCK_ROWS;
        yield { first, last: Math.min(first + BLOCK_ROWS, base + segmentRows) - 1 };
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
    return this.#newestFirst.reduce((bytes, segment) => bytes + segment.bytes, 0);
  }
}
