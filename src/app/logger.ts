// pino behind the kernel's log interface: JSON lines for machines, plain lines on a terminal.

import { pino } from "pino";
import type { Log } from "../kernel/log.ts";
import { plainLine } from "./plain-line.ts";

/** Lines that a reader of standard error does not take are held up to here; then new ones are dropped. */
const HELD_BYTES_MAX = 1024 * 1024;

/** To standard error; `name` tells our processes apart. Never give it bodies or headers. */
export function createLogger(name: string, level: string): Log {
  const terminal = process.stderr.isTTY;
  const options = {
    level,
    base: { process: name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (word: string) => ({ level: word }) },
  };
  // Never waited for: a log that nobody reads must not hold up a request.
  const lines = pino.destination({ fd: 2, sync: false, maxLength: HELD_BYTES_MAX });
  const plain = { write: (line: string): void => void process.stderr.write(plainLine(line)) };
  const logger = pino(options, terminal ? plain : lines);
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}
