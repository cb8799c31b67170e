// Which of the stack's programs are on this machine: built below .real by the real-system tests, or on PATH.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import {
  ensureAlertmanager,
  ensureCollector,
  ensurePrometheus,
  realFolder,
} from "../../test/real/support/install.ts";

export interface Program {
  readonly name: "alertmanager" | "collector" | "prometheus" | "grafana";
  readonly path: string;
}

/** By the name below .real/bin, then by those on PATH. */
const NAMES: Readonly<Record<Program["name"], readonly string[]>> = {
  alertmanager: ["alertmanager", "prometheus-alertmanager"],
  collector: ["collector", "otelcol", "otelcol-contrib"],
  prometheus: ["prometheus"],
  grafana: ["grafana", "grafana-server"],
};

export const PROGRAMS = ["alertmanager", "collector", "prometheus", "grafana"] as const;

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function findProgram(name: Program["name"], path: string): Program | null {
  const [built = name, ...others] = NAMES[name];
  const folders = path.split(delimiter).filter((folder) => folder !== "");
  // `collector` on PATH could be anything; below .real it is ours.
  const known = name === "collector" ? others : [built, ...others];
  const places = [
    join(realFolder, "bin", built),
    ...known.flatMap((each) => folders.map((folder) => join(folder, each))),
  ];
  const found = places.find(isProgram);
  return found === undefined ? null : { name, path: found };
}

/** Builds what Go modules have: minutes, once. Grafana is not among them. */
export async function installPrograms(): Promise<void> {
  await ensurePrometheus();
  await ensureAlertmanager();
  await ensureCollector();
}
