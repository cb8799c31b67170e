// Station 5 of the road: pairs -> windows -> metrics. What the ledger tells, in commit order, becomes numbers per
// model version, slice and window, exact to the row and to the millisecond, late and corrected labels included.

import type { Group } from "../facts/group.ts";
import type { Change } from "../facts/pair.ts";
import {
  type Archive,
  ArchiveError,
  archiveMap,
  archiveSame,
  archiveTexts,
  textKey,
} from "../kernel/archive.ts";
import { createArrival } from "./arrival.ts";
import { type Answered, delaysOf, groupOf, type ModelTrack, seriesOf } from "./model-track.ts";
import { Rereading, showBehind, type Walk } from "./rereading.ts";
import type { ExactPurse } from "./score-histogram.ts";
import { SeriesLimit } from "./series-limit.ts";
import type { RowBudget } from "./rows-ahead.ts";
import type { ArrivalTotals } from "./totals.ts";
import type {
  Difference,
  GroupFilter,
  Measure,
  MeasureCounters,
  MeasureNeeds,
  MeasureOptions,
  SeriesInfo,
  Verification,
  VersionDelays,
  WindowStats,
} from "./types.ts";
import { compareTracks, DIFFERENCES_MAX } from "./verify.ts";
import type { BinVisitor, News } from "./track-types.ts";
import { VersionTrack } from "./version-track.ts";
import { compareNames } from "./order.ts";
import { horizonOf, isReadable, tell } from "./stored-rows.ts";
import { parseWindow } from "./windows.ts";
import { yardstickOf } from "./yardsticks.ts";

interface Measured {
  readonly model: ModelTrack;
  readonly track: VersionTrack;
}

const EVER = { fromTs: Number.MIN_SAFE_INTEGER, toTs: Number.MAX_SAFE_INTEGER };
const DEFAULT_WINDOWS = ["1h", "24h", "7d", "all"];
const SERIES_MAX = 200;
const EXACT_SCORES_MAX = 1_000_000;
/** Rows that a question may read for matured windows. */
const QUESTION_ROWS = 100_000;
/** The same for a step of catching up: some 20 ms. */
const CATCH_UP_ROWS = 4_000;
/** Further models are not begun; their names come from outside. */
const MODELS_MAX = 1000;
/** Refused versions of a model that are remembered; beyond, no further version of it is begun. */
const REFUSED_MAX = 1000;

class RunningMeasure implements Measure {
  readonly #needs: MeasureNeeds;
  readonly #exactScoresMax: number;
  readonly #questionRows: number;
  readonly #purse: ExactPurse;
  readonly #limit: SeriesLimit;
  readonly #models = new Map<string, ModelTrack>();
  #lastAt: number | null;
  /** What was measured last: changes come in runs of one version. */
  #last: Measured | null = null;
  readonly #rereading = new Rereading();

  constructor(options: MeasureOptions, needs: MeasureNeeds) {
    this.#needs = needs;
    this.#exactScoresMax = options.exactScoresMax ?? EXACT_SCORES_MAX;
    this.#questionRows = options.questionRows ?? QUESTION_ROWS;
    this.#purse = { left: this.#exactScoresMax };
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
    if (this.#rereading.size > 0 && this.#rereading.willRead(change)) {
      if (news === "arriving") this.#arrive(change);
      return;
    }
    const last = this.#last;
    if (last !== null && last.track.version === prediction.version && last.model.name === prediction.model) {
      this.#give(last, change, news);
      return;
    }
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
    this.#last = { model, track };
    this.#give(this.#last, change, news);
  }

  #give({ model, track }: Measured, change: Change, news: News): void {
    track.apply(change, news);
    if (track.predictions === 0 && !this.#rereading.has(model.name)) this.#forget(model, track);
  }

