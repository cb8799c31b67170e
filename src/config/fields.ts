// The leaves of the schema: one builder per kind of value. A message that begins with "must" gets the value appended (problems.ts).

import * as z from "zod";
import { canonicalClass } from "../kernel/classes.ts";
import { parsePath } from "../kernel/jsonpath.ts";
import { formatDuration, parseDuration, parseSize } from "../kernel/units.ts";
import type { Parsed } from "./addresses.ts";
import { parseAddress, parseGrpcOrigin, parseOrigin } from "./addresses.ts";

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
/** Entries of one list: tokens, probes, registries. */
export const LIST_MAX = 64;
/** Never shown: in JSON Schema's words, only written. */
export const secret = { writeOnly: true } as const;

interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** A string field whose text `parse` turns into a value. */
function parsedText<T>(kind: string, parse: (text: string) => Parsed<T>) {
  return z.string({ error: `must be ${kind}` }).transform((text, context) => {
    const parsed = parse(text);
    if ("value" in parsed) return parsed.value;
    context.addIssue({ code: "custom", message: parsed.wrong });
    return z.NEVER;
  });
}

const DURATION = 'a duration such as "500ms", "30s", "5m", "24h" or "7d"';

/** Milliseconds, written with a unit. */
export function duration(range: Range = {}) {
  const { min = 0, max = Number.POSITIVE_INFINITY } = range;
  return parsedText(DURATION, (text): Parsed<number> => {
    const ms = parseDuration(text);
    if (ms === null) return { wrong: `must be ${DURATION}` };
    if (ms < min) return { wrong: `must be at least ${formatDuration(min)}` };
    return ms > max ? { wrong: `must be at most ${formatDuration(max)}` } : { value: ms };
  });
}

const SIZE = 'a size such as "64KiB", "8GiB" or a number of bytes';

/** Bytes, written with a unit or plain. */
export function size(range: Range = {}) {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = range;
  return z.union([z.string(), z.number()], { error: `must be ${SIZE}` }).transform((given, context) => {
    const bytes = typeof given === "string" ? parseSize(given) : given;
    if (bytes !== null && Number.isSafeInteger(bytes) && bytes >= min && bytes <= max) return bytes;
    const wrong =
      bytes === null || !Number.isSafeInteger(bytes) || bytes < 0
        ? `must be ${SIZE}`
        : `must be from ${min} to ${max} bytes`;
    context.addIssue({ code: "custom", message: wrong });
    return z.NEVER;
  });
}

export const address = () => parsedText('"host:port"', parseAddress);
export const origin = () => parsedText("an address", parseOrigin);
export const grpcOrigin = () => parsedText("an address", parseGrpcOrigin);

/** Names of models, probes and tokens: they become label values and parts of paths. */
export function name() {
  const wanted =
    "must be 1 to 128 characters of A-Z a-z 0-9 . _ : / @ + - (in quotes when it looks like a number)";
  return z
    .string({ error: wanted })
    .regex(/^[A-Za-z0-9._:/@+-]{1,128}$/, { error: wanted })
    .refine((text) => !/^\.+$/.test(text), { error: wanted });
}

/** Any text of a sensible length. */
export function text(what: string, max = 1024) {
  const wanted = `must be ${what} of 1 to ${max} characters (in quotes when it looks like a number)`;
  return z.string({ error: wanted }).min(1, { error: wanted }).max(max, { error: wanted });
}

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  const wanted =
    max === Number.MAX_SAFE_INTEGER
      ? `must be a whole number, ${min} or more`
      : `must be a whole number from ${min} to ${max}`;
  return z.int({ error: wanted }).min(min, { error: wanted }).max(max, { error: wanted });
}

/** A finite number. */
export const real = () => z.number({ error: "must be a finite number" });

export function ratio() {
  const wanted = "must be a number from 0 to 1";
  return z.number({ error: wanted }).min(0, { error: wanted }).max(1, { error: wanted });
}

export const flag = () => z.boolean({ error: "must be true or false" });

/** A path of the file system, relative to the working directory. */
export const file = () => text("a path of a file", 4096);

/** A place in a JSON body: `$.a[0].b`, `$["odd name"]`, or one key of it. */
export function jsonPath() {
  const wanted = 'must be a path into the JSON body such as "$.model.version" or "$.versions[0]"';
  return z.string({ error: wanted }).refine((given) => parsePath(given) !== null, { error: wanted });
}

/** The name of an HTTP header; lower case inside. */
export function headerName() {
  const wanted = "must be the name of an HTTP header";
  return z
    .string({ error: wanted })
    .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/, { error: wanted })
    .transform((given) => given.toLowerCase());
}

/** An http or https URL. */
export function webUrl() {
  return parsedText("an http:// or https:// URL", (given): Parsed<string> => {
    const ok = URL.canParse(given) && /^https?:\/\/[^/]/i.test(given);
    return ok ? { value: given.replace(/\/+$/, "") } : { wrong: "must be an http:// or https:// URL" };
  });
}

/** The value of a class as a model or a label spells it: 1, "1" and true are the same class. */
export function classValue() {
  return z
    .union([z.string().max(256), z.number(), z.boolean()], { error: "must be a string, number or boolean" })
    .transform((given) => canonicalClass(given));
}

/** What a shell or a person would take for one of the two. */
export function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, { error: `must be one of ${values.join(", ")}` });
}

/** Adds an issue for each name that was used before. */
export function uniqueNames(
  items: readonly { readonly name: string }[],
  at: { readonly context: z.RefinementCtx; readonly path: readonly string[] },
): void {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    if (seen.has(item.name)) {
      const message = "must be a name that is not used twice";
      at.context.addIssue({ code: "custom", path: [...at.path, index, "name"], message });
    }
    seen.add(item.name);
  }
}

/** A host name, such as a certificate is for. */
export function hostName() {
  const wanted = "must be a host name such as model.internal";
  return z.string({ error: wanted }).regex(/^(?!-)[A-Za-z0-9_.-]{1,253}$/, { error: wanted });
}
