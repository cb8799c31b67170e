// JSON frames from the traffic process, looked at before they are used. What is wrong in them is a bug of ours: it throws.

import type { Config } from "../config/config.ts";
import { parseFields, parseNumber, parseStats, parseText } from "../facts/parse-stats.ts";
import type { Question, TrafficStats } from "../facts/road.ts";

export interface ParsedOpening {
  readonly session: string;
  readonly config: Config;
  readonly stats: TrafficStats;
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
