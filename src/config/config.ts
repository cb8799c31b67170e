// Configuration: one schema, and file, environment and flags under it. Everything that is wrong is told at once.

import { Problem, Problems } from "../kernel/problem.ts";
import { keyRows } from "./keys.ts";
import { readLayers, type ConfigSources } from "./layers.ts";
import { jsonSchema, SECTIONS } from "./schema.ts";
import { settleConfig } from "./whole.ts";

export type { ConfigSources } from "./layers.ts";
export { ALERT_NAMES, type AlertName } from "./alert-names.ts";
export { redactedConfig } from "./print.ts";

type DeepReadonly<T> = T extends readonly (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/**
 * The effective configuration: frozen, plain JSON data. Durations are milliseconds (keys ending `Ms`), sizes bytes
 * (`…Bytes`), listeners `{ host, port }`, paths absolute, contents of secret and certificate files filled in.
 */
export type Config = DeepReadonly<NonNullable<ReturnType<typeof settleConfig>>>;

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read, absolute; null: none. */
  readonly file: string | null;
  readonly warnings: string[];
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freeze(inner);
  }
  return value;
}

/** Adds where a value came from, when it did not come from the file. */
function withOrigin(problem: Problem, origins: ReadonlyMap<string, string>): Problem {
  const { path } = problem;
  if (path === null || /\(from [^)]+\)$/.test(problem.message)) return problem;
  for (const [key, from] of origins) {
    const below = path === key || path.startsWith(`${key}.`) || path.startsWith(`${key}[`);
    // `upstream: http://…` in its short form is `upstream.http`.
    if (below) return new Problem(problem.code, `${problem.message} (from ${from})`, path);
  }
  return problem;
}

/** Flag before environment before file before default. Throws Problems: all of them, each with its path and the fix. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const layered = readLayers(sources);
  const found = { cwd: sources.cwd, problems: [...layered.problems], warnings: [...layered.warnings] };
  // A file that could not be read says nothing about its keys: one clear message instead of "upstream is required".
  const unread = layered.problems.some(({ code }) => code === "config_file" || code === "config_yaml");
  const config = unread ? null : settleConfig(layered.raw, found);
  if (config === null || found.problems.length > 0) {
    throw new Problems(found.problems.map((problem) => withOrigin(problem, layered.origins)));
  }
  return { config: freeze(config), file: layered.file, warnings: found.warnings };
}

/** The content of `outrider.schema.json`. */
export function configJsonSchema(): unknown {
  return jsonSchema();
}

export interface ConfigRow {
  readonly key: string;
  readonly env: string | null;
  readonly default: string | null;
  readonly description: string;
}

/** Every key for the documentation, in the order of the schema. */
export function configTable(): readonly ConfigRow[] {
  return keyRows().map((row) => ({
    key: row.key,
    env: row.env,
    default: row.default,
    description: row.description,
  }));
}

/** What alerts and boards are rendered from: the parts of the configuration they need. */
export type Alerting = Pick<Config, "slo" | "alerts">;

/** As if nothing was configured: what the files in the repository are rendered from. */
export function defaultAlerting(): Alerting {
  return { slo: SECTIONS.slo.parse(undefined), alerts: SECTIONS.alerts.parse(undefined) };
}
