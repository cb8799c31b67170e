// `outrider run`: the sidecar until a signal.

import { createApp, type App } from "../app.ts";
import { createLogger } from "../app/logger.ts";
import { loadConfig } from "../config/config.ts";
import { keepAlive, systemClock } from "../kernel/clock.ts";
import { codeOf, messageOf, Problem } from "../kernel/problem.ts";
import { EXIT, type CliIo } from "./io.ts";

export interface ConfigRequest {
  readonly file: string | null;
  readonly flags: Readonly<Record<string, unknown>>;
}

/** After the drain: observer flush, last push, files. */
const STOP_EXTRA_MS = 10_000;
const WELCOME_MS = 15_000;

export function urlOf(address: { readonly host: string; readonly port: number } | null): string {
  if (address === null) return "(not open)";
  const host = address.host === "0.0.0.0" || address.host === "::" ? "127.0.0.1" : address.host;
  return `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`;
}

/** A port that is taken, or may not be used, in words that name the listener. */
export function startProblem(thrown: unknown): unknown {
  const code = codeOf(thrown);
  if (code === "EADDRINUSE" || code === "EACCES" || code === "EADDRNOTAVAIL") {
    const hint =
      code === "EADDRINUSE"
        ? "another program listens there; choose another with --listen, --telemetry-listen or --api-listen"
        : "choose an address and port that this user may open";
    return new Problem("listen_failed", `cannot listen: ${messageOf(thrown)}: ${hint}`);
  }
  return thrown;
}

/** For whoever sits in front of it: what to do next. */
async function welcome(app: App, upstream: string, io: CliIo): Promise<void> {
  if (!(await app.observed(WELCOME_MS))) return;
  const { traffic, telemetry, api } = app.addresses;
  const lines = [
    `Outrider stands in front of ${upstream}`,
    `  clients send to     ${urlOf(traffic)}`,
    `  Prometheus scrapes  ${urlOf(telemetry)}/metrics`,
    `  you look at         ${urlOf(api)}   (labels go to /v1/labels)`,
  ];
  io.stdout.write(`\n${lines.join("\n")}\n\n`);
}

export async function runSidecar(request: ConfigRequest, io: CliIo): Promise<number> {
  const { config, warnings } = loadConfig({ ...request, env: io.env, cwd: io.cwd });
  const log = createLogger("traffic", io.env["LOG_LEVEL"] ?? "info");
  for (const warning of warnings) log.warn({}, warning);
  const app = createApp(config, {
    clock: systemClock,
    log,
    env: io.env,
    observerCommand: io.observerCommand,
    workerCommand: io.workerCommand,
  });
  const signalled = new Promise<string>((resolve) => {
    io.onSignal(resolve);
    // At a terminal it means that the terminal is gone.
    io.onHangup(() => {
      if (io.stdout.isTTY === true) return resolve("SIGHUP");
      log.info({}, "SIGHUP: reading certificates again");
      void app.reload();
    });
  });
  try {
    await app.start();
  } catch (thrown) {
    throw startProblem(thrown);
  }
  const { traffic, telemetry } = app.addresses;
  log.info(
    { traffic: urlOf(traffic), metrics: `${urlOf(telemetry)}/metrics`, upstream: config.upstream.http },
    "ready",
  );
  const alive = keepAlive();
  if (io.stdout.isTTY === true) void welcome(app, config.upstream.http, io);
  const signal = await signalled;
  log.info({ signal, drainMs: config.proxy.drainTimeoutMs }, "stopping");
  await app.stop(config.proxy.drainTimeoutMs + STOP_EXTRA_MS);
  alive.cancel();
  log.info({}, "stopped");
  return EXIT.ok;
}
