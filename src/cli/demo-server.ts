// The demo's model server as a process of its own, so that its CPU and memory are its own; and how the demo starts it.

import { spawn } from "node:child_process";
import { createDemoServer } from "../demo/server.ts";
import { keepAlive, systemClock as clock } from "../kernel/clock.ts";
import { chance } from "../kernel/ids.ts";
import { Problem } from "../kernel/problem.ts";
import { EXIT, type CliIo } from "./io.ts";
import { startProblem } from "./run.ts";

const START_MS = 10_000;

/** `host:port` -> both; IPv6 hosts in brackets. */
function addressOf(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[3]) > 65_535)
    throw new Problem("usage", `--listen takes host:port, not "${text}"`);
  return { host: match[1] ?? match[2] ?? "", port: Number(match[3]) };
}

/** Started by the demo: serves until its standard input ends, signals are the demo's to handle. */
function inputEnds(io: CliIo): Promise<void> {
  io.onSignal(() => {});
  return new Promise((resolve) => {
    io.stdin.on("end", resolve);
    io.stdin.on("error", () => resolve());
    io.stdin.resume();
  });
}

/** Says its port in one line. With an address to `listen` on it serves until a signal. */
export async function serveDemoModels(listen: string | null, io: CliIo): Promise<number> {
  const where = listen === null ? { host: "127.0.0.1", port: 0 } : addressOf(listen);
  const ended =
    listen === null ? inputEnds(io) : new Promise<void>((resolve) => io.onSignal(() => resolve()));
  const server = createDemoServer({ ...where, newestAfter: 25 }, { clock, chance });
  try {
    await server.start();
  } catch (thrown) {
    throw startProblem(thrown);
  }
  io.stdout.write(`${JSON.stringify({ port: server.address?.port ?? 0 })}\n`);
  const alive = keepAlive();
  await ended;
  await server.stop(2000);
  alive.cancel();
  return EXIT.ok;
}

export interface DemoServerProcess {
  readonly port: number;
  stop(deadlineMs: number): Promise<void>;
}

function portIn(line: string): number {
  const match = /"port":(\d+)/.exec(line);
  return Number(match?.[1] ?? 0);
}

/** Starts this program again as the model server. */
export async function startDemoServer(io: CliIo): Promise<DemoServerProcess> {
  const [executable, ...args] = io.observerCommand;
  const child = spawn(executable, [...args.slice(0, -1), "demo-server"], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...io.env },
  });
  const gone = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
  });
  const port = await new Promise<number>((resolve, reject) => {
    const failed = (): void => reject(new Problem("demo_failed", "the demo's model server did not start"));
    clock.after(START_MS, failed);
    child.once("close", failed);
    child.stdout.once("data", (chunk: Buffer) => resolve(portIn(chunk.toString())));
  });
  return {
    port,
    stop: async (deadlineMs) => {
      child.stdin.end();
      const kill = clock.after(deadlineMs * 0.8, () => child.kill("SIGKILL"));
      await gone;
      kill.cancel();
    },
  };
}
