// Reads an ExportMetricsServiceRequest off the wire. Field numbers are those of opentelemetry/proto/metrics/v1/metrics.proto.

import type { Attributes, Decoded, Exemplar, Metric, Point } from "./otlp-receiver.ts";

/** Field number -> its occurrences. Length-delimited fields are bytes, the others numbers. */
type Fields = ReadonlyMap<number, readonly (Buffer | bigint)[]>;

function parseFields(bytes: Buffer): Fields {
  const fields = new Map<number, (Buffer | bigint)[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
      if (shift > 63n) throw new RangeError("protobuf: varint too long");
    }
  };
  const cut = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError("protobuf: short read");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const wireType = Number(tag & 7n);
    const number = Number(tag >> 3n);
    let value: Buffer | bigint;
    if (wireType === 0) value = varint();
    else if (wireType === 1) value = cut(8).readBigUInt64LE();
    else if (wireType === 2) value = cut(Number(varint()));
    else if (wireType === 5) value = BigInt(cut(4).readUInt32LE());
    else throw new RangeError(`protobuf: wire type ${wireType}`);
    const list = fields.get(number);
    if (list === undefined) fields.set(number, [value]);
    else list.push(value);
  }
  return fields;
}

const messages = (fields: Fields, number: number): Fields[] =>
  (fields.get(number) ?? []).map((value) => parseFields(value as Buffer));
const text = (fields: Fields, number: number): string => {
  const value = fields.get(number)?.at(-1);
  return value instanceof Buffer ? value.toString("utf8") : "";
};
const integer = (fields: Fields, number: number): bigint => {
  const value = fields.get(number)?.at(-1);
  return typeof value === "bigint" ? value : 0n;
};
const double = (fields: Fields, number: number): number | undefined => {
  const value = fields.get(number)?.at(-1);
  if (typeof value !== "bigint") return undefined;
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes.readDoubleLE();
};
/** Repeated 8-byte values, packed into one field. */
const packed = <T>(fields: Fields, number: number, read: (bytes: Buffer, at: number) => T): T[] =>
  (fields.get(number) ?? []).flatMap((value) => {
    const bytes = value as Buffer;
    return Array.from({ length: bytes.length / 8 }, (_, i) => read(bytes, i * 8));
  });

/** AnyValue: 1 string, 2 bool, 3 int, 4 double. */
function anyValue(fields: Fields): string | number | boolean {
  if (fields.has(2)) return integer(fields, 2) === 1n;
  if (fields.has(3)) return Number(BigInt.asIntN(64, integer(fields, 3)));
  return double(fields, 4) ?? text(fields, 1);
}

/** KeyValue: 1 key, 2 value. */
const attributes = (fields: Fields, number: number): Attributes =>
  Object.fromEntries(
    messages(fields, number).map((pair) => [text(pair, 1), anyValue(messages(pair, 2)[0] ?? new Map())]),
  );

/** NumberDataPoint: 2 start, 3 time, 4 double, 6 int, 7 attributes. */
function numberPoint(fields: Fields): Point {
  return {
    attributes: attributes(fields, 7),
    startTime: integer(fields, 2),
    time: integer(fields, 3),
    value: double(fields, 4) ?? Number(BigInt.asIntN(64, integer(fields, 6))),
  };
}

const hex = (fields: Fields, number: number): string => {
  const value = fields.get(number)?.at(-1);
  return value instanceof Buffer ? value.toString("hex") : "";
};

/** Exemplar: 2 time, 3 value, 4 span id, 5 trace id. */
const exemplar = (fields: Fields): Exemplar => ({
  time: integer(fields, 2),
  value: double(fields, 3) ?? Number.NaN,
  spanId: hex(fields, 4),
  traceId: hex(fields, 5),
});

/** HistogramDataPoint: 2 start, 3 time, 4 count, 5 sum, 6 bucket counts, 7 bounds, 8 exemplars, 9 attributes. */
function histogramPoint(fields: Fields): Point {
  const sum = double(fields, 5);
  return {
    attributes: attributes(fields, 9),
    startTime: integer(fields, 2),
    time: integer(fields, 3),
    count: Number(integer(fields, 4)),
    bucketCounts: packed(fields, 6, (bytes, at) => Number(bytes.readBigUInt64LE(at))),
    bounds: packed(fields, 7, (bytes, at) => bytes.readDoubleLE(at)),
    ...(sum === undefined ? {} : { sum }),
    ...(fields.has(8) ? { exemplars: messages(fields, 8).map(exemplar) } : {}),
  };
}

/** Metric: 1 name, 2 description, 3 unit, 5 gauge, 7 sum, 9 histogram; in those: 1 points, 2 temporality, 3 monotonic. */
function metric(fields: Fields): Metric {
  const kind = fields.has(5) ? "gauge" : fields.has(7) ? "sum" : fields.has(9) ? "histogram" : "other";
  const data = messages(fields, { gauge: 5, sum: 7, histogram: 9, other: 0 }[kind])[0] ?? new Map();
  return {
    name: text(fields, 1),
    description: text(fields, 2),
    unit: text(fields, 3),
    kind,
    temporality: kind === "gauge" ? 0 : Number(integer(data, 2)),
    monotonic: kind === "sum" && integer(data, 3) === 1n,
    points: messages(data, 1).map(kind === "histogram" ? histogramPoint : numberPoint),
  };
}

/** Request: 1 resource metrics { 1 resource { 1 attributes }, 2 scope metrics { 1 scope { 1 name, 2 version }, 2 metrics } }. */
export function decodeMetricsRequest(bytes: Buffer): Decoded {
  const resources = messages(parseFields(bytes), 1);
  const scoped = resources.flatMap((one) => messages(one, 2));
  return {
    resource: Object.assign(
      {},
      ...resources.flatMap((one) => messages(one, 1)).map((one) => attributes(one, 1)),
    ) as Attributes,
    scopes: scoped
      .flatMap((one) => messages(one, 1))
      .map((one) => ({ name: text(one, 1), version: text(one, 2) })),
    metrics: scoped.flatMap((one) => messages(one, 2)).map(metric),
  };
}
