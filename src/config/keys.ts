// Every key of the schema as a row: dotted name, environment variable, default, description, and how its text is read.

import { jsonSchema } from "./schema.ts";

export interface KeyRow {
  /** Dotted: `proxy.drainTimeout`; inside lists `models[].task`. */
  readonly key: string;
  /** `OUTRIDER_PROXY_DRAIN_TIMEOUT`; null inside lists: the whole list is one variable, as JSON. */
  readonly env: string | null;
  /** As it would be written in the file; null: none. */
  readonly default: string | null;
  readonly description: string;
  /** How the text of a variable or flag becomes a value. */
  readonly kind: "text" | "number" | "boolean" | "json" | "json-or-text";
  readonly nullable: boolean;
}

type Node = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function nodesOf(value: unknown): Node[] {
  return Array.isArray(value) ? value.filter(isRecord) : isRecord(value) ? [value] : [];
}

/** The node itself, or what it may be one of. */
function variants(node: Node): Node[] {
  const given = nodesOf(node["anyOf"]);
  return given.length === 0 ? [node] : given.flatMap(variants);
}

function typesOf(node: Node): Set<string> {
  const types = new Set<string>();
  for (const variant of variants(node)) {
    const type = variant["type"];
    for (const one of Array.isArray(type) ? type : [type]) if (typeof one === "string") types.add(one);
  }
  return types;
}

function kindOf(types: ReadonlySet<string>): KeyRow["kind"] {
  if (types.has("object") || types.has("array")) return types.has("string") ? "json-or-text" : "json";
  if (types.has("string")) return "text";
  return types.has("boolean") ? "boolean" : "number";
}

/** `proxy.drainTimeout` is OUTRIDER_PROXY_DRAIN_TIMEOUT. */
export function envName(key: string): string {
  const words = key.replaceAll(".", "_").replace(/([a-z0-9])([A-Z])/g, "$1_$2");
  return `OUTRIDER_${words.toUpperCase()}`;
}

function defaultText(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A fixed group of keys: it has no value of its own. */
function isGroup(node: Node): boolean {
  return variants(node).length === 1 && isRecord(node["properties"]);
}

function rowOf(key: string, node: Node): KeyRow {
  const types = typesOf(node);
  return {
    key,
    env: key.includes("[]") ? null : envName(key),
    default: defaultText(node["default"]),
    description: typeof node["description"] === "string" ? node["description"] : "",
    kind: kindOf(types),
    nullable: types.has("null"),
  };
}

function collect(node: Node, prefix: string, rows: KeyRow[]): void {
  for (const variant of variants(node)) {
    for (const item of nodesOf(variant["items"])) collect(item, `${prefix}[]`, rows);
    if (!isRecord(variant["properties"])) continue;
    for (const [name, child] of Object.entries(variant["properties"])) {
      if (!isRecord(child)) continue;
      const key = prefix === "" ? name : `${prefix}.${name}`;
      if (!isGroup(child)) rows.push(rowOf(key, child));
      collect(child, key, rows);
    }
  }
}

let cached: readonly KeyRow[] | null = null;

/** All keys, in the order of the schema. */
export function keyRows(): readonly KeyRow[] {
  if (cached === null) {
    const rows: KeyRow[] = [];
    collect(jsonSchema(), "", rows);
    cached = rows;
  }
  return cached;
}

/** The schema's nodes that describe what stands at `path`. */
export function nodesAt(path: readonly PropertyKey[]): Node[] {
  let nodes: Node[] = [jsonSchema()];
  for (const step of path) {
    nodes = nodes.flatMap(variants).flatMap((node) => {
      if (typeof step === "number") return nodesOf(node["items"]);
      const properties = node["properties"];
      return isRecord(properties) && typeof step === "string" && Object.hasOwn(properties, step)
        ? nodesOf(properties[step])
        : [];
    });
  }
  return nodes.flatMap((node) => [node, ...variants(node)]);
}

/** Keys that may stand inside what is at `path`. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  return nodesAt(path).flatMap((node) => {
    if (isRecord(node["properties"])) return Object.keys(node["properties"]);
    // A map whose keys are an enumeration.
    const names = isRecord(node["propertyNames"]) ? node["propertyNames"]["enum"] : null;
    return Array.isArray(names) ? names.map(String) : [];
  });
}

/** Whether what stands at `path` must never be shown. */
export function isSecret(path: readonly PropertyKey[]): boolean {
  return path.some((_, end) => nodesAt(path.slice(0, end + 1)).some((node) => node["writeOnly"] === true));
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = swapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + same, swap));
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

const squeeze = (text: string): string => text.toLowerCase().replaceAll(/[-_.]/g, "");

/** The candidate nearest to `word`, when it is near enough to be meant; spelling of case, `-` and `_` costs nothing. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  if (word.length > 128) return null;
  const wanted = squeeze(word);
  let best: { candidate: string; cost: number } | null = null;
  for (const candidate of candidates) {
    const cost = distance(wanted, squeeze(candidate));
    if (best === null || cost < best.cost) best = { candidate, cost };
  }
  return best !== null && best.cost <= Math.max(2, wanted.length / 3) ? best.candidate : null;
}
