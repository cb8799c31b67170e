// An OTLP/HTTP receiver for tests: takes metrics as protobuf or JSON, gzip or plain, and keeps them in one readable shape.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { decodeMetricsRequest } from "./otlp-protobuf.ts";

export type Attributes = Record<string, string | number | boolean>;

export interface Exemplar {
  readonly time: bigint;
  readonly value: number;
  readonly traceId: string;
  readonly spanId: string;
}

export interface Point {
  readonly attributes: Attributes;
  /** Unix nanoseconds. */
  readonly startTime: bigint;
  readonly time: bigint;
  /** Sums and gauges. */
  readonly value?: number;
  /** Histograms. */
  readonly count?: number;
  readonly sum?: number;
  readonly bounds?: readonly number[];
  readonly bucketCounts?: readonly number[];
  readonly exemplars?: readonly Exemplar[];
}

export interface Metric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: "gauge" | "sum" | "histogram" | "other";
  readonly monotonic: boolean;
  /** 1 delta, 2 cumulative, 0 unspecified. */
  readonly temporality: number;
  readonly points: readonly Point[];
}

export interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly encoding: "protobuf" | "json";
  /** What was sent, unpacked if it came as gzip. */
  readonly body: Buffer;
  readonly resource: Attributes;
  readonly scopes: readonly { readonly name: string; readonly version: string }[];
  readonly metrics: readonly Metric[];
}

export interface OtlpReceiver {
  /** Base address, to be used as an OTLP endpoint. */
  readonly url: string;
  readonly requests: readonly Received[];
  /** The metric of that name in the latest request that held it. */
  latest(name: string): Metric | undefined;
  /** Resolves when `count` requests have come in all. */
  received(count: number): Promise<void>;
  /** How to answer from now on: a status, or "never". */
  answerWith(status: number | "never"): void;
  close(): Promise<void>;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const requests: Received[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  let answer: number | "never" = 200;
  const server = createServer((request, response) => {
    void take(request).then((received) => {
      requests.push(received);
      for (const one of waiting) if (requests.length >= one.count) one.resolve();
      if (answer !== "never") reply(response, answer, received.encoding);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    latest: (name) =>
      requests
        .findLast((one) => one.metrics.some((metric) => metric.name === name))
        ?.metrics.find((metric) => metric.name === name),
    received: (count) =>
      requests.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => void waiting.push({ count, resolve })),
    answerWith: (how) => {
      answer = how;
    },
    close: () => close(server),
  };
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

function reply(response: ServerResponse, status: number, encoding: Received["encoding"]): void {
  response.writeHead(status, {
    "content-type": encoding === "json" ? "application/json" : "application/x-protobuf",
  });
  response.end(encoding === "json" ? "{}" : "");
}

async function take(request: IncomingMessage): Promise<Received> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const raw = Buffer.concat(chunks);
  const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
  const encoding = request.headers["content-type"]?.includes("json") === true ? "json" : "protobuf";
  const decoded =
    encoding === "json" ? parseJsonRequest(JSON.parse(body.toString("utf8"))) : decodeMetricsRequest(body);
  return { path: request.url ?? "", headers: request.headers, encoding, body, ...decoded };
}

export type Decoded = Pick<Received, "resource" | "scopes" | "metrics">;

interface JsonValue {
  stringValue?: string;
  intValue?: string | number;
  doubleValue?: number;
  boolValue?: boolean;
}
interface JsonPoint {
  attributes?: { key: string; value: JsonValue }[];
  startTimeUnixNano?: string;
  timeUnixNano?: string;
  asDouble?: number;
  asInt?: string | number;
  count?: string | number;
  sum?: number;
  explicitBounds?: number[];
  bucketCounts?: (string | number)[];
  exemplars?: { timeUnixNano: string; asDouble: number; traceId: string; spanId: string }[];
}
interface JsonData {
  dataPoints?: JsonPoint[];
  aggregationTemporality?: number;
  isMonotonic?: boolean;
}
interface JsonMetric {
  name: string;
  description?: string;
  unit?: string;
  gauge?: JsonData;
  sum?: JsonData;
  histogram?: JsonData;
}
interface JsonRequest {
  resourceMetrics?: {
    resource?: { attributes?: { key: string; value: JsonValue }[] };
    scopeMetrics?: { scope?: { name?: string; version?: string }; metrics?: JsonMetric[] }[];
  }[];
}

const attributesOf = (list: { key: string; value: JsonValue }[] = []): Attributes =>
  Object.fromEntries(
    list.map(({ key, value }) => [
      key,
      value.stringValue ?? value.boolValue ?? value.doubleValue ?? Number(value.intValue),
    ]),
  );

/** The JSON encoding of OTLP: 64-bit integers may be text. */
function parseJsonRequest(value: unknown): Decoded {
  const request = value as JsonRequest;
  const resources = request.resourceMetrics ?? [];
  const scoped = resources.flatMap((one) => one.scopeMetrics ?? []);
  return {
    resource: Object.assign(
      {},
      ...resources.map((one) => attributesOf(one.resource?.attributes)),
    ) as Attributes,
    scopes: scoped.map(({ scope }) => ({ name: scope?.name ?? "", version: scope?.version ?? "" })),
    metrics: scoped.flatMap((one) => one.metrics ?? []).map(metricOf),
  };
}

function exemplarsOf({ exemplars = [] }: JsonPoint): { exemplars?: readonly Exemplar[] } {
  if (exemplars.length === 0) return {};
  return {
    exemplars: exemplars.map(({ timeUnixNano, asDouble, traceId, spanId }) => ({
      time: BigInt(timeUnixNano),
      value: asDouble,
      traceId,
      spanId,
    })),
  };
}

function metricOf(metric: JsonMetric): Metric {
  const kind = metric.gauge ? "gauge" : metric.sum ? "sum" : metric.histogram ? "histogram" : "other";
  const data = metric.gauge ?? metric.sum ?? metric.histogram ?? {};
  return {
    name: metric.name,
    description: metric.description ?? "",
    unit: metric.unit ?? "",
    kind,
    monotonic: data.isMonotonic ?? false,
    temporality: data.aggregationTemporality ?? 0,
    points: (data.dataPoints ?? []).map((point) => ({
      attributes: attributesOf(point.attributes),
      startTime: BigInt(point.startTimeUnixNano ?? 0),
      time: BigInt(point.timeUnixNano ?? 0),
      ...(kind === "histogram"
        ? {
            count: Number(point.count),
            bounds: point.explicitBounds ?? [],
            bucketCounts: (point.bucketCounts ?? []).map(Number),
            ...(point.sum === undefined ? {} : { sum: point.sum }),
            ...exemplarsOf(point),
          }
        : { value: point.asDouble ?? Number(point.asInt) }),
    })),
  };
}
