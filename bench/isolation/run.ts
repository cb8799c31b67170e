// `npm run isolation`: what the traffic notices while observation is in trouble. Every fault on a fresh sidecar under 80 % of
// the load it can take at that moment, beside the same load undisturbed; printed, and written to docs/isolation.md. Ends with 1 when a request failed or a loss was miscounted.

import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { childrenOf, sampleSum, startSidecar, until, type Sidecar } from "../../test/support/sidecar.ts";
import type { LoadResult } from "../load.ts";
import { FAULTS, type Fault, type Ground, type Stage } from "./faults.ts";

const here = dirname(fileURLToPath(import.meta.url));
const page = join(here, "..", "..", "docs", "isolation.md");
const LOAD_SHARE = 0.8;
const CONNECTIONS = 16;
/** A machine that others use too changes from minute to minute: each row measures its own saturation, and its own calm. */
const SATURATION_SECONDS = 3;
const CALM_SECONDS = 4;
const SECONDS = 9;
const STRIKE_AFTER_MS = 1000;
const STRIKE_MS = 6000;
const SETTLE_MS = 90_000;
/** Requests of its last moments that a killed traffic process has told nobody. */
const UNTOLD_MAX = 2000;
const MIB = 1024 * 1024;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Row {
  readonly name: string;
  /** Failures that the fault itself is: requests under way on what it ended. */
  readonly cut: number;
  readonly rate: number;
  readonly calm: LoadResult;
  readonly load: LoadResult;
  readonly requests: number;
  readonly failed: number;
  readonly trafficMib: number;
  readonly observerMib: number;
  readonly sent: number;
  readonly seen: number;
  readonly recorded: number;
  readonly dropped: number;
}

function start(
  file: string,
  args: readonly string[],
): { child: ChildProcess; output: Promise<string>; first: Promise<string> } {
  const child = spawn(process.execPath, [file, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  let tellFirst = (_line: string): void => {};
  const first = new Promise<string>((resolve) => (tellFirst = resolve));
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (text.includes("\n")) tellFirst(text.split("\n", 1)[0] ?? "");
  });
  const output = new Promise<string>((resolve) => child.once("close", () => resolve(text)));
  return { child, output, first };
}

async function load(port: string, of: { seconds: number; rate: number }): Promise<LoadResult> {
  const args = [port, CONNECTIONS, of.seconds, of.rate, "/v2/models/bench/infer", "due"].map(String);
  return JSON.parse(await start(join(here, "..", "load.ts"), args).output) as LoadResult;
}

const rssMib = (pid: number): number => {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
};

/** The most that each process held, looked at ten times a second. */
function watchMemory(sidecar: Sidecar): { peak: { traffic: number; observer: number }; stop: () => void } {
  const peak = { traffic: 0, observer: 0 };
  const pid = sidecar.child.pid ?? -1;
  const timer = setInterval(() => {
    peak.traffic = Math.max(peak.traffic, rssMib(pid));
    for (const child of childrenOf(pid)) peak.observer = Math.max(peak.observer, rssMib(child));
  }, 100);
  return { peak, stop: () => clearInterval(timer) };
}

/** Counts once nothing is under way any more; as they are when that does not come. */
async function settled(
  sidecar: Sidecar,
  sent: number,
  cuts: boolean,
): Promise<Pick<Row, "seen" | "recorded" | "dropped">> {
  let figures = { seen: 0, recorded: 0, dropped: 0 };
  const untold = cuts ? UNTOLD_MAX : 0;
  await until(async () => {
    const text = await sidecar.metrics();
    figures = {
      seen: sampleSum(text, "outrider_exchanges_seen_total"),
      recorded: sampleSum(text, "outrider_exchanges_recorded_total"),
      dropped: sampleSum(text, "outrider_queue_dropped_total", { what: "fact" }),
    };
    const { seen, recorded, dropped } = figures;
    return seen <= sent && seen >= sent - untold && recorded + dropped === seen;
  }, SETTLE_MS).catch(() => {});
  return figures;
}

async function under(fault: Fault, model: string): Promise<Row> {
  const ground: Ground = (await fault.prepare?.()) ?? { clear: () => {} };
  const { store, args = [] } = ground;
  const sidecar = await startSidecar({ upstream: model, args, ...(store === undefined ? {} : { store }) });
  const stage: Stage = { sidecar, model, sent: 0, failed: 0 };
  try {
    const port = new URL(sidecar.traffic).port;
    // The first seconds of a process are those of its compiler.
    const warm = await load(port, { seconds: 2, rate: 0 });
    const saturated = await load(port, { seconds: SATURATION_SECONDS, rate: 0 });
    const rate = (LOAD_SHARE * saturated.requests) / saturated.seconds;
    const calm = await load(port, { seconds: CALM_SECONDS, rate });
    const memory = watchMemory(sidecar);
    const running = load(port, { seconds: SECONDS, rate });
    await sleep(STRIKE_AFTER_MS);
    await fault.strike(stage, STRIKE_MS);
    const report = await running;
    const requests = report.requests + report.errors + stage.sent;
    const before = warm.requests + saturated.requests + calm.requests;
    const cuts = fault.cuts === true;
    const counted = await settled(sidecar, before + requests, cuts);
    memory.stop();
    const { traffic: trafficMib, observer: observerMib } = memory.peak;
    return {
      name: fault.name,
      cut: cuts ? report.errors : 0,
      sent: before + requests,
      rate,
      calm,
      load: report,
      requests,
      failed: (cuts ? 0 : report.errors) + stage.failed,
      trafficMib,
      observerMib,
      ...counted,
    };
  } finally {
    await sidecar.stop();
    ground.clear();
  }
}

