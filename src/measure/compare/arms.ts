// The versions of one model under comparison, in the order in which they were first seen, and what of them outlives the process.

import type { Delays } from "./delays.ts";
import type { LossReader } from "./losses.ts";
import type { Matcher, RecentRows } from "./matcher.ts";
import { PairTest, type SavedLoss, type Timelines } from "./pair-test.ts";
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
  /** By baseline: the version before it, and production when that is another one. */
  readonly tests: Map<string, PairTest>;
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

/** What a version is compared with all the time: the version before it, and an older one that is in production. */
export function baselinesOf(known: ModelArms, candidate: number, production: string | null): Arm[] {
  const before = known.arms[candidate - 1];
  const declared = known.arms.slice(0, candidate).find(({ version }) => version === production);
  if (before === undefined) return [];
  return declared === undefined || declared === before ? [before] : [before, declared];
}

export function savedPairs(known: ModelArms): SavedPair[] {
  const pairs: SavedPair[] = [];
  for (const { version, tests } of known.arms) {
    for (const [baseline, test] of tests) {
      if (!Number.isFinite(test.foldedTo)) continue;
      pairs.push({ baseline, candidate: version, foldedTo: test.foldedTo, losses: test.save() });
    }
  }
  return pairs;
}

/** The pair goes on from its saved sums; it is dropped at the next look if it is none any more. */
export function resume(known: ModelArms, pair: SavedPair): void {
  const candidate = known.arms.find(({ version }) => version === pair.candidate);
  const test = new PairTest(known.reader.losses);
  if (test.load(pair.losses, pair.foldedTo)) candidate?.tests.set(pair.baseline, test);
}
