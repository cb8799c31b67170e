// The rules of the configuration, made ready once: patterns compiled, paths parsed, header names in lower case.

import { compileGlob } from "../kernel/glob.ts";
import type { JsonPath } from "../kernel/jsonpath.ts";
import { parsePath } from "../kernel/jsonpath.ts";
import { Problem } from "../kernel/problem.ts";
import type { ReadRule } from "./readers.ts";
import type { ExtractRule, ModelRule, VersionRule } from "./rules.ts";
import { Slices } from "./slices.ts";

export type VersionSource =
  | { readonly kind: "static"; readonly version: string }
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "body"; readonly at: JsonPath }
  | { readonly kind: "path" }
  | { readonly kind: "external" };

export interface CompiledRule {
  readonly name: string;
  /** The pattern as it was written, or null. */
  readonly pattern: string | null;
  readonly matches: (path: string) => boolean;
  readonly read: ReadRule;
  readonly id: JsonPath | null;
  /** Asked before the other sources. */
  readonly bodyVersion: JsonPath | null;
  readonly version: VersionSource | null;
  readonly slices: Slices;
  /** Slices that stand in the request's body. */
  readonly needsRequestBody: boolean;
  readonly inputs: readonly string[] | null;
}

const never = (): boolean => false;

function path(text: string | null, where: string): JsonPath | null {
  if (text === null) return null;
  const parsed = parsePath(text);
  if (parsed === null) throw new Problem("invalid_path", `not a path: ${JSON.stringify(text)}`, where);
  return parsed;
}

function readRule(extract: ExtractRule, where: string): ReadRule {
  const { reader, prediction, score, scores, sumToOne } = extract;
  return {
    reader,
    at: path(extract.at, `${where}.at`),
    element: {
      prediction: path(prediction, `${where}.prediction`),
      score: path(score, `${where}.score`),
      scores: path(scores, `${where}.scores`),
      sumToOne,
    },
    oip: { prediction, scores: scores ?? score, sumToOne },
  };
}

function versionSource(rule: VersionRule | null, where: string): VersionSource | null {
  if (rule?.kind === "header") return { kind: "header", name: rule.name.toLowerCase() };
  if (rule?.kind === "body") return { kind: "body", at: path(rule.at, `${where}.version.body`) ?? [] };
  return rule;
}

/** How answers are read when no rule says anything. */
export const DEFAULT_READ: ReadRule = readRule(
  {
    reader: null,
    prediction: null,
    score: null,
    scores: null,
    at: null,
    id: null,
    version: null,
    sumToOne: true,
  },
  "",
);

/** Throws a `Problem` (`invalid_path`) for a path that is none. */
export function compileRule(rule: ModelRule, index: number): CompiledRule {
  const where = `models[${index}]`;
  const slices = rule.slices.map((slice) => ({
    name: slice.name,
    header: slice.header?.toLowerCase() ?? null,
    body: path(slice.body, `${where}.slices`),
    maxValues: slice.maxValues,
  }));
  return {
    name: rule.name,
    pattern: rule.match.path,
    matches: rule.match.path === null ? never : compileGlob(rule.match.path),
    read: readRule(rule.extract, `${where}.extract`),
    id: path(rule.extract.id, `${where}.extract.id`),
    bodyVersion: path(rule.extract.version, `${where}.extract.version`),
    version: versionSource(rule.version, where),
    slices: new Slices(slices),
    needsRequestBody: slices.some((slice) => slice.body !== null),
    inputs: rule.inputs ?? null,
  };
}

/** Names of request and answer headers that `rules` read, in lower case. */
export function headersOf(rules: readonly ModelRule[]): { request: string[]; response: string[] } {
  const request: string[] = [];
  const response: string[] = [];
  for (const { slices, version } of rules) {
    for (const { header } of slices) if (header !== null) request.push(header.toLowerCase());
    if (version?.kind === "header") response.push(version.name.toLowerCase());
  }
  return { request, response };
}
