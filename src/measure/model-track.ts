// A measured model with its versions, and how they are told.

import type { Basis, Group } from "../facts/group.ts";
import type { ModelSpec } from "../facts/model.ts";
import { compareText } from "./order.ts";
import type { Yardstick } from "./totals.ts";
import type { Held } from "./track-types.ts";
import type { SeriesInfo, VersionDelays } from "./types.ts";
import type { VersionTrack } from "./version-track.ts";
import type { Window } from "./windows.ts";

export interface ModelTrack {
  readonly name: string;
  readonly spec: ModelSpec | null;
  readonly yardstick: Yardstick | null;
  readonly windows: readonly Window[];
  readonly versions: Map<string, VersionTrack>;
  readonly refused: Set<string>;
}

export function delaysOf(models: Iterable<ModelTrack>, at: number): VersionDelays[] {
  const found: VersionDelays[] = [];
  for (const { name, versions } of models) {
    for (const track of versions.values()) {
      found.push({ model: name, version: track.version, ...track.delays(Math.floor(at)) });
    }
  }
  return found.sort((a, b) => compareText(a.model, b.model) || compareText(a.version, b.version));
}

/** `shownOf`: what is told of a model instead of what its tracks hold; null: nothing else. */
export function seriesOf(
  models: Iterable<ModelTrack>,
  shownOf: (model: string) => readonly SeriesInfo[] | null,
): SeriesInfo[] {
  const infos: SeriesInfo[] = [];
  for (const { name, versions } of models) {
    const shown = shownOf(name);
    if (shown !== null) {
      infos.push(...shown);
      continue;
    }
    for (const track of versions.values()) {
      infos.push({
        model: name,
        version: track.version,
        firstTs: track.firstTs,
        lastTs: track.lastTs,
        lastPredictionTs: track.lastTs,
        lastLabelReceivedAt: track.lastLabelReceivedAt,
        predictions: track.predictions,
        labels: track.labels,
      });
    }
  }
  return infos.sort((a, b) => compareText(a.model, b.model) || compareText(a.version, b.version));
}

export interface Answered {
  readonly model: string;
  readonly version: string;
  /** Share of the predictions that will have a label. */
  readonly expected: number | null;
}

interface Named extends Answered {
  readonly slice: string;
  readonly window: string;
  readonly basis: Basis;
}

export function groupOf(
  { model, version, expected, slice, window, basis }: Named,
  { bin, gap }: Held,
): Group {
  const { predictions, labeled, inTime } = bin;
  const coverage = predictions === 0 ? null : labeled / predictions;
  // Labels after the horizon were not expected: they would make up for some that are.
  const maturity =
    predictions === 0 || expected === null ? null : Math.min(1, inTime / predictions / expected);
  return {
    model,
    version,
    slice,
    window,
    basis,
    n_predictions: predictions,
    n_labeled: labeled,
    coverage,
    maturity,
    ...(gap === null && !bin.exact ? { approximate: true } : {}),
    ...(gap === null ? bin.evaluate() : { metrics: {}, undefined: { any: gap }, extra: {} }),
  };
}
