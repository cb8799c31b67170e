// A run of rows as memory knows it: resident (names and newest revisions in typed arrays), or sealed (both on disk, a filter here).

import { type Archive, archiveInto } from "../kernel/archive.ts";
import { IdIndex } from "./id-index.ts";
import { NameFilter } from "./name-filter.ts";
import { one } from "./sql.ts";
import type { Sql } from "./sql.ts";

export const BLOCK_ROWS = 4096;
/** Names in a bucket on average: what fits a page of the file. */
const BUCKET_NAMES = 440;
const BUCKETS_MAX = 65_536;
/** From here on the heads of a segment are made at once: each growth leaves a hole in memory. */
const LARGE_ROWS = 1 << 16;
const HASHES = 2 ** 32;

/** No such row (any more). */
export const ABSENT = -1;
/** A gap in an exchange: the row exists, no prediction does. */
export const VOID = -2;
/** The row exists; which revision holds is asked of the disk. */
export const ON_DISK = -3;

/** Names of a sealed segment on disk. */
export interface Sealed {
  readonly buckets: number;
  readonly filter: NameFilter;
}

/** How far a segment is on its way to the disk. */
export interface Sealing {
  readonly buckets: number;
  readonly names: number;
  readonly filter: NameFilter;
  /** Revisions of rows before this offset are on disk. */
  heads: number;
  /** Buckets before this one are on disk. */
  written: number;
}

export function bucketKey(segment: number, bucket: number): number {
  return segment * BUCKETS_MAX + bucket;
}

export class Segment {
  readonly number: number;
  readonly base: number;
  readonly #rows: number;
  #index: IdIndex | null;
  /** Per row: ABSENT, VOID, 0 (unlabelled) or the sequence number of the revision that holds. Empty when sealed. */
  #heads: Float64Array;
  /** One bit a row: it exists. */
  readonly #exists: Uint8Array;
  #sealed: Sealed | null;
  sealing: Sealing | null = null;
  readonly minTs: Float64Array;
  readonly maxTs: Float64Array;
  readonly live: Uint32Array;
  liveTotal = 0;
  /** What of a sealed segment is on disk as it is here, beside the names. */
  readonly stored = { filter: false, live: false };
  /** Filter and rows came from the disk: its rows need not be read. */
  restored = false;
  /** Names of rows before this offset are on disk, while it is resident. */
  namedTo = 0;

  constructor(number: number, rows: number, from: { names: number; buckets: number | null }) {
    this.number = number;
    this.base = number * rows;
    this.#rows = rows;
    const blocks = Math.ceil(rows / BLOCK_ROWS);
    this.minTs = new Float64Array(blocks).fill(Number.POSITIVE_INFINITY);
    this.maxTs = new Float64Array(blocks).fill(Number.NEGATIVE_INFINITY);
    this.live = new Uint32Array(blocks);
    const { names, buckets } = from;
    this.#index = buckets === null ? new IdIndex(names) : null;
    this.#heads = new Float64Array(buckets === null ? Math.min(1024, rows) : 0).fill(ABSENT);
    this.#exists = new Uint8Array(Math.ceil(rows / 8));
    this.#sealed = buckets === null ? null : { buckets, filter: new NameFilter(names) };
  }

  /** null: it is resident. */
  get filter(): NameFilter | null {
    return this.#sealed?.filter ?? this.sealing?.filter ?? null;
  }

