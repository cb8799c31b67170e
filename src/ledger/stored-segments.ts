// What memory keeps of a sealed segment, on disk as well: a start reads it instead of a million rows.

import { crc32 } from "node:zlib";

import { ArchiveReader, ArchiveWriter } from "../kernel/archive.ts";
import type { Segment } from "./segment.ts";
import { many, num, one } from "./sql.ts";
import type { Cells, Sql } from "./sql.ts";

/** Rows whose names are written at once: about a megabyte. */
const ROWS_TOGETHER = 131_072;
/** They are gathered in so many steps: all of the segment's index is looked through for them. */
const GATHERINGS = 8;
/** More than any segment has. */
const SEGMENT_ROWS_MAX = 1 << 21;
/** Of a full one. */
const LIVE_BYTES = 144 * 1024;
const LIVE_BYTES_MAX = 1024 * 1024 * 1024;

type Statements = Pick<Sql, "filter" | "setFilter" | "live" | "setLive">;

/** Writes what is not on disk as it is in memory; false: nothing was to be written. */
export function storeSegment(sql: Statements, segment: Segment): boolean {
  const { number, stored, filter } = segment;
  if (filter === null || (stored.filter && stored.live)) return false;
  if (!stored.filter) {
    const bits = filter.encode();
    sql.setFilter.run(number, crc32(bits), bits);
  }
  if (!stored.live) {
    const bits = liveOf(segment);
    sql.setLive.run(number, crc32(bits), bits);
  }
  return true;
}

/** Which rows exist, and the times of the blocks. */
export function liveOf(segment: Segment): Uint8Array {
  const writer = new ArchiveWriter(LIVE_BYTES_MAX, LIVE_BYTES);
  segment.archiveLive(writer);
  return writer.finish();
}

/** The next names of a resident segment that are not on disk, on their way there in steps. */
export class NameRun {
  readonly segment: Segment;
  readonly #end: number;
  readonly #gathered: Uint8Array[] = [];

  /** null: all up to `last` are on disk. */
  static of(segment: Segment, last: number): NameRun | null {
    return segment.namedTo < last ? new NameRun(segment, last) : null;
  }

  private constructor(segment: Segment, last: number) {
    this.segment = segment;
    this.#end = Math.min(last, segment.namedTo + ROWS_TOGETHER);
  }

  /** One step; gives what is to be done when all are on disk, null before. */
  step(sql: Pick<Sql, "setNames" | "dropNames">): (() => void) | null {
    const { segment } = this;
    const end = this.#end;
    if (this.#gathered.length < GATHERINGS) {
      const pairs = segment.namesUntil(end, this.#gathered.length, GATHERINGS);
      this.#gathered.push(new Uint8Array(pairs.buffer));
      return null;
    }
    const bytes = Buffer.concat(this.#gathered);
    const key = nameKey(segment.number, segment.namedTo);
    // Runs that begin within this one are of a checkpoint that was not written to its end, or of one that no start could use.
    sql.dropNames.run(key, nameKey(segment.number, end) - 1);
    sql.setNames.run(key, end, crc32(bytes), bytes);
    return () => {
      segment.namedTo = end;
    };
  }
}

/** Fills a new resident segment with its names until `end`; false: nothing was done, its rows must be read. */
export function restoreNames(
  sql: Pick<Sql, "names">,
  segment: Segment,
  of: { readonly end: number; readonly live: Uint8Array | undefined },
): boolean {
  if (of.live === undefined) return false;
  const runs: Uint32Array[] = [];
  let covered = 0;
  const key = nameKey(segment.number, 0);
  for (const [from, until, bytes, crc] of many(sql.names.all(key, nameKey(segment.number + 1, 0) - 1))) {
    // Left by one that was not written to the end.
    if (num(from) - key < covered) continue;
    // A longer run belongs to such a one, too.
    if (covered >= of.end || num(until) > of.end) break;
    if (num(from) - key !== covered || !(bytes instanceof Uint8Array) || crc32(bytes) !== num(crc))
      return false;
    runs.push(new Uint32Array(bytes.slice().buffer));
    covered = num(until);
  }
  if (covered !== of.end) return false;
  const reader = new ArchiveReader(of.live);
  segment.archiveLive(reader);
  reader.end();
  segment.expectNames(runs.reduce((names, pairs) => names + pairs.length / 2, 0));
  for (const pairs of runs) {
    for (let at = 0; at < pairs.length; at += 2)
      segment.name(pairs[at] ?? 0, segment.base + (pairs[at + 1] ?? 0));
  }
  segment.namedTo = covered;
  return true;
}

export function dropNames(sql: Pick<Sql, "dropNames">, segment: number): void {
  sql.dropNames.run(nameKey(segment, 0), nameKey(segment + 1, 0) - 1);
}

function nameKey(segment: number, offset: number): number {
  return segment * SEGMENT_ROWS_MAX + offset;
}

/** Fills a new sealed segment; false: its rows must be read, it is as if it had not been tried. */
export function restoreSegment(sql: Statements, segment: Segment): boolean {
  const bits = wholeBytes(one(sql.filter.get(segment.number)));
  const live = wholeBytes(one(sql.live.get(segment.number)));
  if (bits === null || live === null || segment.filter?.fill(bits) !== true) return false;
  const reader = new ArchiveReader(live);
  segment.archiveLive(reader);
  reader.end();
  segment.stored.filter = true;
  segment.stored.live = true;
  segment.restored = true;
  return true;
}

/** Columns: bits, crc. null: not there, or not what was written. */
function wholeBytes(cells: Cells | null): Uint8Array | null {
  const bytes = cells?.[0];
  return bytes instanceof Uint8Array && crc32(bytes) === num(cells?.[1]) ? bytes : null;
}
