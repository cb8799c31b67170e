// Rules for boards, after Grafana's dashboard-linter, and what only a catalogue can tell: that every name and label exists.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as units from "@grafana/grafana-foundation-sdk/units";
import { parse } from "yaml";
import { boards, leftOut } from "../../grafana/build/boards.ts";
import { placesOf, render } from "../../grafana/build/render.ts";
import { catalogue } from "../../src/catalogue.ts";
import { defaultAlerting } from "../../src/config/config.ts";
import { alertGroups, alertSpecs } from "../../src/dashboards/alerts.ts";
import { BOARDS } from "../../src/dashboards/board-ids.ts";
import { exportedNames, metricsOf, ruleGroups } from "../../src/dashboards/rules.ts";

interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
  readonly datasource: { readonly uid: string };
  readonly instant: boolean;
  readonly exemplar?: boolean;
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly collapsed?: boolean;
  readonly panels?: readonly Panel[];
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly uid: string };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: readonly Target[];
}
interface Variable {
  readonly name: string;
  readonly type: string;
  readonly query: unknown;
  readonly datasource?: { readonly uid: string };
  readonly refresh?: number;
  readonly multi?: boolean;
  readonly includeAll?: boolean;
  readonly allValue?: string;
}
interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly editable: boolean;
  readonly schemaVersion: number;
  readonly tags: readonly string[];
  readonly graphTooltip: number;
  readonly panels: readonly Panel[];
  readonly links: readonly Record<string, unknown>[];
  readonly templating: { readonly list: readonly Variable[] };
  readonly annotations: { readonly list: readonly Record<string, unknown>[] };
}

const root = join(import.meta.dirname, "..", "..");
const folder = join(root, "grafana", "dashboards");
const files = readdirSync(folder).toSorted();
const dashboards = new Map(
  files.map((name) => [name, JSON.parse(readFileSync(join(folder, name), "utf8")) as Dashboard]),
);
const all = [...dashboards.values()];
/** Also those in folded rows. */
const panelsOf = (dashboard: Dashboard): Panel[] =>
  dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
const queries = all.flatMap((dashboard) =>
  panelsOf(dashboard).flatMap((panel) =>
    (panel.targets ?? []).map((target) => ({
      ...target,
      where: `${dashboard.title}: ${panel.title}`,
      panel,
    })),
  ),
);
const recorded = new Map(
  [...ruleGroups, ...alertGroups(defaultAlerting())].flatMap(({ rules }) =>
    rules.flatMap((rule) => ("record" in rule ? [[rule.record, rule.expr] as const] : [])),
  ),
);
const families = new Map(catalogue.map((family) => [family.name, family]));
const familyOf = (name: string): (typeof catalogue)[number] | undefined =>
  families.get(name) ?? families.get(name.replace(/_(?:bucket|count|sum)$/, ""));

test("the boards in the repository are the generated ones, each with its fixed address", () => {
  assert.deepEqual(files, boards.map(({ id }) => `${id}.json`).toSorted());
  for (const board of boards) {
    assert.equal(readFileSync(join(folder, `${board.id}.json`), "utf8"), render(board), board.id);
    assert.equal(dashboards.get(`${board.id}.json`)?.uid, BOARDS[board.id].uid);
  }
  assert.equal(new Set(all.map(({ uid }) => uid)).size, all.length);
});

test("boards cannot be edited in place, share a cursor, and lead to one another with variables and time", () => {
  for (const { title, editable, graphTooltip, tags, links, schemaVersion } of all) {
    assert.equal(editable, false, title);
    assert.equal(graphTooltip, 1, title);
    assert.deepEqual(tags, ["outrider"], title);
    assert.ok(schemaVersion >= 36, title);
    const [link] = links;
    assert.deepEqual(
      [link?.["type"], link?.["tags"], link?.["asDropdown"], link?.["includeVars"], link?.["keepTime"]],
      ["dashboards", ["outrider"], true, true, true],
    );
    assert.equal(JSON.stringify(links).includes("placement"), false);
  }
});

