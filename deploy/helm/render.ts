// Renders the chart into deploy/kubernetes/outrider.yaml, for those who do not use Helm: node deploy/helm/render.ts [--check].
// Rules and boards are beside it already (npm run generate).

import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { helm } from "../../test/real/support/deploy.ts";

const here = dirname(fileURLToPath(import.meta.url));
export const chart = join(here, "outrider");
export const rendered = join(here, "..", "kubernetes", "outrider.yaml");

/** A token in a Secret that is made by hand, a PodMonitor, a store that goes with its pod. */
const SETTINGS = [
  "api.tokens[0].name=labeller",
  "api.tokens[0].scopes[0]=labels:write",
  "api.tokens[0].scopes[1]=read",
  "api.tokens[0].secret.name=outrider-token",
  "api.tokens[0].secret.key=sha256",
  "monitor.kind=PodMonitor",
];

const HEAD = `# Rendered from deploy/helm/outrider by \`node deploy/helm/render.ts\`; change it there.
# Needs a Secret first:
#   TOKEN=$(openssl rand -hex 32)
#   kubectl create secret generic outrider-token --from-literal=token=$TOKEN \\
#     --from-literal=sha256=$(printf %s "$TOKEN" | sha256sum | cut -d' ' -f1)
# The PodMonitor needs the Prometheus operator: leave it out without one.
`;

export async function render(): Promise<string> {
  const set = SETTINGS.flatMap((setting) => ["--set", setting]);
  const { stdout } = await helm(["template", "outrider", chart, ...set]);
  // Who made it is this file, not Helm.
  const plain = stdout
    .replaceAll(/^ +helm\.sh\/chart: .*\n/gm, "")
    .replaceAll("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl");
  return HEAD + plain;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await render();
  if (!process.argv.includes("--check")) writeFileSync(rendered, text);
  else if (readFileSync(rendered, "utf8") !== text) {
    process.stderr.write(
      "deploy/kubernetes/outrider.yaml differs from the chart; run node deploy/helm/render.ts\n",
    );
    process.exitCode = 1;
  }
}
