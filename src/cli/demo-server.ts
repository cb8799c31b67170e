// The demo's model server as a process of its own, so that its CPU and memory are its own; and how the demo starts it.

import { spawn } from "node:child_process";
import { createDemoServer } from "../demo/server.ts";
import { keepAlive, systemClock as clock } from "../kernel/clock.ts";
import { chance } from "../kernel/ids.ts";
import { Problem } from "../kernel/problem.ts";
import { EXIT, type CliIo } from "./io.ts";

const START_MS = 10_000;

/** Serves until its standard input ends; says its port in one line. Signals are the demo's to handle. */
export async function serveDemoModels(io: CliIo): Promise<number> {
  io.onSignal(() => {});
  const server = createDemoServer({ host: "127.0.0.1", port: 0, newestAfter: 25 }, { clock, chance });
  await server.start();
  io.stdout.write(`${JSON.stringify({ port: server.address?.port ?? 0 })}\n`);
  const alive = keepAlive();
  await new Promise<void>((resolve) => {
    io.stdin.on("end", resolve);
    io.stdin.on("error", () => resolve());
    io.stdin.resume();
  });
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
