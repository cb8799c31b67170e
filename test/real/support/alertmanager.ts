// A real Alertmanager that sends every alert to one webhook without waiting for more of the same.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ensureAlertmanager } from "./install.ts";
import { freePort, startProcess, temporaryFolder, type Owner, type RealProcess } from "./process.ts";

export interface Alertmanager {
  /** For `PrometheusOptions.alertmanager`: `127.0.0.1:port`. */
  readonly address: string;
  readonly url: string;
  readonly process: RealProcess;
}

interface Route {
  group_wait?: string;
  readonly routes?: Route[];
}

/**
 * The shipped routes and inhibitions, told at once instead of after half a minute, and to the test's own server: every receiver's
 * webhook goes to `${webhookUrl}/<name of the receiver>`.
 */
function hurried(shipped: string, webhookUrl: string): unknown {
  const config = parse(readFileSync(shipped, "utf8")) as {
    global?: unknown;
    route: Route & { group_interval?: string };
    receivers: { name: string; webhook_configs?: { url: string }[] }[];
  };
  const hurry = (route: Route): void => {
    route.group_wait = "0s";
    route.routes?.forEach(hurry);
  };
  hurry(config.route);
  config.route.group_interval = "1s";
  for (const { name, webhook_configs: hooks } of config.receivers) {
    for (const hook of hooks ?? []) hook.url = `${webhookUrl}/${name}`;
  }
  return config;
}

/** `webhookUrl` is the test's own server: it gets Alertmanager's webhook bodies by POST. `shipped`: the file of the routes. */
export async function startAlertmanager(
  owner: Owner,
  webhookUrl: string,
  shipped: string | null = null,
): Promise<Alertmanager> {
  const { alertmanager } = await ensureAlertmanager();
  const folder = temporaryFolder(owner, "alertmanager");
  const route = { receiver: "test", group_by: ["..."], group_wait: "0s", group_interval: "1s" };
  const receivers = [{ name: "test", webhook_configs: [{ url: webhookUrl, send_resolved: true }] }];
  const file = join(folder, "alertmanager.yml");
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(shipped === null ? { route, receivers } : hurried(shipped, webhookUrl)));
  const address = `127.0.0.1:${await freePort()}`;
  const started = await startProcess(owner, {
    name: "Alertmanager",
    command: alertmanager,
    args: [
      `--config.file=${file}`,
      `--storage.path=${join(folder, "data")}`,
      `--web.listen-address=${address}`,
      "--cluster.listen-address=",
    ],
    cwd: folder,
    readyUrl: `http://${address}/-/ready`,
  });
  return { address, url: `http://${address}`, process: started };
}
