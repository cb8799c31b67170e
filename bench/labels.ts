// Labels: HTTP NDJSON through the sidecar's API into the ledger, against a bare node:sqlite insert loop of the same rows. One run, both sides in turn.

import { spawn, type ChildProcess } from "node:child_process";
import { createServer } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { request } from "undici";

const here = dirname(fileURLToPath(import.meta.url));
const ROWS = 200_000;
const ROUNDS = 5;
const ROWS_PER_ANSWER = 2000;

interface Ready {
  readonly child: ChildProcess;
  readonly traffic: string;
  readonly telemetry: string;
  readonly api: string;
}

/** Starts the sidecar and learns its addresses from its log. */
export async function startSidecar(args: readonly string[]): Promise<Ready> {
  const child = spawn(process.execPath, [join(here, "..", "src", "main.ts"), "run", ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  const found = new Map<string, string>();
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      for (const line of text.split("\n")) {
        const match = /"(traffic|metrics|api)":"(http:[^"]+)"/g;
        for (const [, name = "", url = ""] of line.matchAll(match)) found.set(name, url);
      }
      if (found.size === 3) resolve();
    });
    child.on("close", () => reject(new Error(`the sidecar ended: ${text}`)));
  });
  return {
    child,
    traffic: found.get("traffic") ?? "",
    telemetry: (found.get("metrics") ?? "").replace(/\/metrics$/, ""),
    api: found.get("api") ?? "",
  };
}

export async function stopSidecar(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once("close", resolve));
  child.kill(signal);
  await gone;
}

function bareInserts(folder: string, rows: readonly string[]): number {
  const db = new DatabaseSync(join(folder, "bare.db"));
  db.exec(
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS labels(seq INTEGER PRIMARY KEY, id TEXT, label REAL, ts INTEGER, received INTEGER)",
  );
  const insert = db.prepare("INSERT INTO labels(id, label, ts, received) VALUES (?, ?, ?, ?)");
  const startedAt = performance.now();
  for (let i = 0; i < rows.length; i += 1000) {
    db.exec("BEGIN");
    for (let j = i; j < Math.min(i + 1000, rows.length); j++)
      insert.run(rows[j] ?? "", j / 7, 1_768_346_400_000 + j, 1_768_346_400_000 + j);
    db.exec("COMMIT");
  }
  const perSecond = rows.length / ((performance.now() - startedAt) / 1000);
  db.close();
  return perSecond;
}

/** A model server that answers with ROWS_PER_ANSWER rows, so that many predictions are recorded quickly. */
async function modelServer(): Promise<{ url: string; close: () => void }> {
  const body = JSON.stringify({
    predictions: Array.from({ length: ROWS_PER_ANSWER }, (_, i) => i / 7 + 0.01),
  });
  const server = createServer((_, response) =>
    response.setHeader("content-type", "application/json").end(body),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function recorded(telemetry: string): Promise<number> {
  const { body } = await request(`${telemetry}/metrics`);
  const line = /^outrider_predictions_total\{[^}]*\} (\d+)/m.exec(await body.text());
  return Number(line?.[1] ?? 0);
}

interface Round {
  readonly joined: number;
  /** Labels per second until they are acknowledged, and until a scrape has shown what they mean. */
  readonly acknowledged: number;
  readonly shown: number;
  readonly bare: number;
}

async function record(sidecar: Ready, ids: readonly string[], before: number): Promise<void> {
  for (const id of ids) {
    const headers = { "x-prediction-id": id };
    const { body } = await request(`${sidecar.traffic}/invocations`, { method: "POST", body: "{}", headers });
    await body.dump();
  }
  while ((await recorded(sidecar.telemetry)) < before + ROWS)
    await new Promise((resolve) => setTimeout(resolve, 200));
}

async function send(sidecar: Ready, rows: readonly string[]): Promise<Omit<Round, "bare">> {
  const lines = `${rows.map((id, i) => `{"id":"${id}","label":${i / 7}}`).join("\n")}\n`;
  const startedAt = performance.now();
  const answer = await request(`${sidecar.api}/v1/labels`, {
    method: "POST",
    body: lines,
    headers: { "content-type": "application/x-ndjson" },
  });
  const { joined } = (await answer.body.json()) as { joined: number };
  const acknowledged = perSecond(startedAt);
  await recorded(sidecar.telemetry);
  return { joined, acknowledged, shown: perSecond(startedAt) };
}

function perSecond(startedAt: number): number {
  return ROWS / ((performance.now() - startedAt) / 1000);
}

function tell(rounds: readonly Round[]): string[] {
  const spread = (of: (round: Round) => number, digits: number): string => {
    const sorted = rounds.map(of).toSorted((a, b) => a - b);
    const [least, middle, most] = [0, sorted.length >> 1, sorted.length - 1].map((at) => sorted[at] ?? 0);
    const text = (value = 0): string => value.toFixed(digits);
    return `${text(middle)} (${text(least)}-${text(most)})`;
  };
  const joined = rounds.reduce((sum, round) => sum + round.joined, 0);
  return [
    `${joined} labels joined in ${rounds.length} rounds; medians (least-most)`,
    `until acknowledged: ${spread((round) => round.acknowledged, 0)}/s against ${spread((round) => round.bare, 0)}/s = ${spread((round) => round.acknowledged / round.bare, 2)}   to reach: 0.35`,
    `until scraped:      ${spread((round) => round.shown, 0)}/s = ${spread((round) => round.shown / round.bare, 2)}`,
  ];
}

/** Returns lines to print. The two sides take turns, so that drift of the machine cancels. */
export async function benchLabels(): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "outrider-bench-labels-"));
  const model = await modelServer();
  const args = [
    "--upstream",
    model.url,
    "--store",
    join(folder, "store"),
    "--set",
    "capture.maxBodySize=1MiB",
  ];
  for (const flag of ["--listen", "--telemetry-listen", "--api-listen"]) args.push(flag, "127.0.0.1:0");
  const sidecar = await startSidecar(args);
  try {
    const rounds: Round[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const ids = Array.from({ length: ROWS / ROWS_PER_ANSWER }, (_, i) => `bench-${round}-${i}`);
      await record(sidecar, ids, round * ROWS);
      const rows = ids.flatMap((id) => Array.from({ length: ROWS_PER_ANSWER }, (_, row) => `${id}:${row}`));
      const bareFirst = round % 2 === 1 ? bareInserts(folder, rows) : null;
      const sent = await send(sidecar, rows);
      rounds.push({ ...sent, bare: bareFirst ?? bareInserts(folder, rows) });
    }
    return tell(rounds);
  } finally {
    await stopSidecar(sidecar.child);
    model.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
