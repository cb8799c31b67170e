// How each service of the stack is started on this machine, in the order of their dependencies.

import { join } from "node:path";
import {
  startProcess,
  type Owner,
  type ProcessOptions,
  type RealProcess,
} from "../../test/real/support/process.ts";
import type { Program } from "./programs.ts";
import {
  alertmanagerFile,
  at,
  collectorFile,
  collectorVariables,
  grafanaVariables,
  outriderFile,
  prometheusFile,
  root,
  tokenFile,
  type Place,
} from "./settings.ts";

export interface Service {
  readonly name: string;
  readonly process: RealProcess;
  /** What a person would open or use, by name. */
  readonly urls: Readonly<Record<string, string>>;
}

const main = join(root, "src", "main.ts");
const outrider = (...args: readonly string[]): { command: string; args: readonly string[] } => ({
  command: process.execPath,
  args: [main, ...args],
});

type Plan = Omit<ProcessOptions, "name"> & { readonly urls: Service["urls"] };

function third({ name, path }: Program, place: Place): Plan {
  const { folder, ports } = place;
  const url = `http://${at(ports[name])}`;
  switch (name) {
    case "alertmanager":
      return {
        command: path,
        args: [
          `--config.file=${alertmanagerFile}`,
          `--storage.path=${join(folder, "alertmanager")}`,
          `--web.listen-address=${at(ports.alertmanager)}`,
          "--cluster.listen-address=",
        ],
        readyUrl: `${url}/-/ready`,
        urls: { alerts: url },
      };
    case "collector":
      return {
        command: path,
        args: [`--config=${collectorFile}`],
        env: collectorVariables(place),
        // It has no page for GET: 405 is an answer.
        readyUrl: `${url}/v1/metrics`,
        readyBelow: 500,
        urls: { OTLP: url },
      };
    case "prometheus":
      return {
        command: path,
        args: [
          `--config.file=${prometheusFile(place)}`,
          `--storage.tsdb.path=${join(folder, "prometheus")}`,
          `--web.listen-address=${at(ports.prometheus)}`,
          "--web.enable-otlp-receiver",
          "--enable-feature=exemplar-storage",
        ],
        readyUrl: `${url}/-/ready`,
        urls: { queries: url },
      };
    case "grafana":
      return {
        command: path,
        args: path.endsWith("grafana-server") ? [] : ["server"],
        env: grafanaVariables(place),
        cwd: "/usr/share/grafana",
        readyUrl: `${url}/api/health`,
        urls: { boards: url },
      };
  }
}

function own(name: "model" | "outrider" | "traffic", place: Place): Plan {
  const { folder, ports } = place;
  const [proxy, telemetry, api] = [ports.traffic, ports.telemetry, ports.api].map(
    (port) => `http://${at(port)}`,
  );
  const model = `http://${at(ports.model)}`;
  switch (name) {
    case "model":
      return {
        ...outrider("demo-server", "--listen", at(ports.model)),
        readyUrl: `${model}/v2/health/ready`,
        urls: { directly: model },
      };
    case "outrider": {
      const flags = ["--config", outriderFile(place), "--upstream", model, "--store", join(folder, "store")];
      flags.push("--listen", at(ports.traffic), "--telemetry-listen", at(ports.telemetry));
      flags.push("--api-listen", at(ports.api));
      if (place.running.has("collector")) flags.push("--otlp-endpoint", `http://${at(ports.collector)}`);
      return {
        ...outrider("run", ...flags),
        env: { LOG_LEVEL: "warn" },
        readyUrl: `${telemetry}/readyz`,
        urls: { traffic: proxy ?? "", metrics: `${telemetry}/metrics`, api: api ?? "" },
      };
    }
    case "traffic":
      return {
        ...outrider("demo-traffic", "--proxy", proxy ?? "", "--api", api ?? "", "--token-file", tokenFile),
        // Nothing to ask it: what it does shows in the sidecar.
        readyUrl: `${telemetry}/livez`,
        urls: {},
      };
  }
}

/** Third-party programs and the model server at once, then the sidecar, then its callers. */
export async function startServices(
  owner: Owner,
  programs: readonly Program[],
  place: Place,
): Promise<Service[]> {
  const start = async (name: string, { urls, ...plan }: Plan): Promise<Service> => ({
    name,
    urls,
    process: await startProcess(owner, { name, ...plan }),
  });
  const around = [
    start("model", own("model", place)),
    ...programs.map((program) => start(program.name, third(program, place))),
  ];
  // All are waited for, so that one that fails leaves none behind that is still starting.
  const settled = await Promise.allSettled(around);
  const failed = settled.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  const first = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const sidecar = await start("outrider", own("outrider", place));
  return [sidecar, ...first, await start("traffic", own("traffic", place))];
}
