// `outrider labels import`: options and terminal in, exit code out.

import { systemClock } from "../kernel/clock.ts";
import type { CliIo } from "./io.ts";
import { importLabels } from "./labels-import.ts";
import { readToken } from "./quality.ts";

export interface LabelsRequest {
  readonly files: readonly string[];
  readonly apis: readonly string[];
  readonly tokenFile: string | null;
  readonly json: boolean;
}

export async function labelsImport(request: LabelsRequest, io: CliIo): Promise<number> {
  const { files, apis, json, tokenFile } = request;
  const progress = io.stderr.isTTY === true ? io.stderr : null;
  const token = readToken(tokenFile, io.env);
  const { stdout, stderr, stdin } = io;
  return await importLabels(
    { files, apis, token, json, progress },
    { clock: systemClock, stdout, stderr, stdin },
  );
}
