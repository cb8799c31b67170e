// The SDK's OTLP JSON taken apart and put together again, with exemplars at the histograms' points.

import { type Exemplar, nanoseconds } from "./snapshot.ts";

interface Point {
  exemplars?: unknown;
}

interface Request {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly {
      readonly metrics: readonly {
        readonly histogram?: { readonly dataPoints: Point[] };
      }[];
    }[];
  }[];
}

/** `scopes`: exemplars per scope, metric and point, in the order of the request. */
export function graftJson(
  bytes: Uint8Array,
  scopes: readonly (readonly (readonly (readonly Exemplar[])[] | null)[])[],
): Uint8Array {
  const request = JSON.parse(Buffer.from(bytes).toString("utf8")) as Request;
  const [resource] = request.resourceMetrics;
  for (const [at, { metrics }] of (resource?.scopeMetrics ?? []).entries()) {
    for (const [place, { histogram }] of metrics.entries())
      put(histogram?.dataPoints ?? [], scopes[at]?.[place] ?? []);
  }
  return Buffer.from(JSON.stringify(request), "utf8");
}

function put(points: readonly Point[], exemplars: readonly (readonly Exemplar[])[]): void {
  for (const [index, point] of points.entries()) {
    const own = exemplars[index] ?? [];
    if (own.length > 0) point.exemplars = own.map(exemplarOf);
  }
}

/** Ids as hex, 64-bit numbers as text: OTLP's JSON mapping. */
function exemplarOf({ labels, value, timestamp }: Exemplar): unknown {
  return {
    timeUnixNano: String(nanoseconds(timestamp)),
    asDouble: value,
    spanId: labels["span_id"],
    traceId: labels["trace_id"],
    filteredAttributes: [],
  };
}
