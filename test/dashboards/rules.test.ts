import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { catalogue } from "../../src/catalogue.ts";
import { checkRules, metricsOf, ruleFile, ruleGroups } from "../../src/dashboards/rules.ts";

const rules = ruleGroups.flatMap(({ rules: all }) => all.filter((rule) => "record" in rule));

test("the rule file in the repository is the generated one", () => {
  const file = join(import.meta.dirname, "..", "..", "deploy", "prometheus", "outrider.rules.yml");
  assert.equal(readFileSync(file, "utf8"), ruleFile());
});

test("every rule reads only families of the catalogue, and rules that stand before it in its group", () => {
  checkRules(ruleGroups);
  const expr = "sum by (outrider_label) (increase(outrider_window_pairs[1h])) / a:outrider_b:1h";
  assert.deepEqual(metricsOf(expr), ["outrider_window_pairs", "a:outrider_b:1h"]);
  const broken = [{ name: "g", rules: [{ record: "a:outrider_x", expr: "outrider_no_such_family" }] }];
  assert.throws(() => checkRules(broken), /outrider_no_such_family/);
  const early = [
    {
      name: "g",
      rules: [
        { record: "a:outrider_x", expr: "a:outrider_y" },
        { record: "a:outrider_y", expr: "outrider_window_pairs" },
      ],
    },
  ];
  assert.throws(() => checkRules(early), /a:outrider_y/);
  const twice = { record: "a:outrider_x", expr: "outrider_window_pairs" };
  assert.throws(() => checkRules([{ name: "g", rules: [twice, twice] }]), /twice/);
});

test("the increase of every counter is taken before the sum, and of gauges none", () => {
  const types = new Map(catalogue.map(({ name, type }) => [name, type]));
  for (const { record, expr } of rules) {
    assert.doesNotMatch(expr, /increase\((?!outrider_)/, record);
    for (const [, name = ""] of expr.matchAll(/increase\((outrider_[a-z_]+)/g)) {
      const type = types.get(name) ?? types.get(name.replace(/_bucket$/, ""));
      assert.ok(type === "counter" || type === "histogram", `${record}: ${name} is a ${type}`);
    }
  }
});

test("each metric is rebuilt by event time and by arrival", () => {
  const records = new Set(rules.map(({ record }) => record));
  const whole = ["mse", "rmse", "mae", "bias", "r2", "accuracy", "f1_macro", "auc", "log_loss", "brier"];
  for (const metric of whole) {
    assert.ok(records.has(`job_model_version_window:outrider_${metric}`), metric);
    for (const range of ["1h", "6h", "1d", "7d"])
      assert.ok(records.has(`job_model_version:outrider_${metric}:${range}`), `${metric} ${range}`);
  }
  for (const metric of ["precision", "recall", "f1"]) {
    assert.ok(records.has(`job_model_version_window_class:outrider_${metric}`), metric);
    assert.ok(records.has(`job_model_version_class:outrider_${metric}:1d`), metric);
  }
});

test("windows of different bases are never added up", () => {
  for (const { expr } of ruleGroups.find(({ name }) => name === "outrider-window")?.rules ?? []) {
    for (const [, labels = ""] of expr.matchAll(/sum by \(([^)]*)\)/g)) assert.match(labels, /\bbasis\b/);
  }
});
