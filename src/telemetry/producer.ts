// The bridge to OTLP: a snapshot as the SDK's metric data, cumulative, with the start time that every series really has.

import { ValueType, type Attributes, type HrTime } from "@opentelemetry/api";
import { emptyResource } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  DataPointType,
  type CollectionResult,
  type DataPoint,
  type MetricData,
  type MetricProducer,
} from "@opentelemetry/sdk-metrics";
import { attributeOf, type Descriptor } from "../catalogue.ts";
import { keepExemplars } from "./otlp-exemplars.ts";
import type { Recorder } from "./recorder.ts";
import type { Family, HistogramFamily, Labels, NumberFamily, Snapshot } from "./snapshot.ts";
import { SEPARATOR } from "./values.ts";

export interface ProducerOptions {
  readonly recorder: Recorder;
  /** Instrumentation scope. */
  readonly scope: { readonly name: string; readonly version: string };
  /** Unix ms at which counting began. */
  readonly startedAtMs: number;
}

/** `collect` never rejects: a rejecting producer would take all other metrics of the reader with it. */
export function createProducer(options: ProducerOptions): MetricProducer {
  const starts = new StartTimes(options.startedAtMs);
  return {
    collect: async () => {
      try {
        const snapshot = await options.recorder.snapshotNow();
        const metrics = snapshot.families.map((family) => metricOf(family, { snapshot, starts }));
        starts.collected(snapshot.atMs);
        return resultOf([{ scope: options.scope, metrics }], []);
      } catch (thrown) {
        return resultOf([], [thrown]);
      }
    },
  };
}

function resultOf(
  scopeMetrics: CollectionResult["resourceMetrics"]["scopeMetrics"],
  errors: unknown[],
): CollectionResult {
  return { resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors };
}

interface Point {
  readonly value: number;
  readonly startMs: number;
}

/**
 * Since when a series counts. The first collection: since counting began. Later, a series that is new, that came back or that
 * fell: since the collection before, when it was not there or stood higher. Holds one entry per series of the last collection.
 */
class StartTimes {
  #before = new Map<string, Point>();
  #now = new Map<string, Point>();
  #lastMs: number;

  constructor(startedAtMs: number) {
    this.#lastMs = startedAtMs;
  }

  of(key: string, value: number): number {
    const before = this.#before.get(key);
    const startMs = before === undefined || value < before.value ? this.#lastMs : before.startMs;
    this.#now.set(key, { value, startMs });
    return startMs;
  }

  collected(atMs: number): void {
    this.#before = this.#now;
    this.#now = new Map();
    this.#lastMs = atMs;
  }
}

interface Moment {
  readonly snapshot: Snapshot;
  readonly starts: StartTimes;
}

function metricOf(family: Family, moment: Moment): MetricData {
  return family.kind === "histogram" ? histogramOf(family, moment) : numbersOf(family, moment);
}

function describe(descriptor: Descriptor): MetricData["descriptor"] {
  const { otel, help } = descriptor;
  // DOUBLE always: a fraction in an integer point corrupts the protobuf message.
  return { name: otel.name, unit: otel.unit, description: help, valueType: ValueType.DOUBLE };
}

function numbersOf(family: NumberFamily, moment: Moment): MetricData {
  const { type, name } = family.descriptor;
  const monotonic = type === "counter";
  const dataPoints = family.series.map(({ labels, value }): DataPoint<number> => ({
    ...timesOf(name, labels, { value: monotonic ? value : 0, moment }),
    value,
  }));
  const base = {
    descriptor: describe(family.descriptor),
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPoints,
  };
  return type === "gauge"
    ? { ...base, dataPointType: DataPointType.GAUGE }
    : { ...base, dataPointType: DataPointType.SUM, isMonotonic: monotonic };
}

function histogramOf(family: HistogramFamily, moment: Moment): MetricData {
  return {
    descriptor: describe(family.descriptor),
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints: family.series.map(({ labels, counts, count, sum, exemplars }) => {
      const value = {
        buckets: { boundaries: [...family.bounds], counts: [...counts] },
        count,
        ...(sum === null ? {} : { sum }),
      };
      keepExemplars(value, exemplars);
      return { ...timesOf(family.descriptor.name, labels, { value: count, moment }), value };
    }),
  };
}

function timesOf(
  name: string,
  labels: Labels,
  point: { readonly value: number; readonly moment: Moment },
): Omit<DataPoint<unknown>, "value"> {
  const attributes = attributesOf(labels);
  const { snapshot, starts } = point.moment;
  // Values hold no control characters (values.ts), so the key is unambiguous.
  const parts = Object.entries(labels).map(([label, value]) => `${label}=${value}`);
  const key = [name, ...parts].join(SEPARATOR);
  const startTime = hrTime(starts.of(key, point.value));
  return { attributes, startTime, endTime: hrTime(snapshot.atMs) };
}

function attributesOf(labels: Labels): Attributes {
  const attributes: Attributes = {};
  for (const label in labels) {
    const value = labels[label] ?? "";
    if (value === "") continue;
    const { key, type } = attributeOf(label);
    if (type === "int") attributes[key] = /^\d{1,15}$/.test(value) ? Number(value) : value;
    else attributes[key] = type === "boolean" ? value === "true" : value;
  }
  return attributes;
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.floor((ms - seconds * 1000) * 1e6)];
}
