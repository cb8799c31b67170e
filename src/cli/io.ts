// What a command may touch of the process it runs in: handed down from main.ts.

export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean | undefined; readonly columns?: number };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean | undefined };
  /** Calls back once per SIGINT or SIGTERM. */
  readonly onSignal: (call: (signal: string) => void) => void;
  /** Command line that starts the observer process. */
  readonly observerCommand: readonly [string, ...string[]];
}
