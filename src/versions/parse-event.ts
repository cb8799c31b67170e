// Lines of the journal back to events; what does not look like one is left out and counted.

import * as z from "zod";
import type { VersionEvent } from "../facts/version.ts";

const stage = z.enum(["none", "staging", "production", "archived"]);

const quality = z.array(
  z.object({
    window: z.string(),
    basis: z.enum(["all", "matured"]).default("all"),
    n_predictions: z.number(),
    n_labeled: z.number(),
    coverage: z.number().nullable(),
    metrics: z.record(z.string(), z.number().nullable()),
  }),
);

const registration = z.object({
  artifact: z.object({ uri: z.string(), sha256: z.string().nullable() }).nullable(),
  trainingData: z.unknown(),
  parameters: z.record(z.string(), z.unknown()),
  evaluation: z.record(z.string(), z.number()),
  tags: z.record(z.string(), z.string()),
  description: z.string().nullable(),
});

const event = z.object({
  seq: z.number(),
  at: z.number(),
  actor: z.string(),
  via: z.string().nullable().default(null),
  // "seen" is what the first version of the ledger wrote.
  action: z
    .enum(["registered", "unregistered", "seen", "promoted", "archived", "rolled_back"])
    .transform((action) => (action === "seen" ? "unregistered" : action)),
  model: z.string(),
  version: z.string(),
  from: stage,
  to: stage,
  reason: z.string().nullable(),
  quality: quality.nullable(),
  registration: registration.nullable(),
});

const entry = z.array(event);

/** The events of one line: they happened together. null: not an entry of ours. */
export function parseEntry(line: unknown): readonly VersionEvent[] | null {
  const parsed = entry.safeParse(line);
  return parsed.success ? parsed.data : null;
}
