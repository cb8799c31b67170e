// What installs the real systems: a package source that fails for once does not fail the run, one that always fails says so.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { runFetching } from "./support/command.ts";
import { temporaryFolder } from "./support/process.ts";

const folder = temporaryFolder({ after }, "fetching");

/** A command that writes a line for each time it is run, and fails until there are `good` of them. */
const failing = (log: string, good: number): readonly string[] => [
  "-c",
  `echo tried | tee -a "${log}"; [ "$(wc -l < "${log}")" -ge ${good} ] || { echo "connection reset" >&2; exit 7; }`,
];

const triesIn = (log: string): number => readFileSync(log, "utf8").split("\n").length - 1;

test("a command that fetches is run again when it fails, at most twice", async () => {
  const log = join(folder, "second");
  const { stdout } = await runFetching("sh", failing(log, 2), { pausesMs: [1, 1] });
  assert.equal(stdout, "tried\n");
  assert.equal(triesIn(log), 2);
  const never = join(folder, "never");
  await assert.rejects(
    runFetching("sh", failing(never, 9), { pausesMs: [1, 1] }),
    /ended with 7 .*tried\nconnection reset/s,
  );
  assert.equal(triesIn(never), 3);
  const may = await runFetching("sh", failing(join(folder, "may"), 9), { pausesMs: [1], mayFail: true });
  assert.equal(may.ok, false);
});

test("the time is for all tries together: no pause outlasts it", async () => {
  const log = join(folder, "late");
  await assert.rejects(
    runFetching("sh", failing(log, 2), { pausesMs: [60_000], withinMs: 30_000 }),
    /failed, and no time is left to try it again:\ntried\nconnection reset/,
  );
  assert.ok(existsSync(log));
  assert.equal(triesIn(log), 1);
});
