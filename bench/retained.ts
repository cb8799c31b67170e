// Many retained rows, spread over a month: what they take on disk, and what a start, a late label and retention take.
// `npm run bench -- retained [--rows 2000000] [--seconds 300]`: as many rows as that time allows.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { request } from "undici";

import { loadConfig, type Config } from "../src/config/config.ts";
import type { Change } from "../src/facts/pair.ts";
import { systemClock } from "../src/kernel/clock.ts";
import { uuidv7 } from "../src/kernel/ids.ts";
import { silentLog } from "../src/kernel/log.ts";
import { createLedger, type Ledger } from "../src/ledger/ledger.ts";
import { checkpointedOf } from "../src/observer/checkpointed.ts";
import { createMeasuring, type Measuring } from "../src/observer/measuring.ts";
import { configuredBook, ledgerOptions } from "../src/observer/options.ts";
import { createServed } from "../src/observer/served.ts";
import { normaliseLabel } from "../src/measure/semantics.ts";
import { exchange } from "./ledger-rows.ts";
import { startSidecar, stopSidecar } from "./labels.ts";
import { observerKib } from "./observed.ts";

const BATCH = 10_000;
const DAY_MS = 86_400_000;
/** The rows lie within so many days; the retention is longer. */
const DAYS = 29;
/** One row in so many is labelled, all along. */
const LABELLED = 10;
const OLD_LABELS = 20_000;
const SWEEP_MS = 20_000;
/** The observer's resident memory is read after the garbage of the start was collected. */
const SETTLE_MS = 5000;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The observer's own rooms on a store, without the rest of it. */
export class Rooms {
  readonly ledger: Ledger;
  readonly measuring: Measuring;
  #live = false;

  constructor(config: Config, retentionMs: number) {
    const served = createServed();
    const book = configuredBook(config);
    const specOf = { clock: systemClock, log: silentLog };
    this.ledger = createLedger(
      { ...ledgerOptions(config), retentionMs },
      {
        ...specOf,
        normalise: (_model, told) => normaliseLabel(null, told),
        onChanges: (changes) => this.#take(changes, served),
        checkpointed: checkpointedOf(served, () => this.measuring),
      },
    );
    const versions = { declared: () => null, record: () => null };
    this.measuring = createMeasuring({
      ...specOf,
      config,
      ledger: this.ledger,
      book,
      versions: () => versions,
    });
  }

  #take(changes: readonly Change[], served: ReturnType<typeof createServed>): void {
    for (const change of changes) {
      const { model, version, ts } = change.prediction;
      if (change.kind === "predicted") served.add(model, version, ts);
      if (this.#live) this.measuring.apply(change);
      else this.measuring.restore(change);
    }
  }

  open(): string | null {
    const opened = this.ledger.open();
    if (opened.kind !== "open") throw new Error(JSON.stringify(opened));
    this.measuring.loaded(["credit"]);
    this.#live = true;
    return opened.unchecked;
  }
}

export function configOf(folder: string): { readonly file: string; readonly config: Config } {
  const file = join(folder, "outrider.yaml");
  const credit = { name: "credit", task: "binary", classes: ["0", "1"], positive: "1" };
  writeFileSync(
    file,
    JSON.stringify({
      upstream: "http://127.0.0.1:9",
      store: { path: join(folder, "store"), retention: "30d", maxSize: "1TiB" },
      models: [credit],
    }),
  );
  return { file, config: loadConfig({ file, flags: {}, env: {}, cwd: folder }).config };
}

/** The child's part: records rows a month long, labels some, sweeps as the sidecar does, says how far it came, and waits to be killed. */
async function fill(folder: string, rows: number, seconds: number): Promise<void> {
  const { ledger, measuring } = openRooms(folder);
  const startedAt = performance.now();
  const begin = Date.now() - DAYS * DAY_MS;
  const old: string[] = [];
  let at = 0;
  let holdMs = 0;
  for (; at < rows && performance.now() - startedAt < seconds * 1000; at += BATCH) {
    const ids = Array.from({ length: BATCH }, () => uuidv7(Date.now()));
    // By the clock where that is further on: the last rows are young, however many there are.
    const share = Math.max(at / rows, (performance.now() - startedAt) / (seconds * 1000));
    const tsOf = (i: number): number => begin + Math.floor((share + i / rows) * DAYS * DAY_MS);
    const kept = ledger.record(
      ids.map((id, i) => exchange(id, tsOf(i), null)),
      null,
    );
    ledger.flushNow();
    if ((await kept).kind !== "kept") throw new Error("refused");
    const labels = ids.flatMap((id, i) => (i % LABELLED === 0 ? [labelFor(id, tsOf(i) + 60_000)] : []));
    const joined = ledger.label(labels);
    ledger.flushNow();
    await joined;
    if (old.length < OLD_LABELS) old.push(...ids.filter((_, i) => i % LABELLED !== 0));
    for (let steps = 0; steps < 3; steps++) {
      const sweptAt = performance.now();
      const { more } = ledger.sweep(tsOf(0));
      holdMs = Math.max(holdMs, performance.now() - sweptAt);
      if (!more) break;
    }
    if ((at / BATCH) % 100 === 0) measuring.measure.groups(tsOf(BATCH));
  }
  writeFileSync(join(folder, "old.json"), JSON.stringify(old.slice(0, OLD_LABELS)));
  const tookMs = performance.now() - startedAt;
  say(JSON.stringify({ rows: at, tookMs, holdMs, rss: process.memoryUsage().rss }));
  setInterval(() => undefined, 1000);
}

