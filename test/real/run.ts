// `npm run test:real`: installs the real systems once, then runs the tests against them, one file after the other. Fails when it cannot.

import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensurePrometheus, ensurePython } from "./support/install.ts";

await ensurePython();
await ensurePrometheus();
const here = dirname(fileURLToPath(import.meta.url));
// The flow's crash test again, with more rounds than a quick run can afford.
const crashes = join(here, "..", "flow", "faults.test.ts");
const files = globSync("**/*.test.ts", { cwd: here }).map((file) => join(here, file));
const { status } = spawnSync(
  process.execPath,
  // A file that hangs fails, after more than any may take.
  ["--test", "--test-concurrency=1", "--test-timeout=2400000", "--test-reporter=spec", ...files, crashes],
  { stdio: "inherit", env: { ...process.env, FLOW_KILLS: "20" } },
);
process.exitCode = status ?? 1;
