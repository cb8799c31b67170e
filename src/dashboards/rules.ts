// Rules for Prometheus as data: recording rules that rebuild every quality metric over many replicas (the parts are added up first,
// then the metric is formed), and what a rule file must keep to. Every family named here must be in the catalogue.

import { catalogue } from "../catalogue.ts";
import { invariant } from "../kernel/problem.ts";
import { arrivalGroups } from "./arrival-rules.ts";
import { windowGroup } from "./window-rules.ts";
import { yamlDocument, type Plain } from "./yaml.ts";

export interface Rule {
  readonly record: string;
  /** PromQL; may have several lines. */
  readonly expr: string;
}

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  /** Prometheus duration; absent: at once. */
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Rules of a group run in this order: a rule stands behind its inputs. */
export interface RuleGroup {
  readonly name: string;
  /** Prometheus duration; absent: the server's own. */
  readonly interval?: string;
  readonly rules: readonly (Rule | AlertRule)[];
}

/** The recording rules that follow from the catalogue alone. */
export const ruleGroups: readonly RuleGroup[] = Object.freeze([windowGroup, ...arrivalGroups]);

/** Names of metrics that an expression reads: words that are neither functions, labels, keywords nor strings. */
export function metricsOf(expr: string): string[] {
  const bare = expr
    .replaceAll(/"[^"]*"/g, "")
    .replaceAll(/\{[^}]*\}/g, "")
    .replaceAll(/\[[^\]]*\]/g, "")
    .replaceAll(/\b(?:by|on|group_left|group_right|without|ignoring)\s*\([^)]*\)/g, "");
  const names =
    /\b(?:[a-z_]+:)?outrider_[a-z0-9_]+(?::[a-z0-9_]+)?|\b(?:http_(?:server|client)|process|nodejs)_[a-z0-9_]+|\btarget_info\b/g;
  return [...new Set(bare.match(names) ?? [])];
}

/** Names that a scrape or an OTLP receiver can give: the families, and what is made of histograms. */
export function exportedNames(): ReadonlySet<string> {
  return new Set(
    catalogue.flatMap(({ name, type }) =>
      type === "histogram" ? ["_bucket", "_count", "_sum"].map((suffix) => name + suffix) : [name],
    ),
  );
}

/**
 * Every input of every rule exists: it is exported, or recorded before it in its group. Alerts, and the recordings of their own
 * groups, may also read what `recorded` elsewhere.
 */
export function checkRules(groups: readonly RuleGroup[], recorded: ReadonlySet<string> = new Set()): void {
  const known = new Set([...exportedNames(), ...recorded]);
  const records = new Set<string>(recorded);
  for (const { name, rules } of groups) {
    const before = new Set(known);
    for (const rule of rules) {
      const own = "record" in rule ? rule.record : rule.alert;
      invariant(!records.has(own), `${own} is recorded twice`);
      records.add(own);
      for (const input of metricsOf(rule.expr)) {
        const fits = before.has(input) || ("alert" in rule && records.has(input));
        invariant(fits, `${name}: ${own} reads ${input}`);
      }
      before.add(own);
    }
  }
}

/** A group in the words of a rule file and of a PrometheusRule. */
export function groupDocument({ name, interval, rules }: RuleGroup): Plain {
  return {
    name,
    interval,
    rules: rules.map((rule): Plain =>
      "record" in rule
        ? { record: rule.record, expr: rule.expr }
        : {
            alert: rule.alert,
            expr: rule.expr,
            for: rule.for,
            labels: rule.labels,
            annotations: rule.annotations,
          },
    ),
  };
}

/** A rule file, as YAML. */
export function rulesDocument(groups: readonly RuleGroup[], head: readonly string[]): string {
  return yamlDocument({ groups: groups.map(groupDocument) }, head);
}

/** The file of the recording rules. */
export function ruleFile(groups: readonly RuleGroup[] = ruleGroups): string {
  checkRules(groups);
  return rulesDocument(groups, [
    "Generated from the catalogue by `outrider generate`.",
    "job_model_version_window: event-time windows, exact over replicas; their label `basis` is all or matured: select one.",
    "job_model_version_window_metric: the same by the label `metric`, beside the baseline that the metric should keep.",
    "job_model_version:...:<window>: by arrival of the labels.",
  ]);
}
