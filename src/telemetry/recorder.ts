// The only recorder: registers the catalogue in prom-client, hands out instruments, and freezes what was counted into snapshots.
// `registry.metrics()` is never called: it renames counters in place as soon as OpenMetrics was asked for once.

import {
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  Registry,
  type OpenMetricsContentType,
} from "prom-client";
import type { Descriptor } from "../catalogue.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { invariant, messageOf } from "../kernel/problem.ts";
import { Admission, DEFAULT_CAPS, type Caps } from "./admission.ts";
import { asGiven, readHistogram, readNumbers, type Relabel } from "./collect.ts";
import {
  CounterInstrument,
  GaugeInstrument,
  HistogramInstrument,
  type CounterFamily,
  type GaugeFamily,
  type HistogramFamilyHandle,
  type Surroundings,
  type Tallied,
} from "./instruments.ts";
import type { Family, Snapshot } from "./snapshot.ts";
import { safeValue } from "./values.ts";

/** Several scrapers share one snapshot for this long. */
const SNAPSHOT_MS = 500;
const SERIES_MAX = 2000;
const OVERFLOWS = "outrider_label_values_overflow_total";
const INVALID = "outrider_invalid_observations_total";
const SERIES = "outrider_series";
const LEFT_OUT = "outrider_series_left_out";

export interface RecorderOptions {
  readonly catalogue: readonly Descriptor[];
  readonly clock: Clock;
  readonly log: Log;
  /** Replaces caps of single dimensions. */
  readonly caps?: Caps;
  /** Label sets of one family; further ones share one series. */
  readonly seriesMaxPerMetric?: number;
  /** Bucket bounds that replace those of the catalogue, by metric name. */
  readonly buckets?: Readonly<Record<string, readonly number[]>>;
  /** Whether prom-client's own process_* and nodejs_* families are collected. Default: collect. */
  readonly runtimeMetrics?: "collect" | "leave-out";
}

export interface Recorder {
  counter(name: string): CounterFamily;
  /** Gauges and up-down counters. */
  gauge(name: string): GaugeFamily;
  histogram(name: string): HistogramFamilyHandle;
  /** Calls once per snapshot, before it is taken. Must be quick. */
  onCollect(call: () => void): void;
  /** Gives a model its place before strangers can take it. */
  reserve(model: string): void;
  /** A version served just now; beyond the cap it takes the place of one that has been idle, whose series are removed. */
  seen(model: string, version: string): void;
  /** At most half a second old: what scrapers get. */
  snapshot(): Promise<Snapshot>;
  /** Of this moment: a push, above all the last one, must not leave out what was just counted. Scrapers share it. */
  snapshotNow(): Promise<Snapshot>;
}

type Instrument = CounterInstrument | GaugeInstrument | HistogramInstrument;

export function createRecorder(options: RecorderOptions): Recorder {
  return new PromRecorder(options);
}

class PromRecorder implements Recorder {
  readonly #options: RecorderOptions;
  readonly #registry = new Registry<OpenMetricsContentType>();
  readonly #admission: Admission;
  readonly #instruments = new Map<string, Instrument>();
  readonly #descriptors: readonly Descriptor[];
  readonly #collectors: (() => void)[] = [];
  /** States beyond the caps since the last snapshot, by metric. */
  readonly #leftOut = new Map<string, number>();
  #taken: { readonly atMs: number; readonly snapshot: Promise<Snapshot> } | null = null;

