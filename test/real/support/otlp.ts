// OTLP as others read it, held against /metrics as others read it: every series, its value, its kind, unit and help.

import assert from "node:assert/strict";
import { join } from "node:path";
import { catalogue } from "../../../src/catalogue.ts";
import type { OtlpReceiver, Received } from "../../support/otlp-receiver.ts";
import { until, type Sidecar } from "../../support/sidecar.ts";
import { run } from "./command.ts";
import { ensurePython, pythonFolder } from "./install.ts";

interface Point {
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly start: string;
  readonly time: string;
  /** Sums and gauges. */
  readonly value?: number;
  readonly as?: "as_double" | "as_int";
  /** Histograms. */
  readonly count?: number;
  readonly sum?: number | null;
  readonly bounds?: readonly number[];
  readonly counts?: readonly number[];
}

export interface PublishedMetric {
  readonly name: string;
  readonly unit: string;
  readonly description: string;
  readonly kind: string;
  readonly temporality: string;
  readonly monotonic: boolean | null;
  readonly points: readonly Point[];
}

interface ScrapedSample {
  readonly family: string;
  readonly type: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: string;
}

interface Told {
  readonly requests: readonly {
    readonly unknownBytes: number;
    readonly resources: readonly Record<string, unknown>[];
    readonly scopes: readonly { name: string; version: string }[];
    readonly metrics: readonly PublishedMetric[];
  }[];
  readonly scrapes: readonly (readonly ScrapedSample[])[];
}

/** One collection between two scrapes. */
export interface Collected {
  readonly bodies: readonly Buffer[];
  readonly scrapes: readonly [before: string, after: string];
}

const timeOf = (request: Received): bigint => request.metrics[0]?.points[0]?.time ?? 0n;

/** Waits for a whole collection that began after a scrape, and scrapes again. The sidecar pushes once a second or so. */
export async function collect(sidecar: Sidecar, receiver: OtlpReceiver): Promise<Collected> {
  const before = await sidecar.metrics();
  const from = BigInt(Date.now()) * 1_000_000n;
  const moments = (): bigint[] => [...new Set(receiver.requests.map(timeOf).filter((time) => time > from))];
  // The second collection tells that the first is whole.
  await until(() => moments().length >= 2);
  const [moment] = moments();
  const bodies = receiver.requests.filter((one) => timeOf(one) === moment).map((one) => one.body);
  // Scrapes share a snapshot for half a second.
  await new Promise((resolve) => setTimeout(resolve, 600));
  return { bodies, scrapes: [before, await sidecar.metrics()] };
}

/** Decoded with the published classes. Throws when these left bytes over. */
export async function published(bodies: readonly Buffer[]): Promise<readonly PublishedMetric[]> {
  const { requests } = await readByOthers({ bodies, scrapes: ["", ""] });
  for (const request of requests) assert.equal(request.unknownBytes, 0);
  return requests.flatMap((request) => request.metrics);
}

/** All samples that /metrics would show for these metrics, by identity. */
export function samplesByKey(
  metrics: readonly (Pick<PublishedMetric, "name" | "kind"> & {
    points: readonly Omit<Point, "start" | "time" | "as">[];
  })[],
): ReadonlyMap<string, number> {
  return new Map(metrics.flatMap((metric) => [...samplesOf(nameOf(metric.name), metric)]));
}

/** The name on /metrics. */
function nameOf(otelName: string): string {
  const family = catalogue.find(({ otel }) => otel.name === otelName);
  assert.ok(family, `${otelName} is not in the catalogue`);
  return family.name;
}

async function readByOthers({ bodies, scrapes }: Collected): Promise<Told> {
  const { python } = await ensurePython();
  const stdin = JSON.stringify({ bodies: bodies.map((body) => body.toString("base64")), scrapes });
  const told = await run(python, [join(pythonFolder, "otlp.py")], { stdin });
  return JSON.parse(told.stdout) as Told;
}

/** OTLP's rule for a label's name. */
const labelOf = (attribute: string): string => attribute.replaceAll(/[^a-zA-Z0-9_]/g, "_");

function numberOf(text: string): number {
  if (text === "inf") return Infinity;
  return text === "-inf" ? -Infinity : Number(text);
}

/** One sample's identity: `le` by its number, because 5 and 5.0 are the same bound. */
export function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  const parts = Object.entries(labels).map(
    ([key, value]) => `${key}=${key === "le" ? numberOf(value.replace("+Inf", "inf")) : value}`,
  );
  return `${name}{${parts.toSorted().join(",")}}`;
}

/** The samples that /metrics must show for an OTLP metric. */
function* samplesOf(
  name: string,
  metric: {
    readonly name: string;
    readonly kind: string;
    readonly points: readonly Omit<Point, "start" | "time" | "as">[];
  },
): Generator<[key: string, value: number]> {
  for (const point of metric.points) {
    const labels = Object.fromEntries(
      Object.entries(point.attributes).map(([key, value]) => [labelOf(key), String(value)]),
    );
    if (metric.kind !== "histogram") {
      yield [keyOf(name, labels), point.value ?? Number.NaN];
      continue;
    }
    const { bounds = [], counts = [], count = Number.NaN, sum = null } = point;
    assert.equal(counts.length, bounds.length + 1, metric.name);
    let cumulated = 0;
    for (const [i, bucket] of counts.entries()) {
      cumulated += bucket;
      yield [
        keyOf(`${name}_bucket`, { ...labels, le: String(bounds[i] ?? Infinity).replace("Infinity", "inf") }),
        cumulated,
      ];
    }
    assert.equal(cumulated, count, metric.name);
    // OpenMetrics: count and sum stand together or not at all.
    if (sum !== null) yield [keyOf(`${name}_count`, labels), count];
    if (sum !== null) yield [keyOf(`${name}_sum`, labels), sum];
  }
}

