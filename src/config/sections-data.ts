// The schema of what is kept and watched: store, capture, probes, target.

import * as z from "zod";
import {
  DAY_MS,
  HOUR_MS,
  LIST_MAX,
  duration,
  file,
  flag,
  integer,
  jsonPath,
  name,
  ratio,
  size,
  text,
  uniqueNames,
} from "./fields.ts";

export const store = z
  .strictObject({
    path: file().prefault("./outrider-data").describe("Folder of predictions and labels; made when missing."),
    retention: duration({ min: 60_000 })
      .prefault("30d")
      .describe("How long predictions are kept; a label joins as long as its prediction is."),
    maxSize: size({ min: 1024 * 1024 })
      .prefault("8GiB")
      .describe(
        "The oldest predictions go earlier when the store, with its write-ahead log, is larger than this.",
      ),
    url: z
      .string()
      .refine(() => false, {
        error:
          "a shared store is not supported yet: remove `store.url`; each sidecar keeps its own in `store.path`",
      })
      .nullable()
      .default(null)
      .describe("Reserved for a shared store. Not supported yet."),
  })
  .transform(({ retention, maxSize, path }) => ({ path, retentionMs: retention, maxSizeBytes: maxSize }))
  .prefault({})
  .describe("Where predictions and labels are kept.");

export const capture = z
  .strictObject({
    maxBodySize: size({ max: 64 * 1024 * 1024 })
      .prefault("64KiB")
      .describe("How much of each body is copied to be read; 0 copies none. Bodies pass whole in any case."),
    sampleRatio: ratio().default(1).describe("Share of the exchanges whose predictions are recorded."),
    storeInputs: flag()
      .default(false)
      .describe("Watch the inputs of predictions for drift. Kept are their distributions, never their rows."),
    redact: z
      .array(jsonPath())
      .max(LIST_MAX)
      .prefault([])
      .describe(
        'Places in request bodies that are never kept, e.g. ["$.customer.name"]: taken out before ids, slices and inputs are read. A name met at a list is meant in each element; an input that bears the last name of a path is never kept, wherever it stands.',
      ),
  })
  .transform(({ maxBodySize, ...rest }) => ({ ...rest, maxBodySizeBytes: maxBodySize }))
  .prefault({})
  .describe("What is copied of the traffic for observation.");

const probe = z
  .strictObject({
    name: name().describe("The `probe` label of its metrics."),
    url: text("an address", 2048).describe(
      "http:// or https:// (a request), tcp://host:port or unix:/path (a connection). {upstream} stands for the model server.",
    ),
    every: duration({ min: 1000, max: DAY_MS })
      .prefault("15s")
      .describe("Time between two probes, 1s or more."),
    timeout: duration({ min: 1, max: HOUR_MS }).prefault("2s").describe("No answer within it is a failure."),
    expectStatus: integer(100, 599)
      .nullable()
      .default(null)
      .describe("The only status that is a success. Default: any from 200 to 399."),
  })
  .transform(({ every, timeout, ...rest }) => ({ ...rest, everyMs: every, timeoutMs: timeout }));

export const probes = z
  .array(probe)
  .max(LIST_MAX)
  .superRefine((given, context) => uniqueNames(given, { context, path: [] }))
  .nullable()
  .default(null)
  .describe("Uptime probes. Default: one connection to the model server every 15 s; [] makes none.");

const targetKinds = z
  .strictObject({
    pid: integer(1, 4_194_304).optional().describe("Watch this process and its children."),
    pidFile: file().optional().describe("The process id stands in this file; read again when it changes."),
    processName: text("a regular expression", 256)
      .refine(isExpression, { error: "must be a regular expression" })
      .optional()
      .describe("Regular expression on the name or command line of the process."),
    cgroup: text("a cgroup folder", 4096)
      .optional()
      .describe("Folder of a cgroup, e.g. /system.slice/model.service."),
    port: integer(1, 65_535).optional().describe("Watch whoever listens on this port here."),
    metrics: text("an address", 2048)
      .optional()
      .describe(
        "Page with the server's own process_cpu_seconds_total and process_resident_memory_bytes, e.g. {upstream}/metrics.",
      ),
  })
  .refine((given) => Object.values(given).filter((value) => value !== undefined).length === 1, {
    error: "needs exactly one of pid, pidFile, processName, cgroup, port, metrics",
  });

export const target = z
  .union([
    z.literal("auto", {
      error:
        'must be "auto" or one of { pid }, { pidFile }, { processName }, { cgroup }, { port }, { metrics }',
    }),
    targetKinds,
  ])
  .default("auto")
  .describe(
    "Whose CPU and memory are watched. auto: who listens on the upstream's port on this machine, else what {upstream}/metrics tells.",
  );

function isExpression(pattern: string): boolean {
  try {
    return new RegExp(pattern, "u") instanceof RegExp;
  } catch {
    return false;
  }
}
