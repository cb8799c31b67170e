// A board as Grafana's JSON, made with the Grafana Foundation SDK (classic model: the one that every Grafana from 9 on loads from files).

import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog";
import * as common from "@grafana/grafana-foundation-sdk/common";
import * as dashboard from "@grafana/grafana-foundation-sdk/dashboard";
import * as heatmap from "@grafana/grafana-foundation-sdk/heatmap";
import * as prometheus from "@grafana/grafana-foundation-sdk/prometheus";
import * as stat from "@grafana/grafana-foundation-sdk/stat";
import * as statetimeline from "@grafana/grafana-foundation-sdk/statetimeline";
import * as table from "@grafana/grafana-foundation-sdk/table";
import * as timeseries from "@grafana/grafana-foundation-sdk/timeseries";
import { BOARDS } from "../../src/dashboards/board-ids.ts";
import { type Board, type Panel, type Row, SIDECAR, type Target, type Variable } from "./spec.ts";

const SOURCE = { type: "prometheus", uid: "${datasource}" };
const COLUMNS = 24;

type AnyBuilder =
  | timeseries.PanelBuilder
  | stat.PanelBuilder
  | table.PanelBuilder
  | heatmap.PanelBuilder
  | statetimeline.PanelBuilder;

function timeseriesOf({ stack, dashed, thin }: Panel): timeseries.PanelBuilder {
  const builder = new timeseries.PanelBuilder()
    .lineWidth(2)
    .fillOpacity(stack === undefined ? 0 : 20)
    .showPoints(common.VisibilityMode.Never)
    .legend(
      new common.VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(common.LegendDisplayMode.List)
        .placement(common.LegendPlacement.Bottom)
        .calcs([]),
    )
    .tooltip(
      new common.VizTooltipOptionsBuilder()
        .mode(common.TooltipDisplayMode.Multi)
        .sort(common.SortOrder.Descending),
    );
  if (stack !== undefined) {
    const mode = stack === "percent" ? common.StackingMode.Percent : common.StackingMode.Normal;
    builder.stacking(new common.StackingConfigBuilder().mode(mode).group("A"));
  }
  if (thin !== undefined) {
    builder.overrideByRegexp(thin, [
      { id: "custom.lineWidth", value: 1 },
      { id: "custom.lineStyle", value: { fill: "dot", dash: [0, 6] } },
    ]);
  }
  if (dashed !== undefined) {
    builder.overrideByRegexp(dashed, [
      { id: "custom.lineStyle", value: { fill: "dash", dash: [10, 8] } },
      { id: "custom.lineWidth", value: 1 },
    ]);
  }
  return builder;
}

function tableOf(panel: Panel): table.PanelBuilder {
  const columns = panel.columns ?? {};
  const builder = new table.PanelBuilder().showHeader(true).withTransformation({ id: "merge", options: {} });
  builder.withTransformation({
    id: "filterFieldsByName",
    options: { include: { names: Object.keys(columns) } },
  });
  const places = Object.keys(columns).map((name, place): [string, number] => [name, place]);
  builder.withTransformation({
    id: "organize",
    options: { renameByName: columns, indexByName: Object.fromEntries(places), excludeByName: {} },
  });
  for (const [heading, unit] of Object.entries(panel.units ?? {})) {
    builder.overrideByName(heading, [{ id: "unit", value: unit }]);
  }
  if (panel.leadsTo !== undefined) {
    const { uid, title } = BOARDS[panel.leadsTo];
    const url = `/d/${uid}?\${datasource:queryparam}&\${job:queryparam}&var-model=\${__data.fields.Model}&var-version=\${__data.fields.Version}&\${__url_time_range}`;
    builder.overrideByName("Version", [{ id: "links", value: [{ title, url, targetBlank: false }] }]);
  }
  return builder;
}