  /** Counts a first label whose row is yet to be read. */
  #arrive(change: Change): void {
    const { model: name, version } = change.prediction;
    const model = this.#models.get(name);
    if (model === undefined) return;
    const track =
      model.versions.get(version) ?? this.#beginVersion(model, { version, at: this.#lastAt, arrival: null });
    if (change.kind !== "truth" || change.before !== null || change.after === null) return;
    if (track === undefined || model.yardstick?.read(change.prediction, change.after.value) !== true) return;
    model.yardstick.arrive(track.arrival);
  }

  groups(at: number, filter: GroupFilter = {}): Group[] {
    const found: { order: number; group: Group }[] = [];
    const basis = filter.basis ?? "all";
    this.#answer(at, filter, (of) => (slice, window, held) => {
      const group = groupOf({ ...of, slice, window: window.name, basis }, held);
      found.push({ order: window.order, group });
    });
    return found
      .sort((a, b) => compareNames(a.group, b.group) || a.order - b.order)
      .map(({ group }) => group);
  }

  windowStats(at: number, filter: GroupFilter = {}): WindowStats[] {
    const found: { order: number; stats: WindowStats }[] = [];
    const basis = filter.basis ?? "all";
    this.#answer(at, filter, ({ model, version }) => (slice, { name, order }, { bin, gap }) => {
      if (gap !== null) return;
      const { predictions, labeled: pairs } = bin;
      const stats = { model, version, slice, window: name, basis, predictions, pairs, ...bin.components() };
      found.push({ order, stats });
    });
    return found
      .sort((a, b) => compareNames(a.stats, b.stats) || a.order - b.order)
      .map(({ stats }) => stats);
  }

  delays(at: number): VersionDelays[] {
    // Of some of the rows, the oldest, they would be other ones.
    return delaysOf(
      this.#models.values().filter(({ name }) => !this.#rereading.has(name)),
      at,
    );
  }

  catchUp(at: number): boolean {
    if (!isReadable(this.#needs)) return false;
    if (this.#rereading.due) {
      this.#readOn();
      return true;
    }
    const budget: RowBudget = { rows: CATCH_UP_ROWS };
    let behind = false;
    for (const { name, versions } of this.#models.values()) {
      if (this.#rereading.has(name)) continue;
      for (const track of versions.values()) behind = !track.settle(Math.floor(at), budget) || behind;
    }
    return behind;
  }

  #readOn(): void {
    const walk: Walk = (of, visit) => this.#needs.walk?.(of, visit) ?? null;
    const read = this.#rereading.step(walk, (name) => (row, prediction, truth) => {
      const model = this.#models.get(name);
      const { version } = prediction;
      const track =
        model?.versions.get(version) ??
        (model && this.#beginVersion(model, { version, at: this.#lastAt, arrival: null }));
      if (track !== undefined) tell(track, { row, prediction, truth });
    });
    const model = read === null ? undefined : this.#models.get(read);
    for (const track of model?.versions.values() ?? [])
      if (model !== undefined && track.predictions === 0) this.#forget(model, track);
  }

  series(): SeriesInfo[] {
    return seriesOf(this.#models.values(), (model) => this.#rereading.shownOf(model));
  }

  arrival(model: string, version: string): Readonly<ArrivalTotals> | null {
    const known = this.#models.get(model);
    return known === undefined || known.yardstick === null
      ? null
      : (known.versions.get(version)?.arrival ?? null);
  }

  rebuild(model: string): void {
    const fresh = this.#beginAgain(model);
    if (fresh === null) return;
    for (const [version, track] of fresh.versions) {
      this.#needs.scan({ model, version, ...EVER }, (row, prediction, truth) => {
        tell(track, { row, prediction, truth });
      });
      if (track.predictions === 0) this.#forget(fresh, track);
    }
  }

  reread(model: string): void {
    if (this.#needs.walk === undefined) {
      this.rebuild(model);
      return;
    }
    const shown = this.series().filter((of) => of.model === model);
    if (this.#beginAgain(model) !== null) this.#rereading.begin(model, shown);
  }

  get rereading(): boolean {
    return this.#rereading.size > 0;
  }

  /** The model without rows, with the versions that it has; null: it is not measured. */
  #beginAgain(model: string): ModelTrack | null {
    const before = this.#models.get(model);
    const known = before === undefined ? [] : [...before.versions.keys(), ...before.refused];
    const versions = new Set([...known, ...(this.#needs.versionsOf?.(model) ?? [])]);
    if (before === undefined && (versions.size === 0 || this.#models.size >= MODELS_MAX)) return null;
    this.#last = null;
    this.#rereading.end(model);
    for (const track of before?.versions.values() ?? []) track.release();
    const fresh = this.#begin(model);
    const sameTask = before?.spec?.task === fresh.spec?.task;
    for (const version of versions) {
      const arrival = sameTask ? (before?.versions.get(version)?.arrival ?? null) : null;
      this.#beginVersion(fresh, { version, at: this.#lastAt, arrival });
    }
    return fresh;
  }

  verify(at: number): Verification {
    const instant = Math.max(Math.floor(at), this.#lastAt ?? Number.NEGATIVE_INFINITY);
    let compared = 0;
    const differences: Difference[] = [];
    for (const model of this.#models.values()) {
      if (this.#rereading.has(model.name)) continue;
      for (const [version, kept] of model.versions) {
        const fresh = this.#readAgain(model, version, instant);
        const { compared: bins, found } = compareTracks(kept, fresh, instant);
        fresh.release();
        compared += bins;
        for (const each of found.slice(0, DIFFERENCES_MAX - differences.length)) {
          differences.push({ model: model.name, version, ...each });
        }
      }
    }
    return { compared, differences };
  }

  /** The version as it follows from the stored rows; it is nobody's, and to be released. */
  #readAgain(model: ModelTrack, version: string, at: number): VersionTrack {
    const { name, spec } = model;
    const yardstick = yardstickOf(spec, this.#purse);
    const limit = new SeriesLimit(Number.MAX_SAFE_INTEGER, () => []);
    const track = this.#createTrack({ ...model, yardstick }, { version, at, arrival: null }, limit);
    this.#needs.scan({ model: name, version, ...EVER }, (row, prediction, truth) =>
      tell(track, { row, prediction, truth }),
    );
    return track;
  }

  counters(): MeasureCounters {
    let unfitLabels = 0;
    for (const track of this.#tracks()) unfitLabels += track.unfit;
    const { used, droppedSlices, refusedVersions } = this.#limit;
    return { series: used, droppedSlices, refusedVersions, unfitLabels };
  }

  archive(io: Archive): void {
    if (this.rereading) throw new ArchiveError("rows are being read again");
    this.#limit.archive(io);
    const modelOf = (known: ModelTrack | undefined, name: string): ModelTrack => {
      const model = known ?? this.#begin(name);
      archiveSame(io, JSON.stringify(model.spec), `how the model ${name} is measured`);
      model.yardstick?.archive(io);
      archiveTexts(io, model.refused);
      const trackOf = (track: VersionTrack | undefined, version: string): VersionTrack => {
        const own = track ?? this.#createTrack(model, { version, at: this.#lastAt, arrival: null });
        own.archive(io);
        return own;
      };
      archiveMap(io, model.versions, { key: textKey(io), value: trackOf });
      return model;
    };
    archiveMap(io, this.#models, { key: textKey(io), value: modelOf });
  }

  clear(): void {
    this.#last = null;
    this.#rereading.clear();
    for (const track of this.#tracks()) track.release();
    this.#models.clear();
    this.#limit.clear();
    this.#purse.left = this.#exactScoresMax;
  }

  *#tracks(): Iterable<VersionTrack> {
    for (const { versions } of this.#models.values()) yield* versions.values();
  }

  #answer(at: number, filter: GroupFilter, visitorOf: (of: Answered) => BinVisitor): void {
    // ts are whole milliseconds; a clock's fraction means nothing to them.
    const instant = Math.floor(at);
    this.#lastAt = instant;
    const wanted = { window: filter.window, slice: filter.slice };
    // Asked once: a store that comes back in the middle would be read for one edge of a window and not for the other.
    const budget: RowBudget | null = isReadable(this.#needs) ? { rows: this.#questionRows } : null;
    for (const { name, versions, windows } of this.#models.values()) {
      if (filter.model !== undefined && filter.model !== name) continue;
      const isBehind = this.#rereading.has(name);
      for (const track of versions.values()) {
        if (filter.version !== undefined && filter.version !== track.version) continue;
        const expected = track.delays(instant).expectedCoverage;
        const visit = visitorOf({ model: name, version: track.version, expected });
        if (isBehind) showBehind(windows, wanted, visit);
        else if (filter.basis === "matured") track.answerMatured({ at: instant, budget }, wanted, visit);
        else track.answer(budget === null ? null : instant, wanted, visit);
      }
    }
  }

  #begin(name: string): ModelTrack {
    const spec = this.#needs.specOf(name);
    const model: ModelTrack = {
      name,
      spec,
      yardstick: yardstickOf(spec, this.#purse),
      windows: (spec?.windows ?? DEFAULT_WINDOWS).map(parseWindow),
      versions: new Map(),
      refused: new Set(),
    };
    this.#models.set(name, model);
    return model;
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
    const track = this.#createTrack(model, { version, at, arrival: first.arrival });
    model.versions.set(version, track);
    return track;
  }

  #createTrack(
    { name, yardstick, windows, spec }: ModelTrack,
    { version, at, arrival }: { version: string; at: number | null; arrival: ArrivalTotals | null },
    limit = this.#limit,
  ): VersionTrack {
    return new VersionTrack({
      version,
      windows,
      yardstick,
      arrival: arrival ?? createArrival(spec),
      labelHorizonMs: horizonOf(spec),
      read: (range, visit) => this.#needs.scan({ model: name, version, ...range }, visit),
      limit,
      at,
    });
  }

  #forget(model: ModelTrack, track: VersionTrack): void {
    this.#last = null;
    track.release();
    model.versions.delete(track.version);
  }
}

export function createMeasure(options: MeasureOptions, needs: MeasureNeeds): Measure {
  return new RunningMeasure(options, needs);
}

export type * from "./types.ts";
export type { ArrivalTotals, Components, ConfusionCell, ScoreCounts } from "./totals.ts";
export { SCORE_BOUNDS } from "./score-bounds.ts";
