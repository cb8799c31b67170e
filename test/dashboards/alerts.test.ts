import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { catalogue } from "../../src/catalogue.ts";
import { ALERT_NAMES, defaultAlerting, loadConfig, type Alerting } from "../../src/config/config.ts";
import { alertFile, alertGroups, alertSpecs } from "../../src/dashboards/alerts.ts";
import { prometheusRule } from "../../src/dashboards/kubernetes.ts";
import { metricsOf, ruleFile, ruleGroups, type AlertRule } from "../../src/dashboards/rules.ts";
import { boundMatcher } from "../../src/dashboards/slo-rules.ts";
import { yamlDocument } from "../../src/dashboards/yaml.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const alerting = defaultAlerting();

function alertsOf(settings: Alerting): AlertRule[] {
  return alertGroups(settings).flatMap(({ rules }) => rules.filter((rule) => "alert" in rule));
}

function configured(text: object): Alerting {
  const flags = { upstream: "http://127.0.0.1:1" };
  const cwd = mkdtempSync(join(tmpdir(), "outrider-alerts-"));
  try {
    // JSON is YAML.
    writeFileSync(join(cwd, "outrider.yaml"), JSON.stringify(text));
    return loadConfig({ file: null, flags, env: {}, cwd }).config;
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

test("every alert has severity, summary, description with a value or a label, a runbook page, and all four of its parts", () => {
  const alerts = alertsOf(alerting);
  assert.deepEqual(alerts.map(({ alert }) => alert).toSorted(), [...ALERT_NAMES].toSorted());
  for (const { alert, labels, annotations, expr } of alerts) {
    assert.match(labels["severity"] ?? "", /^(?:critical|warning|info)$/, alert);
    assert.match(annotations["summary"] ?? "", /^.{10,100}\.$/, alert);
    assert.match(annotations["description"] ?? "", /\{\{ \$(?:labels|value)/, alert);
    assert.ok(existsSync(join(root, annotations["runbook_url"] ?? "")), `${alert} has no runbook`);
    // Who owns several fleets must see which one it is.
    assert.match(expr, /\bjob\b|^job_/, alert);
  }
  for (const { name, runbook } of alertSpecs(alerting).flatMap((group) => group.alerts)) {
    assert.ok(runbook.means.length > 40, `${name} says too little`);
    for (const part of [runbook.check, runbook.fix, runbook.tune]) assert.ok(part.length > 0, name);
  }
});

test("labels that an alert's words use are labels that its expression can have", () => {
  const labels = new Set(["job", "instance", ...catalogue.flatMap((family) => family.labels)]);
  for (const { alert, expr, annotations } of alertsOf(alerting)) {
    const words = Object.values(annotations).join(" ");
    for (const [, label = ""] of words.matchAll(/\$labels\.(\w+)/g)) {
      assert.ok(labels.has(label), `${alert}: ${label}`);
      const kept =
        new RegExp(`\\b${label}\\b`).test(expr) || expr.startsWith("job_model") || expr.startsWith("up");
      assert.ok(kept, `${alert} loses ${label}`);
    }
  }
});

test("a runbook stands in the folder for each alert, and no other page", () => {
  const pages = readdirSync(join(root, "docs", "runbooks")).toSorted();
  assert.deepEqual(pages, ALERT_NAMES.map((name) => `${name}.md`).toSorted());
});

test("configuration keys that runbooks name exist", () => {
  const keys = new Set([...read("docs/configuration.md").matchAll(/^\| `([^`]+)`/gm)].map(([, key]) => key));
  for (const { name, runbook } of alertSpecs(alerting).flatMap((group) => group.alerts)) {
    const texts = [...runbook.check, ...runbook.fix, runbook.means].flatMap((text) =>
      [
        ...text.matchAll(
          /`((?:alerts|slo|store|capture|otlp|models\[\]|probes\[\]|registries\[\])\.[\w.[\]]+)/g,
        ),
      ].map((match) => match[1] ?? ""),
    );
    for (const key of [...runbook.tune, ...texts]) {
      const known = key.replace(/^alerts\.rules\..*/, "alerts.rules");
      const group = [...keys].some((one) => one?.startsWith(`${known}.`) || one?.startsWith(`${known}[`));
      assert.ok(keys.has(known) || group, `${name}: ${key}`);
    }
  }
});

test("every label matcher and grouping of rules and alerts is known to the catalogue", () => {
  const known = new Set(["job", "instance", "class", "le", ...catalogue.flatMap((family) => family.labels)]);
  for (const { rules } of [...ruleGroups, ...alertGroups(alerting)]) {
    for (const { expr } of rules) {
      for (const [, inside = ""] of expr.matchAll(/\{([^}]*)\}/g)) {
        for (const [, label = ""] of inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g))
          assert.ok(known.has(label), `${label} in ${expr}`);
      }
      for (const [, inside = ""] of expr.matchAll(/\b(?:by|on|group_left)\s*\(([^)]*)\)/g)) {
        for (const label of inside.split(",").map((text) => text.trim())) {
          assert.ok(label === "" || known.has(label), `${label} in ${expr}`);
        }
      }
    }
  }
});