  constructor(options: RecorderOptions) {
    this.#options = options;
    // prom-client keeps exemplars only in a registry of this type.
    this.#registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    const { buckets = {}, clock } = options;
    this.#descriptors = options.catalogue.map((descriptor) => {
      const own = buckets[descriptor.name];
      return own === undefined || descriptor.type !== "histogram"
        ? descriptor
        : { ...descriptor, buckets: own };
    });
    this.#admission = new Admission({
      caps: { ...DEFAULT_CAPS, ...options.caps },
      clock,
      evict: (model, version) => this.#evict(model, version),
    });
    const around: Surroundings = {
      registry: this.#registry,
      admission: this.#admission,
      clock,
      seriesMax: options.seriesMaxPerMetric ?? SERIES_MAX,
      overflow: (label) => this.#note(OVERFLOWS, { label }),
      leftOut: (metric) => this.#leftOut.set(metric, (this.#leftOut.get(metric) ?? 0) + 1),
      invalid: (metric) => this.#note(INVALID, { metric }),
    };
    for (const descriptor of this.#descriptors) {
      if (descriptor.source === undefined)
        this.#instruments.set(descriptor.name, instrument(descriptor, around));
    }
    if (options.runtimeMetrics !== "leave-out") this.#collectRuntime();
  }

  #collectRuntime(): void {
    const gc = this.#descriptors.find((descriptor) => descriptor.name === "nodejs_gc_duration_seconds");
    const gcDurationBuckets = [...(gc?.buckets ?? [])];
    collectDefaultMetrics({ register: this.#registry, gcDurationBuckets });
  }

  counter(name: string): CounterFamily {
    const found = this.#instruments.get(name);
    invariant(found instanceof CounterInstrument, `no counter "${name}" in the catalogue`);
    return found;
  }

  gauge(name: string): GaugeFamily {
    const found = this.#instruments.get(name);
    invariant(found instanceof GaugeInstrument, `no gauge "${name}" in the catalogue`);
    return found;
  }

  histogram(name: string): HistogramFamilyHandle {
    const found = this.#instruments.get(name);
    invariant(found instanceof HistogramInstrument, `no histogram "${name}" in the catalogue`);
    return found;
  }

  onCollect(call: () => void): void {
    this.#collectors.push(call);
  }

  reserve(model: string): void {
    this.#admission.admit(["model"], [safeValue(model)]);
  }

  seen(model: string, version: string): void {
    this.#admission.seen(safeValue(model), safeValue(version));
  }

  snapshot(): Promise<Snapshot> {
    const now = this.#options.clock.monotonicMs();
    if (this.#taken !== null && now - this.#taken.atMs < SNAPSHOT_MS) return this.#taken.snapshot;
    return this.snapshotNow();
  }

  snapshotNow(): Promise<Snapshot> {
    const snapshot = this.#take();
    this.#taken = { atMs: this.#options.clock.monotonicMs(), snapshot };
    snapshot.catch(() => {
      this.#taken = null;
    });
    return snapshot;
  }

  async #take(): Promise<Snapshot> {
    for (const call of this.#collectors) this.#run(call);
    this.#countSeries();
    const atMs = this.#options.clock.wallMs();
    const read = await Promise.all(this.#descriptors.map((descriptor) => this.#read(descriptor)));
    const families = read.filter((family): family is Family => family !== null && family.series.length > 0);
    return { atMs, families };
  }

  /** One collector's failure must not cost the others their scrape. */
  #run(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.#options.log.error({ error: messageOf(thrown) }, "metrics: a collector failed");
    }
  }

  async #read(descriptor: Descriptor): Promise<Family | null> {
    const metric = this.#registry.getSingleMetric(descriptor.name);
    const found = this.#instruments.get(descriptor.name);
    const relabel: Relabel =
      found === undefined ? asGiven : (raw) => found.table.childOf(String(raw["series"]))?.labels ?? {};
    if (metric instanceof Histogram) {
      if (!(found instanceof HistogramInstrument)) return readHistogram(descriptor, metric, { relabel });
      const beside = (raw: Parameters<Relabel>[0]): Tallied | null => found.tallied(String(raw["series"]));
      const family = await readHistogram(descriptor, metric, { relabel, beside });
      return { ...family, series: [...family.series, ...found.owned()] };
    }
    if (found instanceof CounterInstrument) found.settle();
    if (metric instanceof Counter || metric instanceof Gauge) return readNumbers(descriptor, metric, relabel);
    return null;
  }

  #countSeries(): void {
    // Not of itself: the first look would change what the second one sees.
    const counted = [...this.#instruments].filter(([metric]) => metric !== SERIES && metric !== LEFT_OUT);
    this.#show(
      SERIES,
      counted.map(([metric, { table }]) => [metric, table.size]),
    );
    this.#show(LEFT_OUT, [...this.#leftOut]);
    this.#leftOut.clear();
  }

  #show(name: string, figures: readonly (readonly [metric: string, figure: number])[]): void {
    const found = this.#instruments.get(name);
    if (!(found instanceof GaugeInstrument)) return;
    found.replace(
      figures.filter(([, value]) => value > 0).map(([metric, value]) => ({ labels: { metric }, value })),
    );
  }

  #evict(model: string, version: string): void {
    for (const { table } of this.#instruments.values()) {
      table.keepOnly(({ labels }) => labels["model"] !== model || labels["version"] !== version);
    }
    this.#options.log.info({ model, version }, "metrics: an idle version made room for a new one");
  }

  /** A catalogue without the family (a test's) simply does not show it. */
  #note(name: string, labels: Readonly<Record<string, string>>): void {
    const found = this.#instruments.get(name);
    if (found instanceof CounterInstrument) found.inc(labels);
  }
}

function instrument(descriptor: Descriptor, around: Surroundings): Instrument {
  switch (descriptor.type) {
    case "counter":
      return new CounterInstrument(descriptor, around);
    case "gauge":
    case "updowncounter":
      return new GaugeInstrument(descriptor, around);
    case "histogram":
      return new HistogramInstrument(descriptor, around);
  }
}
