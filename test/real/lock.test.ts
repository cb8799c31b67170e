// The lock around installing: what two runs of the real tests at one time rely on.

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { until } from "../support/sidecar.ts";
import { withLock } from "./support/lock.ts";
import { temporaryFolder } from "./support/process.ts";

const module = pathToFileURL(join(dirname(fileURLToPath(import.meta.url)), "support", "lock.ts")).href;
const folder = temporaryFolder({ after }, "lock");

/** A process that takes the lock, appends "in", waits, appends "out". */
function holder(file: string, log: string, holdMs: number): ChildProcess {
  const script = `
    import { appendFileSync } from "node:fs";
    import { setTimeout as sleep } from "node:timers/promises";
    import { withLock } from ${JSON.stringify(module)};
    await withLock(${JSON.stringify(file)}, 120_000, async () => {
      appendFileSync(${JSON.stringify(log)}, "in ");
      await sleep(${holdMs});
      appendFileSync(${JSON.stringify(log)}, "out ");
    });`;
  return spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" });
}

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once("exit", resolve));

test("four processes that install the same thing do it one after the other", async () => {
  const [file, log] = [join(folder, "four.lock"), join(folder, "four.log")];
  const all = [1, 2, 3, 4].map(() => holder(file, log, 150));
  assert.deepEqual(await Promise.all(all.map(ended)), [0, 0, 0, 0]);
  assert.equal(readFileSync(log, "utf8"), "in out ".repeat(4));
});

test("a holder that is killed leaves the lock free, and a wait for one that lives is bounded", async () => {
  const [file, log] = [join(folder, "killed.lock"), join(folder, "killed.log")];
  const child = holder(file, log, 60_000);
  const gone = ended(child);
  await until(() => existsSync(log));
  await assert.rejects(
    withLock(file, 300, async () => {}),
    new RegExp(`process ${child.pid} held .*more than 300 ms`),
  );
  child.kill("SIGKILL");
  await gone;
  assert.equal(await withLock(file, 60_000, () => Promise.resolve("mine")), "mine");
});
