// The ledger against a bare node:sqlite insert loop of the same rows, in one process and one run; and a start after kill -9.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";

import type { ModelSpec } from "../src/facts/model.ts";
import type { Change } from "../src/facts/pair.ts";
import type { LabelEvent } from "../src/facts/label.ts";
import type { ExchangeRecord } from "../src/facts/prediction.ts";
import { systemClock } from "../src/kernel/clock.ts";
import { uuidv7 } from "../src/kernel/ids.ts";
import { silentLog } from "../src/kernel/log.ts";
import { createLedger, type Checkpointed } from "../src/ledger/ledger.ts";
import type { Ledger } from "../src/ledger/ledger.ts";
import { createMeasure, type Measure } from "../src/measure/measure.ts";
import { normaliseLabel } from "../src/measure/semantics.ts";
import { exchange } from "./ledger-rows.ts";
import { observed } from "./observed.ts";

const ROWS = 300_000;
const OPEN_ROWS = 1_000_000;
const BATCH = 1000;
const DAY_MS = 86_400_000;
/** Until a started sidecar has taken a checkpoint. */
const CHECKPOINT_MS = 80_000;

export interface LedgerRow {
  readonly name: string;
  readonly ours: number;
  readonly peer: number;
  readonly unit: string;
  /** Of ours / peer. */
  readonly reach?: string;
}

export function ledgerLine({ name, ours, peer, unit, reach }: LedgerRow): string {
  const goal = reach === undefined ? "" : `   to reach: ${reach}`;
  return `${name.padEnd(50)} ${Math.round(ours)} / ${Math.round(peer)} ${unit} = ${(ours / peer).toFixed(2)}${goal}`;
}

const CREDIT: ModelSpec = {
  name: "credit",
  task: "binary",
  classes: ["0", "1"],
  positive: "1",
  threshold: 0.5,
  scoreKind: "probability",
  labelOffset: 0,
  minSamples: 1,
  maxClasses: 20,
  labelHorizonMs: 7 * DAY_MS,
  windows: ["1h", "24h", "7d", "all"],
};

interface Windows {
  readonly measure: Measure;
  readonly onChanges: (changes: readonly Change[]) => void;
  readonly checkpointed: Checkpointed;
}

/** The measuring room, fed as the observer feeds it at a start. */
function windows(): Windows {
  const measure = createMeasure({ asOf: Date.now() }, { specOf: () => CREDIT, scan: () => undefined });
  return {
    measure,
    onChanges: (changes) => {
      for (const change of changes) measure.restore(change);
    },
    checkpointed: {
      name: "bench",
      archive: (io) => measure.archive(io),
      clear: () => measure.clear(),
    },
  };
}

function open(
  path: string,
  { onChanges = () => undefined, checkpointed }: Partial<Windows> = {},
  retentionMs = 30 * DAY_MS,
): Ledger {
  const ledger = createLedger(
    { path, retentionMs, labelHorizonMs: 7 * DAY_MS, groupCommitMs: 25 },
    {
      clock: systemClock,
      log: silentLog,
      normalise: (_model, told) => normaliseLabel(null, told),
      onChanges,
      ...(checkpointed === undefined ? {} : { checkpointed }),
    },
  );
  const opened = ledger.open();
  if (opened.kind !== "open") throw new Error(JSON.stringify(opened));
  return ledger;
}

function perSecond(rows: number, startedAt: number): number {
  return (rows * 1000) / (performance.now() - startedAt);
}

/** What somebody would write by hand: one table, sequential key, a prepared insert, fsync per thousand rows. */
function bareLoop(folder: string, columns: string, rowOf: (i: number) => (string | number)[]): number {
  const db = new DatabaseSync(join(folder, "bare.db"));
  db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  db.exec(`DROP TABLE IF EXISTS bare; CREATE TABLE bare (${columns})`);
  const insert = db.prepare(
    `INSERT INTO bare VALUES (${columns
      .split(",")
      .map(() => "?")
      .join(",")})`,
  );
  const startedAt = performance.now();
  for (let at = 0; at < ROWS; at += BATCH) {
    db.exec("BEGIN");
    for (let i = at; i < at + BATCH; i++) insert.run(...rowOf(i));
    db.exec("COMMIT");
  }
  const rate = perSecond(ROWS, startedAt);
  db.close();
  return rate;
}

async function recordAll(ledger: Ledger, exchanges: readonly ExchangeRecord[]): Promise<number> {
  const startedAt = performance.now();
  for (let at = 0; at < exchanges.length; at += BATCH) {
    const kept = ledger.record(exchanges.slice(at, at + BATCH), { session: "bench", batch: at });
    ledger.flushNow();
    if ((await kept).kind !== "kept") throw new Error("refused");
  }
  return perSecond(exchanges.length, startedAt);
}

