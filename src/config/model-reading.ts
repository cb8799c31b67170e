// The schema of how a model's answers are read: which exchanges, where the prediction stands, where the version.

import * as z from "zod";
import { DAY_MS, duration, flag, headerName, jsonPath, oneOf, text } from "./fields.ts";

export const match = z
  .strictObject({
    path: z
      .string({ error: "must be a path pattern" })
      .regex(/^\/.{0,1023}$/, {
        error: 'must be a path pattern that begins with "/", e.g. "/v2/models/credit/**"',
      })
      .nullable()
      .default(null)
      .describe("Pattern of the request path: * is anything within a segment, ** anything at all."),
  })
  .prefault({})
  .describe("Which exchanges are its predictions. Default: those that name it in the body or the path.");

export const extract = z
  .strictObject({
    reader: oneOf(["oip-v2", "predictions", "rows", "object", "openai"])
      .nullable()
      .default(null)
      .describe(
        "How answers are read: oip-v2, predictions, rows, object or openai. Default: by their shape.",
      ),
    prediction: jsonPath()
      .nullable()
      .default(null)
      .describe("Output (oip-v2) or path in a row's element that holds the prediction."),
    score: jsonPath()
      .nullable()
      .default(null)
      .describe("Output or path that holds the score of the positive class."),
    scores: jsonPath()
      .nullable()
      .default(null)
      .describe("Output or path that holds the probabilities of all classes."),
    at: jsonPath().nullable().default(null).describe("Path to the list of rows (reader rows)."),
    id: jsonPath()
      .nullable()
      .default(null)
      .describe("Path to an id in the answer: one more name for labels."),
    version: jsonPath().nullable().default(null).describe("Path to the model version in the answer."),
    sumToOne: flag()
      .default(true)
      .describe("Take an unnamed list of numbers that sums to 1 for probabilities."),
  })
  .prefault({})
  .describe("How predictions are read from answers. Default: by what common model servers do.");

const poll = z
  .strictObject({
    path: z
      .string({ error: "must be a path" })
      .regex(/^\/.{0,1023}$/, { error: 'must be a path that begins with "/"' })
      .describe("Path of the metadata endpoint on the model server."),
    every: duration({ min: 1000, max: DAY_MS }).prefault("30s").describe("Time between two looks."),
    at: jsonPath().describe("Path to the version in its JSON answer."),
  })
  .transform(({ every, ...rest }) => ({ ...rest, everyMs: every }));

const VERSION_SOURCES = "needs exactly one of static, header, body, path, poll, registry";

export const version = z
  .strictObject({
    static: text("a version", 256).optional().describe("Always this version."),
    header: headerName().optional().describe("Header of the answer that holds it."),
    body: jsonPath().optional().describe("Path to it in the answer."),
    path: z
      .literal(true, { error: "must be true" })
      .optional()
      .describe("It stands in the path: /versions/<version>."),
    poll: poll.optional().describe("Ask a metadata endpoint of the model server for it."),
    registry: oneOf(["mlflow", "databricks"])
      .optional()
      .describe("The version a registry declares; needs an entry in `registries`. The others declare none."),
  })
  .transform((given, context) => {
    const sources: VersionSource[] = [];
    if (given.static !== undefined) sources.push({ static: given.static });
    if (given.header !== undefined) sources.push({ header: given.header });
    if (given.body !== undefined) sources.push({ body: given.body });
    if (given.path !== undefined) sources.push({ path: given.path });
    if (given.poll !== undefined) sources.push({ poll: given.poll });
    if (given.registry !== undefined) sources.push({ registry: given.registry });
    const [only, ...others] = sources;
    if (only !== undefined && others.length === 0) return only;
    context.addIssue({ code: "custom", message: VERSION_SOURCES });
    return z.NEVER;
  })
  .nullable()
  .default(null)
  .describe(
    "Where the served version stands; the only place asked. Default: body, header, path, registry, polled.",
  );

/** The one place where a model's served version is looked for. */
export type VersionSource =
  | { readonly static: string }
  | { readonly header: string }
  | { readonly body: string }
  | { readonly path: true }
  | { readonly poll: { readonly path: string; readonly everyMs: number; readonly at: string } }
  | { readonly registry: "mlflow" | "databricks" };
