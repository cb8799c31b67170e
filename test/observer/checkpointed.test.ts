// What a checkpoint holds of one fixed stream, to the byte: when it changes, so must the name under which it is read again.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import { loadConfig } from "../../src/config/config.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createLedger } from "../../src/ledger/ledger.ts";
import { checkpointedOf, LAYOUT, MEASURED_BY, measuredBy } from "../../src/observer/checkpointed.ts";
import { createMeasuring, type Measuring } from "../../src/observer/measuring.ts";
import { configuredBook, ledgerOptions } from "../../src/observer/options.ts";
import { createServed } from "../../src/observer/served.ts";
import { normaliseLabel } from "../../src/measure/semantics.ts";
import { exchange, label, NOW, tempFolder } from "../ledger/support.ts";
import { handClock } from "../support/hand-clock.ts";

const ROWS = 600;
const MINUTE_MS = 60_000;
const CLASSES = ["a", "b", "c"];
const MODELS = [
  { name: "credit", task: "binary", classes: ["0", "1"], positive: "1" },
  { name: "rent", task: "regression" },
  { name: "kind", task: "multiclass", classes: CLASSES },
];

function configOf(folder: string): ReturnType<typeof loadConfig>["config"] {
  const file = join(folder, "outrider.yaml");
  const store = { path: join(folder, "store"), retention: "30d" };
  writeFileSync(file, JSON.stringify({ upstream: "http://127.0.0.1:9", store, models: MODELS }));
  return loadConfig({ file, flags: {}, env: {}, cwd: folder }).config;
}

/** Row `i` of the stream: its exchange and what turned out. */
function rowOf(i: number): { readonly made: ReturnType<typeof exchange>; readonly truth: string | number } {
  const model = MODELS[i % 3]?.name ?? "";
  const score = ((i * 7919) % 997) / 997;
  const name = CLASSES[Math.floor(score * 3)] ?? "a";
  const value = model === "rent" ? score * 100 : model === "kind" ? name : score > 0.5 ? "1" : "0";
  const given = {
    model,
    version: i % 5 === 0 ? "2" : "1",
    values: [value],
    ts: NOW - (ROWS - i) * MINUTE_MS,
  };
  const made = exchange(`e${i}`, given);
  const scores = model === "kind" ? { a: score / 2, b: 1 - score, c: score / 2 } : null;
  const predictions = made.predictions.map((one) => ({ ...one, score: scores ? null : score, scores }));
  const turned = model === "rent" ? score * 100 + (i % 7) : model === "kind" ? CLASSES[i % 3] : String(i % 2);
  return { made: { ...made, predictions }, truth: turned ?? "" };
}

async function heldOf(folder: string): Promise<string> {
  const config = configOf(folder);
  const clock = handClock(NOW);
  const common = { clock, log: silentLog };
  const served = createServed();
  const measured = (): Measuring => measuring;
  const ledger = createLedger(
    { ...ledgerOptions(config), checkpointChanges: 64 },
    {
      ...common,
      normalise: (_model, told) => normaliseLabel(null, told),
      onChanges: (changes) => {
        for (const change of changes) {
          const { model, version, ts } = change.prediction;
          if (change.kind === "predicted") served.add(model, version, ts);
          measuring.apply(change);
        }
      },
      checkpointed: { ...checkpointedOf(served, measured), name: "of one stream" },
    },
  );
  const versions = { declared: () => null, record: () => null };
  const book = configuredBook(config);
  const measuring = createMeasuring({ ...common, config, ledger, book, versions: () => versions });
  assert.equal(ledger.open().kind, "open");
  const rows = Array.from({ length: ROWS }, (_, i) => rowOf(i));
  const kept = ledger.record(
    rows.map(({ made }) => made),
    null,
  );
  ledger.flushNow();
  assert.equal((await kept).kind, "kept");
  const told = rows.filter((_, i) => i % 4 !== 3);
  await ledger.label(
    told.map(({ made: { id, model, ts }, truth }) =>
      label(id, truth, { model, ts, receivedAt: ts + 3 * MINUTE_MS }),
    ),
  );
  measuring.measure.groups(NOW);
  for (let more = true; more;) more = ledger.sweep(NOW).more;
  await ledger.label([label("e3", 12, { model: "credit" })]);
  await ledger.close();
  return digestOf(join(folder, "store", "ledger.db"));
}

function digestOf(file: string): string {
  const db = new DatabaseSync(file);
  const hash = createHash("sha256");
  for (const { key, bytes } of db.prepare("SELECT key, bytes FROM piece ORDER BY key").all()) {
    assert.ok(bytes instanceof Uint8Array);
    hash.update(String(key)).update(bytes);
  }
  db.close();
  return hash.digest("hex").slice(0, 12);
}

test("a checkpoint of another layout has another name", async (t) => {
  const held = await heldOf(tempFolder(t));
  assert.equal(
    LAYOUT,
    held,
    `a checkpoint now holds something else: set LAYOUT in src/observer/checkpointed.ts to ${held}`,
  );
});

const SRC = join(import.meta.dirname, "../../src");

/** What a file imports that runs, as paths below src/. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(SRC, file), "utf8");
  const found = [...text.matchAll(/^(?:import|export) (?!type)[^;]*?from "(\.[^"]+)";/gms)];
  return found.map(([, path]) => relative(SRC, join(SRC, dirname(file), path ?? "")));
}

test("a checkpoint is named after all code that decides what it holds, and after the engine", () => {
  const reached = new Set([
    "observer/checkpointed.ts",
    "observer/measuring.ts",
    "observer/served.ts",
    "ledger/ledger.ts",
  ]);
  for (const file of reached) for (const imported of importsOf(file)) reached.add(imported);
  assert.ok(reached.has("measure/exact-sum.ts"));
  const isCovered = (file: string): boolean =>
    MEASURED_BY.some((place) => file.startsWith(`${place}/`) || file === `${place}.ts`);
  assert.deepEqual(
    [...reached].filter((file) => !isCovered(file)),
    [],
    "add it to MEASURED_BY in src/observer/checkpointed.ts",
  );
  const { name } = checkpointedOf(createServed(), () => {
    throw new Error("not asked for");
  });
  assert.equal(name, measuredBy());
  assert.ok(name.includes(LAYOUT) && name.includes(process.versions.v8), name);
});
