// `outrider dashboards export`: boards, rules, alerts, routes and runbooks as files, with the configuration's thresholds.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { loadConfig } from "../config/config.ts";
import { bundle, type Files, type Shipped } from "../dashboards/bundle.ts";
import { Problem } from "../kernel/problem.ts";
import { EXIT, type CliIo } from "./io.ts";
import type { ConfigRequest } from "./run.ts";

/** One folder above src/ and above dist/: the package. */
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function filesBelow(folder: string): Files {
  if (!existsSync(folder)) throw new Problem("package_incomplete", `the package has no ${folder}`);
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = found.map((entry) => join(entry.parentPath, entry.name)).toSorted();
  return Object.fromEntries(
    paths.map((path) => [relative(folder, path).replaceAll("\\", "/"), readFileSync(path, "utf8")]),
  );
}

const jsonOf = (files: Files): Files =>
  Object.fromEntries(Object.entries(files).filter(([name]) => name.endsWith(".json")));

/** What is shipped as it is. `root`: the folder of package.json. */
export function shippedFiles(root: string = ROOT): Shipped {
  return {
    boards: jsonOf(filesBelow(join(root, "grafana", "dashboards"))),
    provisioning: filesBelow(join(root, "grafana", "provisioning")),
    alertmanager: readFileSync(join(root, "deploy", "alertmanager", "alertmanager.yml"), "utf8"),
  };
}

export function exportDashboards(request: ConfigRequest & { readonly out: string }, io: CliIo): number {
  const { config, warnings } = loadConfig({ ...request, env: io.env, cwd: io.cwd });
  for (const warning of warnings.filter((text) => text.startsWith("alerts.")))
    io.stderr.write(`warning: ${warning}\n`);
  const out = resolve(io.cwd, request.out);
  const files = Object.entries(bundle(config, shippedFiles()));
  for (const [name, text] of files) {
    const path = join(out, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  io.stdout.write(`${files.length} files in ${out}\n`);
  return EXIT.ok;
}
