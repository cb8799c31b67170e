// JSON frames from the traffic process, looked at before they are used. What is wrong in them is a bug of ours: it throws.

import type { Config } from "../config/config.ts";
import type { Question, TrafficStats } from "../facts/road.ts";

export interface ParsedOpening {
  readonly session: string;
  readonly config: Config;
  readonly stats: TrafficStats;
}

type Fields = Readonly<Record<string, unknown>>;

function parseFields(value: unknown, what: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new TypeError(`${what} is no object`);
  return value as Fields;
}

function parseNumber(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

function parseText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function parseCounts(value: unknown, what: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [key, count] of Object.entries(parseFields(value ?? {}, what))) counts[key] = parseNumber(count);
  return counts;
}

export function parseStats(value: unknown): TrafficStats {
  const fields = parseFields(value, "stats");
  return {
    seen: parseNumber(fields["seen"]),
    recorded: parseNumber(fields["recorded"]),
    dropped: parseCounts(fields["dropped"], "dropped"),
    limited: parseCounts(fields["limited"], "limited"),
    queuedFacts: parseNumber(fields["queuedFacts"]),
    queuedBytes: parseNumber(fields["queuedBytes"]),
    activeRequests: parseNumber(fields["activeRequests"]),
    openConnections: parseNumber(fields["openConnections"]),
    refusedConnections: parseNumber(fields["refusedConnections"]),
    clientErrors: parseNumber(fields["clientErrors"]),
    observerRestarts: parseNumber(fields["observerRestarts"]),
    loopDelayMs: parseNumber(fields["loopDelayMs"]),
  };
}

export function parseOpening(value: unknown): ParsedOpening {
  const fields = parseFields(value, "opening");
  // The configuration was parsed by the traffic process with the schema; here it is the same value again.
  const config = parseFields(fields["config"], "config") as unknown as Config;
  return { session: parseText(fields["session"]), config, stats: parseStats(fields["stats"]) };
}

export function parseQuestion(value: unknown): Question {
  const fields = parseFields(value, "question");
  return {
    id: parseNumber(fields["id"]),
    accept: parseText(fields["accept"]),
    acceptEncoding: parseText(fields["acceptEncoding"]),
    stats: parseStats(fields["stats"]),
  };
}

export function parseStop(value: unknown): number {
  return parseNumber(parseFields(value, "stop")["deadlineMs"]);
}
