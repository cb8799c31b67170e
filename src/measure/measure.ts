// Station 5 of the road: pairs -> windows -> metrics. What the ledger tells, in commit order, becomes numbers per
// model version, slice and window, exact to the row and to the millisecond, late and corrected labels included.

import type { Group } from "../facts/group.ts";
import type { ModelSpec } from "../facts/model.ts";
import type { Change, Truth } from "../facts/pair.ts";
import type { Prediction } from "../facts/prediction.ts";
import { createArrival } from "./arrival.ts";
import { createBinaryYardstick } from "./binary.ts";
import { createMulticlassYardstick } from "./multiclass.ts";
import { createRegressionYardstick } from "./regression.ts";
import type { ExactPurse } from "./score-histogram.ts";
import { SeriesLimit } from "./series-limit.ts";
import type { ArrivalTotals, Components, Yardstick } from "./totals.ts";
import { type BinVisitor, type News, VersionTrack } from "./version-track.ts";
import { parseWindow, type Window } from "./windows.ts";

export interface MeasureOptions {
  /** (model, version, slice) series. Beyond, slices go first, then new versions are not measured; both are counted. Default 200. */
  readonly seriesMax?: number;
  /** Different scores that all series together may count apart beyond their first 4,096 buckets each. Default 1,000,000 (about 60 MB). */
  readonly exactScoresMax?: number;
  /** Unix ms: when the first questions will be asked, if that is known; the windows are then filled as rows come. */
  readonly asOf?: number;
}

export interface ScanRange {
  readonly model: string;
  readonly version: string;
  /** Unix ms: fromTs < ts <= toTs. */
  readonly fromTs: number;
  readonly toTs: number;
}

export interface MeasureNeeds {
  /** null: nothing is known of the model; its rows are counted, not measured. Asked once, and again at `rebuild`. */
  specOf(model: string): ModelSpec | null;
  /**
   * Retained rows of a range, in any order, with the truth that holds: exactly what the changes applied so far say,
   * neither less nor more. Never called within `apply`.
   */
  scan(range: ScanRange, visit: (row: number, prediction: Prediction, truth: Truth | null) => void): void;
  /** Versions of the model that have retained rows: what `rebuild` reads of a model that was never applied. */
  versionsOf?(model: string): Iterable<string>;
}

export interface GroupFilter {
  readonly model?: string;
  readonly version?: string;
  readonly window?: string;
  readonly slice?: string;
}

/** What one version has been doing. Times in Unix ms. */
export interface SeriesInfo {
  readonly model: string;
  readonly version: string;
  /** Earliest and latest ts seen. */
  readonly firstTs: number;
  readonly lastTs: number;
  readonly lastPredictionTs: number;
  /** null: no label joined yet. */
  readonly lastLabelReceivedAt: number | null;
  /** Retained rows, and how many of them have a label that holds. */
  readonly predictions: number;
  readonly labels: number;
}

/** Layer B: the summable components of one window. */
export interface WindowStats extends Components {
  readonly model: string;
  readonly version: string;
  readonly slice: string;
  readonly window: string;
  readonly predictions: number;
  readonly pairs: number;
}

export interface MeasureCounters {
  readonly series: number;
  readonly droppedSlices: number;
  /** Predictions of versions that found no room, once per version. */
  readonly refusedVersions: number;
  /** Labels that hold but do not fit the model's task. */
  readonly unfitLabels: number;
}

export interface Measure {
  /** Takes one change of the ledger, in commit order. */
  apply(change: Change): void;
  /** The same for what the ledger tells again when it is opened: nothing of it counts as an arrival. */
  restore(change: Change): void;
  /** Groups as of `at` (Unix ms), sorted by model, version, slice; windows in the order of the specification. */
  groups(at: number, filter?: GroupFilter): Group[];
  series(): SeriesInfo[];
  /** Layer A: totals by arrival of labels, first joins only; they never fall. null: unknown, or the task is unresolved. */
  arrival(model: string, version: string): Readonly<ArrivalTotals> | null;
  windowStats(at: number, filter?: GroupFilter): WindowStats[];
  /**
   * Forgets what was measured of the model and reads its rows again by `scan`: after its task was resolved or changed,
   * and at the start (then `versionsOf` must be given; `restore` does without).
   * Arrival totals go on when the task is the same, else start at 0; rows read again do not count as arrivals.
   */
  rebuild(model: string): void;
  counters(): MeasureCounters;
}

