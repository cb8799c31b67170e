// Everything measured of one model version: the version as a whole and its slices, each over all windows.

import type { Change, Truth } from "../facts/pair.ts";
import type { Prediction } from "../facts/prediction.ts";
import { type Archive, archiveMap, archiveNullable, archiveTexts, textKey } from "../kernel/archive.ts";
import { Bin, pairing, PREDICTED, type Step, UNPREDICTED } from "./bin.ts";
import { DelayBook, type DelayFigures } from "./delays.ts";
import { MaturedSet, type Start } from "./matured.ts";
import { Gatherer } from "./gatherer.ts";
import { archiveSeries, binsOf, releaseSeries, type Series } from "./series.ts";
import type { RowBudget } from "./rows-ahead.ts";
import type { SliceOwner } from "./series-limit.ts";
import { type Share, sliceNames, SlidingWindow, type TimedWindow } from "./sliding.ts";
import type { ArrivalTotals } from "./totals.ts";
import type { Answering, BinVisitor, MaturedGap, NamedBin, News, TrackSetup } from "./track-types.ts";

/** Refused slices that are remembered; beyond, no further slice of the version is begun. */
const REFUSED_MAX = 1000;

/** Pairs gathered in all series of a version, at most; about 40 bytes each while scores are exact. */
const GATHERED_MAX = 16_384;
/** Bits of a set of windows. */
const WINDOW_BITS_MAX = 30;

export class VersionTrack implements SliceOwner {
  readonly version: string;
  readonly arrival: ArrivalTotals;
  readonly #setup: TrackSetup;
  readonly #sliding: readonly SlidingWindow[];
  readonly #main: Series;
  readonly #slices = new Map<string, Series>();
  readonly #refused = new Set<string>();
  readonly #delays: DelayBook;
  readonly #matured: MaturedSet;
  /** The delays as of an instant, until something changes. */
  #figures: { readonly at: number; readonly figures: DelayFigures } | null = null;
  #unfit = 0;
  #gathered = 0;
  #firstTs = Number.POSITIVE_INFINITY;
  #lastTs = Number.NEGATIVE_INFINITY;
  #lastLabelReceivedAt: number | null = null;

