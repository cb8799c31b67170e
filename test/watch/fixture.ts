// A small /proc and /sys/fs/cgroup in a temporary folder, written as the kernel writes them.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";

export interface FakeProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly pgrp?: number;
  readonly name?: string;
  readonly command?: string;
  readonly cpu?: number;
  readonly childCpu?: number;
  readonly start?: number;
  readonly rss?: number;
  readonly state?: string;
  readonly sockets?: readonly string[];
  readonly cgroup?: string;
  /** Groups of version 1, by controller. */
  readonly split?: Readonly<Record<string, string>>;
}

export interface Fixture {
  readonly roots: { readonly proc: string; readonly cgroup: string };
  /** Writes or rewrites one process. */
  put(process: FakeProcess): void;
  remove(pid: number): void;
  /** The process that looks. */
  self(process: FakeProcess): void;
  uptime(seconds: number): void;
  /** Sockets in state LISTEN on any IPv4 address. */
  listening(...sockets: readonly { readonly port: number; readonly inode: string }[]): void;
  cgroup(path: string, files: Readonly<Record<string, string>>): void;
}

function statLine(process: FakeProcess): string {
  const {
    pid,
    ppid,
    pgrp = pid,
    name = "python",
    cpu = 0,
    childCpu = 0,
    start = 100,
    rss = 10,
    state = "S",
  } = process;
  const fields = [
    state,
    ppid,
    pgrp,
    pgrp,
    0,
    -1,
    0,
    0,
    0,
    0,
    0,
    cpu,
    0,
    childCpu,
    0,
    20,
    0,
    1,
    0,
    start,
    1e6,
    rss,
  ];
  return `${pid} (${name}) ${fields.join(" ")} 18446744073709551615 0 0\n`;
}

export function fixture(t: TestContext): Fixture {
  const folder = mkdtempSync(join(tmpdir(), "outrider-proc-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const roots = { proc: join(folder, "proc"), cgroup: join(folder, "cgroup") };
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  const writeProcess = (at: string, process: FakeProcess): void => {
    const place = join(roots.proc, at);
    rmSync(place, { recursive: true, force: true });
    write(join(place, "stat"), statLine(process));
    write(join(place, "cmdline"), (process.command ?? process.name ?? "python").replaceAll(" ", "\0"));
    const split = Object.entries(process.split ?? {}).map(
      ([names, path], index) => `${index + 2}:${names}:${path}\n`,
    );
    const unified = process.cgroup === undefined && split.length > 0 ? "" : `0::${process.cgroup ?? "/"}\n`;
    write(join(place, "cgroup"), `9:name=systemd:/elsewhere\n${split.join("")}${unified}`);
    mkdirSync(join(place, "fd"));
    for (const [index, inode] of (process.sockets ?? []).entries()) {
      symlinkSync(`socket:[${inode}]`, join(place, "fd", String(index + 3)));
    }
  };
  mkdirSync(roots.cgroup, { recursive: true });
  write(join(roots.proc, "uptime"), "1000.00 900.00\n");
  return {
    roots,
    put: (process) => writeProcess(String(process.pid), process),
    remove: (pid) => rmSync(join(roots.proc, String(pid)), { recursive: true, force: true }),
    self: (process) => {
      writeProcess("self", process);
      writeProcess(String(process.pid), process);
    },
    uptime: (seconds) => write(join(roots.proc, "uptime"), `${seconds.toFixed(2)} 1.00\n`),
    listening: (...sockets) => {
      const lines = sockets.map(({ port, inode }, index) => {
        const hex = port.toString(16).toUpperCase().padStart(4, "0");
        return `   ${index}: 00000000:${hex} 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0 100 0 0 10 0`;
      });
      write(
        join(roots.proc, "net/tcp"),
        ["  sl  local_address rem_address   st ...", ...lines, ""].join("\n"),
      );
    },
    cgroup: (path, files) => {
      for (const [name, text] of Object.entries(files)) write(join(roots.cgroup, path, name), text);
    },
  };
}
