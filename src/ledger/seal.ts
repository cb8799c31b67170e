// Old segments to disk, in steps of a few milliseconds: which revision holds for each row, then the names in bulk, by hash.
// A step is a transaction; a segment counts as sealed from the last one on. Killed before, it is sealed anew.

import type { Clock } from "../kernel/clock.ts";
import type { Segment, Sealing } from "./segment.ts";
import { bucketKey } from "./segment.ts";
import { dropNames, storeSegment } from "./stored-segments.ts";
import type { Work } from "./work.ts";

const STEP_MS = 6;
const HEADS_TOGETHER = 1024;
const BUCKETS_DROPPED_TOGETHER = 256;

/** There is something to seal, or to delete of what was sealed. */
export function sealDue({ memory }: Pick<Work, "memory">): boolean {
  return memory.rows.toSeal !== undefined || memory.rows.emptied.length > 0;
}

/** One step inside a transaction. Memory follows when it is on disk. */
export function sealStep(work: Work, clock: Clock): void {
  const [emptied] = work.memory.rows.emptied;
  if (emptied !== undefined) {
    dropPieces(work, emptied);
    return;
  }
  const segment = work.memory.rows.toSeal;
  if (segment === undefined) return;
  const sealing = segment.beginSealing();
  const endsAt = clock.monotonicMs() + STEP_MS;
  const isOver = (): boolean => clock.monotonicMs() >= endsAt;
  const heads = writeHeads(work, segment, { sealing, isOver });
  const written =
    heads < work.memory.rows.segmentRows ? sealing.written : writeBuckets(work, segment, isOver);
  // A step of its own: filter and rows are 2 MB.
  const isWhole = sealing.written === sealing.buckets && heads === work.memory.rows.segmentRows;
  if (isWhole) {
    storeSegment(work.sql, segment);
    dropNames(work.sql, segment.number);
    work.sql.addSealed.run(segment.number, sealing.buckets, sealing.names);
  }
  work.after.push(() => {
    sealing.heads = heads;
    sealing.written = written;
    if (!isWhole) return;
    segment.seal();
    Object.assign(segment.stored, { filter: true, live: true });
  });
}

/** Gives the offset up to which revisions are on disk. */
function writeHeads(
  work: Work,
  segment: Segment,
  { sealing, isOver }: { readonly sealing: Sealing; readonly isOver: () => boolean },
): number {
  const { segmentRows } = work.memory.rows;
  let offset = sealing.heads;
  while (offset < segmentRows && !isOver()) {
    const end = Math.min(segmentRows, offset + HEADS_TOGETHER);
    for (; offset < end; offset++) {
      const head = segment.head(segment.base + offset);
      if (head > 0) work.sql.setHead.run(segment.base + offset, head);
    }
  }
  return offset;
}

function writeBuckets(work: Work, segment: Segment, isOver: () => boolean): number {
  const { sealing } = segment;
  if (sealing === null) return 0;
  let bucket = sealing.written;
  while (bucket < sealing.buckets && !isOver()) {
    work.sql.setBucket.run(bucketKey(segment.number, bucket), segment.bucketOf(sealing, bucket));
    bucket++;
  }
  return bucket;
}

/** Deletes what a segment without rows has left; it is out of memory already. */
function dropPieces(work: Work, segment: number): void {
  const first = bucketKey(segment, 0);
  const next = work.sql.bucketAfter.get(first);
  const key: unknown = Array.isArray(next) ? next[0] : null;
  if (typeof key === "number" && key < bucketKey(segment + 1, 0)) {
    work.sql.dropBuckets.run(key, Math.min(key + BUCKETS_DROPPED_TOGETHER, bucketKey(segment + 1, 0)) - 1);
    return;
  }
  const { segmentRows } = work.memory.rows;
  work.sql.dropHeads.run(segment * segmentRows, (segment + 1) * segmentRows - 1);
  dropNames(work.sql, segment);
  work.sql.dropFilter.run(segment);
  work.sql.dropLive.run(segment);
  work.sql.dropSealed.run(segment);
  work.sql.dropSpan.run(segment);
  work.after.push(() => work.memory.rows.emptied.shift());
}
