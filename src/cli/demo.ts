// `npm run demo`: a model server, the sidecar, traffic and late labels, on the default ports, with a live table.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApp, type App } from "../app.ts";
import { createLogger } from "../app/logger.ts";
import { loadConfig } from "../config/config.ts";
import { loadDemo } from "../demo/models.ts";
import { createDemoTraffic } from "../demo/traffic.ts";
import { keepAlive, systemClock as clock } from "../kernel/clock.ts";
import { chance } from "../kernel/ids.ts";
import { UndoStack } from "../kernel/lifecycle.ts";
import { Problem } from "../kernel/problem.ts";
import { startDemoServer } from "./demo-server.ts";
import { renderDemo } from "./demo-table.ts";
import { getText } from "./http.ts";
import { EXIT, type CliIo } from "./io.ts";
import { parseQuality } from "./parse-answers.ts";
import { parsePromText } from "./prom-text.ts";
import { startProblem, urlOf } from "./run.ts";

const REFRESH_MS = 2000;
const STOP_MS = 10_000;
const REQUESTS_PER_SECOND = 40;

interface Running {
  readonly app: App;
  readonly startedAtMs: number;
}

async function startAll(io: CliIo, undo: UndoStack): Promise<Running> {
  const log = createLogger("traffic", "warn");
  const folder = mkdtempSync(join(tmpdir(), "outrider-demo-"));
  undo.push("store", () => rmSync(folder, { recursive: true, force: true }));
  const server = await startDemoServer(io);
  undo.push("demo model server", (ms) => server.stop(ms));
  const flags = { upstream: `http://127.0.0.1:${server.port}`, "store.path": folder };
  const { config } = loadConfig({
    file: null,
    flags,
    env: { ...io.env, OUTRIDER_CONFIG: undefined },
    cwd: folder,
  });
  const env = { ...io.env, LOG_LEVEL: io.env["LOG_LEVEL"] ?? "warn" };
  const { observerCommand, workerCommand } = io;
  const app = createApp(config, { clock, log, env, observerCommand, workerCommand });
  undo.push("sidecar", (ms) => app.stop(ms));
  await app.start();
  if (!(await app.observed(10_000)))
    throw new Problem("demo_failed", "the observer did not start within 10 s");
  const urls = { proxyUrl: urlOf(app.addresses.traffic), apiUrl: urlOf(app.addresses.api) };
  const traffic = createDemoTraffic(
    { ...urls, requestsPerSecond: REQUESTS_PER_SECOND },
    { clock, chance, log, demo: loadDemo() },
  );
  undo.push("traffic", (ms) => traffic.stop(ms));
  await traffic.start();
  return { app, startedAtMs: clock.monotonicMs() };
}

async function screen({ app, startedAtMs }: Running): Promise<string> {
  const { traffic, telemetry, api } = app.addresses;
  const [scrape, quality] = await Promise.all([
    getText(`${urlOf(telemetry)}/metrics`, null),
    getText(`${urlOf(api)}/v1/quality`, null),
  ]);
  return renderDemo({
    elapsedSeconds: (clock.monotonicMs() - startedAtMs) / 1000,
    samples: parsePromText(scrape),
    groups: parseQuality(JSON.parse(quality)),
    urls: [
      ["traffic", urlOf(traffic)],
      ["metrics", `${urlOf(telemetry)}/metrics`],
      ["version", `${urlOf(telemetry)}/version`],
      ["status page", urlOf(api)],
      ["quality", `${urlOf(api)}/v1/quality`],
      ["labels", `${urlOf(api)}/v1/labels`],
    ],
  });
}

/** Draws until it is told to end; resolves to the last screen. */
async function live(running: Running, io: CliIo, ended: Promise<unknown>): Promise<void> {
  const clear = io.stdout.isTTY === true ? "\u001b[H\u001b[2J" : "";
  let over = false;
  void ended.then(() => {
    over = true;
  });
  while (!over) {
    const tick = new Promise<void>((resolve) => clock.after(REFRESH_MS, resolve));
    await Promise.race([tick, ended]);
    if (!over) io.stdout.write(`${clear}${await screen(running)}\n`);
  }
}

/** Ends after `seconds`, or at a signal; leaves no process and no file behind. */
export async function demo(request: { seconds: number | null }, io: CliIo): Promise<number> {
  const { seconds } = request;
  if (seconds !== null && !(seconds >= 1 && seconds <= 86_400)) {
    throw new Problem("usage", "--seconds takes a number from 1 to 86400");
  }
  const undo = new UndoStack(clock, createLogger("traffic", "warn"));
  const ended = new Promise<"signal" | "time">((resolve) => {
    io.onSignal(() => resolve("signal"));
    if (seconds !== null) clock.after(seconds * 1000, () => resolve("time"));
  });
  const alive = keepAlive();
  try {
    const running = await startAll(io, undo);
    await live(running, io, ended);
    io.stdout.write(`\nSummary\n\n${await screen(running)}`);
  } catch (thrown) {
    throw startProblem(thrown);
  } finally {
    await undo.run(STOP_MS);
    alive.cancel();
  }
  io.stdout.write("Ended; nothing is left running.\n");
  return EXIT.ok;
}
