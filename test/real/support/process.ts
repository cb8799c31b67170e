// A real third-party process for the length of a test: started on a free port, waited for, its output kept, always ended.

import { spawn, type ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** What ends a process when the test is over: a `TestContext`, or `{ after }` of node:test for a whole file. */
export interface Owner {
  after(call: () => void | Promise<void>): void;
}

export interface ProcessOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Started when a GET of this answers with a status below `readyBelow`. */
  readonly readyUrl: string;
  /** Default 400. */
  readonly readyBelow?: number;
  /** Default 180 s. */
  readonly readyWithinMs?: number;
}

export interface RealProcess {
  readonly pid: number;
  /** The last part of what it wrote to stdout and stderr. */
  output(): string;
  /** SIGTERM to it and its children, SIGKILL a minute later: a sidecar's own time to end is 35 s. Safe twice. */
  stop(): Promise<void>;
  /** SIGKILL at once: the crash. */
  kill(): Promise<void>;
}

const OUTPUT_CHARS_MAX = 256 * 1024;
const SHOWN_CHARS = 4000;
const STOP_MS = 60_000;
const LAST_WORDS_MS = 10_000;
const groups = new Set<number>();

// A test file that dies takes its processes with it.
process.on("exit", () => {
  for (const pid of groups) signalGroup(pid, "SIGKILL");
});

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone already.
  }
}

/**
 * A loopback port that was free a moment ago, and that no other call gives out, of this process or of another one, while
 * this process lives: its UDP side stays taken, which no server of a test needs.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    // Below what systems give to connections and to listeners on port 0 (Linux: from 32768): nobody is given it meanwhile.
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    if ((await reserved(port)) && (await unused(port))) return port;
  }
  throw new Error("no free port in a hundred tries");
}

async function reserved(port: number): Promise<boolean> {
  const socket = createSocket("udp4").unref();
  return new Promise((resolve) => {
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ port, address: "127.0.0.1", exclusive: true }, () => resolve(true));
  });
}

async function unused(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return free;
}

/** A folder below the system's temporary one, removed when the test is over. */
export function temporaryFolder(owner: Owner, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `outrider-real-${name}-`));
  owner.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

/** Waits for it, no longer than that. */
async function within(ms: number, done: Promise<void>): Promise<void> {
  const late = new AbortController();
  await Promise.race([done, sleep(ms, null, { signal: late.signal }).catch(() => {})]);
  late.abort();
}

class Started implements RealProcess {
  readonly pid: number;
  readonly #exited: Promise<void>;
  /** All that it wrote has been read. */
  readonly #closed: Promise<void>;
  #output = "";
  #ended: string | null = null;

  constructor(child: ChildProcess, pid: number) {
    this.pid = pid;
    groups.add(pid);
    const keep = (text: string): void => {
      this.#output = (this.#output + text).slice(-OUTPUT_CHARS_MAX);
    };
    child.stdout?.setEncoding("utf8").on("data", keep);
    child.stderr?.setEncoding("utf8").on("data", keep);
    this.#exited = new Promise((resolve) => {
      child.on("exit", (code, signal) => {
        this.#ended = signal ?? String(code);
        resolve();
      });
    });
    this.#closed = new Promise((resolve) => child.on("close", () => resolve()));
  }

  /** How it ended (`0`, `1`, `SIGKILL`), or null while it runs. */
  get ended(): string | null {
    return this.#ended;
  }

  output(): string {
    return this.#output;
  }

  async stop(): Promise<void> {
    signalGroup(this.pid, "SIGTERM");
    await within(STOP_MS, this.#exited);
    await this.kill();
  }

  async kill(): Promise<void> {
    // Also when the process itself is gone: a child of its own may be left.
    signalGroup(this.pid, "SIGKILL");
    await this.#exited;
    // Who left the group may hold its pipes for ever.
    await within(LAST_WORDS_MS, this.#closed);
    groups.delete(this.pid);
  }
}

async function answers(url: string, below: number): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    await response.arrayBuffer();
    return response.status < below;
  } catch {
    return false;
  }
}

/** Throws with the process's last words when it ends, or does not answer in time. */
export async function startProcess(owner: Owner, options: ProcessOptions): Promise<RealProcess> {
  const { name, command, args, readyUrl } = options;
  const withinMs = options.readyWithinMs ?? 180_000;
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const failed = new Promise<never>((_, reject) => child.once("error", reject));
  failed.catch(() => {});
  if (child.pid === undefined) return await failed;
  const started = new Started(child, child.pid);
  owner.after(() => started.stop());
  const until = performance.now() + withinMs;
  while (!(await answers(readyUrl, options.readyBelow ?? 400))) {
    const late = performance.now() > until;
    if (started.ended === null && !late) {
      await sleep(100);
      continue;
    }
    await started.stop();
    const why = late ? `did not answer at ${readyUrl} in ${withinMs} ms` : `ended with ${started.ended}`;
    throw new Error(`${name} ${why}:\n${started.output().slice(-SHOWN_CHARS)}`);
  }
  return started;
}