async function labelAll(ledger: Ledger, events: readonly LabelEvent[]): Promise<number> {
  const startedAt = performance.now();
  for (let at = 0; at < events.length; at += BATCH) {
    const kept = ledger.label(events.slice(at, at + BATCH));
    ledger.flushNow();
    const result = await kept;
    if (result.kind !== "kept" || result.outcomes.some((one) => one.result !== "joined"))
      throw new Error("not joined");
  }
  return perSecond(events.length, startedAt);
}

async function benchInserts(folder: string): Promise<LedgerRow[]> {
  const now = Date.now();
  const ids = Array.from({ length: ROWS }, () => uuidv7(now));
  const exchanges = ids.map((id, i) => exchange(id, now - ROWS + i, null));
  const shuffled = ids.map((id, i) => ({ id, at: (i * 7919) % ROWS })).toSorted((a, b) => a.at - b.at);
  const ordered = (list: readonly { id: string }[]): LabelEvent[] =>
    list.map(({ id }) => ({ id, model: null, label: "1", ts: now, receivedAt: now }));
  const barePredictions = bareLoop(
    folder,
    "row INTEGER PRIMARY KEY, id TEXT, model TEXT, version TEXT, ts INTEGER, value, score REAL, trace TEXT, route TEXT, status INTEGER, duration REAL, ttfb REAL",
    (i) => [
      i,
      ids[i] ?? "",
      "credit",
      "1.4.2",
      now + i,
      "1",
      i / ROWS,
      "0af7651916cd43dd8448eb211c80319c",
      "/v2/models/credit/infer",
      200,
      12.5,
      11.25,
    ],
  );
  const bareLabels = bareLoop(
    folder,
    "seq INTEGER PRIMARY KEY, id TEXT, label, ts INTEGER, received INTEGER",
    (i) => [i, ids[i] ?? "", "1", now, now],
  );
  const first = open(join(folder, "first"));
  const predictions = await recordAll(first, exchanges);
  const labels = await labelAll(first, ordered(ids.map((id) => ({ id }))));
  await first.close();
  const second = open(join(folder, "second"));
  await recordAll(second, exchanges);
  const randomly = await labelAll(second, ordered(shuffled));
  await second.close();
  return [
    { name: "predictions recorded", ours: predictions, peer: barePredictions, unit: "rows/s", reach: "0.5" },
    { name: "labels joined, in order", ours: labels, peer: bareLabels, unit: "rows/s" },
    { name: "labels joined, in random order", ours: randomly, peer: bareLabels, unit: "rows/s" },
  ];
}

/** The child's part: fills a ledger with open predictions, says so, and waits to be killed. */
async function fill(folder: string, rows: number): Promise<void> {
  const ledger = open(folder, windows());
  const now = Date.now();
  for (let at = 0; at < rows; at += BATCH * 10) {
    const batch = Array.from({ length: BATCH * 10 }, (_, i) =>
      exchange(uuidv7(now), now - rows + at + i, null),
    );
    const kept = ledger.record(batch, null);
    ledger.flushNow();
    await kept;
  }
  process.stdout.write("filled\n");
  setInterval(() => undefined, 1000);
}

