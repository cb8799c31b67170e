// `npm run bench [-- part...]`: ratios of one run. Absolute figures depend on the machine and are printed only beside their ratio.

import { benchCompare } from "./compare.ts";
import { benchHeads } from "./heads.ts";
import { benchLedger, ledgerLine } from "./ledger.ts";
import { benchLabels } from "./labels.ts";
import { benchRetained } from "./retained.ts";
import { RATE, benchRelay, type RelayRow } from "./relay.ts";
import { benchThreads } from "./threads.ts";

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Round by round, so that drift of the machine cancels; then min, median, max. */
function ratio(ours: readonly number[], theirs: readonly number[]): string {
  const ratios = ours.map((value, i) => value / (theirs[i] ?? Number.NaN)).toSorted((a, b) => a - b);
  return `${median(ratios).toFixed(2)} (${(ratios[0] ?? Number.NaN).toFixed(2)}-${(ratios.at(-1) ?? Number.NaN).toFixed(2)})`;
}

function tellRelay(rows: readonly RelayRow[]): void {
  for (const row of rows) {
    say(
      `  ${row.name.padEnd(10)} CPU ${median(row.cpuMicros).toFixed(1).padStart(6)} us/request (100 KB answers: ${median(row.largeMicros).toFixed(0)})   ${Math.round(median(row.perSecond))} requests/s   at ${RATE}/s: p50 ${median(row.p50Ms).toFixed(3)} ms  p99 ${median(row.p99Ms).toFixed(3)} ms   errors ${row.errors}`,
    );
  }
  const find = (name: string): RelayRow | undefined => rows.find((row) => row.name === name);
  const ours = find("outrider");
  const [nginx, haproxy, go, direct] = ["nginx", "haproxy", "go", "direct"].map(find);
  if (ours === undefined) return;
  const tell = (what: string, of: string, goal: number): void =>
    say(`  ${what.padEnd(52)} ${of}   to reach: ${goal}`);
  if (nginx)
    tell("traffic process / nginx, CPU per request", ratio(ours.trafficMicros, nginx.cpuMicros), 1.5);
  if (go)
    tell("both processes / Go's ReverseProxy, CPU per request", ratio(ours.cpuMicros, go.cpuMicros), 0.8);
  if (haproxy)
    tell("100 KB answers, traffic process / haproxy, CPU", ratio(ours.largeMicros, haproxy.largeMicros), 1.5);
  if (nginx && direct) {
    const added = (row: RelayRow): number[] => row.p50Ms.map((ms, i) => ms - (direct.p50Ms[i] ?? 0));
    tell(`added median latency at ${RATE}/s / nginx's`, ratio(added(ours), added(nginx)), 1.3);
  }
}

async function relay(): Promise<void> {
  say(
    "Relay: 500 B POST, 300 B answer, keep-alive, 16 connections; everything on (bodies copied, predictions recorded)",
  );
  tellRelay(await benchRelay(say));
}

/** `--against PATH`: a working copy to run beside this one. */
async function heads(): Promise<void> {
  say("\nHeads that say something new each time: traffic process / nginx, CPU per request");
  const at = process.argv.indexOf("--against");
  const against = at < 0 ? null : (process.argv[at + 1] ?? null);
  for (const { fresh, micros, errors } of await benchHeads(option("rounds", 10), against)) {
    const nginx = micros.get("nginx") ?? [];
    const told = [...micros].map(([name, ours]) =>
      name === "nginx" ? `${name} ${median(ours).toFixed(1)} us` : `${name} ${ratio(ours, nginx)}`,
    );
    say(`  ${(fresh || "alike").padEnd(26)} ${told.join("   ")}   errors ${errors}`);
  }
}

async function threads(): Promise<void> {
  say(
    "\nTraffic workers: the same requests over 32 connections, one and two (load and model share the cores)",
  );
  const rows = await benchThreads();
  for (const { threads: count, perSecond, cpuMicros, errors } of rows)
    say(
      `  ${count} thread(s)  ${Math.round(median(perSecond))} requests/s   CPU of all processes ${median(cpuMicros).toFixed(1)} us/request   errors ${errors}`,
    );
  const [one, two] = rows;
  if (one !== undefined && two !== undefined)
    say(`  two / one, requests a second                         ${ratio(two.perSecond, one.perSecond)}`);
}

async function ledger(): Promise<void> {
  say("\nLabels: HTTP NDJSON into the ledger, against a bare node:sqlite insert loop of the same rows");
  for (const line of await benchLabels()) say(`  ${line}`);
  say("\nLedger alone");
  for (const row of await benchLedger()) say(`  ${ledgerLine(row)}`);
}

function compare(): Promise<void> {
  say("\nComparison of two versions, looked at all the time");
  for (const line of benchCompare(1000)) say(`  ${line}`);
  return Promise.resolve();
}

/** `--rows N`, `--seconds N`, `--rounds N`. */
function option(name: string, otherwise: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}

async function retained(): Promise<void> {
  say("\nMany retained rows");
  await benchRetained(option("rows", 2_000_000), option("seconds", 300));
}

const PARTS = new Map([
  ["relay", relay],
  ["heads", heads],
  ["threads", threads],
  ["ledger", ledger],
  ["retained", retained],
  ["compare", compare],
]);

// All parts, or those named: `npm run bench -- compare`.
const wanted = process.argv.slice(2);
for (const [name, part] of PARTS) if (wanted.length === 0 || wanted.includes(name)) await part();
