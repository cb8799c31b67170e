// `outrider replay`: recorded events through the ledger and the measuring code.

import { createLogger } from "../app/logger.ts";
import { loadConfig } from "../config/config.ts";
import { createLedger } from "../ledger/ledger.ts";
import { modelBookOptions } from "../observer/options.ts";
import { Problem } from "../kernel/problem.ts";
import { EXIT, type CliIo } from "./io.ts";
import { replay } from "./replay.ts";

export interface ReplayRequest {
  readonly eventsFile: string;
  readonly caseFile: string | null;
  readonly configFile: string | null;
  readonly outFile: string | null;
}

/** The models of the product's configuration. */
function configuredModels(file: string, io: CliIo): ReturnType<typeof modelBookOptions>["configured"] {
  const env = { ...io.env, OUTRIDER_CONFIG: undefined };
  const { config } = loadConfig({ file, flags: {}, env, cwd: io.cwd });
  return modelBookOptions(config).configured;
}

export async function replayCommand(request: ReplayRequest, io: CliIo): Promise<number> {
  const { eventsFile, caseFile, configFile, outFile } = request;
  if ((caseFile === null) === (configFile === null)) {
    throw new Problem("usage", "replay needs the models: give --case CASE.json or --config outrider.yaml");
  }
  const models = configFile === null ? [] : configuredModels(configFile, io);
  const log = createLogger("traffic", io.env["LOG_LEVEL"] ?? "warn");
  const result = await replay({ eventsFile, caseFile, outFile }, { createLedger, log, models });
  if (outFile === null) io.stdout.write(`${JSON.stringify(result, null, 1)}\n`);
  return EXIT.ok;
}
