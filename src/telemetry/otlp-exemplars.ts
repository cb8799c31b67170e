// Exemplars in OTLP. The SDK's serializers leave them out, so what they made is taken apart at the histograms' points, and the
// exemplars are put in: field 8 of HistogramDataPoint, `exemplars` in JSON (opentelemetry-proto, metrics.proto).

import { JsonMetricsSerializer, ProtobufMetricsSerializer } from "@opentelemetry/otlp-transformer";
import type { ISerializer } from "@opentelemetry/otlp-transformer";
import { DataPointType, type ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { OtlpProtocol } from "./otlp-settings.ts";
import { graftJson } from "./parse-otlp-json.ts";
import { type Exemplar, nanoseconds } from "./snapshot.ts";

/** Exemplars by the value of their point: the reader may copy points when it splits a collection, their values stay. */
const kept = new WeakMap<object, readonly Exemplar[]>();

/** To be called by the producer for every point that has exemplars. */
export function keepExemplars(value: object, exemplars: readonly (Exemplar | null)[]): void {
  const present = exemplars.filter((one) => one !== null && TRACE.test(one.labels["trace_id"] ?? ""));
  if (present.length > 0)
    kept.set(
      value,
      present.filter((one) => one !== null),
    );
}

const TRACE = /^[0-9a-f]{32}$/;

/** Of the points of every metric in the order of the collection; null: not a histogram. */
type Points = readonly (readonly Exemplar[])[] | null;

function exemplarsOf(collection: ResourceMetrics): readonly (readonly Points[])[] {
  return collection.scopeMetrics.map(({ metrics }) =>
    metrics.map((metric) =>
      metric.dataPointType === DataPointType.HISTOGRAM
        ? metric.dataPoints.map(({ value }) => kept.get(value) ?? [])
        : null,
    ),
  );
}

const isEmpty = (scopes: readonly (readonly Points[])[]): boolean =>
  scopes.every((metrics) =>
    metrics.every((points) => points === null || points.every((one) => one.length === 0)),
  );

/** What `createOtlpHttpExportDelegate` takes: the SDK's own serializer of this protocol, with exemplars. */
export function exemplarSerializer(
  protocol: OtlpProtocol,
): ISerializer<ResourceMetrics, ReturnType<typeof JsonMetricsSerializer.deserializeResponse>> {
  const json = protocol === "http/json";
  const inner = json ? JsonMetricsSerializer : ProtobufMetricsSerializer;
  return {
    deserializeResponse: (data) => inner.deserializeResponse(data),
    serializeRequest: (collection) => {
      const bytes = inner.serializeRequest(collection);
      const scopes = exemplarsOf(collection);
      if (bytes === undefined || isEmpty(scopes)) return bytes;
      return json ? graftJson(bytes, scopes) : graftProtobuf(bytes, scopes);
    },
  };
}

/** Fields on the way: request -> resource_metrics, -> scope_metrics, -> metrics, -> histogram, -> data_points. */
const RESOURCE_METRICS = 1;
const SCOPE_METRICS = 2;
const METRICS = 2;
const HISTOGRAM = 9;
const DATA_POINTS = 1;
const EXEMPLARS = 8;

function graftProtobuf(bytes: Uint8Array, scopes: readonly (readonly Points[])[]): Uint8Array {
  const point = (body: Uint8Array, exemplars: readonly Exemplar[]): Uint8Array =>
    concat([body, ...exemplars.map((one) => delimited(EXEMPLARS, exemplarBytes(one)))]);
  const metric = (body: Uint8Array, points: Points): Uint8Array =>
    points === null
      ? body
      : mapField(body, HISTOGRAM, (histogram) =>
          mapField(histogram, DATA_POINTS, (one, at) => point(one, points[at] ?? [])),
        );
  return mapField(bytes, RESOURCE_METRICS, (resource) =>
    mapField(resource, SCOPE_METRICS, (scope, at) =>
      mapField(scope, METRICS, (one, place) => metric(one, scopes[at]?.[place] ?? null)),
    ),
  );
}

/** The message with every length-delimited value of `field` replaced; all other bytes stay as they are. */
function mapField(
  message: Uint8Array,
  field: number,
  replace: (body: Uint8Array, place: number) => Uint8Array,
): Uint8Array {
  const parts: Uint8Array[] = [];
  let place = 0;
  for (let at = 0; at < message.length;) {
    const from = at;
    const [key, afterKey] = varint(message, at);
    const wire = key & 7;
    if (wire === 2) {
      const [length, body] = varint(message, afterKey);
      at = body + length;
      const own = key >>> 3 === field;
      parts.push(
        own ? delimited(field, replace(message.subarray(body, at), place++)) : message.subarray(from, at),
      );
      continue;
    }
    at = wire === 0 ? varint(message, afterKey)[1] : afterKey + (wire === 1 ? 8 : 4);
    parts.push(message.subarray(from, at));
  }
  return concat(parts);
}

/** Value and the place behind it; values here are keys and lengths, below 2^32. */
function varint(bytes: Uint8Array, from: number): [value: number, next: number] {
  let value = 0;
  let at = from;
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[at++] ?? 0;
    value += (byte & 127) * factor;
    if (byte < 128) return [value, at];
  }
}

function varintBytes(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

function delimited(field: number, body: Uint8Array): Uint8Array {
  return concat([Uint8Array.from([...varintBytes(field * 8 + 2), ...varintBytes(body.length)]), body]);
}

const concat = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** time_unix_nano = 2 (fixed64), as_double = 3, span_id = 4, trace_id = 5. */
function exemplarBytes({ labels, value, timestamp }: Exemplar): Uint8Array {
  const fixed = Buffer.alloc(18);
  fixed[0] = 2 * 8 + 1;
  fixed.writeBigUInt64LE(nanoseconds(timestamp), 1);
  fixed[9] = 3 * 8 + 1;
  fixed.writeDoubleLE(value, 10);
  const id = (name: string): Buffer => Buffer.from(labels[name] ?? "", "hex");
  return concat([fixed, delimited(4, id("span_id")), delimited(5, id("trace_id"))]);
}