function builderOf(panel: Panel): AnyBuilder {
  switch (panel.kind) {
    case "timeseries":
      return timeseriesOf(panel);
    case "table":
      return tableOf(panel);
    case "stat":
      return new stat.PanelBuilder()
        .graphMode(common.BigValueGraphMode.None)
        .colorMode(common.BigValueColorMode.Value)
        .textMode(
          panel.targets.length > 1 ? common.BigValueTextMode.ValueAndName : common.BigValueTextMode.Auto,
        )
        .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(["lastNotNull"]));
    case "state":
      return new statetimeline.PanelBuilder()
        .mergeValues(true)
        .showValue(common.VisibilityMode.Auto)
        .rowHeight(0.8)
        .fillOpacity(70);
    case "heatmap":
      return new heatmap.PanelBuilder()
        .calculate(false)
        .yAxis(new heatmap.YAxisConfigBuilder().unit(panel.unit))
        .color(
          new heatmap.HeatmapColorOptionsBuilder()
            .mode(heatmap.HeatmapColorMode.Scheme)
            .scheme("Turbo")
            .steps(64),
        )
        .exemplarsColor("rgba(255,0,255,0.7)");
  }
}

function queryOf(target: Target, panel: Panel): Builder<Dataquery> {
  const query = new prometheus.DataqueryBuilder()
    .datasource(SOURCE)
    .expr(target.expr)
    .legendFormat(target.legend);
  if (panel.kind === "table") return query.instant().format(prometheus.PromQueryFormat.Table);
  if (panel.kind === "stat") return query.instant();
  if (panel.kind === "heatmap") query.format(prometheus.PromQueryFormat.Heatmap);
  return query.range().exemplar(target.exemplar ?? false);
}

interface Place {
  readonly x: number;
  readonly y: number;
}

function decorate(builder: AnyBuilder, panel: Panel): void {
  const { unit, min, max, decimals, none, steps, words } = panel;
  builder.title(panel.title).description(panel.description).datasource(SOURCE).unit(unit);
  if (min !== undefined) builder.min(min);
  if (max !== undefined) builder.max(max);
  if (decimals !== undefined) builder.decimals(decimals);
  if (none !== undefined) builder.noValue(none);
  const colours = steps ?? [[null, "green"] as const];
  builder.thresholds(
    new dashboard.ThresholdsConfigBuilder()
      .mode(dashboard.ThresholdsMode.Absolute)
      .steps(colours.map(([value, color]) => ({ value, color }))),
  );
  if (words === undefined) return;
  const options = Object.entries(words).map(([value, { text, color }], index) => [
    value,
    { text, color, index },
  ]);
  builder.mappings([{ type: dashboard.MappingType.ValueToText, options: Object.fromEntries(options) }]);
}

function panelOf(panel: Panel, { x, y }: Place): AnyBuilder {
  const builder = builderOf(panel);
  decorate(builder, panel);
  builder.gridPos({ x, y, w: panel.w, h: panel.h });
  for (const target of panel.targets) builder.withTarget(queryOf(target, panel));
  return builder;
}

/** Panels flow from left to right; a shorter one may have others below it within its line. Gives the height taken. */
export function placesOf(panels: readonly Panel[]): {
  readonly places: readonly Place[];
  readonly height: number;
} {
  /** Height taken per column. */
  const taken = Array.from({ length: COLUMNS }, () => 0);
  const places = panels.map(({ w, h }): Place => {
    let best = { x: 0, y: Number.POSITIVE_INFINITY };
    for (let x = 0; x + w <= COLUMNS; x++) {
      const y = Math.max(...taken.slice(x, x + w));
      if (y < best.y) best = { x, y };
    }
    taken.fill(best.y + h, best.x, best.x + w);
    return best;
  });
  return { places, height: Math.max(0, ...taken) };
}

function addRow(builder: dashboard.DashboardBuilder, row: Row, y: number): number {
  const title = new dashboard.RowBuilder(row.title)
    .collapsed(row.collapsed ?? false)
    .gridPos({ x: 0, y, w: COLUMNS, h: 1 });
  if (row.repeat !== undefined) title.repeat(row.repeat);
  const { places, height } = placesOf(row.panels);
  const panels = row.panels.map((panel, at) => {
    const place = places[at] ?? { x: 0, y: 0 };
    return panelOf(panel, { x: place.x, y: y + 1 + place.y });
  });
  // Only a folded row holds its panels; those of an open one follow it.
  if (row.collapsed === true) for (const panel of panels) title.withPanel(panel);
  builder.withRow(title);
  if (row.collapsed === true) return y + 1;
  for (const panel of panels) builder.withPanel(panel);
  return y + 1 + height;
}

