// The demo's callers as a process of their own: requests through a sidecar that runs already, and their labels to its API.

import { createLogger } from "../app/logger.ts";
import { loadDemo } from "../demo/models.ts";
import { createDemoTraffic } from "../demo/traffic.ts";
import { keepAlive, systemClock as clock } from "../kernel/clock.ts";
import { chance } from "../kernel/ids.ts";
import { Problem } from "../kernel/problem.ts";
import { EXIT, type CliIo } from "./io.ts";
import { readToken } from "./quality.ts";

export interface TrafficRequest {
  readonly proxyUrl: string;
  readonly apiUrl: string;
  readonly tokenFile: string | null;
  readonly requestsPerSecond: number;
}

const STOP_MS = 3000;

/** Until a signal. */
export async function sendDemoTraffic(request: TrafficRequest, io: CliIo): Promise<number> {
  const { proxyUrl, apiUrl, tokenFile, requestsPerSecond } = request;
  if (!(requestsPerSecond > 0 && requestsPerSecond <= 1000))
    throw new Problem("usage", "--rate takes a number of requests per second up to 1000");
  const log = createLogger("traffic", io.env["LOG_LEVEL"] ?? "info");
  const token = readToken(tokenFile, io.env);
  const traffic = createDemoTraffic(
    { proxyUrl, apiUrl, token, requestsPerSecond },
    { clock, chance, log, demo: loadDemo() },
  );
  const signalled = new Promise<void>((resolve) => io.onSignal(() => resolve()));
  const alive = keepAlive();
  await traffic.start();
  log.info({ proxyUrl, apiUrl, requestsPerSecond }, "demo traffic begins");
  await signalled;
  await traffic.stop(STOP_MS);
  log.info({ ...traffic.counts() }, "demo traffic ends");
  alive.cancel();
  return EXIT.ok;
}
