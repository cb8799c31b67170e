// argv, environment and signals become calls. The only place that reads process.env and the only process.exit.

import { setFlagsFromString } from "node:v8";
import type { CliIo } from "./cli/io.ts";
import { ownProcess } from "./cli/processes.ts";
import { openCompiledCode, COMPILED_CODE } from "./kernel/compiled-code.ts";

// What is read lies outside V8's heap. By default every 64 MB of it ask for a full collection of a heap that has hardly changed:
// with bodies of 64 MB that was half of the relay's CPU. So the limit of such memory grows with the heap's, as the rest does.
setFlagsFromString("--external-memory-accounted-in-global-limit");
// While the observer reads stored rows, V8 learns that rows outlive a collection and makes the next ones in the old generation,
// where each keeps alive what it refers to until all of the heap is marked: over 100 MB of rows that nobody needs.
if (process.argv[2] === "observer") {
  setFlagsFromString("--no-allocation-site-pretenuring");
} else {
  // Survivors are few: helpers that are woken for them cost more than they take over (decision 0070).
  setFlagsFromString("--no-parallel-scavenge");
}
// A request passes through many small functions; by default V8 stops in the middle of making one of them (decision 0070).
setFlagsFromString("--max-inlined-bytecode-size=1000");
setFlagsFromString("--max-inlined-bytecode-size-cumulative=3000");

// After the flags, which are part of what V8 has compiled, and before all that is to be read so.
const compiledIn = process.env[COMPILED_CODE];
const compiled = compiledIn === undefined ? null : openCompiledCode(compiledIn);

const self = process.argv[1] ?? "";

const args = process.argv.slice(2);
const io: CliIo = {
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  onSignal: (call) => {
    process.on("SIGINT", () => call("SIGINT"));
    process.on("SIGTERM", () => call("SIGTERM"));
  },
  onHangup: (call) => {
    process.on("SIGHUP", call);
  },
  observerCommand: [process.execPath, ...process.execArgv, self, "observer"],
  workerCommand: [process.execPath, ...process.execArgv, self, "traffic-worker"],
  compiled,
};

const own = ownProcess(args[0]);
process.exit(own === null ? await (await import("./cli/cli.ts")).runCli(args, io) : await own(io));
