// `npm run fuzz`: the fuzzing tests with a hundred times the runs (FUZZ_FACTOR), watching the heap. Fails as they do.

import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const files = [
  "proxy/fuzz.test.ts",
  "proxy/plain-heads.test.ts",
  "proxy/known-heads.test.ts",
  "proxy/http2-fuzz.test.ts",
  "proxy/short-exchanges.test.ts",
  "observe/fuzz.test.ts",
].map((file) => join(root, file));
const { status } = spawnSync(
  process.execPath,
  ["--expose-gc", "--test", "--test-concurrency=1", "--test-reporter=spec", ...files],
  { stdio: "inherit", env: { FUZZ_FACTOR: "100", ...process.env } },
);
process.exitCode = status ?? 1;
