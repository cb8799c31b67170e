// The golden cases, and the comparison of an answer with what they expect.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Group } from "../../src/facts/group.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "golden");

export interface Answer {
  readonly name: string;
  readonly at: number;
  readonly groups: readonly Group[];
}

export interface GoldenCase {
  readonly name: string;
  readonly configFile: string;
  readonly eventsFile: string;
  readonly lines: readonly string[];
  readonly expected: {
    readonly queries: readonly Answer[];
    readonly counters: Readonly<Record<string, number>>;
    readonly tolerance: { readonly default_rel: number; readonly default_abs: number };
  };
}

/** Those of `within`: the golden cases of the tree, or a folder of others like them. */
export function goldenCases(within = root): GoldenCase[] {
  const names = readdirSync(within, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return names.map(({ name }) => {
    const folder = join(within, name);
    return {
      name,
      configFile: join(folder, "config.json"),
      eventsFile: join(folder, "events.ndjson"),
      lines: readFileSync(join(folder, "events.ndjson"), "utf8")
        .split("\n")
        .filter((line) => line !== ""),
      expected: JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")),
    };
  });
}

type Tolerance = { readonly default_rel: number; readonly default_abs: number };

/** Deep equality, but for numbers, which may be as far apart as `tolerance` says. */
function close(actual: unknown, expected: unknown, tolerance: Tolerance): boolean {
  if (typeof expected === "number" && typeof actual === "number") {
    const { default_rel: rel, default_abs: abs } = tolerance;
    return Math.abs(actual - expected) <= Math.max(abs, rel * Math.abs(expected));
  }
  if (typeof expected !== "object" || expected === null) return actual === expected;
  if (typeof actual !== "object" || actual === null) return false;
  const theirs = new Map(Object.entries(actual));
  const ours = Object.entries(expected);
  return ours.length === theirs.size && ours.every(([key, each]) => close(theirs.get(key), each, tolerance));
}

/** Fails with every difference. `extra` is compared where we give it, but for what rounds by itself. */
export function compareAnswers(actual: readonly Answer[], golden: GoldenCase): void {
  const { queries, tolerance } = golden.expected;
  assert.deepEqual(
    actual.map(({ name, at }) => ({ name, at })),
    queries.map(({ name, at }) => ({ name, at })),
  );
  const differences: string[] = [];
  for (const [i, query] of queries.entries()) {
    const groups = actual[i]?.groups ?? [];
    const names = (list: readonly Group[]): string[] =>
      list.map((g) => [g.model, g.version, g.slice, g.window].join("|"));
    assert.deepEqual(names(groups), names(query.groups));
    for (const [j, expected] of query.groups.entries()) {
      const group = groups[j];
      if (group !== undefined) differences.push(...compareGroup(group, expected, tolerance));
    }
  }
  assert.deepEqual(differences, []);
}

function compareGroup(group: Group, expected: Group, tolerance: Tolerance): string[] {
  const where = `${group.model} ${group.version} ${group.slice} ${group.window}`;
  const differences: string[] = [];
  const check = (what: string, [actual, wanted]: readonly [unknown, unknown], within: Tolerance): void => {
    if (close(actual, wanted, within)) return;
    differences.push(`${where}: ${what} ${JSON.stringify(actual)}, expected ${JSON.stringify(wanted)}`);
  };
  const exact = { default_rel: 0, default_abs: 0 };
  check("n_predictions", [group.n_predictions, expected.n_predictions], exact);
  check("n_labeled", [group.n_labeled, expected.n_labeled], exact);
  check("coverage", [group.coverage, expected.coverage], tolerance);
  check("undefined", [group.undefined, expected.undefined], exact);
  check("confusion", [group.confusion, expected.confusion], exact);
  check("metric names", [Object.keys(group.metrics).sort(), Object.keys(expected.metrics).sort()], exact);
  for (const [name, value] of Object.entries(expected.metrics)) {
    check(name, [group.metrics[name], value], tolerance);
  }
  for (const [name, value] of Object.entries(group.extra)) {
    if (name in expected.extra) check(`extra ${name}`, [value, expected.extra[name]], tolerance);
  }
  return differences;
}