test("variables begin with the data source, then job and instance, are read again with the time range, and know All", () => {
  for (const { title, templating, annotations, panels } of all) {
    const [source, ...others] = templating.list;
    assert.deepEqual(
      [source?.name, source?.type, source?.query],
      ["datasource", "datasource", "prometheus"],
      title,
    );
    assert.deepEqual(
      others.slice(0, 2).map(({ name }) => name),
      ["job", "instance"],
      title,
    );
    for (const { name, type, refresh, datasource, multi, includeAll, allValue, query } of others) {
      if (type !== "query") continue;
      assert.equal(refresh, 2, `${title} ${name}`);
      assert.equal(datasource?.uid, "${datasource}", `${title} ${name}`);
      if (multi === true)
        assert.ok(includeAll === true && /^\.[+*]$/.test(allValue ?? ""), `${title} ${name}`);
      const { query: text } = query as { query: string };
      const [, metric = ""] = /^label_values\(([a-z_:0-9]+)/.exec(text) ?? [];
      assert.ok(familyOf(metric) !== undefined || recorded.has(metric), `${title} ${name}: ${metric}`);
    }
    // Every variable that is used is defined, and the other way round.
    const known = new Set(templating.list.map(({ name }) => name));
    const text = JSON.stringify([panels, annotations, templating.list.map(({ query }) => query)]);
    const used = new Set([...text.matchAll(/\$\{?([a-z]\w*)/g)].map(([, name = ""]) => name));
    for (const name of used) assert.ok(known.has(name), `${title}: $${name} is not defined`);
    for (const name of known) assert.ok(used.has(name), `${title}: $${name} is not used`);
  }
});

test("ids are unique, panels do not overlap or leave the grid, folded rows hold their panels", () => {
  for (const dashboard of all) {
    const ids = panelsOf(dashboard).map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, dashboard.title);
    assert.ok(Math.min(...ids) >= 1);
    const groups = [
      dashboard.panels,
      ...dashboard.panels.flatMap(({ panels }) => (panels === undefined ? [] : [panels])),
    ];
    for (const group of groups) {
      const taken = new Map<string, string>();
      for (const { title, gridPos } of group) {
        assert.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24, `${dashboard.title}: ${title}`);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            const cell = `${x} ${y}`;
            assert.equal(
              taken.get(cell),
              undefined,
              `${dashboard.title}: ${title} lies on ${taken.get(cell)}`,
            );
            taken.set(cell, title);
          }
        }
      }
    }
    for (const { type, title, collapsed, panels } of dashboard.panels) {
      if (type !== "row") continue;
      assert.equal(typeof collapsed, "boolean", title);
      assert.equal((panels ?? []).length > 0, collapsed, `${dashboard.title}: ${title}`);
    }
  }
  assert.deepEqual(placesOf([]), { places: [], height: 0 });
});

test("every panel has a title of its own, a sentence that says how to read it, a known unit and a query of the chosen source", () => {
  const known = new Set<string>(Object.values(units).map(String));
  for (const dashboard of all) {
    const titles = panelsOf(dashboard).flatMap(({ type, title }) => (type === "row" ? [] : [title]));
    assert.equal(new Set(titles).size, titles.length, `${dashboard.title}: ${titles.join(", ")}`);
    for (const { type, title, description, fieldConfig, targets, datasource } of panelsOf(dashboard)) {
      if (type === "row") continue;
      const where = `${dashboard.title}: ${title}`;
      assert.match(description ?? "", /^.{5,}[.?]$/s, where);
      assert.ok(known.has(fieldConfig?.defaults.unit ?? "?"), `${where}: unit ${fieldConfig?.defaults.unit}`);
      assert.equal(datasource?.uid, "${datasource}", where);
      assert.ok(targets !== undefined && targets.length > 0, where);
      const refs = targets.map(({ refId }) => refId);
      assert.ok(refs.every((ref) => /^[A-Z]$/.test(ref)) && new Set(refs).size === refs.length, where);
      for (const target of targets) assert.equal(target.datasource.uid, "${datasource}", where);
    }
  }
});

test("rates look back over $__rate_interval, single figures over the chosen time, and no query over a window of its own", () => {
  for (const { expr, where, panel } of queries) {
    for (const [, inside = ""] of expr.matchAll(/\[([^\]]*)\]/g)) {
      assert.ok(
        inside === "$__rate_interval" || (inside === "$__range" && panel.type === "stat"),
        `${where}: [${inside}]`,
      );
    }
  }
});

test("counters are never shown bare, gauges never as a rate, histograms by their buckets", () => {
  for (const { expr, where } of queries) {
    const rated = new Set(
      [...expr.matchAll(/\b(?:rate|increase)\(([a-z_0-9]+)/g)].map(([, name = ""]) => name),
    );
    for (const name of metricsOf(expr)) {
      const family = familyOf(name);
      if (family === undefined) continue;
      const cumulative = family.type === "counter" || family.type === "histogram";
      assert.equal(rated.has(name), cumulative, `${where}: ${name}`);
    }
    if (/histogram_quantile/.test(expr))
      assert.match(expr, /sum by \((?:[\w, ]+, )?le(?:, [\w, ]+)?\)/, where);
  }
});

test("every query names sidecars: by job and instance, or by job where it reads what is recorded over all instances", () => {
  for (const { expr, where } of queries) {
    const selectors = [...expr.matchAll(/([a-zA-Z_:0-9]+)\{([^}]*)\}/g)];
    assert.ok(selectors.length > 0, where);
    for (const name of metricsOf(expr)) {
      assert.ok(
        selectors.some(([, found]) => found === name),
        `${where}: ${name} has no selector`,
      );
    }
    for (const [, name = "", inside = ""] of selectors) {
      assert.match(inside, /job=~"\$job"/, `${where}: ${name}`);
      const fleet = name.includes(":") || name === "ALERTS";
      assert.equal(/instance=~"\$instance"/.test(inside), !fleet, `${where}: ${name}`);
    }
  }
});

