// `outrider check` and `outrider config`.

import { loadConfig, redactedConfig } from "../config/config.ts";
import { EXIT, type CliIo } from "./io.ts";
import type { ConfigRequest } from "./run.ts";

/** Throws Problems with every mistake; they are printed by the command line. */
export function checkConfig(request: ConfigRequest, io: CliIo): number {
  const { file, warnings } = loadConfig({ ...request, env: io.env, cwd: io.cwd });
  for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`);
  io.stdout.write(`ok${file === null ? "" : `: ${file}`}\n`);
  return EXIT.ok;
}

export function printConfig(request: ConfigRequest, io: CliIo): number {
  const { config } = loadConfig({ ...request, env: io.env, cwd: io.cwd });
  io.stdout.write(`${JSON.stringify(redactedConfig(config), null, 2)}\n`);
  return EXIT.ok;
}
