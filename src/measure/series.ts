// What is kept of one series, a version as a whole or one slice of it: a bin per window, and pairs on their way to them.

import type { Archive } from "../kernel/archive.ts";
import type { Bin } from "./bin.ts";
import type { Gatherer } from "./gatherer.ts";
import type { MaturedShare } from "./matured.ts";
import type { Share, SlidingWindow } from "./sliding.ts";

export interface Series {
  readonly slice: string;
  readonly gatherer: Gatherer;
  readonly all: Bin;
  /** One per timed window, in their order. */
  readonly shares: readonly Share[];
  /** One per window, in their order. */
  readonly matured: readonly MaturedShare[];
}

/** The bins of a set of windows: bit 0 is everything, then come timed windows, then matured ones. Everything is always in it. */
export function binsOf(series: Series, windows: number): Bin[] {
  const shares = [...series.shares, ...series.matured];
  return [series.all, ...shares.flatMap(({ total }, i) => ((windows & (2 << i)) === 0 ? [] : [total]))];
}

/** Nothing may be on its way. */
export function archiveSeries(io: Archive, series: Series, sliding: readonly SlidingWindow[]): void {
  series.all.archive(io);
  for (const [place, share] of series.shares.entries()) sliding[place]?.archiveShare(io, share);
  for (const { total } of series.matured) total.archive(io);
}

export function releaseSeries(series: Series): void {
  series.all.release();
  for (const share of series.shares) share.total.release();
  for (const share of series.matured) share.total.release();
}
