// Counters, gauges and histograms over prom-client: one child per label set, guards against numbers that would poison a series.

import { Counter, Gauge, Histogram, type OpenMetricsContentType, type Registry } from "prom-client";
import type { Descriptor } from "../catalogue.ts";
import { bucketOf } from "../kernel/bounds.ts";
import type { Clock } from "../kernel/clock.ts";
import { invariant } from "../kernel/problem.ts";
import type { Admission } from "./admission.ts";
import type { HistogramSeries, Labels, NumberSeries } from "./snapshot.ts";
import { SeriesTable, type Child, type Place, type TableOptions } from "./table.ts";

/** At most one new exemplar per bucket in this time: more would only be overwritten before anyone reads them. */
const EXEMPLAR_EVERY_MS = 250;

export interface TraceRef {
  readonly trace_id: string;
  readonly span_id: string;
}

/** A counter's series, found once and used often. Look at `live` before use: a series may be given up. */
export interface CounterSeries {
  readonly live: boolean;
  inc(by?: number): void;
}

/** A histogram's series, found once and used often. */
export interface HistogramSeriesHandle {
  readonly live: boolean;
  observe(value: number, exemplar?: TraceRef): void;
}

export interface CounterFamily {
  inc(labels: Labels, by?: number): void;
  /** Makes the series exist, at 0 if it is new: what appears with a value loses that value in `increase()`. */
  zero(labels: Labels): void;
  /**
   * Takes over the total of a counter that is owned elsewhere. A smaller total is a restart there: the series begins anew.
   * Beyond the caps it is left out: totals of several owners cannot share a series.
   */
  set(labels: Labels, total: number): void;
  series(labels: Labels): CounterSeries;
}

export interface GaugeFamily {
  /** A value that is not finite removes the series. */
  set(labels: Labels, value: number): void;
  remove(labels: Labels): void;
  /** Replaces all series of the family: what is not in `series` is removed. */
  replace(series: Iterable<NumberSeries>): void;
}

export interface HistogramFamilyHandle {
  observe(labels: Labels, value: number, exemplar?: TraceRef): void;
  /** Makes the series exist with all buckets at 0. */
  zero(labels: Labels): void;
  /**
   * Takes over the counts of a histogram that is owned elsewhere: per bucket, not cumulated, the last beyond all bounds.
   * Without a sum it has buckets alone.
   */
  set(labels: Labels, counts: readonly number[], sum?: number): void;
  series(labels: Labels): HistogramSeriesHandle;
}

/** What every instrument needs of the recorder. */
export interface Surroundings {
  readonly registry: Registry<OpenMetricsContentType>;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly seriesMax: number;
  /** An observation was beyond a dimension's cap, or beyond "series". */
  readonly overflow: (dimension: string) => void;
  /** A state was beyond a cap and is not shown. */
  readonly leftOut: (metric: string) => void;
  /** An observation was left out because of its value. */
  readonly invalid: (metric: string) => void;
}

function limitsOf(
  descriptor: Descriptor,
  around: Surroundings,
): Omit<TableOptions<Child>, "descriptor" | "make" | "remove"> {
  const { admission, overflow } = around;
  const seriesMax = Math.max(around.seriesMax, descriptor.seriesMax ?? 0);
  return { admission, seriesMax, overflow, leftOut: () => around.leftOut(descriptor.name) };
}

/** The only dimension prom-client knows of. */
const SERIES = "series";

export class CounterInstrument implements CounterFamily {
  readonly #table: SeriesTable<CounterChild>;

  constructor(descriptor: Descriptor, around: Surroundings) {
    const { name, help } = descriptor;
    const counter = new Counter({
      name,
      help,
      labelNames: [SERIES],
      registers: [around.registry],
    });
    this.#table = new SeriesTable({
      descriptor,
      ...limitsOf(descriptor, around),
      make: (place) => new CounterChild(counter, place, () => around.invalid(name)),
      remove: (child) => counter.remove({ [SERIES]: child.id }),
    });
  }

  get table(): SeriesTable<CounterChild> {
    return this.#table;
  }

  /** Before prom-client is read. */
  settle(): void {
    for (const child of this.#table.children()) child.settle();
  }

  #child(labels: Labels): CounterChild {
    const child = this.#table.find(labels, "observation");
    invariant(child, "a counter keeps what is beyond the caps");
    return child;
  }

  inc(labels: Labels, by = 1): void {
    this.#child(labels).inc(by);
  }
  zero(labels: Labels): void {
    this.#child(labels).inc(0);
  }
  set(labels: Labels, total: number): void {
    this.#table.find(labels, "state")?.set(total);
  }
  series(labels: Labels): CounterSeries {
    return this.#child(labels);
  }
}

