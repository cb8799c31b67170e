// Everything that `outrider dashboards export` writes, as data: path -> text. Rendered from the configuration, beside what is shipped as it is.

import type { Alerting } from "../config/config.ts";
import { alertFile } from "./alerts.ts";
import { dashboardConfigMaps, prometheusRule } from "./kubernetes.ts";
import { ruleFile } from "./rules.ts";
import { runbookPages } from "./runbooks.ts";

/** Files that do not depend on the configuration, by name. */
export interface Shipped {
  /** `overview.json` -> its text. */
  readonly boards: Readonly<Record<string, string>>;
  /** Path below grafana/provisioning -> its text. */
  readonly provisioning: Readonly<Record<string, string>>;
  readonly alertmanager: string;
}

export type Files = Readonly<Record<string, string>>;

const below = (folder: string, files: Files): Files =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [`${folder}/${name}`, text]));

/** The rule files as Prometheus loads them: both are needed. */
export function prometheusFiles(alerting: Alerting): Files {
  return { "outrider.rules.yml": ruleFile(), "outrider.alerts.yml": alertFile(alerting) };
}

export function kubernetesFiles(alerting: Alerting, boards: Files): Files {
  return { "prometheusrule.yaml": prometheusRule(alerting), "dashboards.yaml": dashboardConfigMaps(boards) };
}

export function bundle(alerting: Alerting, shipped: Shipped): Files {
  return {
    ...below("prometheus", prometheusFiles(alerting)),
    "alertmanager/alertmanager.yml": shipped.alertmanager,
    ...below("grafana/dashboards", shipped.boards),
    ...below("grafana/provisioning", shipped.provisioning),
    ...below("kubernetes", kubernetesFiles(alerting, shipped.boards)),
    ...below("runbooks", runbookPages(alerting)),
  };
}