interface ModelTrack {
  readonly name: string;
  readonly spec: ModelSpec | null;
  readonly yardstick: Yardstick | null;
  readonly windows: readonly Window[];
  readonly versions: Map<string, VersionTrack>;
  readonly refused: Set<string>;
}

const DEFAULT_WINDOWS = ["1h", "24h", "7d", "all"];
const SERIES_MAX = 200;
const EXACT_SCORES_MAX = 1_000_000;
/** Further models are not begun; their names come from outside. */
const MODELS_MAX = 1000;
/** Refused versions of a model that are remembered; beyond, no further version of it is begun. */
const REFUSED_MAX = 1000;

class RunningMeasure implements Measure {
  readonly #needs: MeasureNeeds;
  readonly #purse: ExactPurse;
  readonly #limit: SeriesLimit;
  readonly #models = new Map<string, ModelTrack>();
  #lastAt: number | null;

  constructor(options: MeasureOptions, needs: MeasureNeeds) {
    this.#needs = needs;
    this.#purse = { left: options.exactScoresMax ?? EXACT_SCORES_MAX };
    this.#lastAt = options.asOf === undefined ? null : Math.floor(options.asOf);
    this.#limit = new SeriesLimit(options.seriesMax ?? SERIES_MAX, () => this.#tracks());
  }

  apply(change: Change): void {
    this.#take(change, "arriving");
  }

  restore(change: Change): void {
    this.#take(change, "known");
  }

  #take(change: Change, news: News): void {
    const { prediction } = change;
    let model = this.#models.get(prediction.model);
    if (model === undefined) {
      if (change.kind !== "predicted" || this.#models.size >= MODELS_MAX) return;
      model = this.#begin(prediction.model);
    }
    const { version } = prediction;
    let track = model.versions.get(version);
    if (track === undefined && change.kind === "predicted") {
      track = this.#beginVersion(model, { version, at: this.#lastAt, arrival: null });
    }
    if (track === undefined) return;
    track.apply(change, news);
    if (track.predictions === 0) this.#forget(model, track);
  }

