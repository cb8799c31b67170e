// What a command may touch of the process it runs in: handed down from main.ts.

import type { CompiledCode } from "../kernel/compiled-code.ts";

export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stdin: NodeJS.ReadableStream;
  /** Calls back at every SIGINT or SIGTERM. */
  readonly onSignal: (call: (signal: string) => void) => void;
  /** Calls back at every SIGHUP, which ends the process unless this was called. */
  readonly onHangup: (call: () => void) => void;
  /** Command line that starts the observer process: this program, with the word `observer`. */
  readonly observerCommand: readonly [string, ...string[]];
  /** The same for a traffic worker. */
  readonly workerCommand: readonly [string, ...string[]];
  /** What of this program is kept compiled; null: nothing, as for every process that is not told where. */
  readonly compiled: CompiledCode | null;
}

export const EXIT = Object.freeze({ ok: 0, failed: 1, usage: 2 });
