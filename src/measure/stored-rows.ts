// What is told of rows that are stored already.

import type { ModelSpec } from "../facts/model.ts";
import type { Truth } from "../facts/pair.ts";
import type { Prediction } from "../facts/prediction.ts";
import type { MeasureNeeds } from "./types.ts";
import type { VersionTrack } from "./version-track.ts";

const LABEL_HORIZON_MS = 7 * 86_400_000;

/** A stored row with the truth that holds. */
export function tell(
  track: VersionTrack,
  of: { row: number; prediction: Prediction; truth: Truth | null },
): void {
  const { row, prediction, truth } = of;
  track.apply({ kind: "predicted", row, prediction }, "known");
  if (truth === null) return;
  track.apply({ kind: "truth", row, prediction, before: null, after: truth }, "known");
}

/** When no more labels are expected: silence that means a value ends the waiting too. */
export function horizonOf(spec: ModelSpec | null): number {
  if (spec === null) return LABEL_HORIZON_MS;
  return Math.max(spec.labelHorizonMs, spec.absentMeans?.afterMs ?? 0);
}

/** Whether rows can be read now: asked once a question. */
export function isReadable(needs: Pick<MeasureNeeds, "readable">): boolean {
  return needs.readable?.() ?? true;
}
