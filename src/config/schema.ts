// The whole schema in one place, and what is generated from it: the JSON Schema for editors.

import * as z from "zod";
import { models } from "./model.ts";
import { alerts, slo } from "./sections-alerts.ts";
import { capture, probes, store, target } from "./sections-data.ts";
import { otlp, registries } from "./sections-export.ts";
import { api, proxy, telemetry, upstream } from "./sections-traffic.ts";

/** Top-level keys in the order of the documentation. */
export const SECTIONS = {
  upstream,
  proxy,
  telemetry,
  api,
  store,
  capture,
  models,
  probes,
  target,
  otlp,
  registries,
  slo,
  alerts,
} as const;

export type SectionName = keyof typeof SECTIONS;

let generated: Readonly<Record<string, unknown>> | null = null;

/** JSON Schema (2020-12) of the configuration file; plain data, the same object every time. */
export function jsonSchema(): Readonly<Record<string, unknown>> {
  generated ??= Object.freeze({
    ...z.toJSONSchema(z.strictObject(SECTIONS), { io: "input" }),
    title: "Outrider",
    description: "Configuration of the Outrider sidecar.",
  });
  return generated;
}
