// argv, environment and signals become calls. The only place that reads process.env and the only process.exit.

import { runCli } from "./cli/cli.ts";

const self = process.argv[1] ?? "";

const code = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  onSignal: (call) => {
    process.on("SIGINT", () => call("SIGINT"));
    process.on("SIGTERM", () => call("SIGTERM"));
  },
  observerCommand: [process.execPath, ...process.execArgv, self, "observer"],
  workerCommand: [process.execPath, ...process.execArgv, self, "traffic-worker"],
});
process.exit(code);
