// The settings of docker-compose.yml with this machine's addresses in the place of service names, and without what is left out.

import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, stringify } from "yaml";
import { freePort } from "../../test/real/support/process.ts";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const deploy = join(root, "deploy");

/** As published by docker-compose.yml, and two that stay inside there. */
const USUAL = {
  model: 8000,
  traffic: 7070,
  telemetry: 7071,
  api: 7072,
  prometheus: 9090,
  alertmanager: 9093,
  collector: 4318,
  collectorMetrics: 8888,
  grafana: 3000,
};

export type Ports = Readonly<typeof USUAL>;

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Throws, naming the ports that other programs hold. */
export async function choosePorts(kind: "usual" | "free"): Promise<Ports> {
  const ports = { ...USUAL };
  const taken: string[] = [];
  for (const [name, port] of Object.entries(USUAL)) {
    if (kind === "free") Object.assign(ports, { [name]: await freePort() });
    else if (!(await isFree(port))) taken.push(`${port} (${name})`);
  }
  if (taken.length > 0)
    throw new Error(`other programs hold these ports: ${taken.join(", ")}; end them, or add --free-ports`);
  return ports;
}

export const at = (port: number): string => `127.0.0.1:${port}`;

type Tree = Record<string, unknown>;

/** Names and ports as the compose file has them -> here. */
function places(ports: Ports): Readonly<Record<string, string>> {
  return {
    "outrider:7071": at(ports.telemetry),
    "prometheus:9090": at(ports.prometheus),
    "alertmanager:9093": at(ports.alertmanager),
    "collector:8888": at(ports.collectorMetrics),
  };
}

interface Target {
  readonly static_configs: readonly { readonly targets: readonly string[] }[];
}

/** Only jobs of programs that run here: a target that is meant to be down would be an alert. */
function moved<T extends Target>(jobs: readonly T[], ports: Ports, running: ReadonlySet<string>): T[] {
  return jobs.flatMap((job) => {
    const targets = job.static_configs
      .flatMap((config) => config.targets)
      .filter((target) => running.has(target.split(":")[0] ?? ""));
    const here = targets.map((target) => places(ports)[target] ?? target);
    return targets.length === 0 ? [] : [{ ...job, static_configs: [{ targets: here }] }];
  });
}

export interface Place {
  readonly folder: string;
  readonly ports: Ports;
  /** Names of the services that are started. */
  readonly running: ReadonlySet<string>;
}

export function prometheusFile({ folder, ports, running }: Place): string {
  const tree = parse(readFileSync(join(deploy, "prometheus", "prometheus.yml"), "utf8")) as Tree & {
    alerting: { alertmanagers: Target[] };
    scrape_configs: Target[];
  };
  const file = join(folder, "prometheus.yml");
  const settings = {
    ...tree,
    rule_files: globSync(join(deploy, "prometheus", "outrider.*.yml")),
    alerting: { alertmanagers: moved(tree.alerting.alertmanagers, ports, running) },
    scrape_configs: moved(tree.scrape_configs, ports, running),
  };
  writeFileSync(file, stringify(settings));
  return file;
}

export function outriderFile({ folder, running }: Place): string {
  const tree = parse(readFileSync(join(deploy, "compose", "outrider.yaml"), "utf8")) as Tree;
  if (!running.has("collector")) delete tree["otlp"];
  const file = join(folder, "outrider.yaml");
  writeFileSync(file, stringify(tree));
  return file;
}

export const tokenFile = join(deploy, "compose", "api-token");
export const collectorFile = join(deploy, "collector", "collector.yaml");
export const alertmanagerFile = join(deploy, "alertmanager", "alertmanager.yml");

export function collectorVariables({ ports }: Place): Record<string, string> {
  return {
    COLLECTOR_LISTEN: at(ports.collector),
    COLLECTOR_METRICS_HOST: "127.0.0.1",
    COLLECTOR_METRICS_PORT: String(ports.collectorMetrics),
    PROMETHEUS_OTLP: `http://${at(ports.prometheus)}/api/v1/otlp/v1/metrics`,
  };
}

/** Grafana's provisioning with the boards where they lie here. */
export function grafanaVariables({ folder, ports }: Place): Record<string, string> {
  const provisioning = join(folder, "provisioning");
  for (const file of globSync("*/*.yml", { cwd: join(root, "grafana", "provisioning") })) {
    const text = readFileSync(join(root, "grafana", "provisioning", file), "utf8")
      .replaceAll("/var/lib/grafana/dashboards/outrider", join(root, "grafana", "dashboards"))
      .replaceAll("http://prometheus:9090", `http://${at(ports.prometheus)}`);
    mkdirSync(join(provisioning, dirname(file)), { recursive: true });
    writeFileSync(join(provisioning, file), text);
  }
  return {
    GF_PATHS_PROVISIONING: provisioning,
    GF_PATHS_DATA: join(folder, "grafana"),
    GF_SERVER_HTTP_ADDR: "127.0.0.1",
    GF_SERVER_HTTP_PORT: String(ports.grafana),
    GF_AUTH_ANONYMOUS_ENABLED: "true",
    GF_ANALYTICS_REPORTING_ENABLED: "false",
    GF_ANALYTICS_CHECK_FOR_UPDATES: "false",
    GF_PLUGINS_PREINSTALL_DISABLED: "true",
  };
}

export const hasAlertmanagerFile = (): boolean => existsSync(alertmanagerFile);
