// The write-ahead log: emptied in small steps, never longer than its cap, and nothing is lost when it cannot be emptied.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { PagePace } from "../../src/ledger/pace.ts";
import { DAY_MS, HOUR_MS, NOW, exchange, label, openBench, tempFolder } from "./support.ts";

/** A page in the log, with its header. */
const FRAME_BYTES = 4120;
const STEP_PAGES = 256;

const child = join(fileURLToPath(new URL(".", import.meta.url)), "crash-child.ts");

test("recording, labels and retention empty the log in steps of a megabyte, and none of them within a transaction", async (t) => {
  const path = tempFolder(t);
  const { ledger, clock, record, say } = openBench(path, { retentionMs: 2 * DAY_MS });
  let longest = 0;
  const look = (): void => {
    longest = Math.max(longest, ledger.stats().walBytes);
  };
  for (let batch = 0; batch < 60; batch++) {
    const ids = Array.from({ length: 500 }, (_, i) => `${batch}-${i}-${"x".repeat(60)}`);
    await record(...ids.map((id) => exchange(id)));
    await say(...ids.map((id) => label(id, 1)));
    look();
  }
  const { steps } = ledger.stats().wal;
  assert.ok(steps >= 5, `${steps} steps`);
  // A running program, an hour at a time, until all is too old.
  for (let hours = 0; ledger.stats().rows > 0; hours++) {
    assert.ok(hours < 100);
    clock.advance(HOUR_MS);
    while (ledger.sweep(clock.wallMs()).more) look();
  }
  const { wal } = ledger.stats();
  assert.equal(wal.forced, 0);
  assert.equal(wal.failed, 0);
  // What was there, and the transaction that made it enough.
  assert.ok(wal.pagesMax <= 2 * STEP_PAGES, `${wal.pagesMax} pages`);
  assert.ok(longest <= 2 * STEP_PAGES * FRAME_BYTES, `${longest} bytes`);
  await ledger.close();
});

test("a queue that is never empty has its log emptied between two transactions", async (t) => {
  const { ledger } = openBench(tempFolder(t), { walPagesMax: 128 });
  const all = Array.from({ length: 100 }, (_, batch) => {
    const ids = Array.from({ length: 200 }, (_each, i) => `${batch}-${i}`);
    return ledger.record(
      ids.map((id) => exchange(id, { ts: NOW })),
      null,
    );
  });
  for (const result of await Promise.all(all)) assert.equal(result.kind, "kept");
  const { wal } = ledger.stats();
  assert.ok(wal.steps > 0);
  assert.equal(wal.forced, 0);
  await ledger.close();
});

test("a transaction on a log that is at its cap waits for a step", async (t) => {
  const path = tempFolder(t);
  const { ledger, record } = openBench(path, { walPagesMax: 8 });
  // Not through the queue, which would step before.
  for (let i = 0; i < 40; i++) assert.ok(ledger.saveState(`key ${i}`, "x".repeat(8192)));
  const { wal, walBytes } = ledger.stats();
  assert.ok(wal.forced >= 4, `${wal.forced}`);
  assert.equal(wal.steps, wal.forced);
  assert.ok(walBytes <= 2 * 8 * FRAME_BYTES, `${walBytes} bytes`);
  assert.equal((await record(exchange("a"))).accepted, 1);
  await ledger.close();
});

test("when the file cannot take the log any more, writes go on to the log's cap and are then refused; what was kept is there", async (t) => {
  const path = tempFolder(t);
  // The file may have 1 MiB (dash counts in 512 bytes); Node ignores the signal, so that a write beyond it is an I/O error.
  const limited = `ulimit -f 2048; exec "$0" "$@"`;
  const writer = spawnSync("/bin/sh", ["-c", limited, process.execPath, child, path, "r"], {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  assert.equal(writer.status, 1, writer.stderr);
  assert.match(writer.stderr, /"cause":"io"/);
  const failed = Number(/"failed":(\d+)/.exec(writer.stderr)?.[1]);
  const walBytes = Number(/"walBytes":(\d+)/.exec(writer.stderr)?.[1]);
  assert.ok(failed >= 1);
  assert.ok(walBytes >= 64 * FRAME_BYTES && walBytes <= 2 * 64 * FRAME_BYTES, `${walBytes} bytes`);
  assert.ok(statSync(join(path, "ledger.db")).size <= 1024 * 1024);
  const last = Math.max(
    ...[...writer.stdout.matchAll(/^kept (\d+) after/gm)].map((match) => Number(match[1])),
  );
  const { ledger, listener } = openBench(path);
  const truths = listener.truths();
  for (let batch = 1; batch <= last; batch++)
    for (let i = 0; i < 4; i++) assert.equal(truths[`m/1/r-${batch}-${i}`], batch);
  assert.equal(ledger.stats().damaged, 0);
  await ledger.close();
});

test("the size of steps follows what they take; where the disk takes long for anything, they are few", () => {
  const pace = new PagePace(64, 256);
  assert.equal(pace.pages, 256);
  for (let i = 0; i < 10; i++) pace.took(pace.pages, pace.pages / 16);
  assert.ok(pace.pages >= 130 && pace.pages <= 160, `${pace.pages}: 9 ms at 16 pages a millisecond`);
  for (let i = 0; i < 10; i++) pace.took(pace.pages, 1);
  assert.equal(pace.pages, 256);
  pace.took(256, 5000);
  assert.equal(pace.pages, 512);
  for (let i = 0; i < 3; i++) pace.took(pace.pages, 5000);
  assert.equal(pace.pages, 1024, "no more than that");
  pace.took(1024, 16);
  assert.equal(pace.pages, 256);
});
