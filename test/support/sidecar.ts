// The whole program as a user starts it: both processes, real sockets, a store in a temp folder. Ended by the test that started it.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Agent, request } from "undici";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const main = join(root, "src", "main.ts");

/** Gives up idle connections long before the sidecar does (5 s at the soonest): a test that was held up never meets that moment. */
const dispatcher = new Agent({ keepAliveTimeout: 1000, keepAliveMaxTimeout: 1000 });

export interface SidecarOptions {
  /** null: the configuration in `args` names it. */
  readonly upstream: string | null;
  /** Kept by the caller; default: a temp folder that goes with the sidecar. */
  readonly store?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** false: the store cannot be opened, so the API will not be; its address stays empty. Default true. */
  readonly waitForApi?: boolean;
  /** In a process group of its own, as a shell does; default false. */
  readonly ownGroup?: boolean;
  /** By `npm start`, as from a clone: `child` is npm then. Default false. */
  readonly byNpm?: boolean;
}

export interface Sidecar {
  readonly child: ChildProcess;
  readonly traffic: string;
  readonly telemetry: string;
  readonly api: string;
  readonly store: string;
  log(): string;
  observerPid(): number;
  /** /metrics as it is. When the observer does not answer in time, it has only the relay's own families. */
  scrape(): Promise<string>;
  /** /metrics with the families of the observer. Throws when none comes. */
  metrics(): Promise<string>;
  /**
   * Sum of the family's samples of one scrape that carry all of `labels`; 0 when there is none. A family that only the observer
   * tells is asked for until it answers: that it was too slow for one scrape is not a 0.
   */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Waits until that sum is `value`. */
  metricIs(name: string, value: number, labels?: Readonly<Record<string, string>>): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Asks until `ready` says so. The limit is for what never comes: it is wide enough for a machine that hardly runs. */
export async function until(ready: () => Promise<boolean> | boolean, withinMs = 90_000): Promise<void> {
  const endsAt = performance.now() + withinMs;
  while (!(await ready())) {
    if (performance.now() > endsAt)
      throw new Error(`not within ${withinMs} ms: ${ready.toString().slice(0, 200)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Has it ended and been waited for? */
export function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

/** As the system knows it, words ended by NUL; empty when it is gone. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** Children of a process, by /proc. */
export function childrenOf(pid: number): number[] {
  const found: number[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === pid) found.push(Number(name));
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

export function sampleSum(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const line of text.split("\n")) {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue;
    if (!Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`))) continue;
    sum += Number(line.slice(line.lastIndexOf(" ") + 1));
  }
  return sum;
}

export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const folder = options.store ?? mkdtempSync(join(tmpdir(), "outrider-flow-"));
  const upstream = options.upstream === null ? [] : ["--upstream", options.upstream];
  const args = [...upstream, "--store", folder];
  for (const flag of ["--listen", "--telemetry-listen", "--api-listen"]) args.push(flag, "127.0.0.1:0");
  const byNpm = options.byNpm === true;
  const [command, ...ahead] = byNpm ? ["npm", "start", "--"] : [process.execPath, main, "run"];
  const child = spawn(command, [...ahead, ...args, ...(options.args ?? [])], {
    stdio: ["ignore", "ignore", "pipe"],
    cwd: byNpm ? root : tmpdir(),
    env: { ...process.env, ...options.env },
    detached: options.ownGroup === true,
  });
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const urls = new Map<string, string>();
  await until(() => {
    for (const [, name = "", url = ""] of text.matchAll(/"(traffic|metrics|api)":"(http:[^"]+)"/g))
      urls.set(name, url);
    if (child.exitCode !== null) throw new Error(`the sidecar ended with ${child.exitCode}: ${text}`);
    return urls.size === (options.waitForApi === false ? 2 : 3);
  }, 120_000).catch((thrown: unknown) => {
    child.kill("SIGKILL");
    throw new Error(`the sidecar did not start: ${text}`, { cause: thrown });
  });
  const telemetry = (urls.get("metrics") ?? "").replace(/\/metrics$/, "");
  const scrape = async (): Promise<string> =>
    await (await request(`${telemetry}/metrics`, { dispatcher })).body.text();
  const metrics = async (): Promise<string> => {
    let text = "";
    await until(async () => sampleSum((text = await scrape()), "outrider_observer_up") === 1);
    return text;
  };
  const metric: Sidecar["metric"] = async (name, labels) => {
    const text = await scrape();
    const told = sampleSum(text, "outrider_observer_up") === 1 || text.includes(`# TYPE ${name} `);
    return sampleSum(told ? text : await metrics(), name, labels);
  };
  const gone = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  return {
    child,
    traffic: urls.get("traffic") ?? "",
    telemetry,
    api: urls.get("api") ?? "",
    store: folder,
    log: () => text,
    observerPid: () => {
      const pid = childrenOf(child.pid ?? -1).find((one) => commandOf(one).endsWith("\0observer\0"));
      // Never a number that stands for a whole group of processes.
      if (pid === undefined) throw new Error("no observer runs");
      return pid;
    },
    scrape,
    metrics,
    metric,
    metricIs: async (name, value, labels) => {
      let sum = Number.NaN;
      await until(async () => (sum = await metric(name, labels)) === value).catch((thrown: unknown) => {
        throw new Error(`${name} ${JSON.stringify(labels ?? {})} is ${sum}, not ${value}`, { cause: thrown });
      });
    },
    stop: async (signal = "SIGTERM") => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      const code = await gone;
      if (options.store === undefined) rmSync(folder, { recursive: true, force: true });
      return code;
    },
  };
}

export interface JsonAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Record<string, unknown>;
}

export async function postJson(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<JsonAnswer> {
  const answer = await request(url, {
    dispatcher,
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: (await answer.body.json()) as Record<string, unknown>,
  };
}

export async function getJson(url: string): Promise<JsonAnswer> {
  const answer = await request(url, { dispatcher });
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: (await answer.body.json()) as Record<string, unknown>,
  };
}