/** What is counted is added up here, and told to prom-client, which finds the series anew each time, when it is read. */
class CounterChild implements Child, CounterSeries {
  live = true;
  readonly id: string;
  readonly labels: Labels;
  readonly #counter: Counter;
  readonly #bound: { inc(value?: number): void };
  readonly #invalid: () => void;
  #total = 0;
  #begun = false;
  #untold = 0;

  constructor(counter: Counter, place: Place, invalid: () => void) {
    this.#counter = counter;
    this.id = place.id;
    this.labels = place.labels;
    this.#bound = counter.labels({ [SERIES]: place.id });
    this.#invalid = invalid;
  }

  inc(by = 1): void {
    if (!(by >= 0 && by < Infinity)) return this.#invalid();
    // A series that was given up would come back without its labels.
    if (this.#begun || !this.live) this.#untold += by;
    else this.#bound.inc(by);
    this.#begun = true;
  }

  settle(): void {
    if (this.#untold > 0) this.#bound.inc(this.#untold);
    this.#untold = 0;
  }

  set(total: number): void {
    if (!(total >= 0 && total < Infinity)) return this.#invalid();
    if (total < this.#total) {
      this.#counter.remove({ [SERIES]: this.id });
      this.#total = 0;
    }
    this.#bound.inc(total - this.#total);
    this.#total = total;
  }
}

export class GaugeInstrument implements GaugeFamily {
  readonly #table: SeriesTable<GaugeChild>;
  readonly #gauge: Gauge;

  constructor(descriptor: Descriptor, around: Surroundings) {
    const { name, help } = descriptor;
    this.#gauge = new Gauge({
      name,
      help,
      labelNames: [SERIES],
      registers: [around.registry],
    });
    this.#table = new SeriesTable({
      descriptor,
      ...limitsOf(descriptor, around),
      make: (place): GaugeChild => ({ ...place, live: true }),
      remove: (child) => this.#gauge.remove({ [SERIES]: child.id }),
    });
  }

  get table(): SeriesTable<GaugeChild> {
    return this.#table;
  }

  set(labels: Labels, value: number): void {
    if (!Number.isFinite(value)) return this.#table.remove(labels);
    const child = this.#table.find(labels, "state");
    if (child !== null) this.#gauge.set({ [SERIES]: child.id }, value);
  }

  remove(labels: Labels): void {
    this.#table.remove(labels);
  }

  replace(series: Iterable<NumberSeries>): void {
    const kept = new Set<GaugeChild>();
    for (const { labels, value } of series) {
      const child = Number.isFinite(value) ? this.#table.find(labels, "state") : null;
      if (child === null) continue;
      this.#gauge.set({ [SERIES]: child.id }, value);
      kept.add(child);
    }
    this.#table.keepOnly((child) => kept.has(child));
  }
}

type GaugeChild = Child;

export class HistogramInstrument implements HistogramFamilyHandle {
  readonly #table: SeriesTable<HistogramChild>;
  readonly bounds: readonly number[];

