// Reads prom-client's metrics into the shapes of a snapshot. Copies everything: what `get()` returns is alive.

import type { Counter, Gauge, Histogram } from "prom-client";
import type { Descriptor } from "../catalogue.ts";
import type { Exemplar, HistogramFamily, HistogramSeries, Labels, NumberFamily } from "./snapshot.ts";

type RawLabels = Readonly<Partial<Record<string, string | number>>>;
/** The labels to show for those that prom-client gives. */
export type Relabel = (raw: RawLabels) => Labels;

/** As they are: for the families that prom-client collects itself. */
export function asGiven(raw: RawLabels): Labels {
  const labels: Record<string, string> = {};
  for (const name in raw) labels[name] = String(raw[name] ?? "");
  return labels;
}

export async function readNumbers(
  descriptor: Descriptor,
  metric: Counter | Gauge,
  relabel: Relabel,
): Promise<NumberFamily> {
  const { values } = await metric.get();
  const finite = values.filter((entry) => Number.isFinite(entry.value));
  const series = finite.map((entry) => ({ labels: relabel(entry.labels), value: entry.value }));
  return { kind: "number", descriptor, series };
}

/** prom-client's typings leave exemplars out. */
function parseExemplar(entry: object): Exemplar | null {
  if (!("exemplar" in entry)) return null;
  const { exemplar } = entry;
  if (typeof exemplar !== "object" || exemplar === null) return null;
  if (!("labelSet" in exemplar && "value" in exemplar && "timestamp" in exemplar)) return null;
  const { labelSet, value, timestamp } = exemplar;
  if (typeof labelSet !== "object" || labelSet === null) return null;
  const labels = Object.fromEntries(Object.entries(labelSet).map(([name, text]) => [name, String(text)]));
  return { labels, value: Number(value), timestamp: Number(timestamp) };
}

export interface HistogramReading {
  readonly relabel: Relabel;
  /** What is counted of the series elsewhere. Default: nothing. */
  readonly beside?: (raw: RawLabels) => { readonly counts: Float64Array; readonly sum: number } | null;
}

/** prom-client lists, for each series, its cumulated buckets (+Inf last), the sum and the count. */
export async function readHistogram(
  descriptor: Descriptor,
  metric: Histogram,
  { relabel, beside }: HistogramReading,
): Promise<HistogramFamily> {
  const bounds = descriptor.buckets ?? [];
  const buckets = bounds.length + 1;
  const { values } = await metric.get();
  const series: HistogramSeries[] = [];
  for (let at = 0; at + buckets + 1 < values.length; at += buckets + 2) {
    const counts: number[] = [];
    const exemplars: (Exemplar | null)[] = [];
    const held = values[at + buckets];
    const raw = held?.labels ?? {};
    const more = beside?.(raw) ?? null;
    let below = 0;
    let count = 0;
    for (const entry of values.slice(at, at + buckets)) {
      const own = entry.value - below + (more?.counts[counts.length] ?? 0);
      count += own;
      counts.push(own);
      exemplars.push(parseExemplar(entry));
      below = entry.value;
    }
    const sum = (held?.value ?? 0) + (more?.sum ?? 0);
    series.push({ labels: relabel(raw), counts, exemplars, sum, count });
  }
  return { kind: "histogram", descriptor, bounds, series };
}
