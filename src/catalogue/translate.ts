// The name Prometheus gives to a metric that arrives by OTLP (strategy UnderscoreEscapingWithSuffixes).

import type { FamilyType } from "./descriptor.ts";

const UNITS: ReadonlyMap<string, string> = new Map([
  ["d", "days"],
  ["h", "hours"],
  ["min", "minutes"],
  ["s", "seconds"],
  ["ms", "milliseconds"],
  ["us", "microseconds"],
  ["ns", "nanoseconds"],
  ["By", "bytes"],
  ["KiBy", "kibibytes"],
  ["MiBy", "mebibytes"],
  ["GiBy", "gibibytes"],
  ["Cel", "celsius"],
  ["Hz", "hertz"],
  ["%", "percent"],
  ["1", ""],
]);
const PER_UNITS: ReadonlyMap<string, string> = new Map([
  ["s", "second"],
  ["min", "minute"],
  ["h", "hour"],
  ["d", "day"],
]);

function word(unit: string | undefined, known: ReadonlyMap<string, string>): string {
  const text = (unit ?? "").trim();
  // Annotations in braces ("{request}") are for readers, not for names.
  return text.includes("{") ? "" : (known.get(text) ?? text);
}

/**
 * The Prometheus name of an OTLP metric: characters outside [a-zA-Z0-9:] separate words, the unit's word follows,
 * then `total` for counters and `ratio` for gauges of unit `1`, each only once.
 * Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", and Prometheus' own translator.
 */
export function translate(otelName: string, unit: string, type: FamilyType): string {
  let words = otelName.split(/[^a-zA-Z0-9:]+/).filter((part) => part !== "");
  const [main, per] = unit.split("/", 2);
  const unitWord = word(main, UNITS);
  if (unitWord !== "" && !words.includes(unitWord)) words.push(unitWord);
  const perWord = word(per, PER_UNITS);
  if (perWord !== "" && !words.includes(perWord)) words.push("per", perWord);
  const suffix = type === "counter" ? "total" : type === "gauge" && unit === "1" ? "ratio" : null;
  if (suffix !== null) words = [...words.filter((part) => part !== suffix), suffix];
  const name = words.join("_");
  return /^[0-9]/.test(name) ? `_${name}` : name;
}
