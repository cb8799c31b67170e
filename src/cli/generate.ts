// `npm run generate`: writes the files that follow from the code; with --check it only says which differ.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { openApiDocument } from "../api/openapi.ts";
import { apiPage } from "../api/reference-page.ts";
import { catalogue } from "../catalogue.ts";
import { configJsonSchema, configTable, defaultAlerting } from "../config/config.ts";
import { kubernetesFiles, prometheusFiles } from "../dashboards/bundle.ts";
import { alertsPage, runbookPages } from "../dashboards/runbooks.ts";
import type { Command } from "commander";
import { cell, code } from "../kernel/markdown.ts";
import { version } from "../kernel/version.ts";
import { shippedFiles } from "./dashboards.ts";
import { EXIT, type CliIo } from "./io.ts";
import { commandsPage } from "./reference-page.ts";

function configurationPage(): string {
  const rows = configTable().map(
    (row) =>
      `| ${code(row.key)} | ${code(row.default ?? "")} | ${code(row.env ?? "")} | ${cell(row.description)} |`,
  );
  return [
    "# Configuration",
    "",
    "Generated from the schema by `npm run generate`. Precedence: flag, environment, file, default. Durations are `500ms`, `30s`, `24h`, `7d`; sizes `64KiB`, `8GiB`. Lists and maps in the environment are JSON. Any key can be given as `--set key=value`. Unknown keys are errors. What happens at each limit of the relay, and what counts it: [limits](limits.md).",
    "",
    "| key | default | environment | meaning |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

function metricsPage(): string {
  const rows = catalogue.map(
    ({ name, otel, type, labels, help }) =>
      `| ${code(name)} | ${type} | ${labels.map(code).join(" ")} | ${code(otel.name)} ${otel.unit === "" ? "" : code(otel.unit)} | ${cell(help)} |`,
  );
  return [
    "# Metrics",
    "",
    "Generated from the catalogue by `npm run generate`. The same series leave by `/metrics` and by OTLP; OTLP names become these names by Prometheus' usual translation.",
    "",
    "| name | type | labels | OpenTelemetry | meaning |",
    "|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}

type Files = Readonly<Record<string, string>>;

const below = (folder: string, named: Files): Files =>
  Object.fromEntries(Object.entries(named).map(([name, text]) => [`${folder}/${name}`, text]));

/** Helm reads nothing outside its chart: rules and boards lie there a second time. */
const CHART_FILES = "deploy/helm/outrider/files";

function files(program: Command): Files {
  const alerting = defaultAlerting();
  const rules = prometheusFiles(alerting);
  const { boards } = shippedFiles();
  return {
    "docs/configuration.md": configurationPage(),
    "docs/metrics.md": metricsPage(),
    "docs/openapi.json": `${JSON.stringify(openApiDocument(version), null, 2)}\n`,
    "docs/cli.md": commandsPage(program),
    "docs/api.md": apiPage(),
    "docs/alerts.md": alertsPage(alerting),
    ...below("docs/runbooks", runbookPages(alerting)),
    ...below("deploy/prometheus", rules),
    ...below(`${CHART_FILES}/rules`, rules),
    ...below(`${CHART_FILES}/dashboards`, boards),
    ...below("deploy/kubernetes", kubernetesFiles(alerting, boards)),
    "outrider.schema.json": `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
  };
}

export function generate(request: { readonly check: boolean; readonly program: Command }, io: CliIo): number {
  const stale: string[] = [];
  for (const [name, text] of Object.entries(files(request.program))) {
    const path = join(io.cwd, name);
    if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
    stale.push(name);
    if (request.check) continue;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  if (!request.check || stale.length === 0) return EXIT.ok;
  io.stderr.write(`generated files differ: ${stale.join(", ")}; run npm run generate\n`);
  return EXIT.failed;
}
