// An append-only file of JSON lines, each with its checksum: durable before `append` returns, whole after a crash.

import {
  closeSync,
  copyFileSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { codeOf, messageOf } from "../kernel/problem.ts";

export type AppendResult =
  | { readonly kind: "kept" }
  | { readonly kind: "refused"; readonly cause: string; readonly message: string };

export interface Journal {
  /** One entry, on disk when it answers "kept"; else nothing of it will be read again. */
  append(entry: unknown): AppendResult;
  close(): void;
}

export interface OpenedJournal {
  readonly journal: Journal;
  readonly entries: readonly unknown[];
  /** Lines inside the file that do not fit their checksum; they are left out, and a copy of the file is kept. */
  readonly damaged: number;
  /** Where the copy is. */
  readonly copy: string | null;
}

interface Read {
  readonly entries: readonly unknown[];
  readonly damaged: number;
  /** Bytes up to the end of the last whole line. */
  readonly goodBytes: number;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}

function entryOf(line: string): { readonly entry: unknown } | null {
  const text = line.slice(9);
  if (line[8] !== " " || line.slice(0, 8) !== checksum(text)) return null;
  try {
    return { entry: JSON.parse(text) };
  } catch {
    return null;
  }
}

/** A bad end is what a crash leaves (never acknowledged); a bad line with good ones after it is damage. */
function readLines(bytes: Buffer): Read {
  const entries: unknown[] = [];
  let damaged = 0;
  let badSinceGood = 0;
  let goodBytes = 0;
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf(0x0a, from);
    if (end < 0) break;
    const found = entryOf(bytes.toString("utf8", from, end));
    from = end + 1;
    if (found === null) badSinceGood++;
    else {
      entries.push(found.entry);
      damaged += badSinceGood;
      badSinceGood = 0;
      goodBytes = from;
    }
  }
  return { entries, damaged, goodBytes };
}

function syncDirectory(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

class FileJournal implements Journal {
  readonly #path: string;
  /** null: closed, or an error left it in doubt; it is opened and cut to `#bytes` before the next entry. */
  #handle: number | null;
  #bytes: number;
  #closed = false;

  constructor(path: string, handle: number, bytes: number) {
    this.#path = path;
    this.#handle = handle;
    this.#bytes = bytes;
  }

  append(entry: unknown): AppendResult {
    if (this.#closed) return { kind: "refused", cause: "closed", message: "the version ledger is closed" };
    const text = JSON.stringify(entry);
    const line = Buffer.from(`${checksum(text)} ${text}\n`);
    try {
      const handle = this.#cut();
      for (let done = 0; done < line.length;)
        done += writeSync(handle, line, done, line.length - done, this.#bytes + done);
      fsyncSync(handle);
      this.#bytes += line.length;
      return { kind: "kept" };
    } catch (thrown) {
      this.#doubt();
      return { kind: "refused", cause: codeOf(thrown) ?? "io", message: messageOf(thrown) };
    }
  }

  close(): void {
    this.#closed = true;
    this.#doubt();
  }

  /** After an error whatever was written behind the last kept entry is cut off first, on a new handle. */
  #cut(): number {
    if (this.#handle !== null) return this.#handle;
    const handle = openSync(this.#path, "r+");
    try {
      ftruncateSync(handle, this.#bytes);
      fsyncSync(handle);
    } catch (thrown) {
      closeSync(handle);
      throw thrown;
    }
    this.#handle = handle;
    return handle;
  }

  #doubt(): void {
    if (this.#handle === null) return;
    try {
      closeSync(this.#handle);
    } catch {
      // The handle is gone either way.
    }
    this.#handle = null;
  }
}

/** Opens or makes the file. Throws a system error when it cannot be had. `stampMs` names the copy of a damaged file. */
export function openJournal(path: string, stampMs: number): OpenedJournal {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const handle = openSync(path, "a+", 0o600);
  closeSync(handle);
  syncDirectory(dirname(path));
  const bytes = readFileSync(path);
  const { entries, damaged, goodBytes } = readLines(bytes);
  let copy: string | null = null;
  if (damaged > 0) {
    copy = `${path}.damaged-${new Date(stampMs).toISOString().replaceAll(/[-:]/g, "")}`;
    copyFileSync(path, copy);
  }
  const writing = openSync(path, "r+");
  if (goodBytes < bytes.length) ftruncateSync(writing, goodBytes);
  return { journal: new FileJournal(path, writing, goodBytes), entries, damaged, copy };
}
