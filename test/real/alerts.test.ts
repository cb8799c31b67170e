// promtool's unit tests of the shipped rule files: every alert fires where it must, and is quiet where it must be.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { ALERT_NAMES, defaultAlerting } from "../../src/config/config.ts";
import { alertGroups, alertSpecs } from "../../src/dashboards/alerts.ts";
import { ruleGroups } from "../../src/dashboards/rules.ts";
import { type AlertCase, longCases, type Series, shortCases } from "./support/alert-cases.ts";
import { run } from "./support/command.ts";
import { ensureAlertmanager } from "./support/install.ts";
import { temporaryFolder } from "./support/process.ts";
import { promtoolCheckRules, promtoolTestRules } from "./support/prometheus.ts";

const owner = { after };
const deploy = join(import.meta.dirname, "..", "..", "deploy");
const ruleFiles = ["outrider.rules.yml", "outrider.alerts.yml"].map((name) =>
  join(deploy, "prometheus", name),
);
const severities = new Map<string, string>(
  alertSpecs(defaultAlerting()).flatMap(({ alerts }) => alerts.map(({ name, severity }) => [name, severity])),
);

type Labels = Readonly<Record<string, string>>;

const notation = (name: string, labels: Labels): string =>
  `${name}{${Object.entries(labels)
    .map(([label, value]) => `${label}="${value}"`)
    .join(",")}}`;

function testFile(cases: readonly AlertCase[], step: string, evaluation: string): string {
  const series = (list: readonly Series[], job: string): unknown[] =>
    list.map(({ name, labels, values }) => ({ series: notation(name, { job, ...labels }), values }));
  const file = join(temporaryFolder(owner, "alerts"), "test.yml");
  const tests = [
    {
      interval: step,
      input_series: cases.flatMap(({ alert, firing, quiet }) => [
        ...series(firing, alert),
        ...series(quiet, `${alert}-quiet`),
      ]),
      promql_expr_test: cases.map(({ alert, at, labels }) => ({
        expr: `ALERTS{alertname="${alert}",alertstate="firing",job=~"${alert}(-quiet)?"}`,
        eval_time: at,
        exp_samples: [
          {
            labels: notation("ALERTS", {
              alertname: alert,
              alertstate: "firing",
              severity: severities.get(alert) ?? "",
              job: alert,
              ...labels,
            }),
            value: 1,
          },
        ],
      })),
    },
  ];
  // Otherwise the groups come in any order, and what is recorded further back than five minutes is not seen.
  const order = [...ruleGroups, ...alertGroups(defaultAlerting())].map(({ name }) => name);
  const settings = { rule_files: ruleFiles, evaluation_interval: evaluation, group_eval_order: order };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ ...settings, tests }));
  return file;
}

test("promtool has nothing against rules and alerts, amtool nothing against the routes", async () => {
  for (const file of ruleFiles) {
    const { ok, output } = await promtoolCheckRules(file);
    assert.ok(ok, output);
  }
  const { amtool } = await ensureAlertmanager();
  const { ok, output } = await run(
    amtool,
    ["check-config", join(deploy, "alertmanager", "alertmanager.yml")],
    {
      mayFail: true,
    },
  );
  assert.ok(ok, output);
});

test("every alert has a case", () => {
  const tried = [...shortCases, ...longCases].map(({ alert }) => alert);
  assert.deepEqual(tried.toSorted(), [...ALERT_NAMES].toSorted());
});

test("alerts fire after minutes where they must, and are quiet beside it", async () => {
  const { ok, output } = await promtoolTestRules(testFile(shortCases, "1m", "1m"));
  assert.ok(ok, output);
});

test("alerts that remember a week fire where they must, and are quiet beside it", async () => {
  const { ok, output } = await promtoolTestRules(testFile(longCases, "10m", "30m"));
  assert.ok(ok, output);
});

test("alerts find their receivers: critical ones page, notes tell nobody, the others go to the team", async () => {
  const { amtool } = await ensureAlertmanager();
  const config = `--config.file=${join(deploy, "alertmanager", "alertmanager.yml")}`;
  for (const [severity, receiver] of [
    ["critical", "page"],
    ["warning", "team"],
    ["info", "nobody"],
  ] as const) {
    const { output } = await run(amtool, [
      "config",
      "routes",
      "test",
      config,
      `severity=${severity}`,
      "alertname=X",
    ]);
    assert.equal(output.trim(), receiver);
  }
});
