// Versions under comparison to a checkpoint and back.

import { type Archive, archiveMap, archiveTexts, textKey } from "../../kernel/archive.ts";
import type { Arm, ModelArms } from "./arms.ts";
import type { Answered } from "./matcher.ts";
import { PairTest } from "./pair-test.ts";
import { Timeline } from "./timeline.ts";

/** `known` is new when it is read. */
export function archiveArms(io: Archive, known: ModelArms): void {
  const losses = known.reader.losses.length;
  known.watermark = io.number(known.watermark);
  known.delays.archive(io);
  known.retracted.archive(io);
  known.matcher.archive(io);
  const versions = new Set(known.arms.map(({ version }) => version));
  archiveTexts(io, versions);
  for (const [at, version] of [...versions].entries()) {
    const arm = known.arms[at] ?? emptyArm(version, losses);
    archiveArm(io, arm, known);
    known.arms[at] = arm;
  }
  archiveMap(io, known.shadows, {
    key: textKey(io),
    value: (timeline) => archiveTimeline(io, timeline, losses),
  });
}

export function emptyArm(version: string, losses: number): Arm {
  return { version, timeline: new Timeline(losses), tests: new Map(), lastTs: Number.NEGATIVE_INFINITY };
}

function archiveArm(io: Archive, arm: Arm, known: ModelArms): void {
  arm.lastTs = io.number(arm.lastTs);
  arm.timeline.archive(io);
  const testOf = (test: PairTest | undefined): PairTest => {
    const own = test ?? new PairTest(known.reader.losses);
    own.archive(io);
    return own;
  };
  archiveMap(io, arm.tests, { key: textKey(io), value: testOf });
}

function archiveTimeline(io: Archive, timeline: Timeline | undefined, losses: number): Timeline {
  const own = timeline ?? new Timeline(losses);
  own.archive(io);
  return own;
}

/** The versions that answered one request. */
export function archiveAnswered(io: Archive, known: Answered[] | undefined): Answered[] {
  const size = io.number(known?.length ?? 0);
  return Array.from({ length: size }, (_, i) => {
    const answer = known?.[i];
    return {
      version: io.text(answer?.version ?? ""),
      ts: io.number(answer?.ts ?? 0),
      costs: [...io.float64s(Float64Array.from(answer?.costs ?? []))],
    };
  });
}
