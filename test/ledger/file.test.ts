// Broken, taken, newer, full: the ledger starts all the same or says why not, and never loses what it could keep.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  openSync,
  writeSync,
  closeSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { TestContext } from "node:test";

import { silentLog } from "../../src/kernel/log.ts";
import { createLedger } from "../../src/ledger/ledger.ts";
import type { OpenResult } from "../../src/ledger/ledger.ts";
import { handClock } from "../support/hand-clock.ts";
import { DAY_MS, NOW, exchange, label, normalise, openBench, tempFolder } from "./support.ts";

/** Opens and closes; for results that `openBench` does not expect. */
async function tryOpen(path: string): Promise<OpenResult> {
  const ledger = createLedger(
    { path, retentionMs: 30 * DAY_MS, labelHorizonMs: 7 * DAY_MS, groupCommitMs: 25 },
    { clock: handClock(NOW), log: silentLog, normalise, onChanges: () => undefined },
  );
  const result = ledger.open();
  if (result.kind === "quarantined") {
    const kept = ledger.label([label("new", 1)]);
    assert.equal((await kept).kind, "kept", "the new store works");
  }
  await ledger.close();
  return result;
}

/** A folder with a closed store of a few thousand rows. */
async function filled(t: TestContext): Promise<string> {
  const path = tempFolder(t);
  const { record, say, ledger } = openBench(path);
  await record(...Array.from({ length: 3000 }, (_, i) => exchange(`e${i}`)));
  await say(...Array.from({ length: 1000 }, (_, i) => label(`e${i}`, i)));
  await ledger.close();
  return path;
}

function overwrite(file: string, at: number, bytes: number): void {
  const handle = openSync(file, "r+");
  writeSync(handle, Buffer.alloc(bytes, 0xa5), 0, bytes, at);
  closeSync(handle);
}

test("the data directory is made for the owner alone, and a clean stop leaves one file", async (t) => {
  const path = join(tempFolder(t), "deep", "data");
  const { ledger } = openBench(path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.ok(!existsSync(join(path, "ledger.db-shm")), "no shared memory");
  await ledger.close();
  assert.deepEqual(readdirSync(path), ["ledger.db"]);
});

for (const [what, harm] of Object.entries({
  "a flipped header": (file: string) => overwrite(file, 0, 64),
  "a header of another format": (file: string) => overwrite(file, 18, 2),
  "a flipped second page": (file: string) => overwrite(file, 4096, 4096),
  "a flipped page in the middle": (file: string) =>
    overwrite(file, Math.floor(statSync(file).size / 8192) * 4096, 4096),
  "a truncated file": (file: string) => truncateSync(file, Math.floor(statSync(file).size / 2)),
  "an empty file": (file: string) => truncateSync(file, 0),
  "a text file": (file: string) => writeFileSync(file, "hello, this is not a database\n".repeat(1000)),
  "another program's database": (file: string) => {
    rmSync(file);
    const db = new DatabaseSync(file);
    db.exec("CREATE TABLE theirs (a)");
    db.close();
  },
  "a directory in its place": (file: string) => {
    rmSync(file);
    mkdirSync(file);
  },
  "a symbolic link in its place": (file: string) => {
    rmSync(file);
    symlinkSync("/dev/null", file);
  },
})) {
  test(`${what} is set aside, and a new store begins`, async (t) => {
    const path = await filled(t);
    harm(join(path, "ledger.db"));
    const result = await tryOpen(path);
    assert.ok(result.kind === "quarantined", JSON.stringify(result));
    assert.match(result.file, /ledger\.db\.corrupt-20260114T/);
    assert.ok(readdirSync(path).some((name) => name.startsWith("ledger.db.corrupt-")));
    assert.deepEqual((await tryOpen(path)).kind, "open");
  });
}

test("a log without its file is not replayed into a new one", async (t) => {
  const path = tempFolder(t);
  const { record, ledger } = openBench(path);
  await record(exchange("a"));
  copyFileSync(join(path, "ledger.db-wal"), join(path, "saved"));
  await ledger.close();
  rmSync(join(path, "ledger.db"));
  copyFileSync(join(path, "saved"), join(path, "ledger.db-wal"));
  const again = openBench(path);
  assert.equal(again.ledger.stats().rows, 0);
  assert.ok(readdirSync(path).some((name) => /^ledger\.db\.left-.*-wal$/.test(name)));
  await again.ledger.close();
});

test("a second opener is refused by the name of the file, and the first goes on", async (t) => {
  const path = tempFolder(t);
  const { ledger, say } = openBench(path);
  const second = await tryOpen(path);
  assert.ok(second.kind === "refused" && second.code === "locked", JSON.stringify(second));
  assert.ok(second.message.includes(join(path, "ledger.db")));
  const script = `
    const { DatabaseSync } = require("node:sqlite");
    try { new DatabaseSync(process.argv[1]).prepare("SELECT * FROM meta").all(); console.log("read"); }
    catch (error) { console.log(error.message); }`;
  const other = execFileSync(process.execPath, ["-e", script, join(path, "ledger.db")], { encoding: "utf8" });
  assert.match(other, /locked/);
  assert.deepEqual(await say(label("a", 1)), ["waiting"]);
  await ledger.close();
  assert.equal((await tryOpen(path)).kind, "open");
});

test("a store of a newer version is refused and left as it is", async (t) => {
  const path = await filled(t);
  const db = new DatabaseSync(join(path, "ledger.db"));
  db.exec("PRAGMA user_version = 99");
  db.close();
  const result = await tryOpen(path);
  assert.ok(result.kind === "refused" && result.code === "newer-schema", JSON.stringify(result));
  assert.deepEqual(readdirSync(path), ["ledger.db"]);
});

test("a path that cannot be a directory is refused with its name", async (t) => {
  const folder = tempFolder(t);
  writeFileSync(join(folder, "file"), "");
  const result = await tryOpen(join(folder, "file", "data"));
  assert.ok(
    result.kind === "refused" && result.message.includes(join(folder, "file", "data")),
    JSON.stringify(result),
  );
});
