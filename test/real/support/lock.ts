// One holder at a time among all processes of this machine: an exclusive SQLite transaction is a lock of the operating system,
// so it ends with its process, however that ends. Nothing stale can stay behind.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { say } from "./command.ts";

const POLL_MS = 200;

/** SQLite's extended codes keep the base code in their low byte: 5 is SQLITE_BUSY. */
function isBusy(thrown: unknown): boolean {
  const code = thrown instanceof Error && "errcode" in thrown ? thrown.errcode : 0;
  return typeof code === "number" && (code & 0xff) === 5;
}

function tryTake(database: DatabaseSync): boolean {
  try {
    database.exec("BEGIN EXCLUSIVE");
    return true;
  } catch (thrown) {
    if (isBusy(thrown)) return false;
    throw thrown;
  }
}

/** The pid that the holder left, for messages only: the lock itself is the transaction. */
function holderOf(file: string): string {
  try {
    return readFileSync(`${file}.pid`, "utf8");
  } catch {
    return "unknown";
  }
}

/** Runs `task` while no other process runs one under the same `file`. Throws, naming the holder's pid, after waiting `withinMs`. */
export async function withLock<T>(file: string, withinMs: number, task: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    const until = performance.now() + withinMs;
    for (let told = false; !tryTake(database); told = true) {
      if (!told) say(`waiting for process ${holderOf(file)}, which holds ${file}`);
      if (performance.now() > until)
        throw new Error(`process ${holderOf(file)} held ${file} for more than ${withinMs} ms`);
      await sleep(POLL_MS);
    }
    writeFileSync(`${file}.pid`, String(process.pid));
    return await task();
  } finally {
    database.close();
  }
}
