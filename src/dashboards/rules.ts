// Recording rules that rebuild every quality metric over many replicas: the parts are added up first, then the metric is formed.
// Written as a file by `outrider generate`. Every family named here must be in the catalogue.

import { catalogue } from "../catalogue.ts";
import { invariant } from "../kernel/problem.ts";
import { arrivalGroups } from "./arrival-rules.ts";
import { windowGroup } from "./window-rules.ts";

export interface Rule {
  readonly record: string;
  /** PromQL; may have several lines. */
  readonly expr: string;
}

/** Rules of a group run in this order: a rule stands behind its inputs. */
export interface RuleGroup {
  readonly name: string;
  /** Prometheus duration; absent: the server's own. */
  readonly interval?: string;
  readonly rules: readonly Rule[];
}

export const ruleGroups: readonly RuleGroup[] = Object.freeze([windowGroup, ...arrivalGroups]);

/** Names of metrics that an expression reads: words that are neither functions, labels, keywords nor strings. */
export function metricsOf(expr: string): string[] {
  const bare = expr
    .replaceAll(/"[^"]*"/g, "")
    .replaceAll(/\{[^}]*\}/g, "")
    .replaceAll(/\[[^\]]*\]/g, "")
    .replaceAll(/\b(?:by|on|group_left|group_right|without|ignoring)\s*\([^)]*\)/g, "");
  return [...new Set(bare.match(/\b(?:[a-z_]+:)?outrider_[a-z0-9_]+(?::[a-z0-9]+)?/g) ?? [])];
}

/** Names that a scrape or an OTLP receiver can give: the families, and what is made of histograms. */
function exported(): ReadonlySet<string> {
  return new Set(
    catalogue.flatMap(({ name, type }) =>
      type === "histogram" ? ["_bucket", "_count", "_sum"].map((suffix) => name + suffix) : [name],
    ),
  );
}

/** Every input of every rule exists, and before it. */
export function checkRules(groups: readonly RuleGroup[]): void {
  const known = exported();
  const records = new Set<string>();
  for (const { name, rules } of groups) {
    const before = new Set(known);
    for (const { record, expr } of rules) {
      invariant(!records.has(record), `${record} is recorded twice`);
      records.add(record);
      for (const input of metricsOf(expr)) invariant(before.has(input), `${name}: ${record} reads ${input}`);
      before.add(record);
    }
  }
}

const indented = (text: string, by: string): string =>
  text
    .split("\n")
    .map((line) => `${by}${line}`.trimEnd())
    .join("\n");

/** The rule file, as YAML. */
export function ruleFile(groups: readonly RuleGroup[] = ruleGroups): string {
  checkRules(groups);
  const head =
    "# Generated from the catalogue by `outrider generate`.\n" +
    "# job_model_version_window: event-time windows, exact over replicas; their label `basis` is all or matured: select one.\n" +
    "# job_model_version:...:<window>: by arrival of the labels.\n";
  const parts = groups.map(({ name, interval, rules }) => {
    const lines = [`  - name: ${name}`];
    if (interval !== undefined) lines.push(`    interval: ${interval}`);
    lines.push("    rules:");
    for (const { record, expr } of rules) {
      lines.push(`      - record: ${record}`, "        expr: |-", indented(expr, "          "));
    }
    return lines.join("\n");
  });
  return `${head}groups:\n${parts.join("\n")}\n`;
}
