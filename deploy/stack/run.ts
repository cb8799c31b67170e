// `npm run stack`: what docker-compose.yml starts, natively, with whatever of it is on this machine. Ctrl-C leaves nothing.
// -- --seconds N ends by itself; --install builds what is missing; --free-ports takes any ports.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { findProgram, installPrograms, PROGRAMS, type Program } from "./programs.ts";
import { populated, type Figure } from "./populated.ts";
import { startServices, type Service } from "./services.ts";
import { choosePorts, hasAlertmanagerFile } from "./settings.ts";

const POPULATED_MS = 180_000;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

interface Options {
  readonly seconds: number | null;
  readonly install: boolean;
  readonly freePorts: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string" },
      install: { type: "boolean", default: false },
      "free-ports": { type: "boolean", default: false },
    },
  });
  const seconds = values.seconds === undefined ? null : Number(values.seconds);
  if (seconds !== null && !(seconds >= 1 && seconds <= 86_400))
    throw new Error("--seconds takes a number from 1 to 86400");
  return { seconds, install: values.install, freePorts: values["free-ports"] };
}

function choosePrograms(): Program[] {
  const programs: Program[] = [];
  const absent: string[] = [];
  for (const name of PROGRAMS) {
    const program = findProgram(name, process.env["PATH"] ?? "");
    const usable = program !== null && (name !== "alertmanager" || hasAlertmanagerFile());
    if (usable) programs.push(program);
    else absent.push(name);
  }
  if (absent.length > 0) {
    const buildable = absent.some((name) => name !== "grafana");
    const hint = buildable ? "; `npm run stack -- --install` builds all but Grafana (minutes, needs Go)" : "";
    say(`left out, not on this machine: ${absent.join(", ")}${hint}`);
  }
  return programs;
}

function tell(services: readonly Service[]): void {
  for (const { name, urls } of services)
    for (const [what, url] of Object.entries(urls)) say(`  ${name.padEnd(13)}${what.padEnd(10)}${url}`);
  say("  the API's token is in deploy/compose/api-token");
}

function tellFigures(figures: readonly Figure[]): void {
  for (const { model, version, metric, value } of figures)
    say(`  ${model.padEnd(15)}${version.padEnd(8)}${metric.padEnd(10)}${value.toPrecision(4)}`);
}

/** Who ended by itself is told once, with its last words. */
function watch(services: readonly Service[]): NodeJS.Timeout {
  const gone = new Set<string>();
  return setInterval(() => {
    for (const { name, process: started } of services) {
      if (gone.has(name)) continue;
      try {
        process.kill(started.pid, 0);
      } catch {
        gone.add(name);
        say(`${name} ended by itself:\n${started.output().slice(-2000)}`);
      }
    }
  }, 1000);
}

class Undo {
  readonly #calls: (() => void | Promise<void>)[] = [];

  after(call: () => void | Promise<void>): void {
    this.#calls.push(call);
  }

  async run(): Promise<void> {
    for (const call of this.#calls.splice(0).toReversed()) await call();
  }
}

async function stack(options: Options, undo: Undo, ended: Promise<unknown>): Promise<void> {
  const from = performance.now();
  const seconds = (): string => `${((performance.now() - from) / 1000).toFixed(1)} s`;
  const programs = choosePrograms();
  const ports = await choosePorts(options.freePorts ? "free" : "usual");
  const folder = mkdtempSync(join(tmpdir(), "outrider-stack-"));
  undo.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const running = new Set(["model", "outrider", "traffic", ...programs.map(({ name }) => name)]);
  const services = await startServices(undo, programs, { folder, ports, running });
  const timer = watch(services);
  undo.after(() => clearInterval(timer));
  say(`started after ${seconds()}`);
  tell(services);
  const figures = await populated(ports, running.has("prometheus"), { withinMs: POPULATED_MS, ended });
  if (figures === null) return;
  say(`populated after ${seconds()}${running.has("prometheus") ? ", as Prometheus tells it" : ""}:`);
  tellFigures(figures);
  say(options.seconds === null ? "Ctrl-C ends everything." : `ends by itself after ${options.seconds} s`);
  await ended;
}

const options = readOptions();
const signalled = new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => resolve());
});
const timeout = new AbortController();
const over =
  options.seconds === null
    ? signalled
    : Promise.race([
        signalled,
        sleep(options.seconds * 1000, null, { signal: timeout.signal }).catch(() => {}),
      ]);
const undo = new Undo();
try {
  if (options.install) await installPrograms();
  await stack(options, undo, over);
} catch (thrown) {
  process.exitCode = 1;
  say(thrown instanceof Error ? thrown.message : String(thrown));
} finally {
  await undo.run();
  timeout.abort();
  say("Ended; nothing is left running.");
}
