// `npm run isolation`: what the traffic notices while observation is in trouble. Every fault on a fresh sidecar under 80 % of
// the load at which it saturates; printed, and written to docs/isolation.md. Ends with 1 when a request failed or a loss was miscounted.

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
const SATURATION_SECONDS = 4;
const SECONDS = Number(process.env["ISOLATION_SECONDS"] ?? 12);
const STRIKE_AFTER_MS = 2000;
const STRIKE_MS = 6000;
const SETTLE_MS = 90_000;
const MIB = 1024 * 1024;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Row {
  readonly name: string;
  readonly load: LoadResult;
  readonly requests: number;
  readonly failed: number;
  readonly trafficMib: number;
  readonly observerMib: number;
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
async function settled(sidecar: Sidecar, sent: number): Promise<Pick<Row, "seen" | "recorded" | "dropped">> {
  let figures = { seen: 0, recorded: 0, dropped: 0 };
  await until(async () => {
    const text = await sidecar.metrics();
    figures = {
      seen: sampleSum(text, "outrider_exchanges_seen_total"),
      recorded: sampleSum(text, "outrider_exchanges_recorded_total"),
      dropped: sampleSum(text, "outrider_queue_dropped_total", { what: "fact" }),
    };
    return figures.seen === sent && figures.recorded + figures.dropped === sent;
  }, SETTLE_MS).catch(() => {});
  return figures;
}

async function under(fault: Fault, model: string, rate: number): Promise<Row> {
  const ground: Ground = (await fault.prepare?.()) ?? { clear: () => {} };
  const { store, args = [] } = ground;
  const sidecar = await startSidecar({ upstream: model, args, ...(store === undefined ? {} : { store }) });
  const stage: Stage = { sidecar, model, sent: 0, failed: 0 };
  try {
    // The first seconds of a process are those of its compiler.
    const port = new URL(sidecar.traffic).port;
    const warm = await load(port, { seconds: 2, rate: rate / 2 });
    const memory = watchMemory(sidecar);
    const running = load(port, { seconds: SECONDS, rate });
    await sleep(STRIKE_AFTER_MS);
    await fault.strike(stage, STRIKE_MS);
    const report = await running;
    const requests = report.requests + report.errors + stage.sent;
    const counted = await settled(sidecar, requests + warm.requests);
    memory.stop();
    const { traffic: trafficMib, observer: observerMib } = memory.peak;
    return {
      name: fault.name,
      load: report,
      requests,
      failed: report.errors + stage.failed,
      trafficMib,
      observerMib,
      ...counted,
    };
  } finally {
    await sidecar.stop();
    ground.clear();
  }
}

const UNDISTURBED: Fault = { name: "undisturbed", strike: (_stage, ms) => sleep(ms) };
const isExact = (row: Row): boolean => row.seen > 0 && row.seen === row.recorded + row.dropped;

function table(rows: readonly Row[], base: number): string[] {
  const lines = rows.map((row) => {
    const { p50Ms, p99Ms } = row.load;
    const added =
      row.name === UNDISTURBED.name ? "" : `${p99Ms - base >= 0 ? "+" : ""}${(p99Ms - base).toFixed(1)}`;
    const memory = `${Math.round(row.trafficMib)} / ${Math.round(row.observerMib)}`;
    const loss = `${row.dropped} of ${row.seen}${isExact(row) ? "" : " NOT EXACT"}`;
    return `| ${[row.name, row.requests, row.failed, p50Ms.toFixed(2), p99Ms.toFixed(1), added, memory, loss].join(" | ")} |`;
  });
  return [
    "| what happens | requests | failed | p50 ms | p99 ms | added p99 ms | MiB at most: traffic / observer | not recorded, of those seen |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ...lines,
  ];
}

function document(rows: readonly Row[], of: { rate: number; saturation: number; base: number }): string {
  const [processor] = cpus();
  const machine = `${cpus().length} cores (${processor?.model.trim() ?? "unknown"}), ${Math.round(totalmem() / MIB / 1024)} GiB, Node ${process.versions.node}, ${process.platform}`;
  return `# Isolation: observation may fail, traffic may not

Written by \`npm run isolation\`. One fault at a time on a fresh sidecar, under ${Math.round(LOAD_SHARE * 100)} % of the load at which this machine saturates: ${Math.round(of.rate)} of ${Math.round(of.saturation)} requests a second (500 B in, 300 B out, ${CONNECTIONS} connections, every answer a prediction that is recorded) for ${SECONDS} s. Model, load and sidecar share the machine: ${machine}.

Latency counts from the moment a request was due, so that a stall shows in every request it delays. "Added" is against the median of the undisturbed runs of the same session (${of.base.toFixed(1)} ms). Where the fault itself takes a core, such as 64 MB bodies, the others wait for that core; a request that fails, or a loss that the counters do not tell, is a bug.

${table(rows, of.base).join("\n")}

- **failed**: not answered with the model's own 200, the fault's own requests included.
- **not recorded**: \`outrider_queue_dropped_total{what="fact"}\`, of \`outrider_exchanges_seen_total\`; exact when seen = recorded + dropped. An observer that dies loses what it had not acknowledged twice; one whose disk is full refuses; a long stop fills the queue (32 MiB), bodies first.
- **fsync takes 5 s** by \`strace\` fault injection, **out of memory** by lowering the running observer's limit, **disk full** on a tmpfs of its own: they need root.
`;
}

async function main(): Promise<number> {
  const only = process.argv.slice(2);
  const model = start(join(here, "model.ts"), []);
  const rows: Row[] = [];
  try {
    const url = `http://127.0.0.1:${await model.first}`;
    const probe = await startSidecar({ upstream: url });
    const port = new URL(probe.traffic).port;
    await load(port, { seconds: 2, rate: 0 });
    const saturated = await load(port, { seconds: SATURATION_SECONDS, rate: 0 });
    await probe.stop();
    const saturation = saturated.requests / saturated.seconds;
    const rate = saturation * LOAD_SHARE;
    say(`saturation ${Math.round(saturation)}/s; load ${Math.round(rate)}/s`);
    const wanted = FAULTS.filter(({ name }) => only.length === 0 || only.some((word) => name.includes(word)));
    const half = Math.ceil(wanted.length / 2);
    const plan = [UNDISTURBED, ...wanted.slice(0, half), UNDISTURBED, ...wanted.slice(half), UNDISTURBED];
    for (const fault of plan) {
      const row = await under(fault, url, rate);
      rows.push(row);
      say(table([row], 0).at(-1) ?? "");
    }
    const calm = rows.filter(({ name }) => name === UNDISTURBED.name).map((row) => row.load.p99Ms);
    const base = calm.toSorted((a, b) => a - b)[1] ?? Number.NaN;
    if (only.length === 0) writeFileSync(page, document(rows, { rate, saturation, base }));
  } finally {
    model.child.kill();
  }
  const bad = rows.filter((row) => row.failed > 0 || !isExact(row));
  for (const { name } of bad) say(`not isolated: ${name}`);
  return bad.length === 0 ? 0 : 1;
}

process.exitCode = await main();