  /** Which rows exist, and the times of the blocks: as it will be once sealed. */
  archiveLive(io: Archive): void {
    const exists = io.bytes(this.#exists);
    if (io.reading) this.#exist(exists);
    const live = Float64Array.from(this.live);
    for (const array of [this.minTs, this.maxTs, live]) archiveInto(io, array);
    if (!io.reading) return;
    this.live.set(live);
    this.liveTotal = live.reduce((sum, rows) => sum + rows, 0);
  }

  #exist(exists: Uint8Array): void {
    this.#exists.set(exists);
    if (this.#sealed !== null) return;
    for (let offset = 0; offset < this.#rows; offset++) {
      if (!hasBit(exists, offset)) continue;
      this.#reach(offset);
      this.#heads[offset] = 0;
    }
  }

  /** Of a resident segment: pairs of hash and offset, of one of `parts` of all hashes, from the first that is not on disk until `end`. */
  namesUntil(end: number, part: number, parts: number): Uint32Array {
    const pairs: number[] = [];
    this.#index?.within((part * HASHES) / parts, ((part + 1) * HASHES) / parts, (hash, offset) => {
      if (offset >= this.namedTo && offset < end) pairs.push(hash, offset);
    });
    return Uint32Array.from(pairs);
  }

  get sealed(): boolean {
    return this.#sealed !== null;
  }

  get bytes(): number {
    const names = this.#index?.bytes ?? this.#sealed?.filter.bytes ?? 0;
    return names + this.#heads.byteLength + this.#exists.length + this.live.length * 20;
  }

  append(row: number, ts: number, head: number): void {
    const offset = row - this.base;
    setBit(this.#exists, offset);
    if (this.#sealed === null) {
      this.#reach(offset);
      this.#heads[offset] = head;
    }
    const block = Math.floor(offset / BLOCK_ROWS);
    if (ts < (this.minTs[block] ?? 0)) this.minTs[block] = ts;
    if (ts > (this.maxTs[block] ?? 0)) this.maxTs[block] = ts;
    this.live[block] = (this.live[block] ?? 0) + 1;
    this.liveTotal++;
  }

  #reach(offset: number): void {
    if (offset < this.#heads.length) return;
    let length = this.#heads.length;
    while (length <= offset) length *= length < LARGE_ROWS ? 2 : 16;
    const grown = new Float64Array(Math.min(length, this.#rows)).fill(ABSENT);
    grown.set(this.#heads);
    this.#heads = grown;
  }

  forget(row: number): void {
    const offset = row - this.base;
    if (this.head(row) === ABSENT) return;
    this.stored.live = false;
    clearBit(this.#exists, offset);
    if (this.#sealed === null) this.#heads[offset] = ABSENT;
    const block = Math.floor(offset / BLOCK_ROWS);
    this.live[block] = (this.live[block] ?? 1) - 1;
    this.liveTotal--;
    if (this.live[block] > 0) return;
    this.minTs[block] = Number.POSITIVE_INFINITY;
    this.maxTs[block] = Number.NEGATIVE_INFINITY;
  }

  head(row: number): number {
    const offset = row - this.base;
    if (this.#sealed === null) return this.#heads[offset] ?? ABSENT;
    return hasBit(this.#exists, offset) ? ON_DISK : ABSENT;
  }

  setHead(row: number, head: number): void {
    if (this.#sealed === null) this.#heads[row - this.base] = head;
  }

  /** The revision that holds is (also) kept on disk. */
  keepsOnDisk(row: number): boolean {
    return this.#sealed !== null || (this.sealing !== null && row - this.base < this.sealing.heads);
  }

  /** Room for so many names, before the first one: names that come in the order of their hashes would crowd a small index. */
  expectNames(names: number): void {
    if (this.#index?.size === 0) this.#index = new IdIndex(names);
  }

  name(hash: number, row: number): void {
    if (this.#sealed === null) this.#index?.add(hash, row - this.base);
    else this.#sealed.filter.add(hash);
  }

  unname(hash: number, row: number): void {
    this.#index?.remove(hash, row - this.base);
  }

  /** Pushes the rows that may bear a name of this hash; forgotten ones too. */
  collect(hash: number, sql: Pick<Sql, "bucket">, into: number[]): void {
    if (this.#sealed === null) {
      this.#index?.collect(hash, this.base, into);
      return;
    }
    const { filter, buckets } = this.#sealed;
    if (!filter.has(hash)) return;
    const cells = one(sql.bucket.get(bucketKey(this.number, Math.floor((hash * buckets) / HASHES))));
    const names = cells?.[0];
    if (!(names instanceof Uint8Array)) return;
    const view = new DataView(names.buffer, names.byteOffset, names.byteLength);
    for (let at = 0; at + 8 <= view.byteLength; at += 8) {
      if (view.getUint32(at, true) === hash) into.push(this.base + view.getUint32(at + 4, true));
    }
  }

  beginSealing(): Sealing {
    const names = this.#index?.size ?? 0;
    const buckets = Math.min(BUCKETS_MAX, Math.max(1, Math.ceil(names / BUCKET_NAMES)));
    this.sealing ??= { buckets, names, filter: new NameFilter(names), heads: 0, written: 0 };
    return this.sealing;
  }

  /** The names of one bucket as they are stored; the filter learns them. */
  bucketOf(sealing: Sealing, bucket: number): Uint8Array {
    const from = Math.ceil((bucket * HASHES) / sealing.buckets);
    const to = Math.ceil(((bucket + 1) * HASHES) / sealing.buckets);
    const pairs: number[] = [];
    this.#index?.within(from, to, (hash, offset) => {
      pairs.push(hash, offset);
      sealing.filter.add(hash);
    });
    const view = new DataView(new ArrayBuffer(pairs.length * 4));
    for (const [i, number] of pairs.entries()) view.setUint32(i * 4, number, true);
    return new Uint8Array(view.buffer);
  }

  /** Everything is on disk: memory lets go of it. */
  seal(): void {
    if (this.sealing === null) return;
    const { buckets, filter } = this.sealing;
    this.#sealed = { buckets, filter };
    this.#index = null;
    this.#heads = new Float64Array(0);
    this.sealing = null;
  }
}

function hasBit(bits: Uint8Array, at: number): boolean {
  return ((bits[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
}

function setBit(bits: Uint8Array, at: number): void {
  bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7));
}

function clearBit(bits: Uint8Array, at: number): void {
  bits[at >> 3] = (bits[at >> 3] ?? 0) & ~(1 << (at & 7));
}
