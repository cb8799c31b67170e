// Figures that another process of ours sends as JSON, looked at before they are used. What is wrong in them is a bug of ours: it throws.

import type { TrafficStats } from "./road.ts";

type Fields = Readonly<Record<string, unknown>>;

export function parseFields(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new TypeError(`${what} is no object`);
  return value as Fields;
}

export function parseNumber(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

export function parseText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function parseCounts(value: unknown, what: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [key, count] of Object.entries(parseFields(value ?? {}, what))) counts[key] = parseNumber(count);
  return counts;
}

/** Throws TypeError when it is no object; a figure that is missing is 0. */
export function parseStats(value: unknown): TrafficStats {
  const fields = parseFields(value, "stats");
  return {
    seen: parseNumber(fields["seen"]),
    recorded: parseNumber(fields["recorded"]),
    dropped: parseCounts(fields["dropped"], "dropped"),
    limited: parseCounts(fields["limited"], "limited"),
    resends: parseCounts(fields["resends"], "resends"),
    streamWaits: parseNumber(fields["streamWaits"]),
    upstreamConnections: parseCounts(fields["upstreamConnections"], "upstreamConnections"),
    upstreamConnectTimes: parseCounts(fields["upstreamConnectTimes"], "upstreamConnectTimes"),
    uncapturedBodies: parseNumber(fields["uncapturedBodies"]),
    cacheMisses: parseCounts(fields["cacheMisses"], "cacheMisses"),
    cacheEvictions: parseCounts(fields["cacheEvictions"], "cacheEvictions"),
    queuedFacts: parseNumber(fields["queuedFacts"]),
    queuedBytes: parseNumber(fields["queuedBytes"]),
    activeRequests: parseNumber(fields["activeRequests"]),
    openConnections: parseNumber(fields["openConnections"]),
    refusedConnections: parseNumber(fields["refusedConnections"]),
    clientErrors: parseNumber(fields["clientErrors"]),
    heldBytes: parseNumber(fields["heldBytes"]),
    observerRestarts: parseNumber(fields["observerRestarts"]),
    loopDelayMs: parseNumber(fields["loopDelayMs"]),
    workers: parseNumber(fields["workers"]),
    workerRestarts: parseNumber(fields["workerRestarts"]),
  };
}
