// What memory keeps of a sealed segment, on disk as well: a start reads it instead of a million rows.

import { crc32 } from "node:zlib";

import { ArchiveReader, ArchiveWriter } from "../kernel/archive.ts";
import type { Segment } from "./segment.ts";
import { num, one } from "./sql.ts";
import type { Cells, Sql } from "./sql.ts";

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
    const writer = new ArchiveWriter(LIVE_BYTES_MAX);
    segment.archiveLive(writer);
    const bits = writer.finish();
    sql.setLive.run(number, crc32(bits), bits);
  }
  return true;
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
