// Retention commits without waiting for the disk: what a power cut may undo, and what it may not.

import assert from "node:assert/strict";
import { cpSync, readFileSync, renameSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import { silentLog } from "../../src/kernel/log.ts";
import { Disk } from "../../src/ledger/disk.ts";
import { openFile } from "../../src/ledger/file.ts";
import { Memory } from "../../src/ledger/work.ts";
import { handClock } from "../support/hand-clock.ts";
import type { HandClock } from "../support/hand-clock.ts";
import { DAY_MS, NOW, exchange, label, normalise, openBench, tempFolder } from "./support.ts";
import type { BenchOptions } from "./support.ts";

const FRAME_BYTES = 4120;

interface Bare {
  readonly disk: Disk;
  readonly db: DatabaseSync;
  readonly clock: HandClock;
}

/** A ledger's file and its transactions, without the ledger. */
function bare(directory: string): Bare {
  const opened = openFile(directory);
  assert.ok(opened.kind === "open");
  const memory = new Memory({ segmentRows: 8, residentSegments: 1 });
  const clock = handClock(NOW);
  const told = { normalise, onChanges: () => undefined, beside: () => null };
  const limits = { waitingMax: 10, walPagesMax: 4096 };
  return {
    disk: new Disk({ clock, log: silentLog, ...told, directory, ...limits }, memory, opened.file),
    db: opened.file.db,
    clock,
  };
}

test("what is acknowledged waits for the disk, also right after what does not", (t) => {
  const { disk, db } = bare(tempFolder(t));
  const level = (): unknown => db.prepare("PRAGMA synchronous").get()?.["synchronous"];
  const [normal, full] = [1, 2];
  const levels: unknown[] = [];
  disk.transact(() => levels.push(level()));
  disk.tidy(() => levels.push(level()));
  assert.ok(disk.tidyPages > 0);
  disk.tidy(() => {
    throw new Error("it breaks");
  });
  disk.transact(() => levels.push(level()));
  assert.deepEqual(levels, [full, normal, full]);
  disk.close();
});

test("wherever a power cut ends the log, what was acknowledged before is there, and retention begins again where it was", async (t) => {
  const path = tempFolder(t);
  const options: BenchOptions = {
    retentionMs: 2 * DAY_MS,
    checkpoints: "one",
    checkpointChanges: 40,
    segmentRows: 64,
  };
  const before = openBench(path, options);
  const old = Array.from({ length: 300 }, (_, i) => exchange(`old-${i}`, { ts: NOW - 3 * DAY_MS }));
  await before.record(...old, exchange("young"));
  await before.say(label("young", 5), ...old.slice(0, 50).map(({ id }) => label(id, 1)));
  await before.ledger.close();
  const { ledger, clock, say } = openBench(path, options);
  await say(label("young", 6, { ts: NOW + 1 }));
  const acknowledged = readFileSync(join(path, "ledger.db-wal")).length;
  for (let steps = 0; ledger.stats().rows > 1; steps++) {
    assert.ok(steps < 1000);
    ledger.sweep(clock.wallMs());
  }
  const image = tempFolder(t);
  cpSync(path, image, { recursive: true });
  const whole = readFileSync(join(image, "ledger.db-wal")).length;
  await ledger.close();
  assert.ok(whole > acknowledged + 8 * FRAME_BYTES, `${whole} of ${acknowledged}`);
  for (let length = acknowledged; length <= whole; length += 3 * FRAME_BYTES + 1000) {
    const cut = tempFolder(t);
    cpSync(image, cut, { recursive: true });
    truncateSync(join(cut, "ledger.db-wal"), length);
    const after = openBench(cut, options);
    // The listener checks that each row that goes was there, as it goes.
    assert.equal(after.listener.truths()["m/1/young"], 6, `${length} bytes`);
    assert.equal(after.ledger.stats().rows, after.listener.rows.size);
    for (let steps = 0; after.ledger.sweep(NOW).more; steps++) assert.ok(steps < 1000);
    assert.deepEqual(after.listener.truths(), { "m/1/young": 6 });
    assert.equal(after.ledger.stats().damaged, 0);
    await after.ledger.close();
  }
});

test("when the disk lost what retention had committed, nothing goes on until a start has read what there is", async (t) => {
  const path = tempFolder(t);
  const { disk, clock } = bare(path);
  assert.equal(disk.transact(() => "kept").kind, "committed");
  const image = tempFolder(t);
  cpSync(path, image, { recursive: true });
  assert.equal(disk.tidy(() => "lost").kind, "committed");
  const failed = disk.transact(() => {
    // As an error of the disk leaves it when the system dropped pages that it had not written.
    for (const name of ["ledger.db", "ledger.db-wal"]) renameSync(join(image, name), join(path, name));
    throw Object.assign(new Error("disk I/O error"), { code: "ERR_SQLITE_ERROR", errcode: 10 });
  });
  assert.equal(failed.kind, "failed");
  assert.match(disk.trouble?.message ?? "", /lost/);
  assert.equal(disk.shelf, null);
  clock.advance(60_000);
  const refused = disk.transact(() => "never");
  assert.ok(refused.kind === "failed" && refused.trouble.cause === "io");
  assert.match(refused.trouble.message, /a restart/);
  disk.close();
  const next = openBench(path);
  assert.equal((await next.record(exchange("a"))).accepted, 1);
  await next.ledger.close();
});

test("notes of forgotten rows keep all that a row can have", async (t) => {
  const path = tempFolder(t);
  const options: BenchOptions = { retentionMs: 2 * DAY_MS, checkpoints: "one", checkpointChanges: 1 };
  const first = openBench(path, options);
  const ts = NOW - 3 * DAY_MS;
  const plain = exchange("plain", { ts });
  const withParts = (id: string, parts: object, model = "m"): ReturnType<typeof exchange> => {
    const made = exchange(id, { ts, model });
    return { ...made, predictions: made.predictions.map((one) => ({ ...one, ...parts })) };
  };
  await first.record(
    plain,
    withParts("bare", { score: null, slice: null }),
    withParts("scored", { value: null, scores: { cat: 0.25, Hündin: 0.75 } }),
    withParts("text", { value: "ja — ✓", slice: { region: "eu", tier: "é" } }, "words"),
    exchange("many", { ts, values: [1, "two", 3] }),
    exchange("young"),
  );
  await first.label(label("text", "nein", { model: "words" }), label("bare", 0), label("plain", 1.5));
  await first.ledger.close();
  const late: BenchOptions = { ...options, checkpointChanges: 1e6 };
  const second = openBench(path, late);
  assert.equal(second.unchecked, null);
  for (let steps = 0; second.ledger.stats().rows > 1; steps++) {
    assert.ok(steps < 100);
    second.ledger.sweep(NOW);
  }
  await second.ledger.close();
  // The listener compares each row that goes with what the checkpoint told it.
  const third = openBench(path, late);
  assert.deepEqual([third.unchecked, third.told], [null, 7]);
  assert.deepEqual(third.listener.truths(), { "m/1/young": null });
  await third.ledger.close();
});