const UNDISTURBED: Fault = { name: "nothing", strike: (_stage, ms) => sleep(ms) };
const isExact = (row: Row): boolean => row.seen > 0 && row.seen === row.recorded + row.dropped;

function line(row: Row): string {
  const { calm, load: during } = row;
  const added = during.p99Ms - calm.p99Ms;
  const cells = [
    row.name,
    Math.round(row.rate),
    row.requests,
    row.cut > 0 ? `${row.failed}, and ${row.cut} under way on it` : row.failed,
    calm.p99Ms.toFixed(1),
    during.p99Ms.toFixed(1),
    `${added >= 0 ? "+" : ""}${added.toFixed(1)}`,
    `${Math.round(row.trafficMib)} / ${Math.round(row.observerMib)}`,
    `${row.dropped} of ${row.seen}${isExact(row) ? "" : " NOT EXACT"}${row.cut > 0 ? `; ${row.sent - row.seen} of ${row.sent} not told` : ""}`,
  ];
  return `| ${cells.join(" | ")} |`;
}

function document(rows: readonly Row[]): string {
  const [processor] = cpus();
  const machine = `${cpus().length} cores (${processor?.model.trim() ?? "unknown"}), ${Math.round(totalmem() / MIB / 1024)} GiB, Node ${process.versions.node}, ${process.platform}`;
  const share = `${Math.round(LOAD_SHARE * 100)} %`;
  return `# Isolation: observation may fail, traffic may not

Written by \`npm run isolation\`. One fault at a time, each on a fresh sidecar: ${SATURATION_SECONDS} s of as many requests as it takes, ${CALM_SECONDS} s at ${share} of that rate undisturbed, then ${SECONDS} s at the same rate with the fault (500 B in, 300 B out, ${CONNECTIONS} connections, every answer two predictions that are recorded). Model, load and sidecar share one machine: ${machine}.

Latency counts from the moment a request was due, so that a stall shows in every request that it delays; at ${share} of saturation whatever takes a part of the machine, the fault itself, the observer that starts again, or somebody else, makes a queue. The row "nothing" tells how far the machine alone is from being steady. A request that fails, or a loss that the counters do not tell exactly, is a bug, and the command ends with 1.

| what happens | requests/s | requests | failed | p99 ms before | p99 ms during | added ms | MiB at most: traffic / observer | not recorded, of those seen |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${rows.map(line).join("\n")}

- **failed**: not answered with the model's own 200; the fault's own requests are counted too.
- **not recorded**: \`outrider_queue_dropped_total{what="fact"}\`, of \`outrider_exchanges_seen_total\`; exact when seen = recorded + dropped. What an observer had not acknowledged when it died is sent to the next one. One whose disk is full refuses to store, and says so. A long stop fills the queue (32 MiB): bodies go first, then facts.
- **past the sidecar**: the same bodies sent straight to the model, while the sidecar relays the usual load: what the machine alone makes of it.
- **one of two traffic workers killed**: what was under way on it fails with it, at most one request for each of its connections; new connections go to the other one. Of what it had relayed in its last moments it may not have told.
- **fsync takes 5 s** by \`strace\`'s fault injection, **out of memory** by lowering the limit of the running observer, **disk full** on a tmpfs of its own: they need root.
`;
}

async function main(): Promise<number> {
  const only = process.argv.slice(2);
  const model = start(join(here, "model.ts"), []);
  const rows: Row[] = [];
  const undone: string[] = [];
  try {
    const url = `http://127.0.0.1:${await model.first}`;
    const wanted = FAULTS.filter(({ name }) => only.length === 0 || only.some((word) => name.includes(word)));
    for (const fault of [UNDISTURBED, ...wanted]) {
      const row = await under(fault, url).catch((thrown: unknown) => {
        say(`${fault.name}: could not be done: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
        return null;
      });
      if (row === null) undone.push(fault.name);
      else {
        rows.push(row);
        say(line(row));
      }
    }
    if (only.length === 0 && undone.length === 0) writeFileSync(page, document(rows));
  } finally {
    model.child.kill();
  }
  const bad = rows.filter((row) => row.failed > 0 || row.cut > CONNECTIONS || !isExact(row));
  for (const { name } of bad) say(`not isolated: ${name}`);
  return bad.length === 0 && undone.length === 0 ? 0 : 1;
}

process.exitCode = await main();