function openRooms(folder: string, retentionMs = 40 * DAY_MS): Rooms {
  const rooms = new Rooms(configOf(folder).config, retentionMs);
  rooms.open();
  return rooms;
}

function labelFor(id: string, ts: number): Parameters<Ledger["label"]>[0][number] {
  return { id, model: null, label: "1", ts, receivedAt: ts };
}

interface Filled {
  readonly rows: number;
  readonly tookMs: number;
  readonly holdMs: number;
  readonly rss: number;
}

function parseFilled(line: string): Filled {
  const value = JSON.parse(line) as Filled;
  return value;
}

async function killed(folder: string, rows: number, seconds: number): Promise<Filled> {
  const script = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [script, "fill", folder, String(rows), String(seconds)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const gone = new Promise((resolve) => child.once("exit", resolve));
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    child.once("exit", () => reject(new Error("the filling ended")));
  });
  child.kill("SIGKILL");
  await gone;
  return parseFilled(line);
}

/** A start of the whole sidecar on the store that was killed, and labels for its oldest rows. */
async function started(folder: string): Promise<void> {
  const { file } = configOf(folder);
  const args = ["--config", file];
  for (const flag of ["--listen", "--telemetry-listen", "--api-listen"]) args.push(flag, "127.0.0.1:0");
  const startedAt = performance.now();
  const { child, api } = await startSidecar(args);
  const readyMs = performance.now() - startedAt;
  try {
    const ids: unknown = JSON.parse(readFileSync(join(folder, "old.json"), "utf8"));
    const lines = Array.isArray(ids) ? ids.map((id) => JSON.stringify({ id: String(id), label: "1" })) : [];
    const labelledAt = performance.now();
    const answer = await request(`${api}/v1/labels`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: `${lines.join("\n")}\n`,
    });
    const text = await answer.body.text();
    const labelMs = performance.now() - labelledAt;
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const rssKib = observerKib(child);
    say(
      `  ready after kill -9: ${Math.round(readyMs)} ms; resident memory of the observer: ${Math.round(rssKib / 1024)} MiB`,
    );
    say(
      `  ${lines.length} labels for its oldest rows in ${Math.round(labelMs)} ms: ${text.slice(0, 160).replaceAll("\n", " ")}`,
    );
  } finally {
    await stopSidecar(child);
  }
}

function longest(of: readonly number[]): string {
  const sorted = of.toSorted((a, b) => a - b);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  return `longest ${(sorted.at(-1) ?? 0).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
}

/** Retention for some seconds with a twentieth of the rows too old; and what it says is what the rows say. */
function swept(folder: string): void {
  const openedAt = performance.now();
  const rooms = new Rooms(configOf(folder).config, (DAYS - DAYS / 20) * DAY_MS);
  const unchecked = rooms.open();
  say(
    `  open again after a clean stop: ${Math.round(performance.now() - openedAt)} ms, ${unchecked ?? "from its checkpoint"}`,
  );
  const holds: number[] = [];
  /** Work alone: what a busy machine or a slow disk adds is not in it. */
  const works: number[] = [];
  const before = rooms.ledger.stats().rows;
  const until = performance.now() + SWEEP_MS;
  for (let more = true; more && performance.now() < until;) {
    const at = performance.now();
    const workedAt = process.threadCpuUsage();
    more = rooms.ledger.sweep(Date.now()).more;
    const { user, system } = process.threadCpuUsage(workedAt);
    holds.push(performance.now() - at);
    works.push((user + system) / 1000);
  }
  const gone = before - rooms.ledger.stats().rows;
  say(
    `  retention: ${gone} rows in ${holds.length} steps; ${longest(holds)}   to reach: 20; of CPU: ${longest(works)}`,
  );
  const closingAt = performance.now();
  void rooms.ledger.close();
  say(`  clean stop with a checkpoint: ${Math.round(performance.now() - closingAt)} ms`);
}

export async function benchRetained(rows: number, seconds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "outrider-bench-retained-"));
  try {
    const filled = await killed(folder, rows, seconds);
    const size = statSync(join(folder, "store", "ledger.db")).size;
    say(
      `  ${filled.rows} rows, a tenth labelled, in ${Math.round(filled.tookMs / 1000)} s: ${(size / 2 ** 30).toFixed(2)} GiB, ${Math.round(size / filled.rows)} bytes a row; ${Math.round(filled.rss / 2 ** 20)} MiB resident`,
    );
    say(`  longest step of sealing or of a checkpoint while recording: ${filled.holdMs.toFixed(1)} ms`);
    await started(folder);
    swept(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , part, folder = dirname("."), rows, seconds] = process.argv;
  if (part === "fill") await fill(folder, Number(rows), Number(seconds));
}