/** A ledger of open predictions whose process was killed. */
async function killed(path: string, rows: number): Promise<void> {
  const script = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [script, "fill", path, String(rows)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

async function benchStart(folder: string): Promise<LedgerRow[]> {
  const path = join(folder, "killed");
  await killed(path, OPEN_ROWS);
  const room = windows();
  const { measure } = room;
  const startedAt = performance.now();
  const ledger = open(path, room);
  const groups = measure.groups(Date.now());
  const tookMs = performance.now() - startedAt;
  const measured = groups.find(({ window, slice }) => window === "all" && slice === "")?.n_predictions;
  if (ledger.stats().rows !== OPEN_ROWS || measured !== OPEN_ROWS) throw new Error(`rows: ${measured}`);
  await ledger.close();
  return [
    {
      name: "start after kill -9, 1M open, windows as they were",
      ours: tookMs,
      peer: 2000,
      unit: "ms",
      reach: "at most 1",
    },
    ...(await benchSweep(path)),
  ];
}

/** A million rows, every second one labelled, are all too old: how long is the ledger held at a time? */
async function benchSweep(path: string): Promise<LedgerRow[]> {
  const filled = open(path);
  const ids: string[] = [];
  const range = { fromTs: 0, toTs: Number.MAX_SAFE_INTEGER };
  filled.scan({ model: "credit", version: "1.4.2", ...range }, (row, { id }) => {
    if (row % 2 === 0) ids.push(id);
  });
  const now = Date.now();
  await labelAll(
    filled,
    ids.map((id) => ({ id, model: null, label: "1", ts: now, receivedAt: now })),
  );
  await filled.close();
  const { measure, onChanges } = windows();
  let live = false;
  const apply = (changes: readonly Change[]): void => {
    if (!live) onChanges(changes);
    else for (const change of changes) measure.apply(change);
  };
  const ledger = open(path, { onChanges: apply }, 1);
  live = true;
  const holds: number[] = [];
  for (let more = true; more;) {
    const startedAt = performance.now();
    more = ledger.sweep(Date.now()).more;
    holds.push(performance.now() - startedAt);
  }
  if (ledger.stats().rows !== 0) throw new Error(`left: ${ledger.stats().rows}`);
  await ledger.close();
  const sorted = holds.toSorted((a, b) => a - b);
  const steps = `${holds.length} steps`;
  return [
    {
      name: `longest hold of a sweep of 1M rows (${steps})`,
      ours: sorted.at(-1) ?? 0,
      peer: 20,
      unit: "ms",
      reach: "at most 1",
    },
    {
      name: "the same, 99th percentile",
      ours: sorted[Math.floor(holds.length * 0.99)] ?? 0,
      peer: 20,
      unit: "ms",
    },
  ];
}

/** `node bench/ledger.ts open 10000000`: how large is the observer with so many open predictions? */
async function benchOpen(folder: string, rows: number): Promise<LedgerRow[]> {
  const path = join(folder, "large");
  await killed(path, rows);
  // The first start reads all rows; a checkpoint is taken with the first sweep, seconds later.
  const first = await observed(path, CHECKPOINT_MS);
  const second = await observed(path, 0);
  const memory = (name: string, kib: number): LedgerRow => {
    return { name, ours: kib, peer: 400 * 1024, unit: "KiB", reach: "at most 1" };
  };
  return [
    memory(`observer with ${rows} open predictions`, first.rssKib),
    memory("the same, after its first checkpoint", first.laterKib),
    memory("the same, started from the checkpoint", second.rssKib),
    { name: "ready, all rows read (peer: 2 s a million)", ours: first.readyMs, peer: rows / 500, unit: "ms" },
    {
      name: "ready after kill -9, from its checkpoint",
      ours: second.readyMs,
      peer: 2000,
      unit: "ms",
      reach: "at most 1",
    },
  ];
}

/** `node bench/ledger.ts sealed 20000000`: recording into, and labels joined in, a ledger most of which is sealed. */
async function benchSealed(folder: string, rows: number): Promise<LedgerRow[]> {
  const ledger = open(join(folder, "sealed"));
  const now = Date.now();
  const old: string[] = [];
  const rates: number[] = [];
  for (let at = 0; at < rows; at += BATCH * 10) {
    const batch = Array.from({ length: BATCH * 10 }, (_, i) =>
      exchange(uuidv7(now), now - rows + at + i, null),
    );
    const startedAt = performance.now();
    const kept = ledger.record(batch, null);
    ledger.flushNow();
    if ((await kept).kind !== "kept") throw new Error("refused");
    rates.push(perSecond(batch.length, startedAt));
    for (let i = 0; i < batch.length && at < rows / 2; i += Math.ceil(rows / 2 / 100_000))
      old.push(batch[i]?.id ?? "");
  }
  const median = (of: readonly number[]): number => of.toSorted((a, b) => a - b)[of.length >> 1] ?? 0;
  const shuffled = old.map((id, i) => ({ id, at: (i * 7919) % old.length })).toSorted((a, b) => a.at - b.at);
  const joined = await labelAll(
    ledger,
    shuffled.map(({ id }) => ({ id, model: null, label: "1", ts: now, receivedAt: now })),
  );
  const rss = process.memoryUsage().rss / 1024;
  await ledger.close();
  const tenth = rates.length / 10;
  return [
    {
      name: `recording, last tenth of ${rows} rows / first`,
      ours: median(rates.slice(-tenth)),
      peer: median(rates.slice(0, tenth)),
      unit: "rows/s",
    },
    { name: `${old.length} labels of sealed rows, random order`, ours: joined, peer: 1, unit: "rows/s" },
    { name: "resident memory of this process", ours: rss, peer: 400 * 1024, unit: "KiB" },
  ];
}

/** With `part`: only that one, with so many rows. */
export async function benchLedger(part: { kind: string; rows: number } | null = null): Promise<LedgerRow[]> {
  const folder = mkdtempSync(join(tmpdir(), "outrider-bench-ledger-"));
  try {
    if (part?.kind === "open") return await benchOpen(folder, part.rows);
    if (part?.kind === "sealed") return await benchSealed(folder, part.rows);
    return [...(await benchStart(folder)), ...(await benchInserts(folder))];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , part, path, rows] = process.argv;
  if (part === "fill" && path !== undefined) await fill(path, Number(rows));
  else {
    for (const row of await benchLedger(part === undefined ? null : { kind: part, rows: Number(path) })) {
      console.log(ledgerLine(row));
    }
  }
}
