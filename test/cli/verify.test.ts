// `outrider verify` on a store as a stopped sidecar leaves it.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { runCli } from "../../src/cli/cli.ts";
import { FILE_NAME } from "../../src/ledger/file.ts";
import { createMeasure } from "../../src/measure/measure.ts";
import { LAST_TOTALS } from "../../src/observer/parse-totals.ts";
import { exchange, label, NOW, openBench, tempFolder } from "../ledger/support.ts";
import { specFor } from "../support/models.ts";

async function run(args: readonly string[], cwd: string): Promise<{ code: number; out: string }> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  let out = "";
  for (const stream of [stdout, stderr]) stream.on("data", (chunk: Buffer) => void (out += chunk.toString()));
  const code = await runCli(args, {
    env: {},
    cwd,
    stdout,
    stderr,
    stdin: new PassThrough(),
    onSignal: () => undefined,
    onHangup: () => {},
    observerCommand: ["false"],
    compiled: null,
    workerCommand: ["false"],
  });
  return { code, out };
}

/** Ten labelled predictions, and what was said of them at the end. */
async function fill(folder: string): Promise<void> {
  const bench = openBench(folder);
  for (let i = 0; i < 10; i++)
    await bench.record(exchange(`r${i}`, { ts: NOW - i * 60_000, values: [i + 0.25] }));
  await bench.label(...Array.from({ length: 10 }, (_, i) => label(`r${i}`, i)));
  const measure = createMeasure(
    {},
    {
      specOf: () => specFor("m"),
      versionsOf: () => ["1"],
      scan: (of, visit) => bench.ledger.scan(of, visit),
    },
  );
  measure.rebuild("m");
  bench.ledger.saveState(LAST_TOTALS, JSON.stringify({ at: NOW, groups: measure.groups(NOW) }));
  await bench.ledger.close();
}

const FLAGS = ["--set", 'models=[{"name":"m","task":"regression"}]'];

test("a sound store is found so", async (t) => {
  const folder = tempFolder(t);
  await fill(folder);
  const { code, out } = await run(["verify", "--store", folder, ...FLAGS], folder);
  assert.match(out, /^ok: 10 rows, \d+ panes and totals compared, 8 groups of the last stop\n$/);
  assert.equal(code, 0);
});

test("a label that was changed in the file is found, and the group is named", async (t) => {
  const folder = tempFolder(t);
  await fill(folder);
  const db = new DatabaseSync(join(folder, FILE_NAME));
  const stored = db.prepare("SELECT seq, labels FROM pack").get();
  assert.ok(stored?.["labels"] instanceof Uint8Array);
  const { buffer, byteOffset, byteLength } = stored["labels"];
  const view = new DataView(buffer, byteOffset, byteLength);
  // Of each label: row, ts, received, value.
  for (let at = 0; at < byteLength; at += 32)
    if (view.getFloat64(at, true) === 4) view.setFloat64(at + 24, 3.5, true);
  db.prepare("UPDATE pack SET labels = ? WHERE seq = ?").run(stored["labels"], stored["seq"] ?? 0);
  db.close();
  const { code, out } = await run(["verify", "--store", folder, ...FLAGS], folder);
  assert.equal(code, 1, out);
  assert.match(
    out,
    /^differs: model m, version 1, (slice region=eu, )?1h: metrics\.\w+ is .*, from the rows /m,
  );
  assert.match(out, /\nfailed: 10 rows/);
});

test("where there is no store nothing is made, and it is said", async (t) => {
  const folder = tempFolder(t);
  const { code, out } = await run(["verify", "--store", join(folder, "none")], folder);
  assert.equal(code, 1);
  assert.match(out, /there is no store/);
});
