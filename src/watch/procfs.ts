// Linux's /proc, read as text: processes, who listens on a port, cgroup membership. The root can be another folder (tests, a mounted host).

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { endianness } from "node:os";
import { setImmediate as turn } from "node:timers/promises";

/** One line of /proc/<pid>/stat, the fields we use (proc(5)); times in clock ticks. */
export interface Proc {
  readonly pid: number;
  readonly name: string;
  /** R, S, D, Z (dead, not yet collected by its parent), … */
  readonly state: string;
  readonly ppid: number;
  readonly pgrp: number;
  readonly cpuTicks: number;
  /** Of children that ended and were waited for, and theirs. */
  readonly childTicks: number;
  /** Since boot; with `pid` it names one process for good. */
  readonly startTicks: number;
  readonly rssPages: number;
}

/** Processes read between two turns of the event loop: about a millisecond. */
const CHUNK = 64;
/** What a machine can have: pid_max is 4,194,304, a machine this busy is not scanned to its end. */
const PROCESSES_MAX = 32_768;

export function parseStat(text: string): Proc | null {
  // The name may hold spaces and brackets; what follows the last one is numbers.
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  if (open < 0 || close < open) return null;
  const rest = text.slice(close + 2).split(" ");
  const at = (field: number): number => Number(rest[field - 3] ?? "NaN");
  const proc = {
    pid: Number(text.slice(0, open)),
    name: text.slice(open + 1, close),
    state: rest[0] ?? "",
    ppid: at(4),
    pgrp: at(5),
    cpuTicks: at(14) + at(15),
    childTicks: at(16) + at(17),
    startTicks: at(22),
    rssPages: at(24),
  };
  const numbers = [
    proc.pid,
    proc.ppid,
    proc.pgrp,
    proc.cpuTicks,
    proc.childTicks,
    proc.startTicks,
    proc.rssPages,
  ];
  return numbers.every(Number.isFinite) ? proc : null;
}

/** The text of a file, or null: under /proc everything may vanish between two looks. */
export function textOf(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

export function readProc(root: string, pid: number | "self"): Proc | null {
  const text = textOf(`${root}/${pid}/stat`);
  return text === null ? null : parseStat(text);
}

/** Command line with spaces between its words. */
export function readCommand(root: string, pid: number): string {
  return (textOf(`${root}/${pid}/cmdline`) ?? "").replaceAll("\0", " ").trim();
}

export type Processes = ReadonlyMap<number, Proc>;

/** All processes that can be seen. Yields to the event loop now and then; synchronous reads of /proc wait for no disk. */
export async function readProcesses(root: string): Promise<Processes> {
  const found = new Map<number, Proc>();
  const pids = namesIn(root).filter((name) => /^\d+$/.test(name));
  for (const [index, pid] of pids.slice(0, PROCESSES_MAX).entries()) {
    if (index % CHUNK === CHUNK - 1) await turn();
    const proc = readProc(root, Number(pid));
    if (proc !== null) found.set(proc.pid, proc);
  }
  return found;
}

export interface Listener {
  /** 8 or 32 hex digits in network order. */
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

const LISTEN = "0A";
const LITTLE = endianness() === "LE";

/** /proc/net/tcp shows addresses as 32-bit words of the machine's byte order. */
function networkOrder(hex: string): string {
  if (!LITTLE) return hex;
  return hex.replace(/.{8}/g, (word) => word.replace(/(..)(..)(..)(..)/, "$4$3$2$1"));
}

/** Sockets in state LISTEN of one table (/proc/net/tcp or tcp6). */
export function parseListeners(table: string): Listener[] {
  const found: Listener[] = [];
  for (const line of table.split("\n").slice(1)) {
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
    const [address = "", port = ""] = local.split(":");
    if (state !== LISTEN || !/^\d+$/.test(inode)) continue;
    found.push({ address: networkOrder(address).toLowerCase(), port: Number.parseInt(port, 16), inode });
  }
  return found;
}

export function readListeners(root: string): Listener[] {
  return ["tcp", "tcp6"].flatMap((table) => parseListeners(textOf(`${root}/net/${table}`) ?? ""));
}

/** Processes that hold one of the sockets open. Those of other users cannot be looked into without the right to. */
export async function readHolders(root: string, inodes: ReadonlySet<string>): Promise<number[]> {
  const wanted = new Set([...inodes].map((inode) => `socket:[${inode}]`));
  const holders: number[] = [];
  const pids = namesIn(root).filter((name) => /^\d+$/.test(name));
  for (const [index, pid] of pids.slice(0, PROCESSES_MAX).entries()) {
    if (index % CHUNK === CHUNK - 1) await turn();
    const folder = `${root}/${pid}/fd`;
    if (namesIn(folder).some((fd) => wanted.has(linkOf(`${folder}/${fd}`)))) holders.push(Number(pid));
  }
  return holders;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Paths of a process's cgroups by controller (cgroups(7)); "" is version 2's one hierarchy. */
export type Cgroups = ReadonlyMap<string, string>;

export function readCgroups(root: string, pid: number | "self"): Cgroups {
  const groups = new Map<string, string>();
  for (const line of (textOf(`${root}/${pid}/cgroup`) ?? "").split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    for (const controller of controllers?.split(",") ?? []) groups.set(controller, path ?? "");
  }
  return groups;
}

/** Seconds since boot, or null. */
export function readUptime(root: string): number | null {
  const seconds = Number.parseFloat(textOf(`${root}/uptime`) ?? "");
  return Number.isFinite(seconds) ? seconds : null;
}

export interface MachineUnits {
  readonly pageBytes: number;
  readonly ticksPerSecond: number;
}

const USUAL: MachineUnits = { pageBytes: 4096, ticksPerSecond: 100 };
/** Keys of the auxiliary vector that the kernel gives every process (getauxval(3)): pairs of machine words. */
const AT_PAGESZ = 6;
const AT_CLKTCK = 17;
const WORD_BYTES = 8;

/** Page size and clock ticks, as `getconf` would say; images without a shell have no `getconf`, but they have this. */
export function readMachineUnits(root: string): MachineUnits {
  const vector = bytesOf(`${root}/self/auxv`);
  const values = new Map<number, number>();
  for (let at = 0; at + 2 * WORD_BYTES <= vector.length; at += 2 * WORD_BYTES) {
    const word = (offset: number): number =>
      Number(LITTLE ? vector.readBigUInt64LE(offset) : vector.readBigUInt64BE(offset));
    values.set(word(at), word(at + WORD_BYTES));
  }
  return {
    pageBytes: values.get(AT_PAGESZ) ?? USUAL.pageBytes,
    ticksPerSecond: values.get(AT_CLKTCK) ?? USUAL.ticksPerSecond,
  };
}

function bytesOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
