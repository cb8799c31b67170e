// Killed without warning at a random moment, again and again, also while it starts: what was acknowledged is there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { openBench, tempFolder } from "./support.ts";

const child = join(fileURLToPath(new URL(".", import.meta.url)), "crash-child.ts");

/** Of the log, by writers that were killed: some kills come in the middle of one. */
let steps = 0;

/** Runs the writer and kills it at a moment soon after what it says first matches; gives the last batch that it said was kept. */
async function writeAndKill(path: string, round: string, saysFirst: RegExp): Promise<number> {
  const writer = spawn(process.execPath, [child, path, round], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  let complaint = "";
  writer.stderr.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  const exited = new Promise<NodeJS.Signals | null>((resolve) => {
    writer.once("exit", (_code, signal) => resolve(signal));
  });
  await new Promise<void>((resolve) => {
    let doomed = false;
    writer.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (doomed || !saysFirst.test(said)) return;
      doomed = true;
      setTimeout(() => writer.kill("SIGKILL"), Math.floor(Math.random() * 120));
    });
    writer.stdout.once("close", resolve);
  });
  assert.equal(await exited, "SIGKILL", complaint);
  steps += Number(/ (\d+) steps\n$/.exec(said)?.[1] ?? 0);
  return Math.max(0, ...[...said.matchAll(/^kept (\d+) after/gm)].map((match) => Number(match[1])));
}

test(
  "after kill -9 every acknowledged prediction and label is there, and nothing twice",
  { timeout: 300_000 },
  async (t) => {
    const path = tempFolder(t);
    const kept = new Map<string, number>();
    for (let round = 0; round < 10; round++) {
      const name = `r${round}`;
      // On a machine that is busy most are killed before they have done much: every third one may first come to a step of the log.
      kept.set(name, await writeAndKill(path, name, round % 3 === 2 ? / [1-9]\d* steps\n/ : /^open/));
      // Every other time the next writer itself finds what the killed one left.
      if (round % 2 === 0) continue;
      const { ledger, listener } = openBench(path, round % 4 === 1 ? { checkpoints: "test" } : {});
      const truths = listener.truths();
      for (const [writer, last] of kept) {
        const mark = ledger.lastMark(writer) ?? 0;
        assert.ok(mark >= last, `${writer}: mark ${mark}, said ${last}`);
        for (let batch = 1; batch <= last; batch++) {
          for (let i = 0; i < 4; i++) assert.equal(truths[`m/1/${writer}-${batch}-${i}`], batch);
          assert.equal(truths[`m/1/${writer}-${batch}-4`], null);
        }
        // The mark is exact: the batch it names is whole, and of the next one there is nothing.
        assert.ok(mark === 0 || `m/1/${writer}-${mark}-4` in truths);
        assert.ok(!(`m/1/${writer}-${mark + 1}-0` in truths));
      }
      await ledger.close();
    }
    assert.ok([...kept.values()].some((last) => last > 0));
    assert.ok(steps > 0);
  },
);