test("every metric and every label of every query is in the catalogue, and legends use labels that the query keeps", () => {
  const exported = exportedNames();
  for (const { expr, where, legendFormat, panel } of queries) {
    for (const name of metricsOf(expr))
      assert.ok(exported.has(name) || recorded.has(name), `${where}: ${name}`);
    for (const [, name = "", inside = ""] of expr.matchAll(/([a-zA-Z_:0-9]+)\{([^}]*)\}/g)) {
      const family = familyOf(name);
      if (family === undefined) continue;
      const labels = new Set(["job", "instance", "le", ...family.labels]);
      for (const [, label = ""] of inside.matchAll(/(?:^|,)(\w+)(?:=~|!~|!=|=)/g)) {
        assert.ok(labels.has(label), `${where}: ${name} has no label ${label}`);
      }
      const [, by = ""] =
        new RegExp(`by \\(([^)]*)\\) \\((?:rate\\(|increase\\()?${name}\\{`).exec(expr) ?? [];
      for (const label of by.split(", ").filter((text) => text !== "")) {
        assert.ok(labels.has(label), `${where}: ${name} cannot be grouped by ${label}`);
      }
    }
    if (panel.type === "table") continue;
    for (const [, label = ""] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
      const kept = new RegExp(`by \\([^)]*\\b${label}\\b`).test(expr) || /\bjob(?:_\w+)?:/.test(expr);
      assert.ok(kept, `${where}: the legend's ${label} is lost`);
    }
  }
});

test("every family of the catalogue is on a board, by itself or in what is recorded, or left out with a reason", () => {
  const used = new Set<string>();
  const visit = (name: string): void => {
    if (used.has(name)) return;
    used.add(name);
    for (const input of metricsOf(recorded.get(name) ?? "")) visit(input);
  };
  for (const { expr } of queries) metricsOf(expr).forEach(visit);
  const shown = new Set([...used].map((name) => familyOf(name)?.name));
  const missing = catalogue.map(({ name }) => name).filter((name) => !shown.has(name));
  assert.deepEqual(missing.toSorted(), Object.keys(leftOut).toSorted());
  for (const [name, reason] of Object.entries(leftOut)) assert.ok(reason.length > 20, name);
});

test("response time and time to first byte show exemplars, and no link from them leads to a data source that is not there", () => {
  const withExemplars = queries
    .filter(({ exemplar }) => exemplar === true)
    .map(({ expr }) => metricsOf(expr)[0]);
  assert.ok(withExemplars.includes("http_server_request_duration_seconds_bucket"));
  assert.ok(withExemplars.includes("outrider_time_to_first_byte_seconds_bucket"));
  const source = parse(readFileSync(join(root, "grafana/provisioning/datasources/outrider.yml"), "utf8")) as {
    datasources: {
      uid: string;
      jsonData: {
        exemplarTraceIdDestinations?: { name: string; datasourceUid: string }[];
        timeInterval: string;
      };
    }[];
  };
  const [prometheus] = source.datasources;
  const present = new Set(source.datasources.map(({ uid }) => uid));
  for (const { datasourceUid } of prometheus?.jsonData.exemplarTraceIdDestinations ?? [])
    assert.ok(present.has(datasourceUid), datasourceUid);
  assert.ok(prometheus?.jsonData.timeInterval);
});

test("new versions are marked at the moment of their first prediction", () => {
  for (const { title, annotations } of all) {
    const [changes] = annotations.list;
    assert.match(
      String(changes?.["expr"]),
      /outrider_model_version_first_seen_timestamp_seconds\{.*\}\) \* 1000$/,
      title,
    );
    assert.equal(changes?.["useValueForTime"], true, title);
    assert.equal("placement" in (changes ?? {}), false, title);
  }
});

test("empty panels are foreseen only with a reason, and alerts lead to boards that exist", () => {
  for (const board of boards) {
    for (const { title, targets } of board.rows.flatMap(({ panels }) => panels)) {
      for (const { mayBeEmpty } of targets)
        assert.ok(mayBeEmpty === undefined || mayBeEmpty.length > 7, title);
    }
  }
  for (const spec of alertSpecs(defaultAlerting()).flatMap(({ alerts }) => alerts)) {
    assert.ok(
      boards.some(({ id }) => id === spec.board),
      spec.name,
    );
  }
});