test("thresholds, waiting times, severities, labels and links come from the configuration", () => {
  const settings = configured({
    slo: {
      availability: 0.99,
      latency: { threshold: "1s", objective: 0.9, of: "first_byte" },
      minRequests: 7,
    },
    alerts: {
      runbookUrl: "https://wiki.example.com/r/",
      grafanaUrl: "https://grafana.example.com",
      labels: { team: "ml" },
      minPairs: 31,
      window: "1h",
      rules: {
        OutriderTargetDown: { for: "5s", severity: "warning" },
        OutriderNoTraffic: { enabled: false },
        OutriderErrorBudgetBurnFast: { for: "0s" },
      },
    },
  });
  const by = new Map(alertsOf(settings).map((rule) => [rule.alert, rule]));
  assert.equal(by.has("OutriderNoTraffic"), false);
  assert.equal(by.get("OutriderTargetDown")?.for, "5s");
  assert.equal(by.get("OutriderErrorBudgetBurnFast")?.for, undefined);
  assert.deepEqual(by.get("OutriderTargetDown")?.labels, { team: "ml", severity: "warning" });
  const collapse = by.get("OutriderQualityCollapse");
  assert.match(collapse?.expr ?? "", /window="1h"[\s\S]* >= 31$/);
  assert.equal(collapse?.annotations["runbook_url"], "https://wiki.example.com/r/OutriderQualityCollapse.md");
  assert.match(
    collapse?.annotations["dashboard_url"] ?? "",
    /^https:\/\/grafana\.example\.com\/d\/outrider-quality\?/,
  );
  assert.match(by.get("OutriderErrorBudgetBurnFast")?.expr ?? "", /> 0\.144\n[\s\S]*>= 7\n/);
  const text = alertFile(settings);
  assert.match(text, /outrider_time_to_first_byte_seconds_bucket\{le=~"1\(\[\.\]0\)\?"\}/);
  assert.equal(boundMatcher(0.25), 'le="0.25"');
});

test("an unknown alert and a threshold that makes no sense are refused with their place", () => {
  assert.throws(
    () => configured({ alerts: { rules: { OutriderTargetDwn: { for: "1m" } } } }),
    /alerts\.rules.*OutriderTargetDown/s,
  );
  assert.throws(() => configured({ slo: { availability: 1 } }), /slo\.availability/);
  assert.throws(() => configured({ alerts: { labels: { "a-b": "x" } } }), /alerts\.labels.*label name/s);
});

test("a window that a model does not measure is warned about", () => {
  const cwd = mkdtempSync(join(tmpdir(), "outrider-alerts-"));
  const models = [{ name: "m", task: "regression", windows: ["1h"] }];
  writeFileSync(join(cwd, "outrider.yaml"), JSON.stringify({ upstream: "http://127.0.0.1:1", models }));
  const { warnings } = loadConfig({ file: null, flags: {}, env: {}, cwd });
  assert.ok(
    warnings.some((text) => /alerts\.window.*24h/.test(text)),
    warnings.join("\n"),
  );
  rmSync(cwd, { recursive: true });
});

test("rule files and PrometheusRule are YAML that reads back as what was meant", () => {
  const groups = [...ruleGroups, ...alertGroups(alerting)];
  const rule = parse(prometheusRule(alerting)) as {
    kind: string;
    spec: { groups: { name: string; rules: { expr: string }[] }[] };
  };
  assert.equal(rule.kind, "PrometheusRule");
  assert.deepEqual(
    rule.spec.groups.map(({ name, rules }) => [name, rules.map(({ expr }) => expr)]),
    groups.map(({ name, rules }) => [name, rules.map(({ expr }) => expr)]),
  );
  const files = [parse(ruleFile()), parse(alertFile(alerting))] as { groups: unknown[] }[];
  assert.deepEqual(
    files.flatMap((file) => file.groups),
    rule.spec.groups as unknown[],
  );
  const odd = {
    a: "yes",
    b: "1.5",
    c: "x: y",
    d: 'two\nlines: "a"\n',
    e: " lead",
    f: [],
    g: {},
    h: ["a,b", "c"],
    i: [{ j: 1, k: null }],
    l: "5m",
    m: "",
  };
  assert.deepEqual(parse(yamlDocument(odd)), odd);
});