function variableOf(variable: Variable): Builder<dashboard.VariableModel> {
  const { name, label, description, query, kind, many, all, first } = variable;
  const chosen = first ?? (many ? "$__all" : "");
  const text = first ?? "All";
  const current = many
    ? { selected: true, text: [text], value: [chosen] }
    : { selected: true, text: chosen, value: chosen };
  if (kind === "custom") {
    return new dashboard.CustomVariableBuilder(name)
      .label(label)
      .description(description)
      .values(query)
      .options(query.split(",").map((word) => ({ selected: word === chosen, text: word, value: word })))
      .current(current);
  }
  const builder = new dashboard.QueryVariableBuilder(name)
    .label(label)
    .description(description)
    .datasource(SOURCE)
    .query({ query, refId: `${name}Variable` })
    .definition(query)
    .refresh(dashboard.VariableRefresh.OnTimeRangeChanged)
    .sort(dashboard.VariableSort.AlphabeticalAsc)
    .multi(many)
    .current(current);
  return many && all !== undefined ? builder.includeAll(true).allValue(all) : builder;
}

function versionChanges(board: Board): dashboard.AnnotationQueryBuilder {
  const models = board.variables.some(({ name }) => name === "model")
    ? ',model=~"$model",version=~"$version"'
    : "";
  return (
    new dashboard.AnnotationQueryBuilder()
      .name("New versions")
      .datasource(SOURCE)
      .enable(true)
      .iconColor("purple")
      .expr(
        `min by (model, version) (outrider_model_version_first_seen_timestamp_seconds{${SIDECAR}${models}}) * 1000`,
      )
      .titleFormat("{{model}} {{version}}")
      .textFormat("first prediction of this version")
      // A new series never changes, so its value is the moment: Unix milliseconds.
      .useValueForTime(true)
      .step("1m")
  );
}

/** What the SDK leaves out or puts in although it has no place in the classic model. */
function finished(built: dashboard.Dashboard): unknown {
  let id = 0;
  const visit = (panel: Record<string, unknown>): void => {
    panel["id"] = ++id;
    const targets = panel["targets"];
    if (Array.isArray(targets)) {
      for (const [at, target] of targets.entries()) target.refId = String.fromCharCode(65 + at);
    }
    const inner = panel["panels"];
    if (Array.isArray(inner)) inner.forEach(visit);
  };
  const plain = JSON.parse(JSON.stringify(built));
  plain.panels.forEach(visit);
  for (const link of plain.links) delete link.placement;
  for (const annotation of plain.annotations.list) delete annotation.placement;
  return plain;
}

/** The JSON of a board, as it is shipped. */
export function render(board: Board): string {
  const { uid, title } = BOARDS[board.id];
  const slow = board.id === "quality" || board.id === "versions";
  const builder = new dashboard.DashboardBuilder(title)
    .uid(uid)
    .description(board.description)
    .tags(["outrider"])
    .readonly()
    .tooltip(dashboard.DashboardCursorSync.Crosshair)
    .time({ from: slow ? "now-7d" : "now-6h", to: "now" })
    .timezone("browser")
    .refresh("1m")
    .version(1)
    .link(
      new dashboard.DashboardLinkBuilder("Outrider")
        .type(dashboard.DashboardLinkType.Dashboards)
        .tags(["outrider"])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(
      new dashboard.DatasourceVariableBuilder("datasource").label("Data source").type("prometheus"),
    );
  for (const variable of board.variables) builder.withVariable(variableOf(variable));
  builder.annotation(versionChanges(board));
  let y = 0;
  for (const row of board.rows) y = addRow(builder, row, y);
  return `${JSON.stringify(finished(builder.build()), null, 2)}\n`;
}
