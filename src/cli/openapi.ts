// `outrider openapi`: the description of the API.

import { openApiDocument } from "../api/openapi.ts";
import { version } from "../kernel/version.ts";
import { EXIT, type CliIo } from "./io.ts";

export function openapi(io: CliIo): number {
  io.stdout.write(`${JSON.stringify(openApiDocument(version), null, 2)}\n`);
  return EXIT.ok;
}
