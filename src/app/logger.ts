// pino behind the kernel's log interface.

import { pino } from "pino";
import type { Log } from "../kernel/log.ts";

/** JSON lines to standard error; `process` tells the two processes apart. Never give it bodies or headers. */
export function createLogger(process: "traffic" | "observer", level: string): Log {
  const logger = pino(
    { level, base: { process }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}
