// The versions of one model under comparison, in the order in which they were first seen, and what of them outlives the process.

import type { Delays } from "./delays.ts";
import type { LossReader } from "./losses.ts";
import type { Matcher, RecentRows } from "./matcher.ts";
import type { PairTest, SavedLoss, Timelines } from "./pair-test.ts";
import type { Timeline } from "./timeline.ts";

export interface SavedModel {
  readonly name: string;
  /** Labels by delay, as `Delays` keeps them. */
  readonly delays: readonly number[];
  readonly pairs: readonly SavedPair[];
}

export interface SavedPair {
  readonly baseline: string;
  readonly candidate: string;
  readonly foldedTo: number;
  readonly losses: readonly SavedLoss[];
}

export interface Arm {
  readonly version: string;
  readonly timeline: Timeline;
  /** Against the version before it; begun anew when that one is dropped. */
  test: PairTest;
  /** Unix ms of the latest prediction. */
  lastTs: number;
}

export interface ModelArms {
  readonly name: string;
  readonly reader: LossReader;
  /** In the order in which they were first seen. */
  readonly arms: Arm[];
  /** By `shadowKey`: second minus first in the order of their names. */
  readonly shadows: Map<string, Timeline>;
  readonly matcher: Matcher;
  readonly delays: Delays;
  /** Rows whose label was taken back: another label would be their second. */
  readonly retracted: RecentRows;
  watermark: number;
}

export function shadowKey(one: string, other: string): string {
  return one < other ? `${one}\0${other}` : `${other}\0${one}`;
}

export function timelinesOf(known: ModelArms, baseline: Arm, candidate: Arm): Timelines {
  return {
    baseline: baseline.timeline,
    candidate: candidate.timeline,
    paired: known.shadows.get(shadowKey(baseline.version, candidate.version)),
    // Kept as second minus first in the order of their names.
    pairedSign: baseline.version < candidate.version ? 1 : -1,
  };
}

export function savedPairs(known: ModelArms): SavedPair[] {
  const pairs: SavedPair[] = [];
  for (const [i, { version, test }] of known.arms.entries()) {
    const baseline = known.arms[i - 1];
    if (baseline === undefined || !Number.isFinite(test.foldedTo)) continue;
    pairs.push({
      baseline: baseline.version,
      candidate: version,
      foldedTo: test.foldedTo,
      losses: test.save(),
    });
  }
  return pairs;
}

/** The pair goes on from its saved sums, unless another version came between. */
export function resume(known: ModelArms, pair: SavedPair): void {
  const at = known.arms.findIndex(({ version }) => version === pair.candidate);
  if (known.arms[at - 1]?.version === pair.baseline) known.arms[at]?.test.load(pair.losses, pair.foldedTo);
}
