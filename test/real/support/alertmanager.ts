// A real Alertmanager that sends every alert to one webhook without waiting for more of the same.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureAlertmanager } from "./install.ts";
import { freePort, startProcess, temporaryFolder, type Owner, type RealProcess } from "./process.ts";

export interface Alertmanager {
  /** For `PrometheusOptions.alertmanager`: `127.0.0.1:port`. */
  readonly address: string;
  readonly url: string;
  readonly process: RealProcess;
}

/** `webhookUrl` is the test's own server: it gets Alertmanager's webhook bodies by POST. */
export async function startAlertmanager(owner: Owner, webhookUrl: string): Promise<Alertmanager> {
  const { alertmanager } = await ensureAlertmanager();
  const folder = temporaryFolder(owner, "alertmanager");
  const route = { receiver: "test", group_by: ["..."], group_wait: "0s", group_interval: "1s" };
  const receivers = [{ name: "test", webhook_configs: [{ url: webhookUrl, send_resolved: true }] }];
  const file = join(folder, "alertmanager.yml");
  writeFileSync(file, JSON.stringify({ route, receivers }));
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
