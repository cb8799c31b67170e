// Further virtual environments below .real/, for what cannot live with the pins of the first: one per list of pinned packages.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { run, runFetching, say } from "./command.ts";
import { findPython, INSTALL_MS, pythonFolder, realFolder } from "./install.ts";

/**
 * The Python of an environment with the packages of test/real/python/<list>.txt. Built beside its place and then moved there,
 * so that what is there is complete; of two that build at once one is kept. Throws when it cannot be installed.
 */
export async function ensureVenv(list: "nannyml" | "drift" | "wire"): Promise<string> {
  const requirements = join(pythonFolder, `${list}.txt`);
  const version = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 12);
  const folder = join(realFolder, "venvs", `${list}-${version}`);
  const python = join(folder, "bin", "python");
  if (existsSync(python)) return python;
  say(`installing ${list}.txt …`);
  const building = `${folder}.${process.pid}`;
  mkdirSync(dirname(folder), { recursive: true });
  rmSync(building, { recursive: true, force: true });
  try {
    await run(await findPython(), ["-m", "venv", building], { withinMs: INSTALL_MS });
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements];
    await runFetching(join(building, "bin", "python"), pip, { withinMs: INSTALL_MS });
    if (!existsSync(python)) renameSync(building, folder);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
  return python;
}