test("the files in the repository are those of the defaults", () => {
  assert.equal(read("deploy/prometheus/outrider.alerts.yml"), alertFile(alerting));
  assert.equal(read("deploy/kubernetes/prometheusrule.yaml"), prometheusRule(alerting));
  for (const document of parseAllDocuments(read("deploy/kubernetes/dashboards.yaml"))) {
    const map = document.toJS() as {
      metadata: { labels: Record<string, string> };
      data: Record<string, string>;
    };
    assert.equal(map.metadata.labels["grafana_dashboard"], "1");
    for (const [name, text] of Object.entries(map.data)) {
      assert.equal(text, read(`grafana/dashboards/${name.replace(/^outrider-/, "")}`));
    }
  }
});

test("Alertmanager's routes and inhibitions name alerts that exist, with labels that both sides have", () => {
  const file = parse(read("deploy/alertmanager/alertmanager.yml")) as {
    inhibit_rules: { source_matchers: string[]; target_matchers: string[]; equal: string[] }[];
    receivers: { name: string }[];
    route: { receiver: string; routes: { receiver: string }[] };
  };
  const byName = new Map(alertsOf(alerting).map((rule) => [rule.alert, rule]));
  const chosen = (matchers: readonly string[]): AlertRule[] =>
    [...byName.values()].filter(({ alert }) =>
      matchers.every((matcher) => {
        const [, name, operator, value = ""] = /^(\w+)(=~|!~|!=|=)"(.*)"$/.exec(matcher) ?? [];
        if (name !== "alertname") return true;
        const fits =
          operator?.endsWith("~") === true ? new RegExp(`^(?:${value})$`).test(alert) : alert === value;
        return operator?.startsWith("!") === true ? !fits : fits;
      }),
    );
  for (const { source_matchers: source, target_matchers: target } of file.inhibit_rules) {
    assert.equal(chosen(source).length, 1, source.join());
    assert.ok(chosen(target).length > 0, target.join());
    // Every alternative of a pattern means something.
    const patterns = target.flatMap(
      (matcher) => /^alertname=~"([\w|.+]*)"$/.exec(matcher)?.[1]?.split("|") ?? [],
    );
    for (const pattern of patterns) {
      assert.ok(
        [...byName.keys()].some((name) => new RegExp(`^(?:${pattern})$`).test(name)),
        pattern,
      );
    }
    assert.ok(
      !chosen(target).some(({ alert }) => alert === chosen(source)[0]?.alert),
      "an alert silences itself",
    );
  }
  const receivers = new Set(file.receivers.map(({ name }) => name));
  for (const { receiver } of [file.route, ...file.route.routes]) assert.ok(receivers.has(receiver), receiver);
});

test("dashboards export writes boards, rules, routes and runbooks with the configuration's thresholds", () => {
  const cwd = mkdtempSync(join(tmpdir(), "outrider-export-"));
  const text = { upstream: "http://127.0.0.1:1", alerts: { probeFailures: 9 } };
  writeFileSync(join(cwd, "outrider.yaml"), JSON.stringify(text));
  const outrider = (...args: string[]): number | null =>
    spawnSync(process.execPath, [join(root, "src", "main.ts"), "dashboards", "export", ...args], { cwd })
      .status;
  assert.equal(outrider("--config", "outrider.yaml", "--out", "x"), 0);
  const files = readdirSync(join(cwd, "x"), { recursive: true }).map(String);
  for (const file of [
    "prometheus/outrider.rules.yml",
    "prometheus/outrider.alerts.yml",
    "alertmanager/alertmanager.yml",
    "kubernetes/prometheusrule.yaml",
    "grafana/provisioning/dashboards/outrider.yml",
    "runbooks/OutriderDown.md",
  ]) {
    assert.ok(files.includes(file), file);
  }
  const alerts = readFileSync(join(cwd, "x/prometheus/outrider.alerts.yml"), "utf8");
  assert.match(alerts, /consecutive_failures\) >= 9/);
  assert.equal(outrider(), 2);
  rmSync(cwd, { recursive: true });
});

test("metrics that alerts read are found in their expressions", () => {
  const expr =
    'rate(http_server_request_duration_seconds_bucket{le="0.5"}[5m]) / job:outrider_slo_latency:threshold_seconds';
  assert.deepEqual(metricsOf(expr), [
    "http_server_request_duration_seconds_bucket",
    "job:outrider_slo_latency:threshold_seconds",
  ]);
});