/** Kind, temporality, unit and help as the catalogue has them. Gives the name on /metrics. */
function assertDescribed(metric: PublishedMetric): string {
  const family = catalogue.find(({ otel }) => otel.name === metric.name);
  assert.ok(family, `${metric.name} is not in the catalogue`);
  const kinds = { counter: "sum", updowncounter: "sum", gauge: "gauge", histogram: "histogram" };
  assert.equal(metric.kind, kinds[family.type], metric.name);
  assert.equal(metric.unit, family.otel.unit, metric.name);
  assert.equal(metric.description, family.help, metric.name);
  if (metric.kind === "sum") assert.equal(metric.monotonic, family.type === "counter", metric.name);
  if (metric.kind !== "gauge")
    assert.equal(metric.temporality, "AGGREGATION_TEMPORALITY_CUMULATIVE", metric.name);
  for (const point of metric.points) {
    assert.ok(BigInt(point.start) > 0n && BigInt(point.start) <= BigInt(point.time), metric.name);
    if (metric.kind !== "histogram") assert.equal(point.as, "as_double", metric.name);
  }
  return family.name;
}

function scraped(samples: readonly ScrapedSample[]): Map<string, { value: number; type: string }> {
  const known = new Map<string, { value: number; type: string }>();
  for (const { name, labels, value, type } of samples) {
    // An empty label is the same as none.
    const set = Object.fromEntries(Object.entries(labels).filter(([, text]) => text !== ""));
    const key = keyOf(name, set);
    assert.ok(!known.has(key), `${key} stands twice on /metrics`);
    known.set(key, { value: numberOf(value), type });
  }
  return known;
}

/** Gauges of the runtime, and of the process that is watched, are another value at each look, and may come back to an earlier one. */
const RUNTIME = /^(?:nodejs|process|outrider_target)_|_loop_delay_/;

/** Of what happened since the look before: told by neither road when that was a moment ago and nothing has happened. */
const SINCE_LAST_LOOK = /^nodejs_eventloop_lag_(?:mean|stddev)_seconds\{/;

export interface Agreement {
  /** Samples whose value stood still and was the same on both roads. */
  readonly same: number;
  /** Samples that moved between the two scrapes; counters were in between. */
  readonly moved: readonly string[];
  readonly metrics: readonly PublishedMetric[];
}

/**
 * Decodes with the published protobuf classes and compares all samples with /metrics: none is missing on either road, those that
 * stood still are equal to the last bit, counters that moved lie between the two scrapes. Throws where they differ.
 */
export async function assertSameOnBothRoads(collected: Collected): Promise<Agreement> {
  const { requests, scrapes } = await readByOthers(collected);
  const [before, after] = [scraped(scrapes[0] ?? []), scraped(scrapes[1] ?? [])];
  const metrics = requests.flatMap((request) => request.metrics);
  const byOtlp = new Map<string, number>();
  for (const metric of metrics) {
    for (const [key, value] of samplesOf(assertDescribed(metric), metric)) {
      assert.ok(!byOtlp.has(key), `${key} was sent twice in one collection`);
      byOtlp.set(key, value);
    }
  }
  const info = [...before.keys()].filter((key) => key.startsWith("target_info{"));
  for (const request of requests) {
    assert.equal(request.unknownBytes, 0, "fields that the published protobuf does not know");
    assert.deepEqual([...new Set(request.scopes.map(({ name }) => name))], ["outrider"]);
    for (const resource of request.resources) {
      const told = Object.fromEntries(
        Object.entries(resource).map(([key, value]) => [labelOf(key), String(value)]),
      );
      assert.deepEqual([keyOf("target_info", told)], info);
    }
  }
  const wrong: string[] = [];
  const moved: string[] = [];
  let same = 0;
  for (const [key, { value, type }] of before) {
    const [sent, later] = [byOtlp.get(key), after.get(key)?.value];
    if (info.includes(key) || later === undefined) continue;
    if (sent === undefined && SINCE_LAST_LOOK.test(key)) moved.push(key);
    else if (sent === undefined) wrong.push(`${key} is missing by OTLP`);
    else if (value !== later) {
      moved.push(key);
      if (type !== "gauge" && (sent < value || sent > later))
        wrong.push(`${key}: ${sent}, not ${value} to ${later}`);
    } else if (sent === value) same += 1;
    else if (type === "gauge" && RUNTIME.test(key)) moved.push(key);
    else wrong.push(`${key}: ${sent} by OTLP, ${value} on /metrics`);
  }
  for (const key of byOtlp.keys()) {
    if (!before.has(key) && !after.has(key) && !SINCE_LAST_LOOK.test(key))
      wrong.push(`${key} is missing on /metrics`);
  }
  assert.deepEqual(wrong, []);
  return { same, moved, metrics };
}
