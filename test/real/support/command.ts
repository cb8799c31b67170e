// Runs one command to its end, bounded in time; its output is kept for the error message.

import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

export interface Finished {
  readonly ok: boolean;
  readonly stdout: string;
  /** What it wrote to both, in the order it came; the last part when it was long. */
  readonly output: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Ended with SIGKILL after this long; default five minutes. */
  readonly withinMs?: number;
  /** Give back `ok: false` where otherwise an error is thrown. */
  readonly mayFail?: boolean;
}

const OUTPUT_CHARS_MAX = 16 * 1024 * 1024;
const SHOWN_CHARS = 4000;
const WITHIN_MS = 300_000;
/** Before the second try, and before the third, which is the last. */
const PAUSES_MS = [3000, 20_000];

export function say(text: string): void {
  process.stderr.write(`[real] ${text}\n`);
}

/** Runs at low priority, without a shell. Throws with the end of the output when it fails, unless `mayFail`. */
export async function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  const withinMs = options.withinMs ?? WITHIN_MS;
  const child = spawn("nice", ["-n", "10", command, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    timeout: withinMs,
    killSignal: "SIGKILL",
  });
  let stdout = "";
  let output = "";
  const keep = (text: string): string => text.slice(-OUTPUT_CHARS_MAX);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout = keep(stdout + text);
    output = keep(output + text);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output = keep(output + text);
  });
  // A command that ends without reading what it was given is judged by its exit code.
  child.stdin.on("error", () => {});
  child.stdin.end(options.stdin ?? "");
  const how = await new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => resolve(signal ?? String(code)));
  });
  if (how !== "0" && options.mayFail !== true) {
    const end = output.slice(-SHOWN_CHARS);
    throw new Error(`${command} ${args.join(" ")} ended with ${how} (at most ${withinMs} ms):\n${end}`);
  }
  return { ok: how === "0", stdout, output };
}

/**
 * `run` for a command that fetches from a package source, which may be slow for once or drop a connection: it is tried three
 * times. `withinMs` is for all tries together. Such a command must bear to be run again over what it left.
 */
export async function runFetching(
  command: string,
  args: readonly string[],
  options: CommandOptions & { readonly pausesMs?: readonly number[] } = {},
): Promise<Finished> {
  const { pausesMs = PAUSES_MS, ...once } = options;
  const [pauseMs, ...pausesAfter] = pausesMs;
  if (pauseMs === undefined) return await run(command, args, once);
  const from = performance.now();
  const done = await run(command, args, { ...once, mayFail: true });
  const leftMs = Math.round((once.withinMs ?? WITHIN_MS) - (performance.now() - from) - pauseMs);
  if (done.ok || (leftMs <= 0 && once.mayFail === true)) return done;
  const failed = `${command} ${args.join(" ")} failed`;
  const end = done.output.slice(-SHOWN_CHARS);
  if (leftMs <= 0) throw new Error(`${failed}, and no time is left to try it again:\n${end}`);
  say(`${failed}; again in ${pauseMs / 1000} s. It said:\n${end}`);
  await sleep(pauseMs);
  return await runFetching(command, args, { ...once, withinMs: leftMs, pausesMs: pausesAfter });
}
