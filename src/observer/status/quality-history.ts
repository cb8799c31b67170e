// How the quality of each version went since the start: a point every half minute, for the plots of the status page.

import type { Group } from "../../facts/group.ts";
import type { MetricName } from "../../kernel/metric-names.ts";
import type { QualityPoint, QualityTrack } from "../../facts/status.ts";

/** Two hours of points each half minute. */
const POINTS_MAX = 240;
/** (model, version, window) that are followed; further ones take the place of the one that is longest without a point. */
const TRACKS_MAX = 200;
/** What is drawn; everything else is on GET /v1/quality. */
const SHOWN: ReadonlySet<string> = new Set<MetricName>([
  "rmse",
  "mae",
  "r2",
  "accuracy",
  "precision",
  "recall",
  "f1",
  "roc_auc",
  "f1_macro",
  "precision_macro",
  "recall_macro",
  "roc_auc_ovr_macro",
]);

export interface QualityHistory {
  add(groups: readonly Group[], at: number): void;
  /** Tracks of one window, oldest point first. */
  of(window: string): readonly QualityTrack[];
}

interface Track {
  readonly model: string;
  readonly version: string;
  readonly window: string;
  readonly points: QualityPoint[];
}

function pointOf(group: Group, at: number): QualityPoint {
  const metrics: Record<string, [number, number | null, number | null]> = {};
  for (const [name, value] of Object.entries(group.metrics)) {
    if (value === null || !SHOWN.has(name)) continue;
    const interval = group.intervals?.[name] ?? null;
    metrics[name] = [value, interval?.lower ?? null, interval?.upper ?? null];
  }
  return { at, coverage: group.coverage, metrics };
}

class Tracks implements QualityHistory {
  /** In the order of their last point, the oldest first. */
  readonly #tracks = new Map<string, Track>();

  add(groups: readonly Group[], at: number): void {
    for (const group of groups) {
      if (group.slice !== "") continue;
      const { model, version, window } = group;
      const key = JSON.stringify([model, version, window]);
      const track = this.#tracks.get(key) ?? { model, version, window, points: [] };
      track.points.push(pointOf(group, at));
      if (track.points.length > POINTS_MAX) track.points.shift();
      this.#tracks.delete(key);
      this.#tracks.set(key, track);
    }
    for (const key of this.#tracks.keys()) {
      if (this.#tracks.size <= TRACKS_MAX) break;
      this.#tracks.delete(key);
    }
  }

  of(window: string): readonly QualityTrack[] {
    return [...this.#tracks.values()].filter((track) => track.window === window);
  }
}

export function createQualityHistory(): QualityHistory {
  return new Tracks();
}
