// Who is the service? By the port it listens on, a pid, a file with a pid, or a name.

import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import {
  readCommand,
  readHolders,
  readListeners,
  readProc,
  readProcesses,
  type Listener,
  type Proc,
  type Processes,
} from "./procfs.ts";
import { lineage, rootOf } from "./tree.ts";
import type { Place } from "./way.ts";

export type TargetOptions =
  /** `page`: its own /metrics, for when the process is hidden from us. */
  | {
      readonly kind: "auto";
      readonly port: number | null;
      readonly host: string | null;
      readonly page: Place;
    }
  | { readonly kind: "pid"; readonly pid: number }
  | { readonly kind: "pidFile"; readonly path: string }
  | { readonly kind: "processName"; readonly pattern: string }
  | { readonly kind: "cgroup"; readonly path: string }
  | { readonly kind: "port"; readonly port: number }
  | ({ readonly kind: "metrics" } & Place);

/** Kinds that lead to a process. */
export type ProcessOptions = Exclude<TargetOptions, { kind: "cgroup" | "metrics" }>;

/** Why nobody was found; values of `reason` in `outrider_target_scrape_errors_total`. */
export type Missing = "not_found" | "not_local" | "no_permission" | "bad_pid_file";

export type Discovery = { readonly root: Proc } | { readonly missing: Missing };

const WILDCARDS = ["0".repeat(8), "0".repeat(32)];
const MAPPED = "0".repeat(20) + "ffff";
const COMMAND_CHARS_MAX = 4096;

/** Hex digits in network order, as `Listener.address` has them. */
function addressHex(ip: string): string | null {
  if (isIP(ip) === 4) {
    return ip
      .split(".")
      .map((part) => Number(part).toString(16).padStart(2, "0"))
      .join("");
  }
  if (isIP(ip) !== 6 || ip.includes(".")) return null;
  const [head = "", tail] = (ip.split("%")[0] ?? "").split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const left = groups(head);
  const right = groups(tail ?? "");
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => "0");
  return [...left, ...zeros, ...right]
    .map((group) => group.padStart(4, "0"))
    .join("")
    .toLowerCase();
}

const isLoopback = (ip: string): boolean => ip === "::1" || ip.startsWith("127.");

/** The addresses of `host` when they are this machine's, else why there are none. */
async function localAddresses(host: string): Promise<string[] | "not_local" | "not_found"> {
  const lists = Object.values(networkInterfaces());
  const own = new Set(lists.flatMap((list) => (list ?? []).map(({ address }) => address)));
  const isOwn = (ip: string): boolean => isLoopback(ip) || own.has(ip) || ip === "0.0.0.0" || ip === "::";
  try {
    const known =
      isIP(host) === 0 ? (await lookup(host, { all: true })).map(({ address }) => address) : [host];
    const local = known.filter(isOwn);
    return local.length === 0 ? "not_local" : local;
  } catch {
    // The name may resolve later.
    return "not_found";
  }
}

/** Sockets that a connection to one of `ips` would reach; any address when `ips` is null. */
function listenersFor(
  listeners: readonly Listener[],
  port: number,
  ips: readonly string[] | null,
): Listener[] {
  const wanted = (ips ?? []).flatMap((ip) => addressHex(ip) ?? []);
  const fits = ({ address }: Listener): boolean =>
    ips === null ||
    WILDCARDS.includes(address) ||
    wanted.includes(address) ||
    (address.startsWith(MAPPED) && wanted.includes(address.slice(MAPPED.length)));
  return listeners.filter((listener) => listener.port === port && fits(listener));
}

async function byPort(proc: string, port: number, host: string | null): Promise<Discovery> {
  const ips = host === null ? null : await localAddresses(host);
  if (typeof ips === "string") return { missing: ips };
  const listeners = listenersFor(readListeners(proc), port, ips);
  if (listeners.length === 0) return { missing: "not_found" };
  const holders = await readHolders(proc, new Set(listeners.map(({ inode }) => inode)));
  // Somebody listens and nobody shows the socket: another user's process, or another pid namespace.
  if (holders.length === 0) return { missing: "no_permission" };
  const processes = await readProcesses(proc);
  const seen = found(processes, holders, proc);
  if (!("missing" in seen)) return seen;
  const root = starterOf(processes, holders, proc);
  return root === null ? seen : { root };
}

/** Who started us, or started that, and holds the socket itself: the nearest of them. This process and the one it belongs to are not. */
function starterOf(processes: Processes, holders: readonly number[], proc: string): Proc | null {
  const [, , ...above] = lineage(processes, readProc(proc, "self")?.pid ?? 0);
  return above.find(({ pid }) => holders.includes(pid)) ?? null;
}

function found(processes: Processes, pids: readonly number[], proc: string): Discovery {
  const self = readProc(proc, "self")?.pid ?? 0;
  const root = rootOf(processes, { found: pids, self });
  return root === null ? { missing: "not_found" } : { root };
}

async function byName(proc: string, pattern: string): Promise<Discovery> {
  const expression = new RegExp(pattern, "u");
  const processes = await readProcesses(proc);
  const pids: number[] = [];
  for (const { pid, name } of processes.values()) {
    const command = (): string => readCommand(proc, pid).slice(0, COMMAND_CHARS_MAX);
    if (expression.test(name) || expression.test(command())) pids.push(pid);
  }
  return found(processes, pids, proc);
}

/** The number in a pid file, or null. */
export function readPidFile(path: string): number | null {
  try {
    const match = /^\s*(\d{1,9})\s*$/.exec(readFileSync(path, "utf8"));
    return match === null ? null : Number(match[1]);
  } catch {
    return null;
  }
}

function byPid(proc: string, pid: number): Discovery {
  const root = readProc(proc, pid);
  return root === null || root.state === "Z" ? { missing: "not_found" } : { root };
}

/** Looks once. */
export async function discover(options: ProcessOptions, proc: string): Promise<Discovery> {
  switch (options.kind) {
    case "auto":
      return options.port === null
        ? { missing: "not_local" }
        : await byPort(proc, options.port, options.host);
    case "port":
      return await byPort(proc, options.port, null);
    case "pid":
      return byPid(proc, options.pid);
    case "pidFile": {
      const pid = readPidFile(options.path);
      return pid === null ? { missing: "bad_pid_file" } : byPid(proc, pid);
    }
    case "processName":
      return await byName(proc, options.pattern);
  }
}