  constructor(setup: TrackSetup) {
    this.version = setup.version;
    this.arrival = setup.arrival;
    this.#setup = setup;
    this.#delays = new DelayBook(setup.labelHorizonMs);
    const timed: TimedWindow[] = [];
    for (const { name, lengthMs, stepMs } of setup.windows) {
      if (lengthMs !== null) timed.push({ name, lengthMs, stepMs });
    }
    this.#sliding = timed.map((window, i) => this.#createSliding(window, i));
    this.#matured = this.#createMatured();
    this.#main = this.#createSeries("");
    if (setup.at !== null) for (const sliding of this.#sliding) sliding.begin(setup.at);
  }

  /** Retained predictions; 0: the version can be forgotten. */
  get predictions(): number {
    return this.#main.all.predictions;
  }

  get labels(): number {
    return this.#main.all.labeled;
  }

  /** Labels that do not fit the task although they were accepted. */
  get unfit(): number {
    return this.#unfit;
  }

  get firstTs(): number {
    return this.#firstTs;
  }

  get lastTs(): number {
    return this.#lastTs;
  }

  get lastLabelReceivedAt(): number | null {
    return this.#lastLabelReceivedAt;
  }

  apply(change: Change, news: News): void {
    const { prediction } = change;
    this.#figures = null;
    this.#matured.touched(prediction.ts);
    if (change.kind === "predicted") {
      this.#predicted(prediction);
      return;
    }
    if (change.before !== null) this.#pair(prediction, change.before, -1);
    if (change.kind === "forgotten") {
      this.#delays.predicted(prediction.ts, -1);
      this.#touch(prediction, UNPREDICTED);
      this.#leaveEmptySlices(prediction);
      return;
    }
    if (change.after === null) return;
    const fits = this.#pair(prediction, change.after, 1);
    if (fits && change.before === null && news === "arriving") this.#setup.yardstick?.arrive(this.arrival);
  }

  /** Moves the windows to `at` and shows their bins; null: rows cannot be read, and the windows stay where they are. */
  answer(at: number | null, wanted: Answering, visit: BinVisitor): void {
    this.#settle();
    const timed = new Map(this.#sliding.map((sliding, i) => [sliding.window.name, i]));
    for (const [order, { name }] of this.#setup.windows.entries()) {
      if (wanted.window !== undefined && wanted.window !== name) continue;
      const place = timed.get(name);
      const show = (): void => {
        for (const series of this.#all()) {
          if (wanted.slice !== undefined && wanted.slice !== series.slice) continue;
          const bin = place === undefined ? series.all : series.shares[place]?.total;
          if (bin !== undefined) visit(series.slice, { name, order }, { bin, gap: null });
        }
      };
      const sliding = place === undefined ? undefined : this.#sliding[place];
      if (at !== null) sliding?.moveTo(at);
      if (sliding !== undefined && at !== null && this.#lastTs > at) sliding.withoutLater(at, show);
      else show();
    }
  }

  delays(at: number): DelayFigures {
    if (this.#figures?.at !== at) this.#figures = { at, figures: this.#delays.figures(at) };
    return this.#figures.figures;
  }

  /** Moves the matured windows on; false: they are not there yet. */
  settle(at: number, budget: RowBudget): boolean {
    return this.#moveMatured(at, budget).every((gap) => gap !== "catching_up");
  }

  /** Like `answer`, for the windows that end where nearly all labels are in; without a budget they stay where they are. */
  answerMatured(now: { at: number; budget: RowBudget | null }, wanted: Answering, visit: BinVisitor): void {
    const gaps = this.#moveMatured(now.at, now.budget);
    for (const [order, { name }] of this.#setup.windows.entries()) {
      if (wanted.window !== undefined && wanted.window !== name) continue;
      const gap = gaps[order] ?? null;
      for (const { slice, matured } of this.#all()) {
        if (wanted.slice !== undefined && wanted.slice !== slice) continue;
        const bin = gap === null ? matured[order]?.total : new Bin(null, "total");
        if (bin !== undefined) visit(slice, { name, order }, { bin, gap });
      }
    }
  }

  /** Every pane and total as it is, under a name that says which. */
  *bins(): Generator<NamedBin> {
    this.#settle();
    for (const series of this.#all()) {
      const { slice } = series;
      yield { slice, name: "all", bin: series.all };
      for (const [place, { total, panes }] of series.shares.entries()) {
        const window = this.#sliding[place]?.window;
        if (window === undefined) continue;
        yield { slice, name: `${window.name} total`, bin: total };
        for (const [at, bin] of panes) {
          yield { slice, name: `${window.name} pane ${new Date(at * window.stepMs).toISOString()}`, bin };
        }
      }
    }
  }

  archive(io: Archive): void {
    this.#settle();
    this.#unfit = io.number(this.#unfit);
    this.#firstTs = io.number(this.#firstTs);
    this.#lastTs = io.number(this.#lastTs);
    this.#lastLabelReceivedAt = archiveNullable(io, this.#lastLabelReceivedAt);
    archiveTexts(io, this.#refused);
    this.#delays.archive(io);
    this.#matured.archive(io);
    for (const sliding of this.#sliding) sliding.archive(io);
    archiveSeries(io, this.#main, this.#sliding);
    const seriesOf = (known: Series | undefined, slice: string): Series => {
      const series = known ?? this.#createSeries(slice);
      archiveSeries(io, series, this.#sliding);
      return series;
    };
    archiveMap(io, this.#slices, { key: textKey(io), value: seriesOf });
  }

  smallestSlice(): { readonly predictions: number; drop(): void } | null {
    let smallest: Series | null = null;
    for (const series of this.#slices.values()) {
      if (smallest === null || series.all.predictions < smallest.all.predictions) smallest = series;
    }
    if (smallest === null) return null;
    const { slice, all } = smallest;
    const drop = (): void => {
      this.#refuse(slice);
      this.#remove(slice);
    };
    return { predictions: all.predictions, drop };
  }

  release(): void {
    this.#settle();
    for (const series of this.#all()) releaseSeries(series);
    this.#setup.limit.leave(this.#all().length);
  }

  /** Why each window has no answer; null: it has one. */
  #moveMatured(at: number, budget: RowBudget | null): (MaturedGap | null)[] {
    const { gap, lagMs } = this.delays(at);
    this.#settle();
    if (lagMs === null) {
      this.#matured.release();
      return this.#setup.windows.map(() => gap);
    }
    if (budget === null) return this.#setup.windows.map(() => "catching_up");
    return this.#matured.moveTo(at - lagMs, budget).map((there) => (there ? null : "catching_up"));
  }

  #createMatured(): MaturedSet {
    const timed = new Map(this.#sliding.map((sliding, i) => [sliding.window.name, i]));
    const { windows, yardstick, read } = this.#setup;
    const placeOf = (window: number): number | undefined => timed.get(windows[window]?.name ?? "");
    return new MaturedSet({
      yardstick,
      lengthsMs: windows.map(({ lengthMs }) => lengthMs),
      shares: (window) => this.#all().flatMap(({ matured }) => matured[window] ?? []),
      startOf: (window) => this.#startOf(window, placeOf(window)),
      lastTs: () => this.#lastTs,
      read: (range, visit) => read(range, (_row, prediction, truth) => visit(prediction, truth)),
      take: (window, { prediction, truth }, sign) =>
        this.#takeInto((series) => series.matured[window]?.total, { prediction, truth }, sign),
    });
  }

  #startOf(window: number, place: number | undefined): Start | null {
    const edge = place === undefined ? Number.MIN_SAFE_INTEGER : this.#sliding[place]?.edge;
    if (edge === undefined || edge === null) return null;
    const copyInto = (): void => {
      for (const { all, shares, matured } of this.#all()) {
        const from = place === undefined ? all : shares[place]?.total;
        if (from !== undefined) matured[window]?.total.merge(from, 1);
      }
    };
    return { edge, copyInto };
  }

  #createSliding(window: TimedWindow, place: number): SlidingWindow {
    return new SlidingWindow(window, this.#setup.yardstick, {
      shares: () => this.#shares(place),
      mainPanes: () => this.#main.shares[place]?.panes ?? new Map(),
      read: (range, visit) => this.#setup.read(range, (_row, prediction, truth) => visit(prediction, truth)),
      take: (prediction, truth, sign) =>
        this.#takeInto((series) => series.shares[place]?.total, { prediction, truth }, sign),
    });
  }

  #createSeries(slice: string): Series {
    return {
      slice,
      gatherer: new Gatherer(),
      all: new Bin(this.#setup.yardstick, "total"),
      shares: this.#sliding.map((sliding) => sliding.createShare()),
      matured: this.#setup.windows.map(() => ({ total: new Bin(this.#setup.yardstick, "total") })),
    };
  }

  #all(): Series[] {
    return [this.#main, ...this.#slices.values()];
  }

  #shares(place: number): Share[] {
    return this.#all().flatMap(({ shares }) => shares[place] ?? []);
  }

  /** A row, taken into (or out of) the totals of one window. */
  #takeInto(
    binOf: (series: Series) => Bin | undefined,
    row: { prediction: Prediction; truth: Truth | null },
    sign: 1 | -1,
  ): void {
    const { prediction, truth } = row;
    const pair = truth === null ? null : this.#read(prediction, truth, sign);
    for (const series of this.#seriesOf(prediction)) {
      const total = binOf(series);
      total?.take(sign === 1 ? PREDICTED : UNPREDICTED);
      if (pair !== null) total?.take(pair);
    }
  }

  #predicted(prediction: Prediction): void {
    for (const slice of sliceNames(prediction)) this.#beginSlice(slice);
    this.#firstTs = Math.min(this.#firstTs, prediction.ts);
    this.#lastTs = Math.max(this.#lastTs, prediction.ts);
    this.#delays.predicted(prediction.ts, 1);
    this.#touch(prediction, PREDICTED);
    for (const sliding of this.#sliding) sliding.trim();
  }

  #pair(prediction: Prediction, truth: Truth, sign: 1 | -1): boolean {
    const step = this.#read(prediction, truth, sign);
    if (step === null) {
      this.#unfit += sign;
      return false;
    }
    this.#delays.labelled(prediction.ts, truth.firstReceivedAt, sign);
    if (sign === 1) {
      this.#lastLabelReceivedAt = Math.max(this.#lastLabelReceivedAt ?? 0, truth.firstReceivedAt);
    }
    this.#touch(prediction, step);
    return true;
  }

  /** Lets the yardstick read the pair; null: the label does not fit the task. */
  #read(prediction: Prediction, { value, firstReceivedAt }: Truth, sign: 1 | -1): Step | null {
    const fits = this.#setup.yardstick?.read(prediction, value) ?? true;
    return fits ? pairing(sign, this.#delays.isLate(prediction.ts, firstReceivedAt)) : null;
  }

  #touch(prediction: Prediction, step: Step): void {
    const { ts } = prediction;
    const windows = this.#windowsOf(ts);
    for (const series of this.#seriesOf(prediction)) {
      if (windows === null || step.pairs === 0) this.#takeAlone(series, ts, step);
      else {
        series.gatherer.take(windows, (bits) => binsOf(series, bits), step);
        this.#gathered++;
      }
      for (let i = 0; i < this.#sliding.length; i++) {
        const share = series.shares[i];
        if (share !== undefined) this.#sliding[i]?.takePane(share, ts, step);
      }
    }
    if (this.#gathered >= GATHERED_MAX) this.#settle();
  }

  /** The windows whose totals hold rows of this time, as bits: the one of everything, timed ones, matured ones. null: too many. */
  #windowsOf(ts: number): number | null {
    const timed = this.#sliding.length;
    const matured = this.#setup.windows.length;
    if (1 + timed + matured > WINDOW_BITS_MAX) return null;
    let bits = 1;
    for (let i = 0; i < timed; i++) if (this.#sliding[i]?.holds(ts) === true) bits |= 2 << i;
    for (let i = 0; i < matured; i++) if (this.#matured.holds(i, ts)) bits |= 2 << (timed + i);
    return bits;
  }

  #takeAlone(series: Series, ts: number, step: Step): void {
    series.all.take(step);
    for (const [i, { total }] of series.shares.entries()) {
      if (this.#sliding[i]?.holds(ts) === true) total.take(step);
    }
    for (const [i, { total }] of series.matured.entries()) if (this.#matured.holds(i, ts)) total.take(step);
  }

  /** What was gathered goes to the totals. */
  #settle(): void {
    if (this.#gathered === 0) return;
    this.#gathered = 0;
    for (const series of this.#all()) series.gatherer.settle();
  }

  #seriesOf(prediction: Prediction): Series[] {
    const found = [this.#main];
    if (this.#slices.size === 0) return found;
    for (const slice of sliceNames(prediction)) {
      const series = this.#slices.get(slice);
      if (series !== undefined) found.push(series);
    }
    return found;
  }

  /** A slice is measured from its first row on or never: half of it would be a wrong number. */
  #beginSlice(slice: string): void {
    if (this.#slices.has(slice) || this.#refused.has(slice) || this.#refused.size >= REFUSED_MAX) return;
    if (this.#setup.limit.admitSlice()) this.#slices.set(slice, this.#createSeries(slice));
    else this.#refuse(slice);
  }

  #refuse(slice: string): void {
    if (this.#refused.size < REFUSED_MAX) this.#refused.add(slice);
  }

  #remove(slice: string): void {
    const series = this.#slices.get(slice);
    if (series === undefined) return;
    releaseSeries(series);
    this.#slices.delete(slice);
  }

  #leaveEmptySlices(prediction: Prediction): void {
    for (const slice of sliceNames(prediction)) {
      if (this.#slices.get(slice)?.all.predictions !== 0) continue;
      this.#remove(slice);
      this.#setup.limit.leave(1);
    }
  }
}