  constructor(descriptor: Descriptor, around: Surroundings) {
    const { name, help, buckets } = descriptor;
    invariant(buckets, `${name} has no buckets`);
    this.bounds = buckets;
    const histogram = new Histogram({
      name,
      help,
      labelNames: [SERIES],
      buckets: [...buckets],
      registers: [around.registry],
      enableExemplars: true,
    });
    this.#table = new SeriesTable({
      descriptor,
      ...limitsOf(descriptor, around),
      make: (place) =>
        new HistogramChild(histogram, place, {
          bounds: buckets,
          clock: around.clock,
          invalid: () => around.invalid(name),
        }),
      remove: (child) => histogram.remove({ [SERIES]: child.id }),
    });
  }

  get table(): SeriesTable<HistogramChild> {
    return this.#table;
  }

  /** What is counted of a series beside what prom-client holds, by the name it has there. */
  tallied(id: string): Tallied | null {
    return this.#table.childOf(id)?.tallied ?? null;
  }

  /** The series whose counts are owned elsewhere. */
  owned(): HistogramSeries[] {
    const series: HistogramSeries[] = [];
    for (const { labels, owned } of this.#table.children()) {
      if (owned === null) continue;
      const { counts, sum } = owned;
      const count = counts.reduce((total, one) => total + one, 0);
      series.push({ labels, counts, count, sum, exemplars: counts.map(() => null) });
    }
    return series;
  }

  #child(labels: Labels): HistogramChild {
    const child = this.#table.find(labels, "observation");
    invariant(child, "a histogram keeps what is beyond the caps");
    return child;
  }

  observe(labels: Labels, value: number, exemplar?: TraceRef): void {
    this.#child(labels).observe(value, exemplar);
  }
  zero(labels: Labels): void {
    this.#child(labels).zero();
  }
  set(labels: Labels, counts: readonly number[], sum: number | null = null): void {
    invariant(counts.length === this.bounds.length + 1, "one count per bucket");
    const child = this.#table.find(labels, "state");
    if (child !== null) child.owned = { counts: [...counts], sum };
  }
  series(labels: Labels): HistogramSeriesHandle {
    return this.#child(labels);
  }
}

interface HistogramChildOptions {
  readonly bounds: readonly number[];
  readonly clock: Clock;
  readonly invalid: () => void;
}

/** Observations beside those that prom-client holds. */
export interface Tallied {
  /** Per bucket, not cumulated, the last beyond all bounds. */
  readonly counts: Float64Array;
  readonly sum: number;
}

/**
 * prom-client holds the series and its exemplars; what comes without a new exemplar, by the hundred thousand, is counted here and
 * added when the series is read: prom-client would find the series anew for each.
 */
class HistogramChild implements Child, HistogramSeriesHandle {
  live = true;
  readonly id: string;
  readonly labels: Labels;
  readonly #histogram: Histogram;
  readonly #place: Readonly<Record<string, string>>;
  readonly #options: HistogramChildOptions;
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;
  /** Counts that are owned elsewhere; prom-client has no series for them. */
  owned: { readonly counts: readonly number[]; readonly sum: number | null } | null = null;
  /** Monotonic ms of the last exemplar, per bucket. */
  #exemplarAt: Float64Array | null = null;
  #begun = false;

  constructor(histogram: Histogram, place: Place, options: HistogramChildOptions) {
    this.#histogram = histogram;
    this.id = place.id;
    this.labels = place.labels;
    this.#place = { [SERIES]: place.id };
    this.#options = options;
    this.#bounds = options.bounds;
    this.#counts = new Float64Array(options.bounds.length + 1);
  }

  get tallied(): Tallied {
    return { counts: this.#counts, sum: this.#sum };
  }

  zero(): void {
    if (!this.#begun && this.live) this.#histogram.zero(this.#place);
    this.#begun = true;
  }

  observe(value: number, exemplar?: TraceRef): void {
    if (!(value > -Infinity && value < Infinity)) return this.#options.invalid();
    this.zero();
    const bucket = bucketOf(this.#bounds, value);
    if (exemplar !== undefined && this.live && this.#exemplarDue(bucket)) {
      this.#histogram.observe({ labels: this.#place, value, exemplarLabels: { ...exemplar } });
      return;
    }
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  #exemplarDue(bucket: number): boolean {
    this.#exemplarAt ??= new Float64Array(this.#counts.length).fill(Number.NEGATIVE_INFINITY);
    const now = this.#options.clock.monotonicMs();
    if (now - (this.#exemplarAt[bucket] ?? 0) < EXEMPLAR_EVERY_MS) return false;
    this.#exemplarAt[bucket] = now;
    return true;
  }
}
