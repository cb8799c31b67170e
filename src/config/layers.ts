// Flags, environment and file become one tree of plain data, the stronger laid over the weaker.

import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { parseDocument } from "yaml";
import { codeOf, messageOf, Problem } from "../kernel/problem.ts";
import { isRecord, keyRows, nearest, type KeyRow } from "./keys.ts";

export interface ConfigSources {
  /** Dotted key -> text. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** An explicit `--config`. */
  readonly file: string | null;
  readonly cwd: string;
}

export interface Layered {
  readonly raw: Readonly<Record<string, unknown>>;
  /** The file that was read. */
  readonly file: string | null;
  /** Dotted key -> the flag or variable it came from. */
  readonly origins: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

interface Setting {
  readonly row: KeyRow;
  readonly value: unknown;
  readonly from: string;
}

const FILE_BYTES_MAX = 1024 * 1024;
const DEFAULT_FILE = "outrider.yaml";
/** Variables of ours that are no configuration keys: the command line reads them. */
const OTHER_VARIABLES = ["OUTRIDER_CONFIG", "OUTRIDER_API", "OUTRIDER_TOKEN"];

/** Kubernetes gives every pod variables for the services beside it: one named "outrider" must not stop the sidecar. */
function isServiceLink(name: string, value: string): boolean {
  return (
    /_SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)$/.test(name) ||
    /_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/.test(name) ||
    (name.endsWith("_PORT") && /^(?:tcp|udp|sctp):\/\//.test(value))
  );
}

/** The value of a variable's or flag's text; the schema says later whether it is a good one. */
function valueOf(text: string, row: KeyRow): unknown {
  const trimmed = text.trim();
  if (row.nullable && trimmed === "null") return null;
  if (row.kind === "number")
    return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : text;
  if (row.kind === "boolean") return trimmed === "true" ? true : trimmed === "false" ? false : text;
  if (row.kind === "json" || (row.kind === "json-or-text" && /^[[{]/.test(trimmed)))
    return JSON.parse(trimmed);
  return text;
}

function setting(given: unknown, row: KeyRow, from: string): Setting | Problem {
  if (typeof given !== "string") return { row, value: given, from };
  try {
    return { row, value: valueOf(given, row), from };
  } catch (thrown) {
    // The parser's own message would quote the text, which may hold a secret.
    const where = /position \d+/.exec(messageOf(thrown))?.[0];
    const message = `must be JSON${where === undefined ? "" : ` (it breaks off at ${where})`} (from ${from})`;
    return new Problem("config_invalid", message, row.key);
  }
}

function fromEnv(env: ConfigSources["env"]): (Setting | Problem)[] {
  const rows = new Map<string, KeyRow>();
  for (const row of keyRows()) if (row.env !== null) rows.set(row.env, row);
  const found: (Setting | Problem)[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith("OUTRIDER_") || value === undefined || value === "") continue;
    if (OTHER_VARIABLES.includes(name) || isServiceLink(name, value)) continue;
    const row = rows.get(name);
    if (row === undefined) {
      const near = nearest(
        name.slice("OUTRIDER_".length),
        [...rows.keys()].map((key) => key.slice("OUTRIDER_".length)),
      );
      const fix = near === null ? "unset it" : `did you mean "OUTRIDER_${near}"?`;
      found.push(new Problem("config_unknown_key", `is not a known variable; ${fix}`, name.slice(0, 128)));
    } else found.push(setting(value, row, name));
  }
  return found;
}

function fromFlags(flags: ConfigSources["flags"]): (Setting | Problem)[] {
  const rows = new Map(
    keyRows()
      .filter((row) => row.env !== null)
      .map((row) => [row.key, row]),
  );
  const found: (Setting | Problem)[] = [];
  for (const [key, value] of Object.entries(flags)) {
    if (value === undefined) continue;
    const row = rows.get(key);
    if (row === undefined) {
      const near = nearest(key, [...rows.keys()]);
      const fix = near === null ? "see `outrider.schema.json`" : `did you mean "${near}"?`;
      found.push(new Problem("config_unknown_key", `is not a known key; ${fix}`, key.slice(0, 128)));
    } else found.push(setting(value, row, "the command line"));
  }
  return found;
}

/** What a group stands for when only its short form was written and one of its keys is set. */
function opened(section: string, value: unknown): Record<string, unknown> {
  if (isRecord(value)) return value;
  return section === "upstream" && typeof value === "string" ? { http: value } : {};
}

/** Sets `key` in `tree`. Keys come from the schema, so none is a prototype's. */
function place(tree: Record<string, unknown>, key: string, value: unknown): void {
  const steps = key.split(".");
  const last = steps.pop() ?? key;
  let at = tree;
  for (const step of steps) {
    const inner = opened(step, Object.hasOwn(at, step) ? at[step] : undefined);
    at[step] = inner;
    at = inner;
  }
  at[last] = value;
}

/** Lays one layer over the tree, shorter keys first: `target` before `target.pid`. */
function lay(
  tree: Record<string, unknown>,
  settings: readonly Setting[],
  origins: Map<string, string>,
): void {
  const sorted = settings.toSorted((a, b) => a.row.key.split(".").length - b.row.key.split(".").length);
  // The kinds of target exclude each other: one named here replaces whatever the weaker layer chose.
  if (sorted.some(({ row }) => row.key.startsWith("target."))) delete tree["target"];
  for (const { row, value, from } of sorted) {
    place(tree, row.key, value);
    origins.set(row.key, from);
  }
}

interface FileText {
  readonly file: string | null;
  readonly text: string;
}

function readText(sources: ConfigSources): FileText | Problem {
  const named = sources.file ?? (sources.env["OUTRIDER_CONFIG"] || null);
  const file = resolve(sources.cwd, named ?? DEFAULT_FILE);
  const from = sources.file === null && named !== null ? "OUTRIDER_CONFIG" : "--config";
  try {
    const { size } = statSync(file);
    if (size > FILE_BYTES_MAX)
      return new Problem("config_file", `${file} is larger than ${FILE_BYTES_MAX} bytes`, from);
    return { file, text: readFileSync(file, "utf8") };
  } catch (thrown) {
    if (named === null && codeOf(thrown) === "ENOENT") return { file: null, text: "" };
    const why = codeOf(thrown) === "ENOENT" ? "there is no such file" : (codeOf(thrown) ?? messageOf(thrown));
    return new Problem("config_file", `cannot read ${file}: ${why}`, named === null ? file : from);
  }
}

interface FileTree {
  readonly tree: Record<string, unknown>;
  readonly problems: readonly Problem[];
  readonly warnings: readonly string[];
}

/** Parses the file; mistakes come with line and column. Aliases are limited by the parser, so a small file stays small. */
function parseTree({ file, text }: FileText): FileTree {
  const name = file ?? DEFAULT_FILE;
  const failed = (message: string, at = ""): FileTree => ({
    tree: {},
    problems: [new Problem("config_yaml", message, `${name}${at}`)],
    warnings: [],
  });
  try {
    const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true });
    const problems = document.errors.map((error) => {
      const at = error.linePos?.[0];
      const place = at === undefined ? "" : `:${at.line}:${at.col}`;
      const said = (error.message.split("\n")[0] ?? "").replace(/ at line \d+, column \d+:?$/, "");
      return new Problem("config_yaml", said, `${name}${place}`);
    });
    if (problems.length > 0) return { tree: {}, problems, warnings: [] };
    const tree: unknown = document.toJS({ maxAliasCount: 100 }) ?? {};
    if (!isRecord(tree)) return failed("must be a map of keys, e.g. `upstream: http://127.0.0.1:8000`");
    const warnings = document.warnings.map((warning) => `${name}: ${warning.message.split("\n")[0] ?? ""}`);
    return { tree, problems, warnings };
  } catch (thrown) {
    return failed(`is not readable YAML: ${messageOf(thrown).slice(0, 200)}`);
  }
}

/** Reads every source. Nothing is checked against the schema yet. */
export function readLayers(sources: ConfigSources): Layered {
  const read = readText(sources);
  const text = read instanceof Problem ? { file: null, text: "" } : read;
  const { tree, problems, warnings } = parseTree(text);
  const all: Problem[] = [...(read instanceof Problem ? [read] : []), ...problems];
  const origins = new Map<string, string>();
  for (const layer of [fromEnv(sources.env), fromFlags(sources.flags)]) {
    all.push(...layer.filter((one) => one instanceof Problem));
    const settings = layer.filter((one): one is Setting => !(one instanceof Problem));
    lay(tree, settings, origins);
  }
  return { raw: tree, file: text.file, origins, problems: all, warnings };
}
