// Something breaks, and someone is told: real Prometheus and Alertmanager with the shipped rules, routes and inhibitions.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { until } from "../support/sidecar.ts";
import { startAlertmanager } from "./support/alertmanager.ts";
import { startObserved } from "./support/observed.ts";
import { startPrometheus } from "./support/prometheus.ts";

const owner = { after };
const RUNBOOKS = "https://wiki.example.com/runbooks";
const WAIT_MS = 300_000;

interface Alert {
  readonly status: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Webhook {
  readonly url: string;
  /** Every alert of every notification, with the receiver that got it. */
  readonly told: readonly (Alert & { readonly receiver: string })[];
}

async function startWebhook(): Promise<Webhook> {
  const told: (Alert & { receiver: string })[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as { alerts: Alert[] };
      const receiver = (incoming.url ?? "/").slice(1);
      told.push(...body.alerts.map((alert) => ({ ...alert, receiver })));
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  owner.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, told };
}

test("a model server that stops and a version whose labels go wrong are told, once each, and told to be over", async () => {
  const webhook = await startWebhook();
  const system = await startObserved(owner, {
    alerts: { runbookUrl: RUNBOOKS, grafanaUrl: "https://grafana.example.com", labels: { team: "ml" } },
  });
  const routes = join(system.exported, "alertmanager", "alertmanager.yml");
  const alertmanager = await startAlertmanager(owner, webhook.url, routes);
  const prometheus = await startPrometheus(owner, {
    scrapeUrl: `${system.sidecar.telemetry}/metrics`,
    intervalMs: 2000,
    ruleFiles: system.ruleFiles,
    alertmanager: alertmanager.address,
  });
  const settled = 'count(job_model_version_window_metric:outrider_quality{basis="matured",window="24h"})';
  await prometheus.queryUntil(settled, (samples) => (samples[0]?.value ?? 0) >= 15, 300_000);
  const find = (name: string, status: string): (Alert & { receiver: string }) | undefined =>
    webhook.told.find((alert) => alert.labels["alertname"] === name && alert.status === status);

  // The labels of version 4 are turned round: it falls below its baseline, then collapses.
  system.spoil("4");
  await until(() => find("OutriderQualityCollapse", "firing") !== undefined, WAIT_MS);
  const collapse = find("OutriderQualityCollapse", "firing");
  assert.equal(collapse?.receiver, "page");
  assert.deepEqual(
    ["job", "model", "version", "window", "basis", "severity", "team"].map(
      (label) => collapse?.labels[label],
    ),
    ["outrider", "spam", "4", "24h", "matured", "critical", "ml"],
  );
  assert.match(collapse?.labels["metric"] ?? "", /^(?:accuracy|roc_auc|f1|f1_macro|precision|recall)$/);
  assert.equal(collapse?.annotations["summary"], "spam has collapsed.");
  assert.match(
    collapse?.annotations["description"] ?? "",
    /^\w+ of version 4 of spam \(outrider\) over 24h is [\d.]+m?: /,
  );
  assert.equal(collapse?.annotations["runbook_url"], `${RUNBOOKS}/OutriderQualityCollapse.md`);
  assert.equal(
    collapse?.annotations["dashboard_url"],
    "https://grafana.example.com/d/outrider-quality?from=now-6h&var-job=outrider&var-model=spam&var-version=4",
  );
  // Nobody is told of version 3, whose labels are right.
  const about3 = webhook.told.filter(
    ({ labels }) => labels["alertname"]?.startsWith("OutriderQuality") === true && labels["version"] === "3",
  );
  assert.deepEqual(about3, []);

  // The model server stops.
  await system.stopModel();
  await until(() => find("OutriderTargetDown", "firing") !== undefined, WAIT_MS);
  const down = find("OutriderTargetDown", "firing");
  assert.equal(down?.receiver, "page");
  assert.equal(down?.labels["severity"], "critical");
  assert.equal(down?.labels["instance"], new URL(system.sidecar.telemetry).host);
  assert.equal(down?.annotations["runbook_url"], `${RUNBOOKS}/OutriderTargetDown.md`);

  // What follows from them is held back: errors from the server that is down, the baseline from the collapse.
  interface Known {
    readonly labels: Readonly<Record<string, string>>;
    readonly status: { readonly state: string; readonly inhibitedBy: readonly string[] };
    readonly fingerprint: string;
  }
  const known = async (): Promise<Known[]> =>
    (await (await fetch(`${alertmanager.url}/api/v2/alerts`)).json()) as Known[];
  const heldBack = async (name: string, by: string): Promise<boolean> => {
    const alerts = await known();
    const sources = new Set(
      alerts.filter(({ labels }) => labels["alertname"] === by).map(({ fingerprint }) => fingerprint),
    );
    const targets = alerts.filter(({ labels }) => labels["alertname"] === name);
    return (
      targets.length > 0 &&
      targets.every(
        ({ status }) => status.state === "suppressed" && status.inhibitedBy.some((one) => sources.has(one)),
      )
    );
  };
  await until(() => heldBack("OutriderErrorBudgetBurnFast", "OutriderTargetDown"), WAIT_MS);
  await until(() => heldBack("OutriderQualityBelowBaseline", "OutriderQualityCollapse"), WAIT_MS);

  // Both are put right: the server comes back, and the wrong labels are sent again, corrected.
  await system.startModel();
  system.spoil(null);
  await system.repair();
  for (const name of ["OutriderTargetDown", "OutriderQualityCollapse"]) {
    await until(() => find(name, "resolved") !== undefined, WAIT_MS);
  }
  await until(async () => {
    const active = (await known()).filter(({ labels }) =>
      /TargetDown|QualityCollapse/.test(labels["alertname"] ?? ""),
    );
    return active.length === 0;
  }, WAIT_MS);
});