  groups(at: number, filter: GroupFilter = {}): Group[] {
    const found: { order: number; group: Group }[] = [];
    this.#answer(at, filter, (model, version) => (slice, window, bin) => {
      const { predictions, labeled } = bin;
      const group: Group = {
        model,
        version,
        slice,
        window: window.name,
        n_predictions: predictions,
        n_labeled: labeled,
        coverage: predictions === 0 ? null : labeled / predictions,
        ...bin.evaluate(),
      };
      found.push({ order: window.order, group });
    });
    return found
      .sort((a, b) => compareNames(a.group, b.group) || a.order - b.order)
      .map(({ group }) => group);
  }

  windowStats(at: number, filter: GroupFilter = {}): WindowStats[] {
    const found: { order: number; stats: WindowStats }[] = [];
    this.#answer(at, filter, (model, version) => (slice, window, bin) => {
      const { predictions, labeled: pairs } = bin;
      const stats = { model, version, slice, window: window.name, predictions, pairs, ...bin.components() };
      found.push({ order: window.order, stats });
    });
    return found
      .sort((a, b) => compareNames(a.stats, b.stats) || a.order - b.order)
      .map(({ stats }) => stats);
  }

  series(): SeriesInfo[] {
    const infos: SeriesInfo[] = [];
    for (const { name, versions } of this.#models.values()) {
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

  arrival(model: string, version: string): Readonly<ArrivalTotals> | null {
    const known = this.#models.get(model);
    return known === undefined || known.yardstick === null
      ? null
      : (known.versions.get(version)?.arrival ?? null);
  }

  rebuild(model: string): void {
    const before = this.#models.get(model);
    const known = before === undefined ? [] : [...before.versions.keys(), ...before.refused];
    const versions = new Set([...known, ...(this.#needs.versionsOf?.(model) ?? [])]);
    if (before === undefined && (versions.size === 0 || this.#models.size >= MODELS_MAX)) return;
    for (const track of before?.versions.values() ?? []) track.release();
    const fresh = this.#begin(model);
    const sameTask = before?.spec?.task === fresh.spec?.task;
    for (const version of versions) {
      const arrival = sameTask ? (before?.versions.get(version)?.arrival ?? null) : null;
      const track = this.#beginVersion(fresh, { version, at: this.#lastAt, arrival });
      if (track === undefined) continue;
      const range = { fromTs: Number.MIN_SAFE_INTEGER, toTs: Number.MAX_SAFE_INTEGER };
      this.#needs.scan({ model, version, ...range }, (row, prediction, truth) => {
        track.apply({ kind: "predicted", row, prediction }, "known");
        if (truth === null) return;
        track.apply({ kind: "truth", row, prediction, before: null, after: truth }, "known");
      });
      if (track.predictions === 0) this.#forget(fresh, track);
    }
  }

  counters(): MeasureCounters {
    let unfitLabels = 0;
    for (const track of this.#tracks()) unfitLabels += track.unfit;
    const { used, droppedSlices, refusedVersions } = this.#limit;
    return { series: used, droppedSlices, refusedVersions, unfitLabels };
  }

  *#tracks(): Iterable<VersionTrack> {
    for (const { versions } of this.#models.values()) yield* versions.values();
  }

  #answer(at: number, filter: GroupFilter, visitorOf: (model: string, version: string) => BinVisitor): void {
    // ts are whole milliseconds; a clock's fraction means nothing to them.
    const instant = Math.floor(at);
    this.#lastAt = instant;
    const wanted = { window: filter.window, slice: filter.slice };
    for (const { name, versions } of this.#models.values()) {
      if (filter.model !== undefined && filter.model !== name) continue;
      for (const track of versions.values()) {
        if (filter.version !== undefined && filter.version !== track.version) continue;
        track.answer(instant, wanted, visitorOf(name, track.version));
      }
    }
  }

  #begin(name: string): ModelTrack {
    const spec = this.#needs.specOf(name);
    const model: ModelTrack = {
      name,
      spec,
      yardstick: spec === null ? null : this.#yardstickOf(spec),
      windows: (spec?.windows ?? DEFAULT_WINDOWS).map(parseWindow),
      versions: new Map(),
      refused: new Set(),
    };
    this.#models.set(name, model);
    return model;
  }

  #yardstickOf(spec: ModelSpec): Yardstick | null {
    const limits = { purse: this.#purse };
    switch (spec.task) {
      case "regression":
        return createRegressionYardstick(spec);
      case "binary":
        return createBinaryYardstick(spec, limits);
      case "multiclass":
        return createMulticlassYardstick(spec, limits);
      case "auto":
        return null;
      default: {
        const never: never = spec.task;
        return never;
      }
    }
  }

  /** A version is measured from its first row on or never (until its model is read again). */
  #beginVersion(
    model: ModelTrack,
    first: { version: string; at: number | null; arrival: ArrivalTotals | null },
  ): VersionTrack | undefined {
    const { version, at } = first;
    if (model.refused.has(version) || model.refused.size >= REFUSED_MAX) return undefined;
    if (!this.#limit.admitVersion()) {
      model.refused.add(version);
      return undefined;
    }
    const { name, yardstick, windows, spec } = model;
    const track = new VersionTrack({
      version,
      windows,
      yardstick,
      arrival: first.arrival ?? createArrival(spec),
      read: (range, visit) => this.#needs.scan({ model: name, version, ...range }, visit),
      limit: this.#limit,
      at,
    });
    model.versions.set(version, track);
    return track;
  }

  #forget(model: ModelTrack, track: VersionTrack): void {
    track.release();
    model.versions.delete(track.version);
  }
}

interface Named {
  readonly model: string;
  readonly version: string;
  readonly slice: string;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function compareNames(a: Named, b: Named): number {
  return compareText(a.model, b.model) || compareText(a.version, b.version) || compareText(a.slice, b.slice);
}

export function createMeasure(options: MeasureOptions, needs: MeasureNeeds): Measure {
  return new RunningMeasure(options, needs);
}

export type { ArrivalTotals, Components, ConfusionCell, ScoreCounts } from "./totals.ts";
export { SCORE_BOUNDS } from "./score-bounds.ts";
